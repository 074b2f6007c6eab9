// Elementary functions with one fixed sequence of operations, written once for one lane and for vectors.
//
// F is a pack of binary32 lanes: Lane below, or the vector of a CPU backend. It provides
//   F::broadcast(float), + - * /, unary -, fma(a, b, c), sqrt(a), abs(a), copysign(magnitude, sign),
//   select_less(a, b, x, y) = a < b ? x : y (y when unordered),
//   exponent_bits(t): the int32 lanes of t's bits minus those of 1.5 * 2^23,
//   pow2(int32 lanes n) = 2^n for -126 <= n <= 127, log_split(x, exponent) below; halve(n) = n >> 1 (floor).
//
// Polynomials are Chebyshev fits made for this project in 120-bit arithmetic, rounded to binary32. Largest
// errors against binary64, measured on every 61st binary32 value (tests/kernels/math_test.cpp): exp 1.05 ulp,
// log 0.84 ulp, tanh 1.31 ulp. Results below 2^-126 are denormals, rounded like any other.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/host_device.h"

namespace ufab::kernels {

struct LaneInt {
  std::int32_t v;
  UFAB_HOST_DEVICE friend LaneInt operator-(LaneInt a, LaneInt b) { return {a.v - b.v}; }
};

// One binary32 lane: the reference's arithmetic.
struct Lane {
  float v;
  UFAB_HOST_DEVICE static Lane broadcast(float x) { return {x}; }
  UFAB_HOST_DEVICE friend Lane operator+(Lane a, Lane b) { return {a.v + b.v}; }
  UFAB_HOST_DEVICE friend Lane operator-(Lane a, Lane b) { return {a.v - b.v}; }
  UFAB_HOST_DEVICE friend Lane operator*(Lane a, Lane b) { return {a.v * b.v}; }
  UFAB_HOST_DEVICE friend Lane operator/(Lane a, Lane b) { return {a.v / b.v}; }
  UFAB_HOST_DEVICE friend Lane operator-(Lane a) { return {-a.v}; }
};
UFAB_HOST_DEVICE inline Lane fma(Lane a, Lane b, Lane c) {
  return {fma_once(a.v, b.v, c.v)};
}
UFAB_HOST_DEVICE inline Lane sqrt(Lane a) {
  return {sqrt_once(a.v)};
}
UFAB_HOST_DEVICE inline Lane abs(Lane a) {
  return {__builtin_fabsf(a.v)};
}
UFAB_HOST_DEVICE inline Lane copysign(Lane magnitude, Lane sign) {
  return {__builtin_copysignf(magnitude.v, sign.v)};
}
UFAB_HOST_DEVICE inline Lane select_less(Lane a, Lane b, Lane x, Lane y) {
  return a.v < b.v ? x : y;
}
UFAB_HOST_DEVICE inline LaneInt exponent_bits(Lane t) {
  // Unsigned, so that a NaN's bits wrap instead of overflowing.
  return {static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(t.v) - 0x4B400000U)};
}
UFAB_HOST_DEVICE inline LaneInt halve(LaneInt n) {
  return {n.v >> 1};
}
UFAB_HOST_DEVICE inline Lane pow2(LaneInt n) {
  return {std::bit_cast<float>((static_cast<std::uint32_t>(n.v) + 127U) << 23)};
}
// x = m * 2^e with m in [sqrt(1/2), sqrt(2)), for normal positive x; e comes back as a float.
UFAB_HOST_DEVICE inline Lane log_split(Lane x, Lane& exponent) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x.v);
  const std::int32_t e = static_cast<std::int32_t>(bits - 0x3F3504F3U) >> 23;
  exponent.v = static_cast<float>(e);
  return {std::bit_cast<float>(bits - (static_cast<std::uint32_t>(e) << 23))};
}

