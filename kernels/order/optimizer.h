// The element of the optimizer's operators: one AdamW update (kernels/adamw.h), and one gradient's
// fixed-point integer with its share of the fingerprint (kernels/gradient.h).
#pragma once

#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

// The scalars of kernels/backend.h's AdamWScalars, in every lane.
template <class F>
struct AdamWLanes {
  F factor, beta1, one_minus_beta1, beta2, one_minus_beta2, correction1, correction2, lr, eps, decay;

  template <class Scalars>
  [[gnu::always_inline]] static inline UFAB_HOST_DEVICE AdamWLanes of(const Scalars& s) {
    return {F::broadcast(s.gradient_factor),
            F::broadcast(s.beta1),
            F::broadcast(s.one_minus_beta1),
            F::broadcast(s.beta2),
            F::broadcast(s.one_minus_beta2),
            F::broadcast(s.inverse_correction1),
            F::broadcast(s.inverse_correction2),
            F::broadcast(s.lr),
            F::broadcast(s.eps),
            F::broadcast(s.weight_decay)};
  }
};

// sum: the integer sum as binary32.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE void adamw_update(const AdamWLanes<F>& s, F sum, F& p, F& m,
                                                                 F& v) {
  const F g = sum * s.factor;
  m = fma(s.beta1, m, s.one_minus_beta1 * g);
  v = fma(s.beta2, v, (s.one_minus_beta2 * g) * g);
  F u = (m * s.correction1) / (sqrt(v * s.correction2) + s.eps);
  u = fma(s.decay, p, u);
  p = fma(-s.lr, u, p);
}

// A gradient whose scaled magnitude is not below this is not added.
inline constexpr float kGradientBound = 0x1p30F;
inline constexpr std::uint64_t kFingerprintStep = 0x9E3779B97F4A7C15U;

// hash: the element's index * kFingerprintStep.
[[gnu::always_inline]] inline UFAB_HOST_DEVICE std::uint64_t fingerprint_key(std::uint64_t hash) {
  return (hash ^ (hash >> 29)) | 1U;
}

}  // namespace ufab::kernels
