// The lanes of kernels/cpu/vector.h in AVX-512 (F, BW, DQ, VL). Included by that file only.
#pragma once

namespace ufab::kernels::UFAB_KERNELS_ISA {

// Integers of a type of their own: of __m512i, which is eight 64-bit ones to GCC 12, it keeps accumulators in
// memory.
using Lanes = std::int32_t __attribute__((vector_size(64), may_alias));
struct I16 {
  Lanes v;
  I16() = default;
  UFAB_INLINE I16(__m512i lanes) : v(reinterpret_cast<Lanes>(lanes)) {}
  UFAB_INLINE __m512i m() const { return reinterpret_cast<__m512i>(v); }
  UFAB_INLINE static I16 broadcast(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
  UFAB_INLINE static I16 load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
  UFAB_INLINE static I16 load_n(const std::int32_t* p, int n) {
    return {_mm512_maskz_loadu_epi32(static_cast<__mmask16>((1U << n) - 1U), p)};
  }
  UFAB_INLINE void store(std::int32_t* p) const { _mm512_storeu_si512(p, m()); }
  UFAB_INLINE void store_n(std::int32_t* p, int n) const {
    _mm512_mask_storeu_epi32(p, static_cast<__mmask16>((1U << n) - 1U), m());
  }
};
struct F16 {
  __m512 v;
  UFAB_INLINE static F16 broadcast(float x) { return {_mm512_set1_ps(x)}; }
  UFAB_INLINE static F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  UFAB_INLINE static F16 load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  UFAB_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  UFAB_INLINE void store_n(float* p, int n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  UFAB_INLINE static __mmask16 first(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
};
struct D8 {
  __m512d v;
  UFAB_INLINE static D8 broadcast(double x) { return {_mm512_set1_pd(x)}; }
};
struct L8 {
  __m512i v;
  UFAB_INLINE static L8 broadcast(std::int64_t x) { return {_mm512_set1_epi64(x)}; }
  UFAB_INLINE static L8 load(const std::int64_t* p) { return {_mm512_loadu_si512(p)}; }
  UFAB_INLINE void store(std::int64_t* p) const { _mm512_storeu_si512(p, v); }
};

UFAB_INLINE F16 operator+(F16 a, F16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
UFAB_INLINE F16 operator-(F16 a, F16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
UFAB_INLINE F16 operator*(F16 a, F16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
UFAB_INLINE F16 operator/(F16 a, F16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
UFAB_INLINE F16 fma(F16 a, F16 b, F16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
UFAB_INLINE F16 sqrt(F16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
UFAB_INLINE F16 abs(F16 a) {
  return {_mm512_abs_ps(a.v)};
}
UFAB_INLINE F16 operator-(F16 a) {
  return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0F))};
}
UFAB_INLINE F16 copysign(F16 magnitude, F16 sign) {
  const __m512 mask = _mm512_set1_ps(-0.0F);
  return {_mm512_or_ps(_mm512_andnot_ps(mask, magnitude.v), _mm512_and_ps(mask, sign.v))};
}
UFAB_INLINE F16 select_less(F16 a, F16 b, F16 x, F16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
// The first n lanes of a, the others of b; 0 <= n <= 16.
UFAB_INLINE F16 select_first(int n, F16 a, F16 b) {
  return {_mm512_mask_blend_ps(F16::first(n), b.v, a.v)};
}
UFAB_INLINE I16 operator-(I16 a, I16 b) {
  return {_mm512_sub_epi32(a.m(), b.m())};
}
UFAB_INLINE I16 exponent_bits(F16 t) {
  return {_mm512_sub_epi32(_mm512_castps_si512(t.v), _mm512_set1_epi32(0x4B400000))};
}
UFAB_INLINE I16 halve(I16 n) {
  return {_mm512_srai_epi32(n.m(), 1)};
}
UFAB_INLINE F16 pow2(I16 n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.m(), _mm512_set1_epi32(127)), 23))};
}
UFAB_INLINE F16 log_split(F16 x, F16& exponent) {
  const __m512i bits = _mm512_castps_si512(x.v);
  const __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3F3504F3)), 23);
  exponent.v = _mm512_cvtepi32_ps(e);
  return {_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23)))};
}

// The fixed trees of a lane sum and a lane maximum.
UFAB_INLINE float tree_sum(F16 a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
UFAB_INLINE float tree_max(F16 a) {  // _mm_max_ps(a, b) is a > b ? a : b
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// rows[i] lane j <-> rows[j] lane i.
UFAB_INLINE void transpose(F16 (&rows)[16]) {
  __m512 pairs[16], quads[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i].v, rows[2 * i + 1].v);
    pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i].v, rows[2 * i + 1].v);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m512d a = _mm512_castps_pd(pairs[4 * i + half]), b = _mm512_castps_pd(pairs[4 * i + 2 + half]);
      quads[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      quads[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  }
  // quads[4 i + c], 128-bit group g: column 4 g + c of rows 4 i .. 4 i + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 a = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x88);  // groups 0, 2
    const __m512 b = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xDD);  // groups 1, 3
    const __m512 d = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x88);
    const __m512 e = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xDD);
    rows[c].v = _mm512_shuffle_f32x4(a, d, 0x88);
    rows[8 + c].v = _mm512_shuffle_f32x4(a, d, 0xDD);
    rows[4 + c].v = _mm512_shuffle_f32x4(b, e, 0x88);
    rows[12 + c].v = _mm512_shuffle_f32x4(b, e, 0xDD);
  }
}

