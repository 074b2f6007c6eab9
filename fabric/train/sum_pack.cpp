#include "fabric/train/sum_pack.h"

#include <bit>
#include <cstring>

namespace ufab {

static_assert(std::endian::native == std::endian::little, "integers are copied as they lie in memory");

namespace {

// Eight bytes are moved at a time and the surplus is overwritten by the next value, so the loops below run
// over all values but the last few, for which the surplus would lie outside.
template <int width>
void pack(std::span<const std::int64_t> values, std::uint8_t* out) {
  const std::size_t safe = values.size() - (values.size() < 8 ? values.size() : 8);
  for (std::size_t i = 0; i < safe; ++i) std::memcpy(out + i * width, &values[i], 8);
  for (std::size_t i = safe; i < values.size(); ++i) std::memcpy(out + i * width, &values[i], width);
}

template <int width>
void unpack(const std::uint8_t* in, std::span<std::int64_t> values) {
  constexpr int shift = 64 - 8 * width;
  const auto sign_extended = [](std::uint64_t word) {
    return static_cast<std::int64_t>(word << shift) >> shift;
  };
  const std::size_t safe = values.size() - (values.size() < 8 ? values.size() : 8);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < safe; ++i) {
    std::memcpy(&word, in + i * width, 8);
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
    case 4: return call.template operator()<4>();
    case 5: return call.template operator()<5>();
    case 6: return call.template operator()<6>();
    case 7: return call.template operator()<7>();
    default: return call.template operator()<8>();
  }
}

}  // namespace

int pack_width(std::span<const std::int64_t> values) {
  std::uint64_t bits = 0;
  for (const std::int64_t value : values) bits |= static_cast<std::uint64_t>(value ^ (value >> 63));
  return static_cast<int>(std::bit_width(bits)) / 8 + 1;  // one bit more for the sign
}

void pack_sums(std::span<const std::int64_t> values, Bytes& bytes) {
  const int width = pack_width(values);
  bytes.resize(1 + values.size() * static_cast<std::size_t>(width));
  bytes[0] = static_cast<std::uint8_t>(width);
  with_width(width, [&]<int w>() { pack<w>(values, bytes.data() + 1); });
}

void unpack_sums(ByteView packed, int width, std::span<std::int64_t> values) {
  UFAB_ASSERT(width >= 1 && width <= 8 && packed.size() == values.size() * static_cast<std::size_t>(width));
  with_width(width, [&]<int w>() { unpack<w>(packed.data(), values); });
}

}  // namespace ufab
