// SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer"), one element: silu(gate) * up.
//
// silu(x) = x / (1 + exp(-x)), also called swish (Ramachandran et al. 2017). silu(-inf) is NaN.
// F: kernels/math.h.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F silu(F x) {
  return x / (F::broadcast(1.0F) + exp(-x));
}

// s * (1 + x * (1 - s)), s = 1 / (1 + exp(-x)).
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F silu_gradient(F x) {
  const F one = F::broadcast(1.0F);
  const F s = one / (one + exp(-x));
  return s * fma(x, one - s, one);
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F swiglu(F gate, F up) {
  return silu(gate) * up;
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE void swiglu_gradient(F dy, F gate, F up, F& dgate, F& dup) {
  dgate = (dy * up) * silu_gradient(gate);
  dup = dy * silu(gate);
}

}  // namespace ufab::kernels
