// Operators over rows of the Llama family: RMS norm, SwiGLU, rotary positions.
#pragma once

#include "kernels/cpu/rows.h"
#include "kernels/order/rms_norm.h"
#include "kernels/order/rope.h"
#include "kernels/order/swiglu.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

inline void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                            int width) {
  const F16 count = F16::broadcast(static_cast<float>(width));
  for (int r = 0; r < rows; ++r) {
    const float* x = in + static_cast<std::ptrdiff_t>(r) * width;
    float* y = out + static_cast<std::ptrdiff_t>(r) * width;
    F16 sum = F16::broadcast(0.0F);  // a sum of squares: +0 past the end changes nothing
    each_vector(width, [&](int j, int n) { sum = rms_norm_add_square(load_part(x + j, n), sum); });
    const F16 scale = rms_norm_rstd(F16::broadcast(tree_sum(sum)), count, F16::broadcast(eps));
    scale.store_n(rstd + r, 1);
    each_vector(width, [&](int j, int n) {
      store_part(rms_norm(load_part(x + j, n), scale, load_part(gamma + j, n)), y + j, n);
    });
  }
}

inline void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                   const float* rstd, int rows, int width) {
  for (int r = 0; r < rows; ++r) {
    const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(r) * width;
    const float *x = in + offset, *dy = dout + offset;
    float* dx = din + offset;
    const F16 scale = F16::broadcast(rstd[r]);
    F16 sum = F16::broadcast(0.0F);
    each_vector(width, [&](int j, int n) {
      const F16 next = rms_norm_add_projection(load_part(dy + j, n), load_part(gamma + j, n),
                                               load_part(x + j, n), scale, sum);
      // A lane past the end stays as it is: an infinite rstd would make a NaN of it, and +0 a +0 of a -0.
      sum = n == 16 ? next : select_first(n, next, sum);
    });
    const F16 projection = F16::broadcast(tree_sum(sum) / static_cast<float>(width));
    each_vector(width, [&](int j, int n) {
      const F16 gradient = rms_norm_gradient(load_part(dy + j, n), load_part(gamma + j, n),
                                             load_part(x + j, n), scale, projection);
      store_part(load_part(dx + j, n) + gradient, dx + j, n);
    });
  }
}

inline void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in, const float* rstd,
                                        int rows, int stride, int columns) {
  each_vector(columns, [&](int j, int n) {
    const F16 total = column_sum<F16>(rows, [&](int r, F16 sum) {
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(r) * stride + j;
      return rms_norm_add_gamma_gradient(load_part(dout + at, n), load_part(in + at, n),
                                         F16::broadcast(rstd[r]), sum);
    });
    store_part(total, dgamma + j, n);
  });
}

inline void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) {
  for (int r = 0; r < rows; ++r) {
    const float* gate = gate_up + 2 * static_cast<std::ptrdiff_t>(r) * hidden;
    float* y = out + static_cast<std::ptrdiff_t>(r) * hidden;
    each_vector(hidden, [&](int j, int n) {
      store_part(swiglu(load_part(gate + j, n), load_part(gate + hidden + j, n)), y + j, n);
    });
  }
}
inline void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows, int hidden) {
  for (int r = 0; r < rows; ++r) {
    const std::ptrdiff_t offset = 2 * static_cast<std::ptrdiff_t>(r) * hidden;
    const float *gate = gate_up + offset, *dy = dout + static_cast<std::ptrdiff_t>(r) * hidden;
    float* into = dgate_up + offset;
    each_vector(hidden, [&](int j, int n) {
      F16 dgate, dup;
      swiglu_gradient(load_part(dy + j, n), load_part(gate + j, n), load_part(gate + hidden + j, n), dgate,
                      dup);
      store_part(dgate, into + j, n);
      store_part(dup, into + hidden + j, n);
    });
  }
}

inline void rope(float* row, const float* cosine, const float* sine, int heads, int head_width, bool back) {
  const int half = head_width / 2;
  for (int head = 0; head < heads; ++head) {
    float* first = row + static_cast<std::ptrdiff_t>(head) * head_width;
    float* second = first + half;
    each_vector(half, [&](int j, int n) {
      const F16 s = load_part(sine + j, n);
      F16 a = load_part(first + j, n), b = load_part(second + j, n);
      rope_rotate(a, b, load_part(cosine + j, n), back ? -s : s);
      store_part(a, first + j, n);
      store_part(b, second + j, n);
    });
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
