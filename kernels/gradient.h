// Order-free gradient sums: fixed point in 64-bit integers.
//
// A micro-batch's gradient g becomes q = round-to-nearest-even(g * 2^exponent) and is added to the sums.
// Integer addition is associative and commutative, so any partition of the micro-batches over threads, ranks
// and providers, summed in any order, gives the same bits. Nothing ever wraps: with at most n contributions
// per step, quantize_bound(n) keeps every partial sum below 2^62 in magnitude.
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

// The exclusive bound on |q| that makes `contributions` (1 .. 2^32) of them sum without overflow:
// 2^(62 - ceil(log2 contributions)).
[[nodiscard]] std::uint64_t quantize_bound(std::uint64_t contributions);

// Adds the quantised gradient to sums (same size). An element whose |q| >= bound, or which is not finite,
// sets its flag and is not added. bound in 1..2^62, exponent in -512..512 (asserted).
// first_index: the position of g[0] in the whole parameter vector.
[[nodiscard]] QuantizeResult quantize_add(Backend& backend, std::span<const float> g, int exponent,
                                          std::uint64_t bound, std::uint64_t first_index,
                                          std::span<std::int64_t> sums);

// into[i] += from[i]; sizes equal (asserted).
void add_sums(Backend& backend, std::span<const std::int64_t> from, std::span<std::int64_t> into);

}  // namespace ufab::kernels
