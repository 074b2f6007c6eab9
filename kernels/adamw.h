// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019) on integer gradient sums.
//
// factor = 2^-exponent / micro_batches (binary64, one rounding). Per element, binary32 unless said:
//   g = float(double(sum) * factor) * clip_scale
//   m = fma(beta1, m, (1 - beta1) * g)          v = fma(beta2, v, ((1 - beta2) * g) * g)
//   u = (m * c1) / (sqrt(v * c2) + eps)         u = fma(weight_decay, p, u) where the tensor decays
//   p = fma(-lr, u, p)
// with 1 - beta in binary32, and c = float(1 / (1 - beta^step)) in binary64, the power by repeated squaring.
//
// The squared norm is a binary64 sum of x * x, x = double(sum) * factor: blocks of 65536 elements, in each
// sixteen strided fma chains and the tree of a lane sum (kernels/semantics.h); blocks are added ascending.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/backend.h"

namespace ufab::kernels {

// Global L2 norm of the mean gradient over all of `sums`. micro_batches >= 1, exponent in -512..512.
[[nodiscard]] double gradient_norm(Backend& backend, std::span<const std::int64_t> sums, int exponent,
                                   int micro_batches);

// The factor that brings a gradient of this norm to at most `clip` (0: off, gives 1).
[[nodiscard]] float gradient_clip_scale(double norm, float clip);

// One step of one tensor, or of any part of it. step counts from 1. `decay` says whether config.weight_decay
// applies. All spans have one size (asserted).
void adamw_step(Backend& backend, const AdamWConfig& config, std::uint64_t step, int exponent,
                int micro_batches, float clip_scale, bool decay, std::span<const std::int64_t> sums,
                std::span<float> params, std::span<float> m, std::span<float> v);

}  // namespace ufab::kernels
