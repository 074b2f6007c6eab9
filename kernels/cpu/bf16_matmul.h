// Matrix products in bfloat16 (kernels/bf16.h): a word of a panel holds two consecutive k of its lane's row.
#pragma once

#include "kernels/cpu/panels.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

UFAB_INLINE I16 round_to_bf16(F16 x) {  // in the lower half of each lane
  const I16 bits = float_bits(x), odd = shift_right<16>(bits) & I16::broadcast(1);
  const I16 rounded = shift_right<16>(bits + I16::broadcast(0x7FFF) + odd);
  return select_nan(x, shift_right<16>(bits) | I16::broadcast(0x40), rounded);
}

// sum + the products of a lane's two bfloat16.
UFAB_INLINE F16 add_bf16_products(F16 sum, I16 a, I16 b) {
#if defined(__AVX512BF16__)
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
#else
  const I16 upper = I16::broadcast(static_cast<std::int32_t>(0xFFFF0000U));
  sum = fma(as_floats(shift_left(a, 16)), as_floats(shift_left(b, 16)), sum);
  return fma(as_floats(a & upper), as_floats(b & upper), sum);
#endif
}

// Not inlined, as multiply_block of the integers.
template <int kVectors>
[[gnu::noinline]] void multiply_bf16(float* y, const std::int32_t* a, const std::int32_t* b,
                                     std::ptrdiff_t panel, int words) {
  constexpr int kRows = kPackedRows;
  F16 sum[std::size_t{kRows}][std::size_t{kVectors}];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = F16::load(y + 16 * (kPackedVectors * r + v));
  }
  for (int w = 0; w < words; ++w) {
    I16 columns[std::size_t{kVectors}];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = I16::load(b + v * panel + 16 * w);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const I16 factor = I16::broadcast(a[16 * w + r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = add_bf16_products(sum[r][v], columns[v], factor);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v].store(y + 16 * (kPackedVectors * r + v));
  }
}

struct Bf16Format {
  static std::size_t panel_words(int depth) {
    return static_cast<std::size_t>((depth + kPackedBlock - 1) / kPackedBlock) * (kPackedBlock / 2 * 16);
  }
  static std::ptrdiff_t block_words() { return kPackedBlock / 2 * 16; }
  UFAB_INLINE static void pack(std::int32_t* out, const LaneSource& source, int depth) {
    for (int k = 0; k < depth; k += 2, out += 16) {
      I16 pair = round_to_bf16(source.load(k));
      if (k + 1 < depth) pair = pair | shift_left(round_to_bf16(source.load(k + 1)), 16);
      pair.store(out);
    }
  }
  template <int kVectors>
  UFAB_INLINE static void multiply(float* y, const std::int32_t* a, const std::int32_t* b,
                                   std::ptrdiff_t panel, int depth) {
    multiply_bf16<kVectors>(y, a, b, panel, (depth + 1) / 2);  // blocks but the last are whole
  }
};

inline std::size_t bf16_panel_words(int depth, int) {
  return Bf16Format::panel_words(depth);
}
inline void bf16_pack(std::int32_t* out, const Operand& operand, int depth, int, bool, int first, int count) {
  pack_panels<Bf16Format>(out, operand, depth, first, count);
}
inline void bf16_multiply(const PackedRange& range) {
  multiply_panels<Bf16Format>(range);
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
