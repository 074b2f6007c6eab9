// A sum over the rows of a column: in blocks of kRowBlock rows, each a chain from +0 over its rows ascending;
// the blocks' sums are added ascending, from the first one. A GPU makes the blocks' sums side by side, and
// the rounding error grows with the block and the number of blocks instead of their product.
#pragma once

#include "kernels/host_device.h"
#include "kernels/semantics.h"

namespace ufab::kernels {

// One block of the rows [first, min(first + kRowBlock, rows)): add(row, sum) gives the sum with the row.
template <class F, class Add>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F column_block_sum(int first, int rows, const Add& add) {
  const int end = rows - first < kRowBlock ? rows : first + kRowBlock;
  F sum = F::broadcast(0.0F);
  for (int row = first; row < end; ++row) sum = add(row, sum);
  return sum;
}

template <class F, class Add>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F column_sum(int rows, const Add& add) {
  F total = column_block_sum<F>(0, rows, add);
  for (int first = kRowBlock; first < rows; first += kRowBlock) {
    total = total + column_block_sum<F>(first, rows, add);
  }
  return total;
}

}  // namespace ufab::kernels
