#include "kernels/gradient.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/assert.h"

namespace ufab::kernels {

QuantizeResult quantize_add(Backend& backend, std::span<const float> g, int exponent,
                            std::uint64_t first_index, std::span<std::int32_t> sums, bool fresh) {
  UFAB_KERNELS_ASSERT(g.size() == sums.size());
  UFAB_KERNELS_ASSERT(exponent >= kExponentMin && exponent <= kExponentMax);
  std::pmr::vector<QuantizeResult> result(1, &backend.shared_memory());
  backend.quantize_add(result.data(), sums.data(), g.data(), g.size(), exponent, first_index, fresh);
  backend.wait();
  return result[0];
}

int next_exponent(int exponent, std::uint64_t peak) {
  if (peak == 0) return exponent;
  return std::clamp(exponent + kPeakBits - static_cast<int>(std::bit_width(peak)), kExponentMin,
                    kExponentMax);
}

bool adjust_exponents(std::uint64_t step, std::span<const std::uint64_t> peaks, std::span<int> exponents) {
  UFAB_KERNELS_ASSERT(peaks.size() == exponents.size());
  bool again = false;
  for (std::size_t t = 0; t < peaks.size(); ++t) {
    const int before = exponents[t];
    if (peaks[t] >= kPeakLimit) {
      exponents[t] = std::max(before - kOverflowStep, kExponentMin);
      again = true;
    } else if (step == 1 && static_cast<int>(std::bit_width(peaks[t])) < kPeakBits - kFirstSlackBits) {
      exponents[t] = next_exponent(before, peaks[t]);
      again |= exponents[t] != before;
    }
  }
  return again;
}

}  // namespace ufab::kernels
