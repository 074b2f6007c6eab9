// Points in time as sbatch reads them for --begin and --deadline, in the local time zone ($TZ).
//
//   moment = { blank | "-" | "T" } piece …        pieces in any order, later ones win
//   piece  = "now" [("+" | "-") N [unit]] | "today" | "tomorrow" | "midnight" | "noon" | "fika" | "teatime"
//          | H[H]:MM[:SS][AM | PM] | MMDD[YY] | M[M]/D[D][/YY] (or with dots) | YYYY-MM-DD
//   unit   = second[s] (default) | minute[s] | hour[s] | day[s] | week[s]
//   or "uts" SECONDS since 1970
//
// A time without a date is the next one to come, to the minute; a date without a time begins at midnight, and
// without a year is the next one to come. Words may be in capitals, except that a capital T is read as the
// mark between date and time (sbatch's reading: "Tomorrow" is refused).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab::jobs {

// Seconds since 1970. `now_s` is the moment of reading.
[[nodiscard]] Result<std::int64_t> parse_moment(std::string_view text, std::int64_t now_s);
// "2026-11-25T14:17:07", local time.
[[nodiscard]] std::string format_moment(std::int64_t moment_s);

}  // namespace ufab::jobs