UFAB_INLINE D8 operator+(D8 a, D8 b) {
  return {_mm512_add_pd(a.v, b.v)};
}
UFAB_INLINE D8 fma(D8 a, D8 b, D8 c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
UFAB_INLINE double tree_sum(D8 a) {
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

UFAB_INLINE I16 operator+(I16 a, I16 b) {
  return {_mm512_add_epi32(a.m(), b.m())};
}
UFAB_INLINE I16 operator&(I16 a, I16 b) {
  return {_mm512_and_si512(a.m(), b.m())};
}
UFAB_INLINE I16 operator|(I16 a, I16 b) {
  return {_mm512_or_si512(a.m(), b.m())};
}
UFAB_INLINE I16 operator^(I16 a, I16 b) {
  return {_mm512_xor_si512(a.m(), b.m())};
}
UFAB_INLINE I16 minimum(I16 a, I16 b) {
  return {_mm512_min_epi32(a.m(), b.m())};
}
UFAB_INLINE I16 maximum(I16 a, I16 b) {
  return {_mm512_max_epi32(a.m(), b.m())};
}
UFAB_INLINE I16 shift_left(I16 a, int bits) {
  return {_mm512_sll_epi32(a.m(), _mm_cvtsi32_si128(bits))};
}
UFAB_INLINE I16 float_bits(F16 a) {
  return {_mm512_castps_si512(a.v)};
}
// sum + the products of a lane's two 16-bit integers.
UFAB_INLINE I16 add_pair_products(I16 sum, I16 a, I16 b) {
#if defined(__AVX512VNNI__)
  return {_mm512_dpwssd_epi32(sum.m(), a.m(), b.m())};
#else
  return {_mm512_add_epi32(sum.m(), _mm512_madd_epi16(a.m(), b.m()))};
#endif
}
#if defined(__AVX512VNNI__)
// sum + the products of a lane's four bytes, those of a unsigned.
UFAB_INLINE I16 add_byte_products(I16 sum, I16 a, I16 b) {
  return {_mm512_dpbusd_epi32(sum.m(), a.m(), b.m())};
}
#endif
UFAB_INLINE F16 as_floats(I16 a) {
  return {_mm512_castsi512_ps(a.m())};
}
template <int kBits>
UFAB_INLINE I16 shift_right(I16 a) {
  return {_mm512_srli_epi32(a.m(), kBits)};
}
UFAB_INLINE I16 select_nan(F16 a, I16 nan, I16 number) {
  return {_mm512_mask_blend_epi32(_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q), number.m(), nan.m())};
}
// Nearest integer, ties to even, of |a| < 2^31.
UFAB_INLINE I16 round_to_integer(F16 a) {
  return {_mm512_cvt_roundps_epi32(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
UFAB_INLINE F16 to_float(I16 a) {
  return {_mm512_cvt_roundepi32_ps(a.m(), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
UFAB_INLINE D8 low_double(I16 a) {
  return {_mm512_cvtepi32_pd(_mm512_castsi512_si256(a.m()))};
}
UFAB_INLINE D8 high_double(I16 a) {
  return {_mm512_cvtepi32_pd(_mm512_extracti32x8_epi32(a.m(), 1))};
}
UFAB_INLINE L8 low_long(I16 a) {
  return {_mm512_cvtepi32_epi64(_mm512_castsi512_si256(a.m()))};
}
UFAB_INLINE L8 high_long(I16 a) {
  return {_mm512_cvtepi32_epi64(_mm512_extracti32x8_epi32(a.m(), 1))};
}

UFAB_INLINE L8 operator+(L8 a, L8 b) {
  return {_mm512_add_epi64(a.v, b.v)};
}
UFAB_INLINE L8 operator|(L8 a, L8 b) {
  return {_mm512_or_si512(a.v, b.v)};
}
UFAB_INLINE L8 operator^(L8 a, L8 b) {
  return {_mm512_xor_si512(a.v, b.v)};
}
UFAB_INLINE L8 operator*(L8 a, L8 b) {
  return {_mm512_mullo_epi64(a.v, b.v)};
}
template <int kBits>
UFAB_INLINE L8 shift_right(L8 a) {
  return {_mm512_srli_epi64(a.v, kBits)};
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
