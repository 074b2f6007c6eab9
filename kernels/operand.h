#pragma once

#include <cstddef>

namespace ufab::kernels {

// One operand of a product: element (row, k) at base[row * row_stride + k * depth_stride]; one stride is 1.
struct Operand {
  const float* base;
  std::ptrdiff_t row_stride, depth_stride;
  int rows;
};

}  // namespace ufab::kernels
