// Text pieces that the export formats share. Pure; UTC only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab {

struct UtcTime {
  unsigned year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};
[[nodiscard]] UtcTime utc_time(std::uint64_t us);
// Midnight of a day, microseconds since 1970. Precondition: a date from 1970 on.
[[nodiscard]] std::uint64_t utc_us(unsigned year, unsigned month, unsigned day);

// 2026-11-25 (its midnight) or 2026-11-25T13:28:43, with or without a Z; ErrorCode::usage for anything else.
[[nodiscard]] Result<std::uint64_t> parse_utc(const std::string& text);

// 2026-11-25T13:28:43Z, whole seconds.
[[nodiscard]] std::string iso_time(std::uint64_t us);
// The same with the part of a second in 3 or 6 digits when there is one, as Rust's chrono writes it.
[[nodiscard]] std::string iso_time_exact(std::uint64_t us);
[[nodiscard]] inline std::uint64_t whole_seconds(std::uint64_t us) {
  return us / 1'000'000;
}

// Between tags and in attributes. The ledger's text has no control characters.
[[nodiscard]] std::string xml_escape(std::string_view text);
// A JSON string, quotes included. Precondition: well-formed UTF-8.
[[nodiscard]] std::string json_quoted(std::string_view text);
// A field of a CSV line (RFC 4180): quoted when it must be.
[[nodiscard]] std::string csv_field(std::string_view text);
// The first `size_max` bytes at most, cut between characters. Precondition: well-formed UTF-8.
[[nodiscard]] std::string utf8_prefix(std::string_view text, std::size_t size_max);

}  // namespace ufab
