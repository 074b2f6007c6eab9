// The lanes of kernels/cpu/vector.h in AVX2 and FMA, two registers each. Included by that file only.
#pragma once

namespace ufab::kernels::avx2 {

struct I16 {
  __m256i a, b;
};
struct F16 {
  __m256 a, b;  // lanes 0-7, 8-15
  UFAB_INLINE static F16 broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  UFAB_INLINE static F16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  UFAB_INLINE static F16 load_n(const float* p, int n) {
    if (n <= 8) return {_mm256_maskload_ps(p, first(n)), _mm256_setzero_ps()};
    return {_mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, first(n - 8))};
  }
  UFAB_INLINE void store(float* p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  UFAB_INLINE void store_n(float* p, int n) const {
    if (n <= 8) {
      _mm256_maskstore_ps(p, first(n), a);
    } else {
      _mm256_storeu_ps(p, a);
      _mm256_maskstore_ps(p + 8, first(n - 8), b);
    }
  }
  UFAB_INLINE static __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};
struct D8 {
  __m256d a, b;
  UFAB_INLINE static D8 broadcast(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
};
struct L8 {
  __m256i a, b;
  UFAB_INLINE static L8 broadcast(std::int64_t x) { return {_mm256_set1_epi64x(x), _mm256_set1_epi64x(x)}; }
  UFAB_INLINE static L8 load(const std::int64_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 4))};
  }
  UFAB_INLINE void store(std::int64_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 4), b);
  }
};

UFAB_INLINE F16 operator+(F16 x, F16 y) {
  return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)};
}
UFAB_INLINE F16 operator-(F16 x, F16 y) {
  return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)};
}
UFAB_INLINE F16 operator*(F16 x, F16 y) {
  return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)};
}
UFAB_INLINE F16 operator/(F16 x, F16 y) {
  return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)};
}
UFAB_INLINE F16 fma(F16 x, F16 y, F16 z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
UFAB_INLINE F16 sqrt(F16 x) {
  return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)};
}
UFAB_INLINE F16 abs(F16 x) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
UFAB_INLINE F16 operator-(F16 x) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_xor_ps(x.a, sign), _mm256_xor_ps(x.b, sign)};
}
UFAB_INLINE F16 copysign(F16 magnitude, F16 sign) {
  const __m256 mask = _mm256_set1_ps(-0.0F);
  const F16 bare = abs(magnitude);
  return {_mm256_or_ps(bare.a, _mm256_and_ps(mask, sign.a)),
          _mm256_or_ps(bare.b, _mm256_and_ps(mask, sign.b))};
}
UFAB_INLINE F16 select_less(F16 a, F16 b, F16 x, F16 y) {
  return {_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ))};
}
UFAB_INLINE F16 select_first(int n, F16 x, F16 y) {
  return {_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(F16::first(n))),
          _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(F16::first(n - 8)))};
}
UFAB_INLINE I16 operator-(I16 x, I16 y) {
  return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
}
UFAB_INLINE I16 exponent_bits(F16 t) {
  const __m256i magic = _mm256_set1_epi32(0x4B400000);
  return {_mm256_sub_epi32(_mm256_castps_si256(t.a), magic),
          _mm256_sub_epi32(_mm256_castps_si256(t.b), magic)};
}
UFAB_INLINE I16 halve(I16 n) {
  return {_mm256_srai_epi32(n.a, 1), _mm256_srai_epi32(n.b, 1)};
}
UFAB_INLINE F16 pow2(I16 n) {
  const __m256i bias = _mm256_set1_epi32(127);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.a, bias), 23)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.b, bias), 23))};
}
UFAB_INLINE __m256 log_split_half(__m256 x, __m256& exponent) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3F3504F3)), 23);
  exponent = _mm256_cvtepi32_ps(e);
  return _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
}
UFAB_INLINE F16 log_split(F16 x, F16& exponent) {
  return {log_split_half(x.a, exponent.a), log_split_half(x.b, exponent.b)};
}

