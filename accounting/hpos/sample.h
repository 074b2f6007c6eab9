// Deterministic draws from a seed. SHA-256 is the source of randomness, so that every replica draws the same;
// integer arithmetic only. Leaders are drawn from the epoch's seed (epoch_seed.h); verifiers and windows from
// it and the hash of the block before, so that nobody knows them early; that block's maker can try several.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab::hpos {

// The first eight bytes of SHA-256("ufab draw 1\n" || seed || counter), little-endian.
[[nodiscard]] std::uint64_t draw(const Digest& seed, std::uint64_t counter);

// Index of one entry with probability weight / Σ weights, from draw(seed, counter) scaled to the sum (bias
// below Σ / 2^64). Precondition: Σ weights > 0, and the sum fits in 64 bits.
[[nodiscard]] std::size_t weighted_pick(const Digest& seed, std::uint64_t counter,
                                        std::span<const std::uint64_t> weights);

// Which of `candidates` are re-executed: ceil(n × rate) of them, at least one, at most count_max; those with
// the smallest draws, in ascending order of the candidate. Empty only if there are no candidates.
[[nodiscard]] std::vector<std::uint64_t> sampled_windows(const Digest& seed,
                                                         std::span<const std::uint64_t> candidates,
                                                         std::uint64_t rate_ppm, std::size_t count_max);

// Divides `total` in proportion to the weights with the largest-remainder method: floors first, then one
// more to the largest remainders (ties: the earlier entry). Sums to total exactly; all zero if Σ weights = 0.
[[nodiscard]] std::vector<std::uint64_t> apportion(std::uint64_t total,
                                                   std::span<const std::uint64_t> weights);

}  // namespace ufab::hpos
