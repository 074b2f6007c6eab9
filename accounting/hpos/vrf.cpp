#include "accounting/hpos/vrf.h"

#include <sodium.h>

#include <algorithm>

#include "accounting/hpos/encode_to_curve.h"

namespace ufab::vrf {

namespace {

// Wiped when it goes out of scope.
template <std::size_t Size>
struct Secret {
  std::array<std::uint8_t, Size> bytes{};
  ~Secret() { sodium_memzero(bytes.data(), bytes.size()); }
};

struct Decoded {
  Point gamma{};
  Scalar c{};  // below 2^128
  Scalar s{};  // below q
};

// Section 5.4.4, and Gamma in the group of prime order.
Result<Decoded> decode(const Proof& proof) {
  Decoded decoded;
  const auto* bytes = proof.bytes.data();
  std::copy_n(bytes, 32, decoded.gamma.begin());
  std::copy_n(bytes + 32, 16, decoded.c.begin());
  std::copy_n(bytes + 48, 32, decoded.s.begin());
  if (!in_group(decoded.gamma))
    return Error{ErrorCode::invalid, "VRF proof: Gamma is no point of the prime-order group"};
  if (!is_reduced(decoded.s)) return Error{ErrorCode::invalid, "VRF proof: s is not below the group's order"};
  return decoded;
}

// Section 5.2, step 6.
Output output_of(const Point& gamma, Suite suite) {
  const std::array<std::uint8_t, 2> front{static_cast<std::uint8_t>(suite), 0x03};
  const std::array<std::uint8_t, 1> back{0x00};
  Output output;
  sha512(output.bytes, {front, times_cofactor(gamma), back});
  return output;
}

// Section 5.4.3.
Scalar challenge(Suite suite, const Point& key, const Point& h, const Point& gamma, const Point& u,
                 const Point& v) {
  const std::array<std::uint8_t, 2> front{static_cast<std::uint8_t>(suite), 0x02};
  const std::array<std::uint8_t, 1> back{0x00};
  Sha512 hash;
  sha512(hash, {front, key, h, gamma, u, v, back});
  Scalar c{};
  std::copy_n(hash.begin(), 16, c.begin());
  return c;
}

}  // namespace

Proof prove(const KeyPair& pair, ByteView alpha, Suite suite) {
  const Point& key = pair.public_key().bytes;
  const Point h = encode_to_curve(suite, pair.public_key(), alpha);

  // The secret scalar x (RFC 8032 section 5.1.5) and the nonce k (section 5.4.2.2).
  const Secret<32> seed{pair.seed()};
  Secret<64> hashed_seed;
  sha512(hashed_seed.bytes, {seed.bytes});
  Secret<32> x;
  std::copy_n(hashed_seed.bytes.begin(), 32, x.bytes.begin());
  x.bytes[0] &= 0xF8;
  x.bytes[31] = static_cast<std::uint8_t>((x.bytes[31] & 0x7F) | 0x40);
  Secret<64> nonce;
  sha512(nonce.bytes, {ByteView(hashed_seed.bytes).subspan(32), h});
  Secret<32> k;
  crypto_core_ed25519_scalar_reduce(k.bytes.data(), nonce.bytes.data());

  const Point gamma = times(x.bytes, h);
  const Scalar c = challenge(suite, key, h, gamma, times_base(k.bytes), times(k.bytes, h));
  Secret<32> product;
  crypto_core_ed25519_scalar_mul(product.bytes.data(), c.data(), x.bytes.data());
  Scalar s;
  crypto_core_ed25519_scalar_add(s.data(), k.bytes.data(), product.bytes.data());

  Proof proof;
  std::copy_n(gamma.begin(), 32, proof.bytes.begin());
  std::copy_n(c.begin(), 16, proof.bytes.begin() + 32);
  std::copy_n(s.begin(), 32, proof.bytes.begin() + 48);
  return proof;
}

Result<Output> verify(const PublicKey& key, ByteView alpha, const Proof& proof, Suite suite) {
  if (!key.is_acceptable()) return Error{ErrorCode::invalid, "not an acceptable Ed25519 public key"};
  UFAB_ASSIGN(const Decoded decoded, decode(proof));
  const auto& [gamma, c, s] = decoded;
  const Point h = encode_to_curve(suite, key, alpha);
  const Point u = subtract(times_base(s), times(c, key.bytes));
  const Point v = subtract(times(s, h), times(c, gamma));
  if (challenge(suite, key.bytes, h, gamma, u, v) != c)
    return Error{ErrorCode::invalid, "VRF proof: it does not fit this key and input"};
  return output_of(gamma, suite);
}

Result<Output> proof_to_hash(const Proof& proof, Suite suite) {
  UFAB_ASSIGN(const Decoded decoded, decode(proof));
  return output_of(decoded.gamma, suite);
}

}  // namespace ufab::vrf
