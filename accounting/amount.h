// Money. An amount is an unsigned 64-bit number of micro-UNC (1 UNC = 1,000,000 micro-UNC). Sums are checked,
// products are formed in 128 bits and rounded down; nothing wraps and nothing is floating point.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab {

using MicroUnc = std::uint64_t;
__extension__ using Uint128 = unsigned __int128;

inline constexpr MicroUnc micro_per_unc = 1'000'000;
inline constexpr std::uint64_t ppm_one = 1'000'000;  // parts per million: 1,000,000 ppm is all of it
inline constexpr std::uint64_t flop_per_tflop = 1'000'000'000'000;
inline constexpr std::uint64_t us_per_hour = 3'600'000'000;

// Empty when the sum does not fit, or the difference is negative.
[[nodiscard]] std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b);
[[nodiscard]] std::optional<std::uint64_t> checked_sub(std::uint64_t a, std::uint64_t b);
[[nodiscard]] std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b);
// floor(a * b / divisor), exact in between; empty when the result does not fit. Precondition: divisor > 0.
[[nodiscard]] std::optional<std::uint64_t> mul_div(std::uint64_t a, std::uint64_t b, std::uint64_t divisor);
// floor(amount * ppm / 1,000,000). Precondition: ppm <= 1,000,000, so that it always fits.
[[nodiscard]] std::uint64_t part_ppm(std::uint64_t amount, std::uint64_t ppm);

// "12.5 UNC": no trailing zeros in the fraction, at most six digits.
[[nodiscard]] std::string format_amount(MicroUnc amount);
// Accepts "12.5", "12.5 UNC" and "12.5UNC"; a sign, an exponent or a seventh fractional digit is an error.
[[nodiscard]] Result<MicroUnc> parse_amount(std::string_view text);

}  // namespace ufab
