// Ed25519 signatures (RFC 8032) through libsodium, the only verifier in the project: libraries differ on
// edge cases, and a ledger must not fork on them. Small-order public keys are refused at parse time.
#pragma once

#include <array>
#include <compare>
#include <string>

#include "fabric/base/bytes.h"

namespace ufab {

struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;
  [[nodiscard]] ByteView view() const { return bytes; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }
  [[nodiscard]] bool is_zero() const { return *this == PublicKey{}; }
  // 64 hexadecimal digits of a valid point that is not of small order.
  [[nodiscard]] static Result<PublicKey> parse(std::string_view hex);
  // A valid point in the prime-order group's main part: not small order, canonical encoding.
  [[nodiscard]] bool is_acceptable() const;
};

struct Signature {
  std::array<std::uint8_t, 64> bytes{};
  friend auto operator<=>(const Signature&, const Signature&) = default;
  [[nodiscard]] ByteView view() const { return bytes; }
};

// A secret key. Copies are explicit, memory is wiped on destruction, and nothing prints it.
class KeyPair {
 public:
  [[nodiscard]] static KeyPair generate();
  // Deterministic, from 32 bytes of secret seed (RFC 8032 section 5.1.5).
  [[nodiscard]] static KeyPair from_seed(const std::array<std::uint8_t, 32>& seed);
  // A file of 64 hexadecimal digits (the seed) and a newline. Refused unless its mode is 0600 or stricter.
  [[nodiscard]] static Result<KeyPair> load(const std::string& path);
  // Writes the seed with mode 0600, synced, never over an existing file.
  [[nodiscard]] Status save(const std::string& path) const;

  KeyPair(KeyPair&&) noexcept;
  KeyPair& operator=(KeyPair&&) noexcept;
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;
  ~KeyPair();
  [[nodiscard]] KeyPair copy() const;

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Signature sign(ByteView message) const;
  // The seed, for handing the key to OpenSSL; the caller wipes its copy.
  [[nodiscard]] std::array<std::uint8_t, 32> seed() const;

 private:
  KeyPair() = default;
  std::array<std::uint8_t, 64> secret_{};
  PublicKey public_key_;
};

[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace ufab
