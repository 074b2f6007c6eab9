// Matrix products in the integer formats of kernels/integer.h.
//
// First each operand is quantised into packed bytes: a row's blocks of 128 one after another, zeros past the
// end, in one plane (8 bits) or two (12 bits: q = 64 * high + low with -32 <= low < 32, both in a byte), with
// the scales beside them. Then a block of threads makes a tile of outputs, 128 of the contraction at a time:
// the exact integer sum, its scales, one fused multiply-add. Of two planes the sum is made in one
// accumulator, sum = (hh * 64 + (hl + lh)) * 64 + ll; it stays below 2^30 all the way.
//
// Two kernels: integer_matmul_mma_kernel on units that multiply 16 x 32 by 32 x 8 bytes (NVIDIA's tensor
// cores), and integer_matmul_dot4_kernel on four products an instruction (any other).
#pragma once

#include "kernels/gpu/lanes.h"
#include "kernels/integer.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kBlockWords = kIntegerBlock / 4;  // of a row's block in one plane

// words [planes][rows][blocks][kBlockWords], scales [rows][blocks].
struct PackedOperand {
  std::uint32_t* words;
  float* scales;
  int rows, blocks;
};
// First word of a row's block.
UFAB_DEVICE std::ptrdiff_t packed_at(const PackedOperand& operand, int plane, int row, int block) {
  return (offset(plane, operand.rows) + row) * (offset(operand.blocks, kBlockWords)) +
         offset(block, kBlockWords);
}

// Four elements of a row's block, as one word of each plane.
template <int planes>
UFAB_DEVICE void pack_four(const PackedOperand& to, int row, int block, int word, const float (&x)[4],
                           IntegerScale scale) {
  constexpr int bits = planes == 1 ? 8 : 12, limit = (1 << (bits - 1)) - 1;
  std::uint32_t high = 0, low = 0;
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    // An inverse of 0 is for blocks of zeros, and of infinities and NaN, whose products with it are NaN.
    int q = scale.inverse == 0.0F ? 0 : static_cast<int>(round_even(x[i] * scale.inverse));
    q = q > limit ? limit : q < -limit ? -limit : q;
    const int upper = planes == 1 ? q : (q + 32) >> 6;
    high |= (static_cast<std::uint32_t>(upper) & 0xFFU) << (8 * i);
    low |= (static_cast<std::uint32_t>(q - 64 * upper) & 0xFFU) << (8 * i);
  }
  to.words[packed_at(to, 0, row, block) + word] = high;
  if (planes == 2) to.words[packed_at(to, 1, row, block) + word] = low;
}
UFAB_DEVICE std::uint32_t magnitude_bits(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFU;
}
UFAB_DEVICE std::uint32_t larger(std::uint32_t a, std::uint32_t b) {
  return a > b ? a : b;
}

inline constexpr int kPackThreads = 256, kPackGroups = kPackThreads / 32;

// Of an operand whose rows are contiguous: thirty-two threads a row's block.
template <int planes>
UFAB_KERNEL(kPackThreads)
void pack_rows_kernel(PackedOperand to, const float* base, std::ptrdiff_t row_stride, int depth) {
  const std::ptrdiff_t index = static_cast<std::ptrdiff_t>(block_index()) * kPackGroups + thread_index() / 32;
  const bool active = index < offset(to.rows, to.blocks);
  const auto row = static_cast<int>(active ? index / to.blocks : 0);
  const auto block = static_cast<int>(active ? index % to.blocks : 0);
  const int word = thread_index() % 32, first = block * kIntegerBlock + 4 * word;
  float x[4];
  std::uint32_t largest = 0;
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    x[i] = first + i < depth ? base[row * row_stride + first + i] : 0.0F;
    largest = larger(largest, magnitude_bits(x[i]));
  }
  for (int mask = 16; mask > 0; mask /= 2) largest = larger(largest, exchange_xor<32>(largest, mask));
  if (!active) return;
  const IntegerScale scale = integer_scale(largest, planes == 1 ? 8 : 12);
  pack_four<planes>(to, row, block, word, x, scale);
  if (word == 0) to.scales[offset(row, to.blocks) + block] = scale.scale;
}

