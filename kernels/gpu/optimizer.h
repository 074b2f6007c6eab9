// Integer gradient sums (kernels/gradient.h) and AdamW (kernels/adamw.h).
#pragma once

#include "kernels/backend.h"
#include "kernels/gpu/elements.h"
#include "kernels/gpu/rows.h"
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
  each_group(count, in_fours(sums, gradient), [&](std::size_t first, auto n) {
    float g[n()];
    std::int32_t kept[n()] = {};
    load(g, gradient + first);
    if (fresh == 0) load(kept, sums + first);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) {
      const float scaled = g[j] * factor;
      if (!(__builtin_fabsf(g[j]) < __builtin_inff())) non_finite = 1;
      if (!(__builtin_fabsf(scaled) < kGradientBound)) {
        peak = static_cast<std::uint32_t>(kPeakLimit);
        continue;
      }
      const auto q = static_cast<std::int32_t>(round_even(scaled));
      const auto magnitude = static_cast<std::uint32_t>(q < 0 ? -q : q);
      peak = magnitude > peak ? magnitude : peak;
      const std::uint64_t index = first_index + first + static_cast<std::uint64_t>(j);
      fingerprint += static_cast<std::uint64_t>(static_cast<std::int64_t>(q)) *
                     fingerprint_key(index * kFingerprintStep);
      kept[j] =
          static_cast<std::int32_t>(static_cast<std::uint32_t>(kept[j]) + static_cast<std::uint32_t>(q));
    }
    store(sums + first, kept);
  });
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

// Ranges of sums whose squares are added up at the same time: the chains of one alone leave a device idle.
// Range i's blocks of kNormBlock elements are first_block[i] .. first_block[i + 1] - 1 of all.
struct SquaresOf {
  static constexpr int kMost = 192;  // a kernel takes 4 KiB of parameters
  SumRange ranges[kMost];
  int first_block[kMost + 1];
  int count;
};

// A group of sixteen threads a block.
UFAB_KERNEL(kRowThreads)
void sums_of_squares_kernel(double* of_block, const std::int32_t* sums, SquaresOf of) {
  const int block = static_cast<int>(block_index()) * kRowsPerBlock + thread_index() / kLanes;
  const int blocks = of.first_block[of.count];
  int range = 0;
  while (range + 1 < of.count && of.first_block[range + 1] <= block) ++range;
  const std::int32_t* const x =
      sums + of.ranges[range].first + static_cast<std::size_t>(block - of.first_block[range]) * kNormBlock;
  const std::size_t rest =
      of.ranges[range].count - static_cast<std::size_t>(block - of.first_block[range]) * kNormBlock;
  const int lane = thread_index() % kLanes;
  int elements = 0;  // of the lane
  if (block < blocks) {
    const auto here = static_cast<int>(rest < kNormBlock ? rest : kNormBlock);
    elements = (here - lane + kLanes - 1) / kLanes;
  }
  // While some are added to the chain the next ones are on their way.
  constexpr int kTogether = 32;
  double sum = 0;
  std::int32_t here[kTogether], next[kTogether];
  const auto load_some = [&](std::int32_t(&some)[kTogether], int first) {
    UFAB_UNROLL
    for (int i = 0; i < kTogether; ++i) some[i] = first + i < elements ? x[(first + i) * kLanes + lane] : 0;
  };
  load_some(here, 0);
  for (int first = 0; first < elements; first += kTogether) {
    load_some(next, first + kTogether);
    UFAB_UNROLL
    for (int i = 0; i < kTogether; ++i) {
      const auto value = static_cast<double>(here[i]);
      sum = fma_once(value, value, sum);  // of the zeros past the end nothing
      here[i] = next[i];
    }
  }
  sum = lane_total(sum);
  if (block < blocks && lane == 0) of_block[block] = sum;
}
// A block of threads a range: one adds what the others bring.
UFAB_KERNEL(kElementThreads)
void sums_of_blocks_kernel(double* results, const double* of_block, SquaresOf of) {
  UFAB_SHARED(double, brought, kElementThreads);
  const int range = static_cast<int>(block_index()), thread = thread_index();
  const int end = of.first_block[range + 1];
  double total = 0;
  for (int first = of.first_block[range]; first < end; first += kElementThreads) {
    if (first + thread < end) brought[thread] = of_block[first + thread];
    block_barrier();
    if (thread == 0) {
      const int rest = end - first;
      each_in_sixteens(0, rest < kElementThreads ? rest : kElementThreads,
                       [&](int i) { total += brought[i]; });
    }
    block_barrier();
  }
  if (thread == 0) results[range] = total;
}

UFAB_KERNEL(kElementThreads)
void adamw_kernel(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
                  AdamWScalars scalars) {
  const auto s = AdamWLanes<Lane>::of(scalars);
  each_group(count, in_fours(params, m, v, sums), [&](std::size_t i, auto n) {
    float p[n()], first[n()], second[n()];
    std::int32_t sum[n()];
    load(p, params + i);
    load(first, m + i);
    load(second, v + i);
    load(sum, sums + i);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) {
      Lane parameter{p[j]}, moment{first[j]}, square{second[j]};
      adamw_update(s, Lane{static_cast<float>(sum[j])}, parameter, moment, square);
      p[j] = parameter.v;
      first[j] = moment.v;
      second[j] = square.v;
    }
    store(params + i, p);
    store(m + i, first);
    store(v + i, second);
  });
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
