// Blocked matrix product over register tiles: columns in blocks of kColumnBlock, depth in blocks of
// kDepthBlock whose accumulators go through c, so that the chains are those of one long loop.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tile.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

inline constexpr int kDepthBlock = 384;
inline constexpr int kPanel = 16 * kTileVectors;
inline constexpr int kColumnBlock = kPanel * (192 / kPanel);  // the packed block stays in the L2 cache
inline constexpr std::size_t kMatmulScratch =
    static_cast<std::size_t>(kDepthBlock) * (kColumnBlock + 16);  // packed b, then one packed strip of a

UFAB_INLINE void pack_b(float* packed, const MatmulRange& range, int j0, int columns, int k0, int depth) {
  for (int j = 0; j < columns; j += kPanel) {
    const int width = smaller(columns - j, kPanel);
    const int padded = (width + 15) & ~15;
    const float* from = range.b + k0 * range.b_depth + (j0 + j) * range.b_column;
    if (range.b_column == 1) {
      pack_rows(packed, padded, from, range.b_depth, width, depth);
    } else {
      pack_transposed(packed, padded, from, range.b_column, width, depth);
    }
    packed += static_cast<std::ptrdiff_t>(padded) * depth;
  }
}

inline void matmul(const MatmulRange& range, float* scratch) {
  float* const packed_b = scratch;
  float* const packed_a = scratch + static_cast<std::ptrdiff_t>(kDepthBlock) * kColumnBlock;
  for (int j0 = 0; j0 < range.columns; j0 += kColumnBlock) {
    const int columns = smaller(range.columns - j0, kColumnBlock);
    for (int k0 = 0; k0 < range.depth; k0 += kDepthBlock) {
      const int depth = smaller(range.depth - k0, kDepthBlock);
      pack_b(packed_b, range, j0, columns, k0, depth);
      const Start start = (k0 > 0 || range.accumulate) ? Start::load
                          : range.bias != nullptr      ? Start::bias
                                                       : Start::zero;
      for (int i0 = 0; i0 < range.rows; i0 += kTileRows) {
        const int rows = smaller(range.rows - i0, kTileRows);
        const float* a = range.a + i0 * range.a_row + k0 * range.a_depth;
        std::ptrdiff_t lda = range.a_row;
        const bool column_major = range.a_depth != 1;
        if (column_major) {  // rows of a are far apart: gather the strip once for all panels
          for (int k = 0; k < depth; ++k) {
            const float* from = a + k * range.a_depth;
            F16::load_n(from, rows).store(packed_a + 16 * k);
          }
          a = packed_a;
          lda = 16;
        }
        const float* b = packed_b;
        for (int j = 0; j < columns; j += kPanel) {
          const int width = smaller(columns - j, kPanel);
          const int vectors = (width + 15) / 16;
          const TileArgs args{.a = a,
                              .lda = lda,
                              .b = b,
                              .ldb = 16 * vectors,
                              .c = range.c + i0 * range.c_row + j0 + j,
                              .ldc = range.c_row,
                              .bias = range.bias == nullptr ? nullptr : range.bias + j0 + j,
                              .depth = depth,
                              .last = width - 16 * (vectors - 1),
                              .start = start};
          if (column_major) {
            tile_strip<true>(args, rows, vectors);
          } else {
            tile_strip<false>(args, rows, vectors);
          }
          b += static_cast<std::ptrdiff_t>(16 * vectors) * depth;
        }
      }
    }
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
