// Values of batch options in Slurm's notation (sbatch(1), version 22.05). Each parser accepts what sbatch
// accepts and says in one line what would be right otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab::jobs {

// Minutes; "M", "M:S", "H:M:S", "D-H", "D-H:M", "D-H:M:S". Seconds round up to a whole minute, as Slurm does.
// nullopt: UNLIMITED, INFINITE or 0 (sbatch: no limit).
[[nodiscard]] Result<std::optional<std::uint32_t>> parse_time_limit(std::string_view text);

// MiB; a whole number and K, M, G or T (either case); no letter: MiB. K rounds up.
// At most 4 PiB, so that what is needed for every thread of a job can be multiplied out.
inline constexpr std::uint64_t max_memory_mib = std::uint64_t{1} << 32;
[[nodiscard]] Result<std::uint64_t> parse_memory_mib(std::string_view text);

// A whole number within [low, high]; decimal digits only.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t low, std::uint64_t high);

struct CountRange {
  std::uint32_t min = 1;
  std::uint32_t max = 1;
};
// "3", "2-4" (Slurm's --nodes) or "2..4" (--providers), 1 <= min <= max <= 1024.
[[nodiscard]] Result<CountRange> parse_range(std::string_view text, std::string_view separator);

struct SignalRequest {
  int number = 0;
  std::uint32_t seconds_before_end = 60;
  bool batch_shell_only = false;  // B:
};
// "[B:]SIGNAL[@SECONDS]"; SIGNAL by number or name, with or without "SIG".
[[nodiscard]] Result<SignalRequest> parse_signal(std::string_view text);
// "USR1", "9"… to its number; nullopt when unknown.
[[nodiscard]] std::optional<int> signal_number(std::string_view name);
[[nodiscard]] std::string signal_name(int number);

// Parts per million of "5%", "12.5%", "100%": at most four decimals.
[[nodiscard]] Result<std::uint32_t> parse_percent_ppm(std::string_view text);

// What %-patterns in file names stand for.
struct NameValues {
  std::uint64_t job = 0;
  std::string job_name;
  std::string user;
  std::string node;
};
// %j %A job, %x name, %u user, %N short host name, %n and %t 0, %% percent; a width pads numbers with zeros
// (%4j). Anything else stays as it is. A backslash anywhere turns patterns off and is removed.
[[nodiscard]] std::string expand_file_name(std::string_view pattern, const NameValues& values);

}  // namespace ufab::jobs
