// Operators over rows and elements: layer norm, GELU, addition, column sums, softmax cross-entropy.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/vector.h"
#include "kernels/math.h"
#include "kernels/order/column_sum.h"
#include "kernels/order/layer_norm.h"
#include "kernels/semantics.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

// Calls body(j, n) for the vectors of [0, count): n is 16 but for the last.
template <class Body>
UFAB_INLINE void each_vector(int count, Body body) {
  int j = 0;
  for (; j + 16 <= count; j += 16) body(j, 16);
  if (j < count) body(j, count - j);
}
UFAB_INLINE F16 load_part(const float* p, int n) {
  return n == 16 ? F16::load(p) : F16::load_n(p, n);
}
UFAB_INLINE void store_part(F16 x, float* p, int n) {
  if (n == 16) {
    x.store(p);
  } else {
    x.store_n(p, n);
  }
}

inline void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                              const float* beta, int rows, int width) {
  for (int r = 0; r < rows; ++r) {
    const float* x = in + static_cast<std::ptrdiff_t>(r) * width;
    float* y = out + static_cast<std::ptrdiff_t>(r) * width;
    F16 sum = F16::broadcast(0.0F);
    each_vector(width, [&](int j, int n) { sum = sum + load_part(x + j, n); });
    const float row_mean = tree_sum(sum) / static_cast<float>(width);
    const F16 center = F16::broadcast(row_mean);
    F16 squares = F16::broadcast(0.0F);
    each_vector(width, [&](int j, int n) {
      const F16 d = load_part(x + j, n) - center;
      const F16 inside = n == 16 ? d : select_first(n, d, F16::broadcast(0.0F));
      squares = fma(inside, inside, squares);
    });
    const float variance = tree_sum(squares) / static_cast<float>(width);
    const F16 scale = layer_norm_rstd(F16::broadcast(variance), F16::broadcast(kLayerNormEpsilon));
    each_vector(width, [&](int j, int n) {
      store_part(
          layer_norm(load_part(x + j, n), center, scale, load_part(gamma + j, n), load_part(beta + j, n)),
          y + j, n);
    });
    mean[r] = row_mean;
    scale.store_n(rstd + r, 1);
  }
}

inline void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                     const float* mean, const float* rstd, int rows, int width) {
  for (int r = 0; r < rows; ++r) {
    const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(r) * width;
    const float *x = in + offset, *dy = dout + offset;
    float* dx = din + offset;
    const F16 center = F16::broadcast(mean[r]), scale = F16::broadcast(rstd[r]);
    F16 sum = F16::broadcast(0.0F), projected = sum;
    each_vector(width, [&](int j, int n) {
      const F16 g = load_part(dy + j, n) * load_part(gamma + j, n);  // +0 past the end
      sum = sum + g;
      const F16 normal = layer_norm_normal(load_part(x + j, n), center, scale);
      // Past the end normal is arbitrary and may be infinite: keep it out of the sum.
      const F16 inside = n == 16 ? normal : select_first(n, normal, F16::broadcast(0.0F));
      projected = fma(g, inside, projected);
    });
    const F16 a = F16::broadcast(tree_sum(sum) / static_cast<float>(width));
    const F16 c = F16::broadcast(tree_sum(projected) / static_cast<float>(width));
    each_vector(width, [&](int j, int n) {
      const F16 gradient = layer_norm_gradient(load_part(dy + j, n), load_part(gamma + j, n),
                                               load_part(x + j, n), center, scale, a, c);
      store_part(load_part(dx + j, n) + gradient, dx + j, n);
    });
  }
}

inline void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                          const float* mean, const float* rstd, int rows, int stride,
                                          int columns) {
  each_vector(columns, [&](int j, int n) {
    const auto at = [&](const float* base, int r) __attribute__((always_inline)) {
      return load_part(base + static_cast<std::ptrdiff_t>(r) * stride + j, n);
    };
    F16 beta_total = F16::broadcast(0.0F);
    F16 gamma_total = beta_total;
    for (int first = 0; first < rows; first += kRowBlock) {
      // Both sums in one pass over the rows.
      F16 beta_sum = F16::broadcast(0.0F);
      const F16 gamma_sum = column_block_sum<F16>(first, rows, [&](int r, F16 sum) {
        const F16 dy = at(dout, r);
        beta_sum = beta_sum + dy;
        return layer_norm_add_gamma_gradient(dy, at(in, r), F16::broadcast(mean[r]), F16::broadcast(rstd[r]),
                                             sum);
      });
      beta_total = first == 0 ? beta_sum : beta_total + beta_sum;
      gamma_total = first == 0 ? gamma_sum : gamma_total + gamma_sum;
    }
    store_part(gamma_total, dgamma + j, n);
    store_part(beta_total, dbeta + j, n);
  });
}

