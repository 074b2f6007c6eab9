// Binary32 matrix products, each output one chain of fused multiply-adds over the whole contraction.
//
// A block of 16 x 16 threads makes a tile of outputs, each thread kTile x kTile of them in registers; the
// operands come through shared memory in steps of kDepth, the next step's loads on their way while this one
// is multiplied.
#pragma once

#include "kernels/gpu/lanes.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

// c(i, j) = chain over k of a(i, k) * b(j, k), from bias[j], +0, or the value that is there. One stride of
// each operand is 1.
struct MatmulArguments {
  float* c;
  std::ptrdiff_t c_row;
  const float* a;
  std::ptrdiff_t a_row, a_depth;
  const float* b;
  std::ptrdiff_t b_row, b_depth;
  const float* bias;
  int rows, columns, depth;
  bool accumulate;
};

inline constexpr int kMatmulThreads = 256, kMatmulSide = 16, kDepth = 16;

// One operand's part of a step: kRows rows of kDepth elements, kept [element][row] so that a thread's rows
// are neighbours.
template <int kRows, bool kDepthFirst>
struct MatmulLoader {
  static constexpr int kEach = kRows * kDepth / kMatmulThreads, kPitch = kRows + 4;
  float values[kEach];

  // The thread's elements: neighbours in memory for neighbouring threads.
  static UFAB_DEVICE void place(int i, int& row, int& k) {
    const int index = thread_index() + i * kMatmulThreads;
    row = kDepthFirst ? index / kDepth : index % kRows;
    k = kDepthFirst ? index % kDepth : index / kRows;
  }
  UFAB_DEVICE void load(const float* base, std::ptrdiff_t row_stride, std::ptrdiff_t depth_stride,
                        int first_row, int rows, int first_k, int depth) {
    UFAB_UNROLL
    for (int i = 0; i < kEach; ++i) {
      int row = 0, k = 0;
      place(i, row, k);
      row += first_row;
      k += first_k;
      values[i] = row < rows && k < depth ? base[row * row_stride + k * depth_stride] : 0.0F;
    }
  }
  UFAB_DEVICE void store(float* shared) const {
    UFAB_UNROLL
    for (int i = 0; i < kEach; ++i) {
      int row = 0, k = 0;
      place(i, row, k);
      shared[k * kPitch + row] = values[i];
    }
  }
};

// Where the i-th of a thread's kTile rows or columns lies in the tile: fours of neighbours, a quarter or a
// half of the tile apart, so that the threads of a warp read neighbouring fours.
template <int kTile>
UFAB_DEVICE int in_tile(int thread, int i) {
  return i / 4 * (4 * kMatmulSide) + 4 * thread + i % 4;
}

template <int kTile, bool kADepthFirst, bool kBDepthFirst>
UFAB_KERNEL(kMatmulThreads)
void matmul_kernel(MatmulArguments m) {
  constexpr int kSpan = kTile * kMatmulSide;
  using LoaderA = MatmulLoader<kSpan, kADepthFirst>;
  using LoaderB = MatmulLoader<kSpan, kBDepthFirst>;
  UFAB_SHARED(float, shared_a, kDepth* LoaderA::kPitch);
  UFAB_SHARED(float, shared_b, kDepth* LoaderB::kPitch);
  const int across = (m.columns + kSpan - 1) / kSpan, block = static_cast<int>(block_index());
  const int first_row = block / across * kSpan, first_column = block % across * kSpan;
  const int ty = thread_index() / kMatmulSide, tx = thread_index() % kMatmulSide;

  float sums[kTile][kTile];
  UFAB_UNROLL
  for (int i = 0; i < kTile; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < kTile; ++j) {
      const int row = first_row + in_tile<kTile>(ty, i), column = first_column + in_tile<kTile>(tx, j);
      const bool inside = row < m.rows && column < m.columns;
      sums[i][j] = !inside             ? 0.0F
                   : m.accumulate      ? m.c[row * m.c_row + column]
                   : m.bias != nullptr ? m.bias[column]
                                       : 0.0F;
    }
  }

  LoaderA loader_a;
  LoaderB loader_b;
  loader_a.load(m.a, m.a_row, m.a_depth, first_row, m.rows, 0, m.depth);
  loader_b.load(m.b, m.b_row, m.b_depth, first_column, m.columns, 0, m.depth);
  for (int first_k = 0; first_k < m.depth; first_k += kDepth) {
    block_barrier();  // the step before has been read
    loader_a.store(shared_a);
    loader_b.store(shared_b);
    block_barrier();
    if (first_k + kDepth < m.depth) {
      loader_a.load(m.a, m.a_row, m.a_depth, first_row, m.rows, first_k + kDepth, m.depth);
      loader_b.load(m.b, m.b_row, m.b_depth, first_column, m.columns, first_k + kDepth, m.depth);
    }
    const auto step = [&](int k) {
      Four<float> a[kTile / 4], b[kTile / 4];
      UFAB_UNROLL
      for (int i = 0; i < kTile / 4; ++i) {
        a[i] = load_four(shared_a + k * LoaderA::kPitch + in_tile<kTile>(ty, 4 * i));
        b[i] = load_four(shared_b + k * LoaderB::kPitch + in_tile<kTile>(tx, 4 * i));
      }
      UFAB_UNROLL
      for (int i = 0; i < kTile; ++i) {
        UFAB_UNROLL
        for (int j = 0; j < kTile; ++j) {
          sums[i][j] = fma_once(a[i / 4].v[i % 4], b[j / 4].v[j % 4], sums[i][j]);
        }
      }
    };
    // Nothing is multiplied past the end: even 0 * 0 would turn a sum of -0 into +0.
    if (m.depth - first_k >= kDepth) {
      UFAB_UNROLL
      for (int k = 0; k < kDepth; ++k) step(k);
    } else {
      for (int k = 0; k < m.depth - first_k; ++k) step(k);
    }
  }

  UFAB_UNROLL
  for (int i = 0; i < kTile; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < kTile; ++j) {
      const int row = first_row + in_tile<kTile>(ty, i), column = first_column + in_tile<kTile>(tx, j);
      if (row < m.rows && column < m.columns) m.c[row * m.c_row + column] = sums[i][j];
    }
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
