// SHA-256 (FIPS 180-4, through OpenSSL) and the digests built on it.
#pragma once

#include <array>
#include <compare>
#include <memory>
#include <string>
#include <string_view>

#include "fabric/base/bytes.h"

namespace ufab {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const Digest&, const Digest&) = default;
  [[nodiscard]] ByteView view() const { return bytes; }
  [[nodiscard]] std::string hex() const { return to_hex(bytes); }
  // "sha256:" and 64 lower-case hexadecimal digits: the form people and files see.
  [[nodiscard]] std::string str() const { return "sha256:" + hex(); }
  [[nodiscard]] bool is_zero() const { return *this == Digest{}; }

  // Accepts exactly what str() writes.
  [[nodiscard]] static Result<Digest> parse(std::string_view text);
  // Precondition: view.size() == 32.
  [[nodiscard]] static Digest from(ByteView view);
};

struct DigestHash {
  std::size_t operator()(const Digest& digest) const noexcept;
};

// Incremental hash. Not thread-safe; finish() may be called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(ByteView bytes);
  Sha256& update(std::string_view text) { return update(as_bytes(text)); }
  Sha256& update_u64(std::uint64_t value);  // eight bytes, little-endian
  [[nodiscard]] Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Digest sha256(ByteView bytes);
// Of the two joined together.
[[nodiscard]] Digest sha256(ByteView first, ByteView second);
[[nodiscard]] inline Digest sha256(std::string_view text) {
  return sha256(as_bytes(text));
}
// SHA-256 of a file's bytes, read in bounded pieces.
[[nodiscard]] Result<Digest> sha256_file(const std::string& path);

}  // namespace ufab
