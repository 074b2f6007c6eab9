// A checksum of results: FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
//
// Why not SHA-256, which the project's digests use: this room needs nothing of the others, the checksum
// guards against accidents and not against people, and these few lines can be checked against the published
// values, and written again in any language, in a minute.
//
// Floats go in as their little-endian bits, any NaN as 0x7FC00000: which NaN is not part of the contract of
// kernels/semantics.h.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

namespace ufab::kernels {

class Checksum {
 public:
  void byte(std::uint8_t value) { state_ = (state_ ^ value) * 0x100000001B3U; }
  void text(std::string_view value) {
    for (const char c : value) byte(static_cast<std::uint8_t>(c));
  }
  void word(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  void long_word(std::uint64_t value) {
    word(static_cast<std::uint32_t>(value));
    word(static_cast<std::uint32_t>(value >> 32));
  }
  void number(float value) { word(value == value ? std::bit_cast<std::uint32_t>(value) : 0x7FC00000U); }
  void numbers(std::span<const float> values) {
    for (const float value : values) number(value);
  }
  void integers(std::span<const std::int32_t> values) {
    for (const std::int32_t value : values) word(static_cast<std::uint32_t>(value));
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325U;
};

}  // namespace ufab::kernels