// Of an operand whose columns are contiguous: a block of threads turns 32 rows' blocks in shared memory.
template <int planes>
UFAB_KERNEL(kPackThreads)
void pack_columns_kernel(PackedOperand to, const float* base, std::ptrdiff_t depth_stride, int depth) {
  constexpr int kPitch = 33;
  UFAB_SHARED(float, turned, kIntegerBlock* kPitch);
  const int strips = (to.rows + 31) / 32, index = static_cast<int>(block_index());
  const int block = index / strips, first_row = index % strips * 32;
  const int lane = thread_index() % 32, group = thread_index() / 32;
  for (int k = group; k < kIntegerBlock; k += kPackGroups) {
    const int at = block * kIntegerBlock + k, row = first_row + lane;
    turned[k * kPitch + lane] = at < depth && row < to.rows ? base[at * depth_stride + row] : 0.0F;
  }
  block_barrier();
  for (int i = group; i < 32; i += kPackGroups) {
    float x[4];
    std::uint32_t largest = 0;
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      x[j] = turned[(4 * lane + j) * kPitch + i];
      largest = larger(largest, magnitude_bits(x[j]));
    }
    for (int mask = 16; mask > 0; mask /= 2) largest = larger(largest, exchange_xor<32>(largest, mask));
    const int row = first_row + i;
    if (row < to.rows) {
      const IntegerScale scale = integer_scale(largest, planes == 1 ? 8 : 12);
      pack_four<planes>(to, row, block, lane, x, scale);
      if (lane == 0) to.scales[offset(row, to.blocks) + block] = scale.scale;
    }
  }
}

struct IntegerArguments {
  float* c;
  std::ptrdiff_t c_row;
  PackedOperand a, b;
  const float* bias;
  bool accumulate;
};
UFAB_DEVICE float start_value(const IntegerArguments& m, int row, int column) {
  if (row >= m.a.rows || column >= m.b.rows) return 0.0F;
  return m.accumulate ? m.c[row * m.c_row + column] : m.bias != nullptr ? m.bias[column] : 0.0F;
}

// A tile's rows of one operand in shared memory: a row's block of a plane every kPitch words, so that the
// eight rows and four words that a warp reads at a time lie in different banks; and the scales.
template <int planes, int tile_rows, int threads>
struct PackedTile {
  static constexpr int kPitch = kBlockWords + 4, kWords = planes * tile_rows * kPitch;
  static UFAB_DEVICE void load(std::uint32_t* words, float* scales, const PackedOperand& from, int first_row,
                               int block) {
    for (int i = thread_index(); i < planes * tile_rows * kBlockWords; i += threads) {
      const int word = i % kBlockWords, row = i / kBlockWords % tile_rows,
                plane = i / kBlockWords / tile_rows;
      const bool inside = first_row + row < from.rows;
      words[(plane * tile_rows + row) * kPitch + word] =
          inside ? from.words[packed_at(from, plane, first_row + row, block) + word] : 0U;
    }
    for (int row = thread_index(); row < tile_rows; row += threads) {
      const bool inside = first_row + row < from.rows;
      scales[row] = inside ? from.scales[offset(first_row + row, from.blocks) + block] : 0.0F;
    }
  }
};

#if defined(UFAB_GPU_HAS_TILES)
// Warps of 32 threads, each a tile of 32 x 32 outputs in 2 x 4 fragments.
template <int planes, int warps_down, int warps_across>
UFAB_KERNEL(32 * warps_down * warps_across)
void integer_matmul_mma_kernel(IntegerArguments m) {
  constexpr int kThreads = 32 * warps_down * warps_across;
  constexpr int kRows = 32 * warps_down, kColumns = 32 * warps_across;
  using TileA = PackedTile<planes, kRows, kThreads>;
  using TileB = PackedTile<planes, kColumns, kThreads>;
  UFAB_SHARED(std::uint32_t, words_a, TileA::kWords);
  UFAB_SHARED(std::uint32_t, words_b, TileB::kWords);
  UFAB_SHARED(float, scales_a, kRows);
  UFAB_SHARED(float, scales_b, kColumns);
  const int across = (m.b.rows + kColumns - 1) / kColumns, index = static_cast<int>(block_index());
  const int first_row = index / across * kRows, first_column = index % across * kColumns;
  const int warp = thread_index() / 32, lane = thread_index() % 32, g = lane / 4, q = lane % 4;
  const int warp_row = warp / warps_across * 32, warp_column = warp % warps_across * 32;

  // Output e of fragment (i, j): see the fragments of multiply_tile.
  const auto row_of = [&](int i, int e) { return warp_row + 16 * i + g + e / 2 * 8; };
  const auto column_of = [&](int j, int e) { return warp_column + 8 * j + 2 * q + e % 2; };
  float result[2][4][4];
  UFAB_UNROLL
  for (int i = 0; i < 2; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      UFAB_UNROLL
      for (int e = 0; e < 4; ++e) {
        result[i][j][e] = start_value(m, first_row + row_of(i, e), first_column + column_of(j, e));
      }
    }
  }

  for (int block = 0; block < m.a.blocks; ++block) {
    block_barrier();  // the block before has been read
    TileA::load(words_a, scales_a, m.a, first_row, block);
    TileB::load(words_b, scales_b, m.b, first_column, block);
    block_barrier();
    std::int32_t sum[2][4][4] = {};
    const auto multiply = [&](int plane_a, int plane_b) {
      UFAB_UNROLL
      for (int word = 0; word < kBlockWords; word += 8) {
        std::uint32_t a[2][4], b[4][2];
        UFAB_UNROLL
        for (int i = 0; i < 2; ++i) {
          UFAB_UNROLL
          for (int r = 0; r < 4; ++r) {
            const int row = plane_a * kRows + warp_row + 16 * i + g + r % 2 * 8;
            a[i][r] = words_a[row * TileA::kPitch + word + q + r / 2 * 4];
          }
        }
        UFAB_UNROLL
        for (int j = 0; j < 4; ++j) {
          UFAB_UNROLL
          for (int r = 0; r < 2; ++r) {
            const int column = plane_b * kColumns + warp_column + 8 * j + g;
            b[j][r] = words_b[column * TileB::kPitch + word + q + r * 4];
          }
        }
        multiply_tile(sum, a, b);
      }
    };
    const auto shift = [&] {
      UFAB_UNROLL
      for (int i = 0; i < 2; ++i) {
        UFAB_UNROLL
        for (int j = 0; j < 4; ++j) {
          UFAB_UNROLL
          for (int e = 0; e < 4; ++e) sum[i][j][e] *= 64;
        }
      }
    };
    multiply(0, 0);
    if constexpr (planes == 2) {
      shift();
      multiply(0, 1);
      multiply(1, 0);
      shift();
      multiply(1, 1);
    }
    UFAB_UNROLL
    for (int i = 0; i < 2; ++i) {
      UFAB_UNROLL
      for (int j = 0; j < 4; ++j) {
        UFAB_UNROLL
        for (int e = 0; e < 4; ++e) {
          result[i][j][e] = fma_once(static_cast<float>(sum[i][j][e]) * scales_a[row_of(i, e)],
                                     scales_b[column_of(j, e)], result[i][j][e]);
        }
      }
    }
  }

  UFAB_UNROLL
  for (int i = 0; i < 2; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      UFAB_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int row = first_row + row_of(i, e), column = first_column + column_of(j, e);
        if (row < m.a.rows && column < m.b.rows) m.c[row * m.c_row + column] = result[i][j][e];
      }
    }
  }
}

