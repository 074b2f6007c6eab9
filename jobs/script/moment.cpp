#include "jobs/script/moment.h"

#include <array>
#include <cctype>
#include <ctime>
#include <optional>

namespace ufab::jobs {

namespace {

constexpr std::int64_t day_s = 24 * 60 * 60;
constexpr std::int64_t delta_max_s = 200'000'000'000;  // some 6,000 years: four digits of a year suffice

std::tm local_time(std::int64_t moment_s) {
  const auto moment = static_cast<std::time_t>(moment_s);
  std::tm fields{};
  ::localtime_r(&moment, &fields);
  return fields;
}

struct Unit {
  std::string_view name;
  std::int64_t seconds;
};
// Longer names first: "minutes" begins with "minute".
constexpr std::array<Unit, 10> units{{{"seconds", 1},
                                      {"second", 1},
                                      {"minutes", 60},
                                      {"minute", 60},
                                      {"hours", 3600},
                                      {"hour", 3600},
                                      {"days", day_s},
                                      {"day", day_s},
                                      {"weeks", 7 * day_s},
                                      {"week", 7 * day_s}}};

struct Hour {
  std::string_view name;
  int hour;
};
constexpr std::array<Hour, 4> named_hours{{{"midnight", 0}, {"noon", 12}, {"fika", 15}, {"teatime", 16}}};

// Reads one text from left to right; what is found later replaces what was found earlier.
class Reader {
 public:
  Reader(std::string_view text, std::int64_t now_s) : text_(text), now_s_(now_s), now_(local_time(now_s)) {}

