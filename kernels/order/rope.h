// Rotary position embedding (Su et al. 2021, "RoFormer"), one pair of components.
//
// Component j of the first half of a head turns with component j of the second half (Hugging Face's
// "rotate half", not neighbours as in the paper), by the angle of its position (kernels/rope_table.h).
// The gradient turns back: the same function with -sine. F: kernels/math.h.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

// a of the first half, b of the second: a' = fma(a, cos, -(b * sin)), b' = fma(b, cos, a * sin).
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE void rope_rotate(F& a, F& b, F cosine, F sine) {
  const F first = fma(a, cosine, -(b * sine));
  b = fma(b, cosine, a * sine);
  a = first;
}

}  // namespace ufab::kernels
