// Matrix products in integer formats (kernels/integer.h): operands are quantised into panels, then
// multiplied.
//
// A panel holds 16 rows of an operand. Per block of the contraction: kWords vectors of 16 words, lane = row,
// each word two 16-bit integers of consecutive k (or, for 8 bits where the processor multiplies bytes, four
// bytes), then the 16 rows' scales, then 16 corrections (below). Words past the end of the contraction are
// left out.
//
// VPDPBUSD multiplies unsigned by signed bytes: b's panels hold q + 128, and a's rows the corrections
// -128 * (sum of the block's q), from which the accumulators start.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tile.h"
#include "kernels/integer.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

#if defined(__AVX512VNNI__)
inline constexpr bool kBytes = true;
#else
inline constexpr bool kBytes = false;
#endif
#if defined(__AVX512F__)
inline constexpr int kIntegerRows = 8, kIntegerVectors = 3;  // 24 accumulators of 32 registers
#else
inline constexpr int kIntegerRows = 4, kIntegerVectors = 1;  // 4 accumulators of two registers each
#endif
inline constexpr int kDepthGroup = 4;  // blocks that go through a tile at once

// How many values a word holds.
UFAB_INLINE int word_values(int bits) {
  return kBytes && bits == 8 ? 4 : 2;
}
UFAB_INLINE int block_words(int bits) {
  return kIntegerBlock / word_values(bits);
}
// 32-bit words of one panel's block.
UFAB_INLINE int block_size(int bits) {
  return (block_words(bits) + 2) * 16;
}
inline std::size_t integer_panel_words(int depth, int bits) {
  const int blocks = (depth + kIntegerBlock - 1) / kIntegerBlock;
  return static_cast<std::size_t>(blocks) * static_cast<std::size_t>(block_size(bits));
}

// Sixteen rows' values of one k: in place, or from a transposed copy.
struct LaneSource {
  const float* base;
  std::ptrdiff_t stride;  // between k
  int lanes;              // valid
  UFAB_INLINE F16 load(int k) const {
    const float* at = base + k * stride;
    return lanes == 16 ? F16::load(at) : F16::load_n(at, lanes);
  }
};

struct BlockScales {
  F16 scale, inverse;
};
UFAB_INLINE BlockScales block_scales(const LaneSource& source, int depth, int bits) {
  I16 largest = I16::broadcast(0);
  for (int k = 0; k < depth; ++k) largest = maximum(largest, float_bits(abs(source.load(k))));
  alignas(64) std::int32_t lanes[16];
  alignas(64) float scales[16], inverses[16];
  largest.store(lanes);
  for (int i = 0; i < 16; ++i) {
    const IntegerScale scale = integer_scale(static_cast<std::uint32_t>(lanes[i]), bits);
    scales[i] = scale.scale;
    inverses[i] = scale.inverse;
  }
  return {F16::load(scales), F16::load(inverses)};
}

UFAB_INLINE I16 quantize_lanes(F16 x, F16 inverse, I16 limit, I16 negative_limit) {
  return maximum(minimum(round_to_integer(x * inverse), limit), negative_limit);
}

// One block of one panel.
template <int kBits, bool kUnsigned>
UFAB_INLINE void pack_block(std::int32_t* out, const LaneSource& source, int depth) {
  constexpr int kValues = kBytes && kBits == 8 ? 4 : 2, kShift = 32 / kValues;
  const BlockScales scales = block_scales(source, depth, kBits);
  const I16 limit = I16::broadcast((1 << (kBits - 1)) - 1), negative = I16::broadcast(1 - (1 << (kBits - 1)));
  const I16 mask = I16::broadcast(static_cast<std::int32_t>((std::uint64_t{1} << kShift) - 1));
  I16 sum = I16::broadcast(0);
  int word = 0;
  for (int k = 0; k < depth; k += kValues, ++word) {
    I16 packed = I16::broadcast(0);
#pragma GCC unroll 4
    for (int v = 0; v < kValues; ++v) {
      if (k + v >= depth) break;
      const I16 q = quantize_lanes(source.load(k + v), scales.inverse, limit, negative);
      if constexpr (kValues == 4) sum = sum + q;
      packed = packed | shift_left(q & mask, v * kShift);
    }
    if constexpr (kUnsigned && kValues == 4)
      packed = packed ^ I16::broadcast(static_cast<std::int32_t>(0x80808080U));
    packed.store(out + 16 * word);
  }
  constexpr int kWords = kIntegerBlock / kValues;
  float_bits(scales.scale).store(out + 16 * kWords);
  shift_left(I16::broadcast(0) - sum, 7).store(out + 16 * (kWords + 1));
}

// Block after block of all panels: neighbouring panels read neighbouring parts of the same rows.
template <int kBits, bool kUnsigned>
inline void pack_panels(std::int32_t* out, const IntegerOperand& operand, int depth, int first, int count) {
  alignas(64) float transposed[kIntegerBlock * 16];
  const auto panel_words = static_cast<std::ptrdiff_t>(integer_panel_words(depth, kBits));
  for (int k = 0; k < depth; k += kIntegerBlock) {
    const int length = smaller(depth - k, kIntegerBlock);
    std::int32_t* to = out + k / kIntegerBlock * block_size(kBits);
    for (int panel = first; panel < first + count; ++panel, to += panel_words) {
      const int row = 16 * panel, rows = smaller(operand.rows - row, 16);
      const float* corner = operand.base + row * operand.row_stride + k * operand.depth_stride;
      LaneSource source{corner, operand.depth_stride, rows};
      if (operand.row_stride != 1) {
        pack_transposed(transposed, 16, corner, operand.row_stride, rows, length);
        source = {transposed, 16, 16};
      }
      pack_block<kBits, kUnsigned>(to, source, length);
    }
  }
}

