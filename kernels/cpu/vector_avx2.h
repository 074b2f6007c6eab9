// The lanes of kernels/cpu/vector.h in AVX2 and FMA, two registers each. Included by that file only.
#pragma once

namespace ufab::kernels::avx2 {

UFAB_INLINE __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
struct I16 {
  __m256i a, b;
  UFAB_INLINE static I16 broadcast(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  UFAB_INLINE static I16 load(const std::int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }
  UFAB_INLINE static I16 load_n(const std::int32_t* p, int n) {
    if (n <= 8) return {_mm256_maskload_epi32(p, first_lanes(n)), _mm256_setzero_si256()};
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_maskload_epi32(p + 8, first_lanes(n - 8))};
  }
  UFAB_INLINE void store(std::int32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), b);
  }
  UFAB_INLINE void store_n(std::int32_t* p, int n) const {
    if (n <= 8) {
      _mm256_maskstore_epi32(p, first_lanes(n), a);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
      _mm256_maskstore_epi32(p + 8, first_lanes(n - 8), b);
    }
  }
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
  UFAB_INLINE static __m256i first(int n) { return first_lanes(n); }
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
UFAB_INLINE D8 fma(D8 x, D8 y, D8 z) {
  return {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)};
}
UFAB_INLINE double tree_sum(D8 x) {
  const __m256d four = _mm256_add_pd(x.a, x.b);
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

UFAB_INLINE I16 operator+(I16 x, I16 y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}
UFAB_INLINE I16 operator&(I16 x, I16 y) {
  return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
}
UFAB_INLINE I16 operator|(I16 x, I16 y) {
  return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}
UFAB_INLINE I16 operator^(I16 x, I16 y) {
  return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)};
}
UFAB_INLINE I16 minimum(I16 x, I16 y) {
  return {_mm256_min_epi32(x.a, y.a), _mm256_min_epi32(x.b, y.b)};
}
UFAB_INLINE I16 maximum(I16 x, I16 y) {
  return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)};
}
UFAB_INLINE I16 shift_left(I16 x, int bits) {
  const __m128i count = _mm_cvtsi32_si128(bits);
  return {_mm256_sll_epi32(x.a, count), _mm256_sll_epi32(x.b, count)};
}
UFAB_INLINE I16 float_bits(F16 x) {
  return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)};
}
// sum + the products of a lane's two 16-bit integers.
UFAB_INLINE I16 add_pair_products(I16 sum, I16 x, I16 y) {
  return {_mm256_add_epi32(sum.a, _mm256_madd_epi16(x.a, y.a)),
          _mm256_add_epi32(sum.b, _mm256_madd_epi16(x.b, y.b))};
}
UFAB_INLINE F16 as_floats(I16 x) {
  return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)};
}
template <int kBits>
UFAB_INLINE I16 shift_right(I16 x) {
  return {_mm256_srli_epi32(x.a, kBits), _mm256_srli_epi32(x.b, kBits)};
}
UFAB_INLINE __m256i select_nan_half(__m256 x, __m256i nan, __m256i number) {
  return _mm256_blendv_epi8(number, nan, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
UFAB_INLINE I16 select_nan(F16 x, I16 nan, I16 number) {
  return {select_nan_half(x.a, nan.a, number.a), select_nan_half(x.b, nan.b, number.b)};
}
// Nearest integer, ties to even, of |x| < 2^31.
UFAB_INLINE I16 round_to_integer(F16 x) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_cvttps_epi32(_mm256_round_ps(x.a, kNearest)),
          _mm256_cvttps_epi32(_mm256_round_ps(x.b, kNearest))};
}
UFAB_INLINE F16 to_float(I16 x) {
  return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}
UFAB_INLINE D8 double_half(__m256i x) {
  return {_mm256_cvtepi32_pd(_mm256_castsi256_si128(x)), _mm256_cvtepi32_pd(_mm256_extracti128_si256(x, 1))};
}
UFAB_INLINE D8 low_double(I16 x) {
  return double_half(x.a);
}
UFAB_INLINE D8 high_double(I16 x) {
  return double_half(x.b);
}
UFAB_INLINE L8 long_half(__m256i x) {
  return {_mm256_cvtepi32_epi64(_mm256_castsi256_si128(x)),
          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(x, 1))};
}
UFAB_INLINE L8 low_long(I16 x) {
  return long_half(x.a);
}
UFAB_INLINE L8 high_long(I16 x) {
  return long_half(x.b);
}

UFAB_INLINE L8 operator+(L8 x, L8 y) {
  return {_mm256_add_epi64(x.a, y.a), _mm256_add_epi64(x.b, y.b)};
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

}  // namespace ufab::kernels::avx2
