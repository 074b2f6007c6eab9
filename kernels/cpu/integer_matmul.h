// Matrix products in integer formats (kernels/integer.h): operands are quantised into panels, then
// multiplied.
//
// A panel's block (kernels/cpu/panels.h) is kWords vectors of 16 words, lane = row, each word two 16-bit
// integers of consecutive k (or, for 8 bits where the processor multiplies bytes, four bytes), then the 16
// rows' scales, then 16 corrections (below). Words past the end of the contraction are left out.
//
// VPDPBUSD multiplies unsigned by signed bytes: b's panels hold q + 128, and a's rows the corrections
// -128 * (sum of the block's q), from which the accumulators start.
#pragma once

#include "kernels/cpu/panels.h"
#include "kernels/integer.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

#if defined(__AVX512VNNI__)
inline constexpr bool kBytes = true;
#else
inline constexpr bool kBytes = false;
#endif
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

// Not inlined: GCC 12 keeps the accumulators in memory when they live inside a loop over blocks.
// One tile of a block: kPackedRows rows of a's panel, kVectors panels of b. y: row-major, ldy apart.
template <int kBits, int kVectors>
[[gnu::noinline]] void multiply_block(float* y, const std::int32_t* a, const std::int32_t* b,
                                      std::ptrdiff_t panel, int depth) {
  constexpr int kValues = kBytes && kBits == 8 ? 4 : 2, kWords = kIntegerBlock / kValues;
  constexpr int kRows = kPackedRows;
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
    float* row = y + 16 * kPackedVectors * r;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      fma(to_float(sum[r][v]) * scale_a, scales_b[v], F16::load(row + 16 * v)).store(row + 16 * v);
    }
  }
}

template <int kBits, bool kUnsigned>
struct IntegerFormat {
  static std::size_t panel_words(int depth) { return integer_panel_words(depth, kBits); }
  static std::ptrdiff_t block_words() { return block_size(kBits); }
  UFAB_INLINE static void pack(std::int32_t* out, const LaneSource& source, int depth) {
    pack_block<kBits, kUnsigned>(out, source, depth);
  }
  template <int kVectors>
  UFAB_INLINE static void multiply(float* y, const std::int32_t* a, const std::int32_t* b,
                                   std::ptrdiff_t panel, int depth) {
    for (int k = 0; k < depth; k += kIntegerBlock) {
      multiply_block<kBits, kVectors>(y, a, b, panel, smaller(depth - k, kIntegerBlock));
      a += block_size(kBits);
      b += block_size(kBits);
    }
  }
};

inline void integer_pack(std::int32_t* out, const Operand& operand, int depth, int bits, bool is_b, int first,
                         int count) {
  if (bits == 8) {
    is_b ? pack_panels<IntegerFormat<8, true>>(out, operand, depth, first, count)
         : pack_panels<IntegerFormat<8, false>>(out, operand, depth, first, count);
  } else {
    pack_panels<IntegerFormat<12, false>>(out, operand, depth, first, count);
  }
}

inline void integer_multiply(const PackedRange& range) {
  range.bits == 8 ? multiply_panels<IntegerFormat<8, true>>(range)
                  : multiply_panels<IntegerFormat<12, false>>(range);
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
