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
// are used: strip s holds a(i, k) at [k][i], and each store may spill a vector past its strip. Reading it so
// costs a third of the time in which it is multiplied by one block of columns: some blocks are packed then,
// that it is multiplied by in turns.
inline constexpr int kBlocksAtATime = 4;
inline constexpr int kGroupStrips = 8;
inline constexpr int kGroupRows = kGroupStrips * kTileRows;
inline constexpr int kStripFloats = kDepthBlock * kTileRows + 16;
inline constexpr std::size_t kMatmulScratch =
    static_cast<std::size_t>(kDepthBlock) * kColumnBlock * kBlocksAtATime +
    std::size_t{kGroupStrips} * kStripFloats;

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

// All rows of some columns and depth, of a row-major a.
UFAB_INLINE void multiply_rows(TileArgs args, const MatmulRange& range, const float* packed_b, int columns) {
  for (int i = 0; i < range.rows; i += kTileRows) {
    multiply_panels<false>(args, packed_b, smaller(range.rows - i, kTileRows), columns);
    args.a += kTileRows * range.a_row;
    args.c += kTileRows * range.c_row;
  }
}
// The same of a column-major a, whose strips are packed in groups.
UFAB_INLINE void multiply_groups(TileArgs args, const MatmulRange& range, const float* packed_b,
                                 float* packed_a, int columns) {
  const float* a = args.a;
  float* const first_c = args.c;
  const float* const bias = args.bias;
  args.lda = kTileRows;
  for (int i0 = 0; i0 < range.rows; i0 += kGroupRows, a += kGroupRows) {
    const int rows = smaller(range.rows - i0, kGroupRows);
    pack_a(packed_a, a, range.a_depth, rows, args.depth);
    for (int j0 = 0; j0 < columns; j0 += kColumnBlock) {
      args.bias = bias == nullptr ? nullptr : bias + j0;
      for (int i = 0; i < rows; i += kTileRows) {
        args.a = packed_a + i / kTileRows * kStripFloats;
        args.c = first_c + (i0 + i) * range.c_row + j0;
        multiply_panels<true>(args, packed_b + static_cast<std::ptrdiff_t>(j0) * args.depth,
                              smaller(rows - i, kTileRows), smaller(columns - j0, kColumnBlock));
      }
    }
  }
}

inline void matmul(const MatmulRange& range, float* scratch) {
  const bool groups = range.a_depth != 1;
  const int most_columns = groups ? kBlocksAtATime * kColumnBlock : kColumnBlock;
  float* const packed_b = scratch;
  float* const packed_a = scratch + static_cast<std::ptrdiff_t>(kDepthBlock) * kColumnBlock * kBlocksAtATime;
  for (int j0 = 0; j0 < range.columns; j0 += most_columns) {
    const int columns = smaller(range.columns - j0, most_columns);
    for (int k0 = 0; k0 < range.depth; k0 += kDepthBlock) {
      const int depth = smaller(range.depth - k0, kDepthBlock);
      pack_b(packed_b, range, j0, columns, k0, depth);
      const TileArgs args{.a = range.a + k0 * range.a_depth,
                          .lda = range.a_row,
                          .b = nullptr,
                          .ldb = 0,
                          .c = range.c + j0,
                          .ldc = range.c_row,
                          .bias = range.bias == nullptr ? nullptr : range.bias + j0,
                          .depth = depth,
                          .last = 0,
                          .start = (k0 > 0 || range.accumulate) ? Start::load
                                   : range.bias != nullptr      ? Start::bias
                                                                : Start::zero};
      if (groups) {
        multiply_groups(args, range, packed_b, packed_a, columns);
      } else {
        multiply_rows(args, range, packed_b, columns);
      }
    }
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
