// Blocked matrix product over register tiles: columns in blocks of kColumnBlock, depth in blocks of
// kDepthBlock whose accumulators go through c, so that the chains are those of one long loop.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tile.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

inline constexpr int kDepthBlock = 384;
inline constexpr int kPanel = 16 * kTileVectors;
inline constexpr int kColumnBlock = kPanel * (192 / kPanel);  // the packed block stays in the L2 cache
// A column-major a is packed too, some strips of kTileRows rows at a time, so that whole cache lines of it
// are used: strip s holds a(i, k) at [k][i], and each store may spill a vector past its strip.
inline constexpr int kGroupStrips = 8;
inline constexpr int kGroupRows = kGroupStrips * kTileRows;
inline constexpr int kStripFloats = kDepthBlock * kTileRows + 16;
inline constexpr std::size_t kMatmulScratch =
    static_cast<std::size_t>(kDepthBlock) * kColumnBlock + std::size_t{kGroupStrips} * kStripFloats;

UFAB_INLINE void pack_a(float* packed, const float* a, std::ptrdiff_t a_depth, int rows, int depth) {
  for (int k = 0; k < depth; ++k) {
    float* strip = packed + k * kTileRows;
    for (int i = 0; i < rows; i += kTileRows) {
      F16::load_n(a + i, smaller(rows - i, kTileRows)).store(strip);
      strip += kStripFloats;
    }
    a += a_depth;
  }
}

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

// Rows [0, rows) of one block of columns and depth; a row-major (lda) or one packed strip.
template <bool kPackedA>
UFAB_INLINE void multiply_panels(TileArgs args, const float* packed_b, int rows, int columns) {
  float* const c = args.c;
  const float* const bias = args.bias;
  args.b = packed_b;
  for (int j = 0; j < columns; j += kPanel) {
    const int width = smaller(columns - j, kPanel);
    const int vectors = (width + 15) / 16;
    args.ldb = 16 * vectors;
    args.c = c + j;
    args.bias = bias == nullptr ? nullptr : bias + j;
    args.last = width - 16 * (vectors - 1);
    tile_strip<kPackedA>(args, rows, vectors);
    args.b += args.ldb * args.depth;
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
      TileArgs args{.a = nullptr,
                    .lda = range.a_row,
                    .b = nullptr,
                    .ldb = 0,
                    .c = nullptr,
                    .ldc = range.c_row,
                    .bias = range.bias == nullptr ? nullptr : range.bias + j0,
                    .depth = depth,
                    .last = 0,
                    .start = (k0 > 0 || range.accumulate) ? Start::load
                             : range.bias != nullptr      ? Start::bias
                                                          : Start::zero};
      const bool pack = range.a_depth != 1;
      for (int i0 = 0; i0 < range.rows; i0 += kTileRows) {
        const int rows = smaller(range.rows - i0, kTileRows);
        const float* a = range.a + i0 * range.a_row + k0 * range.a_depth;
        args.c = range.c + i0 * range.c_row + j0;
        if (!pack) {
          args.a = a;
          multiply_panels<false>(args, packed_b, rows, columns);
          continue;
        }
        const int strip = i0 / kTileRows % kGroupStrips;
        if (strip == 0) pack_a(packed_a, a, range.a_depth, smaller(range.rows - i0, kGroupRows), depth);
        args.a = packed_a + static_cast<std::ptrdiff_t>(strip) * kStripFloats;
        args.lda = kTileRows;
        multiply_panels<true>(args, packed_b, rows, columns);
      }
    }
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
