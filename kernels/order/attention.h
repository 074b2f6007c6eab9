// Causal self-attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022), the parts that
// are not chains of products. The order of the chains: kernels/semantics.h. F: kernels/math.h.
#pragma once

#include "kernels/host_device.h"
#include "kernels/math.h"

namespace ufab::kernels {

// What a query's sums so far are multiplied by when the largest score goes from `before` to `now`. A first
// tile has nothing to correct.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F attention_correction(F before, F now) {
  return exp(before - now);
}

// Of a score with the largest score so far, or in the backward pass with logsumexp.
template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F attention_probability(F score, F reference) {
  return exp(score - reference);
}

template <class F>
[[gnu::always_inline]] inline UFAB_HOST_DEVICE F attention_score_gradient(F p, F dp, F delta, F scale) {
  return (p * (dp - delta)) * scale;
}

}  // namespace ufab::kernels
