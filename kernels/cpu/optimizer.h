// Integer gradient sums (kernels/gradient.h) and AdamW (kernels/adamw.h) on vectors.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vector.h"
#include "kernels/order/optimizer.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

// Sixteen of the products that a fingerprint adds up, the keys as fingerprint_key() makes them; `hash` are
// the first eight elements' i * kFingerprintStep.
UFAB_INLINE L8 fingerprint_terms(I16 q, L8 hash, L8 step) {
  const L8 one = L8::broadcast(1);
  const auto key = [&](L8 h) __attribute__((always_inline)) {
    return (h ^ shift_right<29>(h)) | one;
  };
  return low_long(q) * key(hash) + high_long(q) * key(hash + step);
}

inline QuantizeResult quantize_add(std::int32_t* sums, const float* gradient, std::size_t count, int exponent,
                                   std::uint64_t first_index, bool fresh) {
  // 2^exponent from its bits: exponent is within -100..100.
  const F16 factor =
      F16::broadcast(__builtin_bit_cast(float, static_cast<std::uint32_t>(exponent + 127) << 23));
  const F16 zero = F16::broadcast(0.0F), one = F16::broadcast(1.0F), bound = F16::broadcast(kGradientBound);
  F16 largest = zero, dropped = zero, finite = zero;
  alignas(64) std::int64_t lanes[8];
  for (int i = 0; i < 8; ++i) {
    lanes[i] = static_cast<std::int64_t>((first_index + static_cast<std::uint64_t>(i)) * kFingerprintStep);
  }
  L8 hash = L8::load(lanes), fingerprint = L8::broadcast(0);
  const L8 step = L8::broadcast(static_cast<std::int64_t>(8 * kFingerprintStep));
  const auto quantize = [&](F16 g) __attribute__((always_inline)) {
    const F16 scaled = g * factor, magnitude = abs(scaled);
    const F16 kept = select_less(magnitude, bound, scaled, zero);  // NaN is not kept
    largest = maximum(abs(kept), largest);
    dropped = select_less(magnitude, bound, dropped, one);
    finite = fma(g, zero, finite);  // NaN from the first infinity or NaN on
    const I16 q = round_to_integer(kept);
    fingerprint = fingerprint + fingerprint_terms(q, hash, step);
    hash = hash + step + step;
    return q;
  };
  std::size_t i = 0;
  if (fresh) {
    for (; i + 16 <= count; i += 16) quantize(F16::load(gradient + i)).store(sums + i);
  } else {
    for (; i + 16 <= count; i += 16) {
      (I16::load(sums + i) + quantize(F16::load(gradient + i))).store(sums + i);
    }
  }
  if (i < count) {
    const int rest = static_cast<int>(count - i);
    const I16 before = fresh ? I16::broadcast(0) : I16::load_n(sums + i, rest);
    (before + quantize(F16::load_n(gradient + i, rest))).store_n(sums + i, rest);
  }

  QuantizeResult result;
  const float finite_sum = tree_sum(finite);
  result.non_finite = finite_sum != finite_sum ? 1 : 0;
  // Rounding is monotone: the largest integer is that of the largest value.
  result.peak = tree_max(dropped) > 0 ? std::uint64_t{1} << 31
                                      : static_cast<std::uint64_t>(__builtin_rintf(tree_max(largest)));
  fingerprint.store(lanes);
  for (const std::int64_t lane : lanes) result.fingerprint += static_cast<std::uint64_t>(lane);
  return result;
}

inline double sum_of_squares(const std::int32_t* sums, std::size_t count) {
  D8 low = D8::broadcast(0.0), high = low;
  const auto add_block = [&](I16 block) __attribute__((always_inline)) {
    const D8 a = low_double(block), b = high_double(block);
    low = fma(a, a, low);
    high = fma(b, b, high);
  };
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) add_block(I16::load(sums + i));
  if (i < count) add_block(I16::load_n(sums + i, static_cast<int>(count - i)));
  return tree_sum(low + high);
}

inline void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
                  const AdamWScalars& scalars) {
  const auto s = AdamWLanes<F16>::of(scalars);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    F16 p = F16::load(params + i), first = F16::load(m + i), second = F16::load(v + i);
    adamw_update(s, to_float(I16::load(sums + i)), p, first, second);
    p.store(params + i);
    first.store(m + i);
    second.store(v + i);
  }
  if (i < count) {
    const int n = static_cast<int>(count - i);
    F16 p = F16::load_n(params + i, n), first = F16::load_n(m + i, n), second = F16::load_n(v + i, n);
    adamw_update(s, to_float(I16::load_n(sums + i, n)), p, first, second);
    p.store_n(params + i, n);
    first.store_n(m + i, n);
    second.store_n(v + i, n);
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
