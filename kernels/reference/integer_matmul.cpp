#include "kernels/reference/integer_matmul.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/integer.h"

namespace ufab::kernels::reference {
namespace {

struct Quantized {
  std::vector<std::int32_t> values;  // [rows][length]
  std::vector<float> scales;         // [rows]
};

// The block of `length` elements from k0 on, of every row.
Quantized quantize(const Operand& operand, int k0, int length, int bits) {
  Quantized result;
  const int limit = (1 << (bits - 1)) - 1;
  for (int row = 0; row < operand.rows; ++row) {
    const auto at = [&](int k) {
      return operand.base[row * operand.row_stride + (k0 + k) * operand.depth_stride];
    };
    std::uint32_t largest = 0;
    for (int k = 0; k < length; ++k)
      largest = std::max(largest, std::bit_cast<std::uint32_t>(std::fabs(at(k))));
    const IntegerScale scale = integer_scale(largest, bits);
    result.scales.push_back(scale.scale);
    for (int k = 0; k < length; ++k) {
      const bool zero = scale.inverse == 0.0F;  // infinities and NaN too: their scale is NaN
      const int q = zero ? 0 : static_cast<int>(std::nearbyint(at(k) * scale.inverse));
      result.values.push_back(std::clamp(q, -limit, limit));
    }
  }
  return result;
}

}  // namespace

void integer_matmul(float* c, int c_row, const Operand& a, const Operand& b, int depth, int bits,
                    const float* bias, bool accumulate) {
  for (int k0 = 0; k0 < depth; k0 += kIntegerBlock) {
    const int length = std::min(depth - k0, kIntegerBlock);
    const Quantized qa = quantize(a, k0, length, bits), qb = quantize(b, k0, length, bits);
    for (int i = 0; i < a.rows; ++i) {
      for (int j = 0; j < b.rows; ++j) {
        const std::int32_t* row = qa.values.data() + std::ptrdiff_t{i} * length;
        const std::int32_t* column = qb.values.data() + std::ptrdiff_t{j} * length;
        std::int32_t sum = 0;
        for (int k = 0; k < length; ++k) sum += row[k] * column[k];
        float& value = c[static_cast<std::ptrdiff_t>(i) * c_row + j];
        const float start = k0 > 0 || accumulate ? value : bias != nullptr ? bias[j] : 0.0F;
        value = __builtin_fmaf(static_cast<float>(sum) * qa.scales[static_cast<std::size_t>(i)],
                               qb.scales[static_cast<std::size_t>(j)], start);
      }
    }
  }
}

}  // namespace ufab::kernels::reference
