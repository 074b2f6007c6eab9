// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019) on integer gradient sums.
//
// factor = float(2^-exponent / micro_batches * clip_scale), in binary64 until the end. Per element, binary32:
//   g = float(sum) * factor
//   m = fma(beta1, m, (1 - beta1) * g)          v = fma(beta2, v, ((1 - beta2) * g) * g)
//   u = (m * c1) / (sqrt(v * c2) + eps)         u = fma(weight_decay, p, u) where the tensor decays
//   p = fma(-lr, u, p)
// with 1 - beta in binary32, and c = float(1 / (1 - beta^step)) in binary64, the power by repeated squaring.
//
// The squared norm of one tensor's sums is a binary64 sum of x * x, x = double(sum): blocks of 65536
// elements, in each sixteen strided fma chains and the tree of a lane sum (kernels/semantics.h); blocks are
// added ascending. The whole gradient's: with f = 2^-exponent / micro_batches of each tensor, the chain norm2
// = fma(f * f, its sum, norm2) over the tensors ascending.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/backend.h"
#include "kernels/parameters.h"

namespace ufab::kernels {

// Global L2 norm of the mean gradient. `sums` covers the whole parameter vector, tensors[t] has the scale
// 2^exponents[t] (sizes asserted). micro_batches >= 1.
// Waits for the backend.
[[nodiscard]] double gradient_norm(Backend& backend, std::span<const ParameterTensor> tensors,
                                   std::span<const std::int32_t> sums, std::span<const int> exponents,
                                   int micro_batches);

// The factor that brings a gradient of this norm to at most `clip` (0: off, gives 1).
[[nodiscard]] float gradient_clip_scale(double norm, float clip);

// One step of one tensor, or of any part of it. step counts from 1. `decay` says whether config.weight_decay
// applies. All spans have one size (asserted).
void adamw_step(Backend& backend, const AdamWConfig& config, std::uint64_t step, int exponent,
                int micro_batches, float clip_scale, bool decay, std::span<const std::int32_t> sums,
                std::span<float> params, std::span<float> m, std::span<float> v);

}  // namespace ufab::kernels
