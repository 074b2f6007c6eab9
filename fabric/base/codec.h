// The canonical byte encoding: little-endian fixed-width integers, u32 length prefixes, nothing optional.
// One value has one encoding. A Reader refuses what a Writer would not produce: short input, a length
// over its bound, a flag other than 0 or 1, and (finish()) bytes left over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fabric/base/bytes.h"

namespace ufab {

class Writer {
 public:
  // How many bytes will follow, so that they are allocated once.
  void reserve(std::size_t size) { bytes_.reserve(bytes_.size() + size); }
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) { fixed(value, 2); }
  void u32(std::uint32_t value) { fixed(value, 4); }
  void u64(std::uint64_t value) { fixed(value, 8); }
  void flag(bool value) { u8(value ? 1 : 0); }
  // The bytes as they are; the reader must know how many.
  void raw(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // u32 length, then the bytes.
  void blob(ByteView bytes);
  void text(std::string_view text) { blob(as_bytes(text)); }

  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  // Starts anew in the memory it has.
  void clear() { bytes_.clear(); }
  [[nodiscard]] Bytes take() { return std::move(bytes_); }

 private:
  void fixed(std::uint64_t value, std::size_t width);
  Bytes bytes_;
};

// Reads what a Writer wrote. After the first failure every read returns zero or empty and failed() stays
// true, so a decoder reads all its fields and asks finish() once.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(fixed(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(fixed(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(fixed(4)); }
  std::uint64_t u64() { return fixed(8); }
  bool flag();
  // Exactly `size` bytes; the view points into the input.
  ByteView raw(std::size_t size);
  ByteView blob(std::size_t max_size);
  std::string text(std::size_t max_size);
  // A u32 element count, refused above max_count and when fewer than min_element_size bytes an element
  // are left, so that a hostile count cannot make the caller reserve memory.
  std::uint32_t count(std::size_t max_count, std::size_t min_element_size);

  // Marks the input as malformed from outside, for rules that the Reader does not know.
  void fail(const char* why);
  [[nodiscard]] bool failed() const { return why_ != nullptr; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }
  // An error unless every read succeeded and no byte is left.
  [[nodiscard]] Status finish(std::string_view what) const;

 private:
  std::uint64_t fixed(int width);
  ByteView bytes_;
  std::size_t position_ = 0;
  const char* why_ = nullptr;
};

}  // namespace ufab
