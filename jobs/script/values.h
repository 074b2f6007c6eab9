// Values of batch options in Slurm's notation (sbatch(1), version 22.05). Each parser accepts what sbatch
// accepts and says in one line what would be right otherwise; each format_… gives Slurm's own spelling back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab::jobs {

// Seconds of "M", "M:S", "H:M:S", "D-", "D-H", "D-H:M", "D-H:M:S". nullopt: UNLIMITED, INFINITE or -1.
[[nodiscard]] Result<std::optional<std::uint64_t>> parse_duration_s(std::string_view text);
// Minutes in the same notation; seconds round up to a whole minute, as Slurm does. nullopt also for 0
// (sbatch: no limit).
[[nodiscard]] Result<std::optional<std::uint32_t>> parse_time_limit(std::string_view text);
// "[D-]HH:MM:SS" or "UNLIMITED".
[[nodiscard]] std::string format_time_limit(std::optional<std::uint32_t> minutes);
[[nodiscard]] std::string format_seconds(std::uint64_t seconds);

// MiB; a whole number and K, M, G or T (either case, a B may follow); no letter: MiB. K rounds up.
// At most 4 PiB, so that what is needed for every thread of a job can be multiplied out.
inline constexpr std::uint64_t max_memory_mib = std::uint64_t{1} << 32;
[[nodiscard]] Result<std::uint64_t> parse_memory_mib(std::string_view text);
// In the largest unit that divides it: "1536", "4G", "1T"; MiB carry no letter.
[[nodiscard]] std::string format_memory(std::uint64_t mib);

// A whole number within [low, high]; decimal digits only.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t low, std::uint64_t high);
// The same as Slurm's counts: blanks and a + may stand in front.
[[nodiscard]] Result<std::uint64_t> parse_slurm_count(std::string_view text, std::uint64_t low,
                                                      std::uint64_t high);

struct CountRange {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
  friend bool operator==(const CountRange&, const CountRange&) = default;
};
// "3" or "2..4" (--providers), 1 <= min <= max <= 1024.
[[nodiscard]] Result<CountRange> parse_range(std::string_view text, std::string_view separator);
// --nodes: "3", "2-4", "-4" (from 1), each with k (1024) or m (1024²); 1 <= min <= max < 2³¹.
[[nodiscard]] Result<CountRange> parse_nodes(std::string_view text);
[[nodiscard]] std::string format_nodes(const CountRange& nodes);

struct SignalRequest {
  int number = 0;
  std::uint32_t seconds_before_end = 60;
  bool batch_shell_only = false;     // B:
  bool reservation_overlap = false;  // R:
  friend bool operator==(const SignalRequest&, const SignalRequest&) = default;
};
// "[B:|R:|BR:]SIGNAL[@SECONDS]"; SIGNAL from 1 to 64 by number, or by name with or without "SIG", in any
// case.
[[nodiscard]] Result<SignalRequest> parse_signal(std::string_view text);
[[nodiscard]] std::string format_signal(const SignalRequest& request);
// "USR1", "9"… to its number; nullopt when unknown.
[[nodiscard]] std::optional<int> signal_number(std::string_view name);
[[nodiscard]] std::string signal_name(int number);

// Parts per million of "5%", "12.5%", "100%": at most four decimals.
[[nodiscard]] Result<std::uint32_t> parse_percent_ppm(std::string_view text);

}  // namespace ufab::jobs
