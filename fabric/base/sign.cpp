#include "fabric/base/sign.h"

#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fabric/base/file.h"

namespace ufab {

namespace {
void ensure_sodium() {
  static const bool ready = sodium_init() >= 0;
  UFAB_ASSERT(ready);
}
}  // namespace

bool PublicKey::is_acceptable() const {
  ensure_sodium();
  return crypto_core_ed25519_is_valid_point(bytes.data()) == 1;
}

Result<PublicKey> PublicKey::parse(std::string_view hex) {
  UFAB_ASSIGN(const Bytes raw, from_hex(hex));
  PublicKey key;
  if (raw.size() != key.bytes.size())
    return Error{ErrorCode::invalid, "a public key has 64 hexadecimal digits"};
  std::copy(raw.begin(), raw.end(), key.bytes.begin());
  if (!key.is_acceptable()) return Error{ErrorCode::invalid, "not an acceptable Ed25519 public key"};
  return key;
}

KeyPair KeyPair::generate() {
  ensure_sodium();
  std::array<std::uint8_t, 32> seed;
  randombytes_buf(seed.data(), seed.size());
  KeyPair pair = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  return pair;
}

KeyPair KeyPair::from_seed(const std::array<std::uint8_t, 32>& seed) {
  ensure_sodium();
  KeyPair pair;
  crypto_sign_seed_keypair(pair.public_key_.bytes.data(), pair.secret_.data(), seed.data());
  return pair;
}

Result<KeyPair> KeyPair::load(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Error{errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, path + ": " + std::strerror(errno)};
  }
  if ((info.st_mode & 077) != 0)
    return Error{ErrorCode::denied, path + ": others may read this key; chmod 600 it"};
  UFAB_ASSIGN(Bytes text, read_file(path, 256));
  std::string_view hex = as_text(text);
  if (!hex.empty() && hex.back() == '\n') hex.remove_suffix(1);
  auto raw = from_hex(hex);
  sodium_memzero(text.data(), text.size());
  if (!raw || raw->size() != 32)
    return Error{ErrorCode::corrupt, path + ": not a key file (64 hexadecimal digits)"};
  std::array<std::uint8_t, 32> seed;
  std::copy(raw->begin(), raw->end(), seed.begin());
  KeyPair pair = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(raw->data(), raw->size());
  return pair;
}

Status KeyPair::save(const std::string& path) const {
  auto bytes = seed();
  std::string text = to_hex(bytes) + "\n";
  Status status = create_file_exclusive(path, as_bytes(text), 0600);
  sodium_memzero(bytes.data(), bytes.size());
  sodium_memzero(text.data(), text.size());
  return status;
}

KeyPair::KeyPair(KeyPair&& other) noexcept : secret_(other.secret_), public_key_(other.public_key_) {
  sodium_memzero(other.secret_.data(), other.secret_.size());
}

KeyPair& KeyPair::operator=(KeyPair&& other) noexcept {
  if (this != &other) {
    secret_ = other.secret_;
    public_key_ = other.public_key_;
    sodium_memzero(other.secret_.data(), other.secret_.size());
  }
  return *this;
}

KeyPair::~KeyPair() {
  sodium_memzero(secret_.data(), secret_.size());
}

KeyPair KeyPair::copy() const {
  KeyPair pair;
  pair.secret_ = secret_;
  pair.public_key_ = public_key_;
  return pair;
}

Signature KeyPair::sign(ByteView message) const {
  Signature signature;
  crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(), secret_.data());
  return signature;
}

std::array<std::uint8_t, 32> KeyPair::seed() const {
  std::array<std::uint8_t, 32> seed;
  crypto_sign_ed25519_sk_to_seed(seed.data(), secret_.data());
  return seed;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  ensure_sodium();
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                     key.bytes.data()) == 0;
}

}  // namespace ufab