UFAB_INLINE float tree_sum(F16 x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
UFAB_INLINE float tree_max(F16 x) {  // _mm_max_ps(a, b) is a > b ? a : b
  const __m256 eight = _mm256_max_ps(x.a, x.b);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// An 8 x 8 block, in place.
UFAB_INLINE void transpose_block(__m256 (&r)[8]) {
  __m256 t[8], u[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
    r[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
  }
}
UFAB_INLINE void transpose(F16 (&rows)[16]) {
  __m256 q00[8], q01[8], q10[8], q11[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    q00[i] = rows[i].a;
    q01[i] = rows[i].b;
    q10[i] = rows[8 + i].a;
    q11[i] = rows[8 + i].b;
  }
  transpose_block(q00);
  transpose_block(q01);
  transpose_block(q10);
  transpose_block(q11);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    rows[i] = {q00[i], q10[i]};
    rows[8 + i] = {q01[i], q11[i]};
  }
}

UFAB_INLINE D8 operator+(D8 x, D8 y) {
  return {_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b)};
}
UFAB_INLINE D8 operator*(D8 x, D8 y) {
  return {_mm256_mul_pd(x.a, y.a), _mm256_mul_pd(x.b, y.b)};
}
UFAB_INLINE D8 fma(D8 x, D8 y, D8 z) {
  return {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)};
}
UFAB_INLINE double tree_sum(D8 x) {
  const __m256d four = _mm256_add_pd(x.a, x.b);
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
// AVX2 has no 64-bit conversion: the high half, offset to unsigned, becomes the mantissa of 2^84, the low
// half that of 2^52; both differences are exact and the one addition rounds.
UFAB_INLINE __m256d to_double_half(__m256i x) {
  const __m256d high_base = _mm256_set1_pd(0x1p84), low_base = _mm256_set1_pd(0x1p52);
  __m256i high = _mm256_xor_si256(_mm256_srli_epi64(x, 32), _mm256_set1_epi64x(0x80000000LL));
  high = _mm256_or_si256(high, _mm256_castpd_si256(high_base));
  const __m256i low =
      _mm256_or_si256(_mm256_and_si256(x, _mm256_set1_epi64x(0xFFFFFFFFLL)), _mm256_castpd_si256(low_base));
  return _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x1p84 + 0x1p63)),
                       _mm256_sub_pd(_mm256_castsi256_pd(low), low_base));
}
UFAB_INLINE D8 to_double(L8 x) {
  return {to_double_half(x.a), to_double_half(x.b)};
}
UFAB_INLINE D8 low_half(F16 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x.a)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.a, 1))};
}
UFAB_INLINE D8 high_half(F16 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x.b)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.b, 1))};
}
UFAB_INLINE F16 narrow(D8 low, D8 high) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(low.b), _mm256_cvtpd_ps(low.a)),
          _mm256_set_m128(_mm256_cvtpd_ps(high.b), _mm256_cvtpd_ps(high.a))};
}

UFAB_INLINE L8 operator+(L8 x, L8 y) {
  return {_mm256_add_epi64(x.a, y.a), _mm256_add_epi64(x.b, y.b)};
}
UFAB_INLINE L8 operator&(L8 x, L8 y) {
  return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
}
UFAB_INLINE L8 operator|(L8 x, L8 y) {
  return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
UFAB_INLINE L8 operator^(L8 x, L8 y) {
  return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)};
}
UFAB_INLINE __m256i multiply_half(__m256i x, __m256i y) {
  const __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), y),
                                         _mm256_mul_epu32(x, _mm256_srli_epi64(y, 32)));
  return _mm256_add_epi64(_mm256_mul_epu32(x, y), _mm256_slli_epi64(cross, 32));
}
UFAB_INLINE L8 operator*(L8 x, L8 y) {
  return {multiply_half(x.a, y.a), multiply_half(x.b, y.b)};
}
template <int kBits>
UFAB_INLINE L8 shift_right(L8 x) {
  return {_mm256_srli_epi64(x.a, kBits), _mm256_srli_epi64(x.b, kBits)};
}
UFAB_INLINE __m256i abs_half(__m256i x) {
  const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
  return _mm256_sub_epi64(_mm256_xor_si256(x, sign), sign);
}
UFAB_INLINE L8 abs(L8 x) {
  return {abs_half(x.a), abs_half(x.b)};
}
UFAB_INLINE L8 maximum(L8 x, L8 y) {
  return {_mm256_blendv_epi8(y.a, x.a, _mm256_cmpgt_epi64(x.a, y.a)),
          _mm256_blendv_epi8(y.b, x.b, _mm256_cmpgt_epi64(x.b, y.b))};
}
UFAB_INLINE L8 less_mask(L8 x, L8 y) {
  return {_mm256_cmpgt_epi64(y.a, x.a), _mm256_cmpgt_epi64(y.b, x.b)};
}
UFAB_INLINE L8 less_abs_mask(D8 x, double bound) {
  const __m256d sign = _mm256_set1_pd(-0.0), limit = _mm256_set1_pd(bound);
  return {_mm256_castpd_si256(_mm256_cmp_pd(_mm256_andnot_pd(sign, x.a), limit, _CMP_LT_OQ)),
          _mm256_castpd_si256(_mm256_cmp_pd(_mm256_andnot_pd(sign, x.b), limit, _CMP_LT_OQ))};
}
UFAB_INLINE bool any_clear(L8 mask) {
  return (_mm256_movemask_pd(_mm256_castsi256_pd(mask.a)) &
          _mm256_movemask_pd(_mm256_castsi256_pd(mask.b))) != 0xF;
}
// Two exact halves of 31 and 32 bits, each read from the mantissa of a power of two.
UFAB_INLINE __m256i round_half(__m256d x) {
  const __m256d rounded = _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256d high = _mm256_floor_pd(_mm256_mul_pd(rounded, _mm256_set1_pd(0x1p-32)));
  const __m256d low = _mm256_fnmadd_pd(high, _mm256_set1_pd(0x1p32), rounded);
  const __m256d high_base = _mm256_set1_pd(0x1.8p52), low_base = _mm256_set1_pd(0x1p52);
  const __m256i high_bits = _mm256_castpd_si256(_mm256_add_pd(high, high_base));
  const __m256i low_bits =
      _mm256_xor_si256(_mm256_castpd_si256(_mm256_add_pd(low, low_base)), _mm256_castpd_si256(low_base));
  return _mm256_add_epi64(_mm256_slli_epi64(high_bits, 32), low_bits);
}
UFAB_INLINE L8 round_to_integer(D8 x) {
  return {round_half(x.a), round_half(x.b)};
}

}  // namespace ufab::kernels::avx2
