// Fair share between organisations: what each has used, halved every half-life, against its shares.
//
// Fair tree's idea at one level: organisations are ranked by usage per share, whoever has used least of what
// is its due first, and the factor is the rank, so that it tells them apart however small or large the usages
// are. Integers only; the decay is exact to 2^-32 a call, and the same on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ufab::jobs {

// usage × 2^(−elapsed_s / half_life_s), rounded down. half_life_s at least 1.
[[nodiscard]] std::uint64_t decayed_usage(std::uint64_t usage, std::uint64_t elapsed_s,
                                          std::uint64_t half_life_s);

struct ShareUse {
  std::uint32_t shares = 1;  // 0: nothing is its due; it comes last
  std::uint64_t usage = 0;
};
inline constexpr std::uint32_t factor_one = 1'000'000;
// Of each, in millionths: whoever has used least per share has factor_one, equal uses have equal factors.
[[nodiscard]] std::vector<std::uint32_t> fair_share_factors(std::span<const ShareUse> all);

}  // namespace ufab::jobs
