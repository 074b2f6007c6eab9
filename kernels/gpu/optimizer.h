// Integer gradient sums (kernels/gradient.h) and AdamW (kernels/adamw.h).
#pragma once

#include "kernels/backend.h"
#include "kernels/gpu/elements.h"
#include "kernels/gradient.h"
#include "kernels/order/optimizer.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

UFAB_KERNEL(kElementThreads)
void quantize_add_kernel(QuantizeResult* result, std::int32_t* sums, const float* gradient, std::size_t count,
                         float factor, std::uint64_t first_index, int fresh) {
  UFAB_SHARED(std::uint64_t, fingerprints, kElementThreads);
  UFAB_SHARED(std::uint32_t, peaks, kElementThreads);
  UFAB_SHARED(std::uint32_t, flags, kElementThreads);
  std::uint64_t fingerprint = 0;
  std::uint32_t peak = 0, non_finite = 0;
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    const float g = gradient[i], scaled = g * factor;
    if (!(__builtin_fabsf(g) < __builtin_inff())) non_finite = 1;
    if (!(__builtin_fabsf(scaled) < kGradientBound)) {
      peak = static_cast<std::uint32_t>(kPeakLimit);
      if (fresh != 0) sums[i] = 0;
      continue;
    }
    const auto q = static_cast<std::int32_t>(round_even(scaled));
    const auto magnitude = static_cast<std::uint32_t>(q < 0 ? -q : q);
    peak = magnitude > peak ? magnitude : peak;
    fingerprint += static_cast<std::uint64_t>(static_cast<std::int64_t>(q)) *
                   fingerprint_key((first_index + i) * kFingerprintStep);
    const std::uint32_t before = fresh != 0 ? 0U : static_cast<std::uint32_t>(sums[i]);
    sums[i] = static_cast<std::int32_t>(before + static_cast<std::uint32_t>(q));
  }
  const int thread = thread_index();
  fingerprints[thread] = fingerprint;
  peaks[thread] = peak;
  flags[thread] = non_finite;
  // Sixteen threads of sixteen, then one of the sixteen.
  for (int step = 16; step > 0; step -= 15) {
    block_barrier();
    const int from = step == 16 ? thread + 16 : 1, end = step == 16 ? kElementThreads : 16;
    if (thread >= step) continue;
    for (int i = from; i < end; i += step) {
      fingerprints[thread] += fingerprints[i];
      peaks[thread] = peaks[thread] > peaks[i] ? peaks[thread] : peaks[i];
      flags[thread] |= flags[i];
    }
  }
  if (thread == 0) {
    if (flags[0] != 0) atomic_or(&result->non_finite, 1);
    atomic_max(&result->peak, peaks[0]);
    atomic_add(&result->fingerprint, fingerprints[0]);
  }
}

// A group of sixteen threads a block of kNormBlock elements.
UFAB_KERNEL(kRowThreads)
void sum_of_squares_kernel(double* of_block, const std::int32_t* sums, std::size_t count, int blocks) {
  const int block = static_cast<int>(block_index()) * kRowsPerBlock + thread_index() / kLanes;
  const std::size_t first = static_cast<std::size_t>(block) * kNormBlock;
  std::size_t end = block < blocks ? first + kNormBlock : first;
  end = end < count ? end : count;
  double sum = 0;
  for (std::size_t i = first + static_cast<std::size_t>(thread_index() % kLanes); i < end; i += kLanes) {
    const auto x = static_cast<double>(sums[i]);
    sum = fma_once(x, x, sum);
  }
  sum = lane_total(sum);
  if (block < blocks && thread_index() % kLanes == 0) of_block[block] = sum;
}
UFAB_KERNEL(32)
void sum_of_blocks_kernel(double* result, const double* of_block, int blocks) {
  if (thread_index() != 0) return;
  double total = 0;
  for (int block = 0; block < blocks; ++block) total += of_block[block];
  *result = total;
}

UFAB_KERNEL(kElementThreads)
void adamw_kernel(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
                  AdamWScalars scalars) {
  const auto s = AdamWLanes<Lane>::of(scalars);
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    Lane p{params[i]}, first{m[i]}, second{v[i]};
    adamw_update(s, Lane{static_cast<float>(sums[i])}, p, first, second);
    params[i] = p.v;
    m[i] = first.v;
    v[i] = second.v;
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
