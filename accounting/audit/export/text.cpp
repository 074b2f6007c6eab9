#include "accounting/audit/export/text.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>

#include "accounting/audit/reconcile/sacct.h"

namespace ufab {

UtcTime utc_time(std::uint64_t us) {
  using namespace std::chrono;
  const sys_time<microseconds> time{microseconds(static_cast<std::int64_t>(us))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time - day));
  return {static_cast<unsigned>(static_cast<int>(date.year())),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<unsigned>(clock.hours().count()),
          static_cast<unsigned>(clock.minutes().count()),
          static_cast<unsigned>(clock.seconds().count())};
}

std::uint64_t utc_us(unsigned year, unsigned month, unsigned day) {
  using namespace std::chrono;
  const sys_days date{std::chrono::year(static_cast<int>(year)) / std::chrono::month(month) /
                      std::chrono::day(day)};
  return static_cast<std::uint64_t>(duration_cast<microseconds>(date.time_since_epoch()).count());
}

Result<std::uint64_t> parse_utc(const std::string& text) {
  std::string whole = text;
  if (whole.size() == 20 && whole.back() == 'Z') whole.pop_back();
  if (whole.size() == 10) whole += "T00:00:00";
  const auto us = whole.find('T') == std::string::npos ? std::nullopt : sacct_time_us(whole);
  if (us) {
    const UtcTime t = utc_time(*us);  // the 31st of a shorter month would become another day
    if (fmt::format("{:04}-{:02}-{:02}", t.year, t.month, t.day) == whole.substr(0, 10)) return *us;
  }
  return Error{ErrorCode::usage,
               fmt::format("'{}' is no date: expected YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, UTC", text)};
}

namespace {
std::string iso_without_zone(std::uint64_t us) {
  const UtcTime t = utc_time(us);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", t.year, t.month, t.day, t.hour, t.minute,
                     t.second);
}
}  // namespace

std::string iso_time(std::uint64_t us) {
  return iso_without_zone(us) + "Z";
}

std::string iso_time_exact(std::uint64_t us) {
  const std::uint64_t rest = us % 1'000'000;
  if (rest == 0) return iso_time(us);
  return rest % 1000 == 0 ? fmt::format("{}.{:03}Z", iso_without_zone(us), rest / 1000)
                          : fmt::format("{}.{:06}Z", iso_without_zone(us), rest);
}

std::string xml_escape(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

std::string json_quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) {
    result += c;
    if (c == '"') result += c;
  }
  return result + "\"";
}

std::string utf8_prefix(std::string_view text, std::size_t size_max) {
  if (text.size() <= size_max) return std::string(text);
  std::size_t size = size_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return std::string(text.substr(0, size));
}

}  // namespace ufab
