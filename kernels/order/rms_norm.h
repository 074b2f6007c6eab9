// RMS norm (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization"), element by element.
//
// rstd = 1 / sqrt(lanesum of fma(x, x, .) / C + eps), n = x * rstd, y = n * gamma. Of a gradient dy:
// g = dy * gamma, c = lanesum of fma(g, n, .) / C, dx += rstd * fma(-n, c, g); dgamma sums fma(dy, n, .) over
// rows (kernels/semantics.h). F: kernels/math.h.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

// A lane's sum with the square of x.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm_add_square(F x, F sum) {
  return fma(x, x, sum);
}

// sum: the lane sum of a row's squares.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm_rstd(F sum, F width, F eps) {
  return F::broadcast(1.0F) / sqrt(sum / width + eps);
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm(F x, F rstd, F gamma) {
  return (x * rstd) * gamma;
}

// A lane's sum of the gradient's projection on the normal row.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm_add_projection(F dy, F gamma, F x, F rstd, F sum) {
  return fma(dy * gamma, x * rstd, sum);
}

// projection: their lane sum divided by the width. What is added to dx.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm_gradient(F dy, F gamma, F x, F rstd, F projection) {
  return rstd * fma(-(x * rstd), projection, dy * gamma);
}

// A column's sum of gamma's gradient with one row more.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F rms_norm_add_gamma_gradient(F dy, F x, F rstd, F sum) {
  return fma(dy, x * rstd, sum);
}

}  // namespace ufab::kernels