#endif  // UFAB_GPU_HAS_TILES

// 16 x 16 threads, each 4 x 4 outputs, sixteen apart.
inline constexpr int kDot4Threads = 256, kDot4Tile = 64;

template <int planes>
UFAB_KERNEL(kDot4Threads)
void integer_matmul_dot4_kernel(IntegerArguments m) {
  using Tile = PackedTile<planes, kDot4Tile, kDot4Threads>;
  UFAB_SHARED(std::uint32_t, words_a, Tile::kWords);
  UFAB_SHARED(std::uint32_t, words_b, Tile::kWords);
  UFAB_SHARED(float, scales_a, kDot4Tile);
  UFAB_SHARED(float, scales_b, kDot4Tile);
  const int across = (m.b.rows + kDot4Tile - 1) / kDot4Tile, index = static_cast<int>(block_index());
  const int first_row = index / across * kDot4Tile, first_column = index % across * kDot4Tile;
  const int ty = thread_index() / 16, tx = thread_index() % 16;
  float result[4][4];
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      result[i][j] = start_value(m, first_row + ty + 16 * i, first_column + tx + 16 * j);
    }
  }
  for (int block = 0; block < m.a.blocks; ++block) {
    block_barrier();  // the block before has been read
    Tile::load(words_a, scales_a, m.a, first_row, block);
    Tile::load(words_b, scales_b, m.b, first_column, block);
    block_barrier();
    std::int32_t sum[4][4] = {};
    const auto multiply = [&](int plane_a, int plane_b) {
      for (int word = 0; word < kBlockWords; ++word) {
        std::uint32_t a[4], b[4];
        UFAB_UNROLL
        for (int i = 0; i < 4; ++i) {
          a[i] = words_a[(plane_a * kDot4Tile + ty + 16 * i) * Tile::kPitch + word];
          b[i] = words_b[(plane_b * kDot4Tile + tx + 16 * i) * Tile::kPitch + word];
        }
        UFAB_UNROLL
        for (int i = 0; i < 4; ++i) {
          UFAB_UNROLL
          for (int j = 0; j < 4; ++j) sum[i][j] = dot4(a[i], b[j], sum[i][j]);
        }
      }
    };
    const auto shift = [&] {
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        UFAB_UNROLL
        for (int j = 0; j < 4; ++j) sum[i][j] *= 64;
      }
    };
    multiply(0, 0);
    if constexpr (planes == 2) {
      shift();
      multiply(0, 1);
      multiply(1, 0);
      shift();
      multiply(1, 1);
    }
    UFAB_UNROLL
    for (int i = 0; i < 4; ++i) {
      UFAB_UNROLL
      for (int j = 0; j < 4; ++j) {
        result[i][j] = fma_once(static_cast<float>(sum[i][j]) * scales_a[ty + 16 * i], scales_b[tx + 16 * j],
                                result[i][j]);
      }
    }
  }
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      const int row = first_row + ty + 16 * i, column = first_column + tx + 16 * j;
      if (row < m.a.rows && column < m.b.rows) m.c[row * m.c_row + column] = result[i][j];
    }
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
