#include "accounting/consensus/sim/hash_scheme.h"

namespace ufab::consensus {

namespace {

// The mixing step of splitmix64.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
  return value ^ value >> 31;
}

std::uint64_t absorbed(std::uint64_t state, ByteView bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    for (std::size_t j = i; j < bytes.size() && j < i + 8; ++j)
      word |= static_cast<std::uint64_t>(bytes[j]) << (8 * (j - i));
    state = mixed(state + 0x9e3779b97f4a7c15ULL + word) ^ word;
  }
  return mixed(state + bytes.size());
}

Signature hashed(const PublicKey& key, ByteView message) {
  const std::uint64_t value = absorbed(absorbed(1, key.view()), message);
  Signature signature;
  for (std::size_t i = 0; i < signature.bytes.size(); ++i)
    signature.bytes[i] = static_cast<std::uint8_t>(value >> (8 * (i % 8)));
  return signature;
}

}  // namespace

bool HashScheme::verify(const PublicKey& key, ByteView message, const Signature& signature) const {
  return signature == hashed(key, message);
}

HashSigner::HashSigner(std::uint64_t number) {
  for (std::size_t i = 0; i < 8; ++i) key_.bytes[i] = static_cast<std::uint8_t>((number + 1) >> (8 * i));
}

Signature HashSigner::sign(ByteView message) const {
  return hashed(key_, message);
}

}  // namespace ufab::consensus
