// Layer norm (Ba, Kiros and Hinton 2016), element by element.
//
// n = (x - mean) * rstd, y = fma(n, gamma, beta). Of a gradient dy: g = dy * gamma, a = lanesum(g) / C,
// c = lanesum of fma(g, n, .) / C, dx += rstd * fma(-n, c, g - a); dgamma sums fma(dy, n, .), dbeta sums dy,
// over rows (kernels/order/column_sum.h). F: kernels/math.h.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

// variance: of the row, not yet increased by epsilon.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F layer_norm_rstd(F variance, F epsilon) {
  return F::broadcast(1.0F) / sqrt(variance + epsilon);
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F layer_norm_normal(F x, F mean, F rstd) {
  return (x - mean) * rstd;
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F layer_norm(F x, F mean, F rstd, F gamma, F beta) {
  return fma(layer_norm_normal(x, mean, rstd), gamma, beta);
}

// What is added to dx.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F layer_norm_gradient(F dy, F gamma, F x, F mean, F rstd, F a,
                                                                     F c) {
  return rstd * fma(-layer_norm_normal(x, mean, rstd), c, dy * gamma - a);
}

// A column's sum of gamma's gradient with one row more.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F layer_norm_add_gamma_gradient(F dy, F x, F mean, F rstd,
                                                                               F sum) {
  return fma(dy, layer_norm_normal(x, mean, rstd), sum);
}

}  // namespace ufab::kernels