// Panels [first, first + count) of the operand, to `out`, which is where the first of them goes.
inline void integer_pack(std::int32_t* out, const IntegerOperand& operand, int depth, int bits, bool is_b,
                         int first, int count) {
  if (bits == 8) {
    is_b ? pack_panels<8, true>(out, operand, depth, first, count)
         : pack_panels<8, false>(out, operand, depth, first, count);
  } else {
    pack_panels<12, false>(out, operand, depth, first, count);
  }
}

// Not inlined: GCC 12 keeps the accumulators in memory when they live inside a loop over blocks.
// One tile of a block: kIntegerRows rows of a's panel, kVectors panels of b. y: row-major, ldy apart.
template <int kBits, int kVectors>
[[gnu::noinline]] void multiply_block(float* y, const std::int32_t* a, const std::int32_t* b,
                                      std::ptrdiff_t panel, int depth) {
  constexpr int kValues = kBytes && kBits == 8 ? 4 : 2, kWords = kIntegerBlock / kValues;
  constexpr int kRows = kIntegerRows;
  const int words = (depth + kValues - 1) / kValues;
  I16 sum[std::size_t{kRows}][std::size_t{kVectors}];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = I16::broadcast(kValues == 4 ? a[16 * (kWords + 1) + r] : 0);
    }
  }
  for (int w = 0; w < words; ++w) {
    I16 columns[std::size_t{kVectors}];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = I16::load(b + v * panel + 16 * w);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const I16 factor = I16::broadcast(a[16 * w + r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        if constexpr (kValues == 4) {
          sum[r][v] = add_byte_products(sum[r][v], columns[v], factor);
        } else {
          sum[r][v] = add_pair_products(sum[r][v], columns[v], factor);
        }
      }
    }
  }
  const float* scales_a = reinterpret_cast<const float*>(a + 16 * kWords);
  F16 scales_b[std::size_t{kVectors}];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    scales_b[v] = F16::load(reinterpret_cast<const float*>(b + v * panel + 16 * kWords));
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const F16 scale_a = F16::broadcast(scales_a[r]);
    float* row = y + 16 * kIntegerVectors * r;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      fma(to_float(sum[r][v]) * scale_a, scales_b[v], F16::load(row + 16 * v)).store(row + 16 * v);
    }
  }
}

// The tile's values live in y while a group of blocks is added.
template <int kBits, int kVectors>
UFAB_INLINE void multiply_group(float* y, const std::int32_t* a, const std::int32_t* b, std::ptrdiff_t panel,
                                int depth) {
  for (int k = 0; k < depth; k += kIntegerBlock) {
    multiply_block<kBits, kVectors>(y, a, b, panel, smaller(depth - k, kIntegerBlock));
    a += block_size(kBits);
    b += block_size(kBits);
  }
}

template <int kBits>
UFAB_INLINE void multiply_tile(const IntegerRange& range, int row, int column, int k0, int depth) {
  constexpr int kWidth = 16 * kIntegerVectors;
  const int rows = smaller(range.rows - row, kIntegerRows), columns = smaller(range.columns - column, kWidth);
  const std::ptrdiff_t panel = range.panel, skipped = k0 / kIntegerBlock * block_size(kBits);
  const std::int32_t* a = range.a + row / 16 * panel + skipped + row % 16;
  const std::int32_t* b = range.b + column / 16 * panel + skipped;
  alignas(64) float y[kIntegerRows * kWidth];
  const auto each_vector = [&](const auto& body) __attribute__((always_inline)) {
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < columns; j += 16) {
        body(y + kWidth * r + j, range.c + (row + r) * range.c_row + column + j, column + j,
             smaller(columns - j, 16));
      }
    }
  };
  const F16 zero = F16::broadcast(0.0F);
  for (int i = 0; i < kIntegerRows * kWidth; i += 16) zero.store(y + i);
  if (k0 > 0 || range.accumulate) {
    each_vector([](float* to, const float* c, int, int n) { F16::load_n(c, n).store(to); });
  } else if (range.bias != nullptr) {
    each_vector([&](float* to, const float*, int j, int n) { F16::load_n(range.bias + j, n).store(to); });
  }
  if constexpr (kIntegerVectors == 3) {
    if (columns > 32) {
      multiply_group<kBits, 3>(y, a, b, panel, depth);
    } else if (columns > 16) {
      multiply_group<kBits, 2>(y, a, b, panel, depth);
    } else {
      multiply_group<kBits, 1>(y, a, b, panel, depth);
    }
  } else {
    multiply_group<kBits, 1>(y, a, b, panel, depth);
  }
  each_vector([](const float* from, float* c, int, int n) {
    n == 16 ? F16::load(from).store(c) : F16::load(from).store_n(c, n);
  });
}

// Columns in blocks of 192, so that a group's b panels stay in the L2 cache while all rows pass by.
template <int kBits>
inline void multiply_panels_of(const IntegerRange& range) {
  constexpr int kGroup = kDepthGroup * kIntegerBlock, kColumns = 192;
  for (int column0 = 0; column0 < range.columns; column0 += kColumns) {
    const int column_end = smaller(range.columns, column0 + kColumns);
    for (int k = 0; k < range.depth; k += kGroup) {
      const int depth = smaller(range.depth - k, kGroup);
      for (int row = 0; row < range.rows; row += kIntegerRows) {
        for (int column = column0; column < column_end; column += 16 * kIntegerVectors) {
          multiply_tile<kBits>(range, row, column, k, depth);
        }
      }
    }
  }
}

inline void integer_multiply(const IntegerRange& range) {
  range.bits == 8 ? multiply_panels_of<8>(range) : multiply_panels_of<12>(range);
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
