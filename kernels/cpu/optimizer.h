// Integer gradient sums (kernels/gradient.h) and AdamW (kernels/adamw.h) on vectors.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vector.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

// key(i) of kernels/gradient.h is made from i * kFingerprintStep, kept by addition.
inline constexpr std::uint64_t kFingerprintStep = 0x9E3779B97F4A7C15U;

struct QuantizeState {
  L8 largest, fingerprint, in_range, finite;
  double factor;
  std::uint64_t bound;
};

// Eight gradients in binary64: their integers, zero where not added.
UFAB_INLINE L8 quantize_half(QuantizeState& state, D8 gradient, L8 hash) {
  const D8 scaled = gradient * D8::broadcast(state.factor);
  const L8 one = L8::broadcast(1);
  const L8 finite = less_abs_mask(gradient, __builtin_inf());
  state.finite = state.finite & finite;
  const L8 representable = less_abs_mask(scaled, 0x1p62);
  const L8 q = round_to_integer(scaled) & representable;
  const L8 magnitude = abs(q);
  const L8 accepted =
      less_mask(magnitude, L8::broadcast(static_cast<std::int64_t>(state.bound))) & representable;
  state.in_range = state.in_range & (accepted | (finite ^ L8::broadcast(-1)));
  state.largest = maximum(state.largest, magnitude);
  const L8 added = q & accepted;
  const L8 key = (hash ^ shift_right<29>(hash)) | one;
  state.fingerprint = state.fingerprint + added * key;
  return added;
}

inline QuantizeResult quantize_add(std::int64_t* sums, const float* gradient, std::size_t count, int exponent,
                                   std::uint64_t bound, std::uint64_t first_index) {
  const L8 zero = L8::broadcast(0), ones = L8::broadcast(-1);
  // 2^exponent from its bits: exponent is within -512..512.
  const std::uint64_t factor_bits = static_cast<std::uint64_t>(exponent + 1023) << 52;
  QuantizeState state{zero, zero, ones, ones, __builtin_bit_cast(double, factor_bits), bound};
  alignas(64) std::int64_t lanes[8];
  for (int i = 0; i < 8; ++i) {
    lanes[i] = static_cast<std::int64_t>((first_index + static_cast<std::uint64_t>(i)) * kFingerprintStep);
  }
  L8 hash = L8::load(lanes);
  const L8 step = L8::broadcast(static_cast<std::int64_t>(8 * kFingerprintStep));
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const F16 g = F16::load(gradient + i);
    (L8::load(sums + i) + quantize_half(state, low_half(g), hash)).store(sums + i);
    hash = hash + step;
    (L8::load(sums + i + 8) + quantize_half(state, high_half(g), hash)).store(sums + i + 8);
    hash = hash + step;
  }
  if (i < count) {
    const int rest = static_cast<int>(count - i);
    const F16 g = F16::load_n(gradient + i, rest);
    std::int64_t added[16];
    quantize_half(state, low_half(g), hash).store(added);
    quantize_half(state, high_half(g), hash + step).store(added + 8);
    for (int r = 0; r < rest; ++r) sums[i + static_cast<std::size_t>(r)] += added[r];
  }

  QuantizeResult result;
  result.non_finite = any_clear(state.finite);
  std::uint64_t largest = 0, fingerprint = 0;
  state.largest.store(lanes);
  for (const std::int64_t lane : lanes) {
    const std::uint64_t value = static_cast<std::uint64_t>(lane);
    largest = largest < value ? value : largest;
  }
  state.fingerprint.store(lanes);
  for (const std::int64_t lane : lanes) fingerprint += static_cast<std::uint64_t>(lane);
  result.overflow = any_clear(state.in_range);
  result.max_abs = result.overflow && largest < bound ? bound : largest;
  result.fingerprint = fingerprint;
  return result;
}

inline void add_sums(std::int64_t* into, const std::int64_t* from, std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) (L8::load(into + i) + L8::load(from + i)).store(into + i);
  for (; i < count; ++i) {
    into[i] =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(into[i]) + static_cast<std::uint64_t>(from[i]));
  }
}

inline double sum_of_squares(const std::int64_t* sums, std::size_t count, double factor) {
  D8 low = D8::broadcast(0.0), high = low;
  const D8 scale = D8::broadcast(factor);
  std::size_t i = 0;
  const auto add_block = [&](const std::int64_t* block) __attribute__((always_inline)) {
    const D8 a = to_double(L8::load(block)) * scale, b = to_double(L8::load(block + 8)) * scale;
    low = fma(a, a, low);
    high = fma(b, b, high);
  };
  for (; i + 16 <= count; i += 16) add_block(sums + i);
  if (i < count) {
    std::int64_t rest[16] = {};
    for (std::size_t r = 0; i + r < count; ++r) rest[r] = sums[i + r];
    add_block(rest);
  }
  return tree_sum(low + high);
}

struct AdamWVectors {
  D8 factor;
  F16 clip_scale, beta1, one_minus_beta1, beta2, one_minus_beta2, correction1, correction2, lr, eps, decay;
};
UFAB_INLINE void adamw_block(const AdamWVectors& s, F16& p, F16& m, F16& v, L8 low, L8 high) {
  const F16 g = narrow(to_double(low) * s.factor, to_double(high) * s.factor) * s.clip_scale;
  m = fma(s.beta1, m, s.one_minus_beta1 * g);
  v = fma(s.beta2, v, (s.one_minus_beta2 * g) * g);
  F16 u = (m * s.correction1) / (sqrt(v * s.correction2) + s.eps);
  u = fma(s.decay, p, u);
  p = fma(-s.lr, u, p);
}
inline void adamw(float* params, float* m, float* v, const std::int64_t* sums, std::size_t count,
                  const AdamWScalars& scalars) {
  const AdamWVectors s{D8::broadcast(scalars.gradient_factor),
                       F16::broadcast(scalars.clip_scale),
                       F16::broadcast(scalars.beta1),
                       F16::broadcast(scalars.one_minus_beta1),
                       F16::broadcast(scalars.beta2),
                       F16::broadcast(scalars.one_minus_beta2),
                       F16::broadcast(scalars.inverse_correction1),
                       F16::broadcast(scalars.inverse_correction2),
                       F16::broadcast(scalars.lr),
                       F16::broadcast(scalars.eps),
                       F16::broadcast(scalars.weight_decay)};
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    F16 p = F16::load(params + i), first = F16::load(m + i), second = F16::load(v + i);
    adamw_block(s, p, first, second, L8::load(sums + i), L8::load(sums + i + 8));
    p.store(params + i);
    first.store(m + i);
    second.store(v + i);
  }
  if (i < count) {
    const int n = static_cast<int>(count - i);
    std::int64_t rest[16] = {};
    for (int r = 0; r < n; ++r) rest[r] = sums[i + static_cast<std::size_t>(r)];
    F16 p = F16::load_n(params + i, n), first = F16::load_n(m + i, n), second = F16::load_n(v + i, n);
    adamw_block(s, p, first, second, L8::load(rest), L8::load(rest + 8));
    p.store_n(params + i, n);
    first.store_n(m + i, n);
    second.store_n(v + i, n);
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