  std::optional<std::int64_t> read() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t' || c == '-' || c == 'T') {
        ++at_;
      } else if (!read_piece()) {
        return std::nullopt;
      }
    }
    return result();
  }

 private:
  bool read_piece() {
    if (take_word("today")) {
      set_date(now_);
      return true;
    }
    if (take_word("tomorrow")) {
      set_date(local_time(now_s_ + day_s));
      return true;
    }
    if (take_word("now")) return read_distance();
    for (const Hour& named : named_hours) {
      if (!take_word(named.name)) continue;
      set_time(named.hour, 0, 0);
      return true;
    }
    if (!is_digit(at_)) return false;
    return at(at_ + 1) == ':' || at(at_ + 2) == ':' ? read_time() : read_date();
  }

  // Behind "now": nothing, or a sign, a number and perhaps a unit.
  bool read_distance() {
    skip_blanks();
    std::int64_t seconds = 0;
    if (at_ < text_.size()) {
      const char sign = text_[at_];
      if (sign != '+' && sign != '-') return false;
      ++at_;
      skip_blanks();
      if (!is_digit(at_)) return false;
      for (; is_digit(at_); ++at_) {
        seconds = seconds * 10 + (text_[at_] - '0');
        if (seconds > delta_max_s) return false;
      }
      skip_blanks();
      for (const Unit& unit : units) {
        if (!take_word(unit.name)) continue;
        if (seconds > delta_max_s / unit.seconds) return false;
        seconds *= unit.seconds;
        break;
      }
      if (sign == '-') seconds = -seconds;
    }
    const std::tm then = local_time(now_s_ + seconds);
    set_date(then);
    set_time(then.tm_hour, then.tm_min, then.tm_sec);
    return true;
  }

  bool read_time() {
    int hour = 0;
    int minute = 0;
    int second = 0;
    if (!take_number(1, 2, hour) || hour > 23 || !take(':')) return false;
    if (!take_number(2, 2, minute) || minute > 59) return false;
    if (take(':') && (!take_number(2, 2, second) || second > 59)) return false;
    skip_blanks();
    if (take_word("am")) {
      if (hour > 12) return false;
      hour %= 12;
    } else if (take_word("pm")) {
      if (hour > 12) return false;
      hour = hour % 12 + 12;
    }
    set_time(hour, minute, second);
    return true;
  }

  bool read_date() {
    int year = -1;
    int month = 0;
    int day = 0;
    if (is_digit(at_ + 1) && is_digit(at_ + 2) && is_digit(at_ + 3) && at(at_ + 4) == '-') {
      if (!take_number(4, 4, year) || !take('-') || !take_number(2, 2, month) || !take('-') ||
          !take_number(2, 2, day))
        return false;
    } else {
      if (!take_number(1, 2, month)) return false;
      const bool separated = take('/') || take('.');
      if (!take_number(1, 2, day)) return false;
      if ((take('/') || take('.') || (!separated && is_digit(at_)))) {
        if (!take_number(2, 2, year)) return false;
        year += 2000;
      }
    }
    if (month < 1 || month > 12 || day < 1 || day > 31) return false;
    year_ = year;
    month_ = month - 1;
    day_ = day;
    return true;
  }

  std::optional<std::int64_t> result() {
    if (hour_ < 0 && month_ < 0) return std::nullopt;
    if (month_ < 0) {
      const bool to_come = hour_ > now_.tm_hour || (hour_ == now_.tm_hour && minute_ > now_.tm_min);
      set_date(to_come ? now_ : local_time(now_s_ + day_s));
    }
    if (hour_ < 0) set_time(0, 0, 0);
    if (year_ < 0) {
      const std::array<int, 4> wanted{month_, day_, hour_, minute_};
      const std::array<int, 4> present{now_.tm_mon, now_.tm_mday, now_.tm_hour, now_.tm_min};
      year_ = now_.tm_year + 1900 + (wanted > present ? 0 : 1);
    }
    std::tm fields{};
    fields.tm_year = year_ - 1900;
    fields.tm_mon = month_;
    fields.tm_mday = day_;
    fields.tm_hour = hour_;
    fields.tm_min = minute_;
    fields.tm_sec = second_;
    fields.tm_isdst = -1;
    return static_cast<std::int64_t>(std::mktime(&fields));  // 30 February becomes 2 March, as in Slurm
  }

  void set_date(const std::tm& fields) {
    year_ = fields.tm_year + 1900;
    month_ = fields.tm_mon;
    day_ = fields.tm_mday;
  }
  void set_time(int hour, int minute, int second) {
    hour_ = hour;
    minute_ = minute;
    second_ = second;
  }

  [[nodiscard]] char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }
  [[nodiscard]] bool is_digit(std::size_t index) const { return at(index) >= '0' && at(index) <= '9'; }
  void skip_blanks() {
    while (at(at_) == ' ' || at(at_) == '\t') ++at_;
  }
  bool take(char c) {
    if (at(at_) != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (std::tolower(static_cast<unsigned char>(at(at_ + i))) != word[i]) return false;
    }
    at_ += word.size();
    return true;
  }
  // As many digits as there are, within the bounds.
  bool take_number(int digits_min, int digits_max, int& value) {
    int digits = 0;
    value = 0;
    for (; digits < digits_max && is_digit(at_); ++digits) value = value * 10 + (text_[at_++] - '0');
    return digits >= digits_min;
  }

  std::string_view text_;
  std::int64_t now_s_;
  std::tm now_;
  std::size_t at_ = 0;
  int year_ = -1;
  int month_ = -1;  // from 0
  int day_ = 0;
  int hour_ = -1;
  int minute_ = 0;
  int second_ = 0;
};

std::optional<std::int64_t> parse_seconds(std::string_view digits) {
  std::int64_t seconds = 0;
  if (digits.empty()) return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = seconds * 10 + (c - '0');
    if (seconds > delta_max_s) return std::nullopt;
  }
  return seconds < 1'000'000 ? std::nullopt : std::optional(seconds);
}

}  // namespace

Result<std::int64_t> parse_moment(std::string_view text, std::int64_t now_s) {
  const bool counted = text.size() > 3 && std::tolower(static_cast<unsigned char>(text[0])) == 'u' &&
                       std::tolower(static_cast<unsigned char>(text[1])) == 't' &&
                       std::tolower(static_cast<unsigned char>(text[2])) == 's';
  const auto moment = counted ? parse_seconds(text.substr(3)) : Reader(text, now_s).read();
  if (!moment) {
    return Error{ErrorCode::invalid, "'" + std::string(text) +
                                         "' is not a point in time; write now+2hours, 16:00, noon, tomorrow, "
                                         "MM/DD, YYYY-MM-DD or YYYY-MM-DDTHH:MM[:SS]"};
  }
  return *moment;
}

std::string format_moment(std::int64_t moment_s) {
  const std::tm fields = local_time(moment_s);
  std::array<char, 40> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &fields)};
}

}  // namespace ufab::jobs
