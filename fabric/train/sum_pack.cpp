#include "fabric/train/sum_pack.h"

#include <bit>
#include <cstring>

namespace ufab {

static_assert(std::endian::native == std::endian::little, "integers are copied as they lie in memory");

namespace {

// Four bytes are moved at a time and the surplus is overwritten by the next value, so the loops below run
// over all values but the last few, for which the surplus would lie outside.
template <int width>
void pack(std::span<const std::int32_t> values, std::uint8_t* out) {
  const std::size_t safe = values.size() - (values.size() < 4 ? values.size() : 4);
  for (std::size_t i = 0; i < safe; ++i) std::memcpy(out + i * width, &values[i], 4);
  for (std::size_t i = safe; i < values.size(); ++i) std::memcpy(out + i * width, &values[i], width);
}

template <int width>
void unpack(const std::uint8_t* in, std::span<std::int32_t> values) {
  constexpr int shift = 32 - 8 * width;
  const auto sign_extended = [](std::uint32_t word) {
    return static_cast<std::int32_t>(word << shift) >> shift;
  };
  const std::size_t safe = values.size() - (values.size() < 4 ? values.size() : 4);
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < safe; ++i) {
    std::memcpy(&word, in + i * width, 4);
    values[i] = sign_extended(word);
  }
  for (std::size_t i = safe; i < values.size(); ++i) {
    std::memcpy(&word, in + i * width, width);
    values[i] = sign_extended(word);
  }
}

template <typename Call>
void with_width(int width, const Call& call) {
  switch (width) {
    case 1: return call.template operator()<1>();
    case 2: return call.template operator()<2>();
    case 3: return call.template operator()<3>();
    default: return call.template operator()<4>();
  }
}

}  // namespace

int pack_width(std::span<const std::int32_t> values) {
  std::uint32_t bits = 0;
  for (const std::int32_t value : values) bits |= static_cast<std::uint32_t>(value ^ (value >> 31));
  return static_cast<int>(std::bit_width(bits)) / 8 + 1;  // one bit more for the sign
}

void pack_sums(std::span<const std::int32_t> values, Bytes& bytes) {
  const int width = pack_width(values);
  bytes.resize(1 + values.size() * static_cast<std::size_t>(width));
  bytes[0] = static_cast<std::uint8_t>(width);
  with_width(width, [&]<int w>() { pack<w>(values, bytes.data() + 1); });
}

void unpack_sums(ByteView packed, int width, std::span<std::int32_t> values) {
  UFAB_ASSERT(width >= 1 && width <= 4 && packed.size() == values.size() * static_cast<std::size_t>(width));
  with_width(width, [&]<int w>() { unpack<w>(packed.data(), values); });
}

}  // namespace ufab
