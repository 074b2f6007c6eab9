#include "kernels/gradient.h"

#include <bit>

#include "kernels/assert.h"

namespace ufab::kernels {

std::uint64_t quantize_bound(std::uint64_t contributions) {
  UFAB_KERNELS_ASSERT(contributions >= 1 && contributions <= (std::uint64_t{1} << 32));
  const int log2_ceil = static_cast<int>(std::bit_width(contributions - 1));
  return std::uint64_t{1} << (62 - log2_ceil);
}

QuantizeResult quantize_add(Backend& backend, std::span<const float> g, int exponent, std::uint64_t bound,
                            std::uint64_t first_index, std::span<std::int64_t> sums) {
  UFAB_KERNELS_ASSERT(g.size() == sums.size());
  UFAB_KERNELS_ASSERT(exponent >= -512 && exponent <= 512);
  UFAB_KERNELS_ASSERT(bound >= 1 && bound <= (std::uint64_t{1} << 62));
  return backend.quantize_add(sums.data(), g.data(), g.size(), exponent, bound, first_index);
}

void add_sums(Backend& backend, std::span<const std::int64_t> from, std::span<std::int64_t> into) {
  UFAB_KERNELS_ASSERT(from.size() == into.size());
  backend.add_sums(into.data(), from.data(), from.size());
}

}  // namespace ufab::kernels
