// Order-free gradient sums: fixed point in 32-bit integers, one power-of-two scale per parameter tensor.
//
// A micro-batch's gradient g of a tensor becomes q = round-to-nearest-even(g * 2^exponent) and is added to
// the sums. Integer addition is associative and commutative, so any partition of the micro-batches over
// threads, ranks and providers, summed in any order, gives the same bits.
//
// Nothing wraps unseen. peak = the largest |q| of one contribution to one tensor (kPeakLimit when an element
// is not below 2^30 and so was not added). Peaks add up over the step's micro-batches, again in any order:
// while their total is below kPeakLimit = 2^31, no sum of any of the contributions leaves 32 bits. At
// kPeakLimit or above the step must be done again with a smaller exponent. The same total gives the next
// step's exponent. The first step is done again too where its scale was a bad guess: AdamW's first step
// depends on the sign of each element alone, so that even small ones must not be rounded to zero.
//
// Why 32 bits are enough: with kPeakBits = 26 an element is kept to 2^-26 of the largest of its tensor for
// one micro-batch, to 2^-22 for sixteen; bfloat16, in which gradients are commonly summed, keeps 2^-8 of
// each.
//
// fingerprint = sum of q_i * key(first_index + i) mod 2^64, key(i) = (h ^ (h >> 29)) | 1 with
// h = i * 0x9E3779B97F4A7C15 mod 2^64. It adds up over spans of one gradient and over micro-batches, and
// tells which micro-batch of a wrong sum differs. It is NOT collision resistant: a digest of the sums
// (SHA-256) is the proof, the fingerprint only localises.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/backend.h"

namespace ufab::kernels {

inline constexpr std::uint64_t kPeakLimit = std::uint64_t{1} << 31;  // of a step's total peak, exclusive
inline constexpr int kPeakBits = 26;       // of the total peak that next_exponent() aims at
inline constexpr int kFirstExponent = 24;  // of the first step's first try
inline constexpr int kExponentMin = -100, kExponentMax = 100;

// Adds the quantised gradient to sums (same size), modulo 2^32; with `fresh` sums become what is added. An
// element whose |q| would not be below 2^30, or which is not finite, is not added. exponent in
// kExponentMin..kExponentMax (asserted). first_index: the position of g[0] in the whole parameter vector.
// Waits for the backend: the model's own passes call the backend's operator instead.
[[nodiscard]] QuantizeResult quantize_add(Backend& backend, std::span<const float> g, int exponent,
                                          std::uint64_t first_index, std::span<std::int32_t> sums,
                                          bool fresh = false);

// The exponent for a tensor's next step, from this step's and its total peak: the one at which the same peak
// would have kPeakBits bits, so that it may grow 32-fold before a step is done again. A peak of 0 keeps the
// exponent.
[[nodiscard]] int next_exponent(int exponent, std::uint64_t peak);

// After a try of step `step` (from 1): whether it must be done again, by the tensors' total peaks. If so, the
// exponents concerned have been changed: lowered by kOverflowStep where a peak reached kPeakLimit, and, in
// the first step, as next_exponent() says where it stayed more than kFirstSlackBits below the aim. After
// kStepTries tries no exponent helps.
[[nodiscard]] bool adjust_exponents(std::uint64_t step, std::span<const std::uint64_t> peaks,
                                    std::span<int> exponents);
inline constexpr int kOverflowStep = 8;
inline constexpr int kFirstSlackBits = 4;
inline constexpr int kStepTries = 24;

}  // namespace ufab::kernels
