#include "fabric/base/codec.h"

#include <array>
#include <limits>

namespace ufab {

// Out of line: inlined, GCC 12 sees overflows in it that cannot be.
void Writer::fixed(std::uint64_t value, std::size_t width) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(width));
}

void Writer::blob(ByteView bytes) {
  UFAB_ASSERT(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  u32(static_cast<std::uint32_t>(bytes.size()));
  raw(bytes);
}

void Reader::fail(const char* why) {
  if (why_ == nullptr) {
    why_ = why;
    position_ = bytes_.size();
  }
}

std::uint64_t Reader::fixed(int width) {
  if (failed() || remaining() < static_cast<std::size_t>(width)) {
    fail("ends too early");
    return 0;
  }
  std::uint64_t value = 0;
  for (int i = 0; i < width; ++i)
    value |= static_cast<std::uint64_t>(bytes_[position_ + static_cast<std::size_t>(i)]) << (8 * i);
  position_ += static_cast<std::size_t>(width);
  return value;
}

bool Reader::flag() {
  const std::uint8_t value = u8();
  if (value > 1) fail("has a flag that is neither 0 nor 1");
  return value == 1;
}

ByteView Reader::raw(std::size_t size) {
  if (failed() || remaining() < size) {
    fail("ends too early");
    return {};
  }
  const ByteView view = bytes_.subspan(position_, size);
  position_ += size;
  return view;
}

ByteView Reader::blob(std::size_t max_size) {
  const std::uint32_t size = u32();
  if (size > max_size) {
    fail("has a field longer than its bound");
    return {};
  }
  return raw(size);
}

std::string Reader::text(std::size_t max_size) {
  return std::string(as_text(blob(max_size)));
}

std::uint32_t Reader::count(std::size_t max_count, std::size_t min_element_size) {
  const std::uint32_t count = u32();
  if (count > max_count) {
    fail("has a list longer than its bound");
    return 0;
  }
  if (min_element_size != 0 && remaining() / min_element_size < count) {
    fail("ends too early");
    return 0;
  }
  return count;
}

Status Reader::finish(std::string_view what) const {
  if (failed()) return Error{ErrorCode::invalid, std::string(what) + " " + why_};
  if (remaining() != 0)
    return Error{ErrorCode::invalid,
                 std::string(what) + " has " + std::to_string(remaining()) + " bytes too many"};
  return {};
}

}  // namespace ufab