// Four vectors of columns at a time: a cache line of each row is used whole, and the chains overlap.
inline void column_sums(float* sums, const float* in, int rows, int stride, int columns) {
  int j = 0;
  for (; j + 64 <= columns; j += 64) {
    const F16 zero = F16::broadcast(0.0F);
    F16 total[] = {zero, zero, zero, zero};
    for (int first = 0; first < rows; first += kRowBlock) {
      const int end = rows - first < kRowBlock ? rows : first + kRowBlock;
      F16 a = zero, b = zero, c = zero, d = zero;
      for (int r = first; r < end; ++r) {
        const float* row = in + static_cast<std::ptrdiff_t>(r) * stride + j;
        a = a + F16::load(row);
        b = b + F16::load(row + 16);
        c = c + F16::load(row + 32);
        d = d + F16::load(row + 48);
      }
      const F16 block[] = {a, b, c, d};
      for (int i = 0; i < 4; ++i) total[i] = first == 0 ? block[i] : total[i] + block[i];
    }
    for (int i = 0; i < 4; ++i) total[i].store(sums + j + 16 * i);
  }
  each_vector(columns - j, [&](int k, int n) {
    const F16 sum = column_sum<F16>(rows, [&](int r, F16 partial) {
      return partial + load_part(in + static_cast<std::ptrdiff_t>(r) * stride + j + k, n);
    });
    store_part(sum, sums + j + k, n);
  });
}

// As each_vector, for counts beyond an int.
template <class Body>
UFAB_INLINE void each_vector_long(std::size_t count, Body body) {
  std::size_t j = 0;
  for (; j + 16 <= count; j += 16) body(j, 16);
  if (j < count) body(j, static_cast<int>(count - j));
}

inline void gelu_forward(float* out, const float* in, std::size_t count) {
  each_vector_long(count, [&](std::size_t j, int n) { store_part(gelu(load_part(in + j, n)), out + j, n); });
}
inline void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) {
  each_vector_long(count, [&](std::size_t j, int n) {
    store_part(gelu_gradient(load_part(in + j, n)) * load_part(dout + j, n), din + j, n);
  });
}
inline void add(float* out, const float* a, const float* b, std::size_t count) {
  each_vector_long(count, [&](std::size_t j, int n) {
    store_part(load_part(a + j, n) + load_part(b + j, n), out + j, n);
  });
}

inline void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows,
                                  int vocab, int count, bool gradient) {
  const float share = 1.0F / static_cast<float>(count);
  for (int r = 0; r < rows; ++r) {
    float* x = logits + static_cast<std::ptrdiff_t>(r) * vocab;
    const std::int32_t target = targets[r];
    const F16 lowest = F16::broadcast(-__builtin_inff());
    F16 highest = lowest;
    each_vector(vocab, [&](int j, int n) {
      const F16 v = n == 16 ? F16::load(x + j) : select_first(n, F16::load_n(x + j, n), lowest);
      highest = select_less(highest, v, v, highest);
    });
    const float top = tree_max(highest), target_logit = x[target];
    const F16 top_all = F16::broadcast(top);
    F16 sum = F16::broadcast(0.0F);
    each_vector(vocab, [&](int j, int n) {
      const F16 e = exp(load_part(x + j, n) - top_all);
      sum = sum + (n == 16 ? e : select_first(n, e, F16::broadcast(0.0F)));
      store_part(e, x + j, n);
    });
    const float total = tree_sum(sum);
    float log_total[16];
    log(F16::broadcast(total)).store(log_total);
    losses[r] = (log_total[0] + top) - target_logit;
    if (!gradient) continue;
    const F16 factor = F16::broadcast((1.0F / total) * share);
    each_vector(vocab, [&](int j, int n) { store_part(load_part(x + j, n) * factor, x + j, n); });
    x[target] -= share;
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