// e^x. Overflows to +inf above 88.72, underflows through the denormals to +0 below -103.97.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F exp(F x) {
  const F high = F::broadcast(89.0F), low = F::broadcast(-104.0F);
  x = select_less(high, x, high, x);  // these two keep a NaN
  x = select_less(x, low, low, x);
  const F magic = F::broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  const F rounded = fma(x, F::broadcast(0x1.715476p+0F), magic);
  const F n = rounded - magic;
  F r = fma(n, F::broadcast(-0x1.62e430p-1F), x);
  r = fma(n, F::broadcast(0x1.05c610p-29F), r);
  F p = fma(F::broadcast(0x1.6d117cp-10F), r, F::broadcast(0x1.120be2p-7F));
  p = fma(p, r, F::broadcast(0x1.555518p-5F));
  p = fma(p, r, F::broadcast(0x1.5554dcp-3F));
  p = fma(p, r, F::broadcast(0.5F));
  p = fma(p, r * r, r) + F::broadcast(1.0F);
  const auto exponent = exponent_bits(rounded);
  const auto half = halve(exponent);
  return (p * pow2(half)) * pow2(exponent - half);  // two steps, so that a denormal result rounds once
}

// Natural logarithm: log(0) = -inf, log(x < 0) = NaN, log(+inf) = +inf.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F log(F x) {
  const F zero = F::broadcast(0.0F), one = F::broadcast(1.0F);
  const F smallest_positive = F::broadcast(0x1p-149F), smallest_normal = F::broadcast(0x1p-126F);
  const F infinity = F::broadcast(__builtin_inff());
  const F scaled = select_less(x, smallest_normal, x * F::broadcast(0x1p23F), x);
  F e;
  const F f = log_split(scaled, e) - one;
  e = select_less(x, smallest_normal, e - F::broadcast(23.0F), e);
  const F s = f / (F::broadcast(2.0F) + f);
  const F z = s * s;
  F r = fma(F::broadcast(0x1.ddd4dap-3F), z, F::broadcast(0x1.245c28p-2F));
  r = fma(r, z, F::broadcast(0x1.9999ecp-2F));
  r = fma(r, z, F::broadcast(0x1.555556p-1F)) * z;
  // log(1 + f) = f - (f^2/2 - s * (f^2/2 + r)), the small terms first.
  const F half_square = (F::broadcast(0.5F) * f) * f;
  const F low = fma(s, half_square + r, e * F::broadcast(0x1.7f7d1cp-20F));
  F result = fma(e, F::broadcast(0x1.62e400p-1F), f - (half_square - low));
  result = select_less(x, infinity, result, x);  // +inf and NaN stay
  const F not_positive = select_less(x, zero, zero / zero, -infinity);
  return select_less(x, smallest_positive, not_positive, result);
}

// Hyperbolic tangent.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F tanh(F x) {
  const F magnitude = abs(x);
  const F z = x * x;
  F p = fma(F::broadcast(0x1.2c83c0p-9F), z, F::broadcast(-0x1.116a16p-7F));
  p = fma(p, z, F::broadcast(0x1.64a976p-6F));
  p = fma(p, z, F::broadcast(-0x1.ba08c4p-5F));
  p = fma(p, z, F::broadcast(0x1.1110eap-3F));
  p = fma(p, z, F::broadcast(-0x1.555556p-2F));
  const F small = fma(p * z, x, x);
  const F one = F::broadcast(1.0F), two = F::broadcast(2.0F);
  const F large = one - two / (exp(magnitude + magnitude) + one);
  return copysign(select_less(magnitude, F::broadcast(0.625F), small, large), x);
}

// GELU, tanh form (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(u)), u = x * (k0 + k1 x^2),
// k0 = sqrt(2 / pi), k1 = 0.044715 k0.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F gelu(F x) {
  const F u = x * fma(F::broadcast(0x1.2444f2p-5F), x * x, F::broadcast(0x1.988454p-1F));
  return (F::broadcast(0.5F) * x) * (F::broadcast(1.0F) + tanh(u));
}

// Its derivative: 0.5 (1 + t) + 0.5 x (1 - t^2) (k0 + 3 k1 x^2), t = tanh(u).
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F gelu_gradient(F x) {
  const F one = F::broadcast(1.0F), half = F::broadcast(0.5F);
  const F square = x * x;
  const F k0 = F::broadcast(0x1.988454p-1F);
  const F t = tanh(x * fma(F::broadcast(0x1.2444f2p-5F), square, k0));
  const F du = fma(F::broadcast(0x1.b6676cp-4F), square, k0);
  const F sech_square = fma(-t, t, one);
  return fma((half * x) * sech_square, du, half * (one + t));
}

// cos and sin of 2 pi turns, 0 <= turns < 1; absolute error below 2e-7.
void cos_sin_turns(float turns, float& cosine, float& sine);

}  // namespace ufab::kernels
