#include "jobs/script/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <vector>

namespace ufab::jobs {

namespace {

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

struct SignalName {
  const char* name;
  int number;
};
constexpr std::array<SignalName, 15> signal_names{{{"HUP", SIGHUP},
                                                   {"INT", SIGINT},
                                                   {"QUIT", SIGQUIT},
                                                   {"ABRT", SIGABRT},
                                                   {"KILL", SIGKILL},
                                                   {"USR1", SIGUSR1},
                                                   {"SEGV", SIGSEGV},
                                                   {"USR2", SIGUSR2},
                                                   {"PIPE", SIGPIPE},
                                                   {"ALRM", SIGALRM},
                                                   {"TERM", SIGTERM},
                                                   {"CONT", SIGCONT},
                                                   {"STOP", SIGSTOP},
                                                   {"URG", SIGURG},
                                                   {"XCPU", SIGXCPU}}};

}  // namespace

Result<std::optional<std::uint32_t>> parse_time_limit(std::string_view text) {
  const Error malformed{ErrorCode::invalid, "'" + std::string(text) +
                                                "' is not a time; write minutes, M:S, H:M:S, D-H, D-H:M or "
                                                "D-H:M:S"};
  if (equals_ignoring_case(text, "UNLIMITED") || equals_ignoring_case(text, "INFINITE") || text == "-1") {
    return std::optional<std::uint32_t>{};
  }
  std::uint64_t days = 0;
  bool has_days = false;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto number = to_number(text.substr(0, dash));
    if (!number) return malformed;
    days = *number;
    has_days = true;
    text.remove_prefix(dash + 1);
  }
  std::vector<std::uint64_t> parts;
  for (;;) {
    const std::size_t colon = text.find(':');
    const auto number = to_number(text.substr(0, colon));
    if (!number || parts.size() == 3) return malformed;
    parts.push_back(*number);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  std::uint64_t hours = 0;
  std::uint64_t minutes = 0;
  std::uint64_t seconds = 0;
  if (has_days) {
    hours = parts[0];
    if (parts.size() > 1) minutes = parts[1];
    if (parts.size() > 2) seconds = parts[2];
  } else if (parts.size() == 3) {
    hours = parts[0];
    minutes = parts[1];
    seconds = parts[2];
  } else {
    minutes = parts[0];
    if (parts.size() > 1) seconds = parts[1];
  }
  constexpr std::uint64_t bound = 1'000'000'000;  // keeps the sum far from overflow
  if (days > bound || hours > bound || minutes > bound || seconds > bound) return malformed;
  const std::uint64_t total = days * 1440 + hours * 60 + minutes + (seconds + 59) / 60;
  if (total == 0) return std::optional<std::uint32_t>{};
  if (total > 0x7fffffff) return Error{ErrorCode::limit, "the time limit is longer than 4,000 years"};
  return std::optional<std::uint32_t>(static_cast<std::uint32_t>(total));
}

Result<std::uint64_t> parse_memory_mib(std::string_view text) {
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) +
                            "' is not an amount of memory; write a whole number and K, M, "
                            "G or T (MiB without a letter)"};
  std::uint64_t shift = 0;
  bool kibi = false;
  std::string_view digits = text;
  if (!digits.empty() && std::isalpha(static_cast<unsigned char>(digits.back())) != 0) {
    switch (std::tolower(static_cast<unsigned char>(digits.back()))) {
      case 'k': kibi = true; break;
      case 'm': break;
      case 'g': shift = 10; break;
      case 't': shift = 20; break;
      default: return malformed;
    }
    digits.remove_suffix(1);
  }
  const auto number = to_number(digits);
  if (!number || *number > (std::uint64_t{1} << 40)) return malformed;
  const std::uint64_t mib = kibi ? (*number + 1023) / 1024 : *number << shift;
  if (mib > max_memory_mib) return Error{ErrorCode::limit, "'" + std::string(text) + "' is more than 4 PiB"};
  return mib;
}

Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t low, std::uint64_t high) {
  const auto number = to_number(text);
  if (!number || *number < low || *number > high) {
    return Error{ErrorCode::invalid, "'" + std::string(text) + "' is not a whole number from " +
                                         std::to_string(low) + " to " + std::to_string(high)};
  }
  return *number;
}

Result<CountRange> parse_range(std::string_view text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  UFAB_ASSIGN(const std::uint64_t low, parse_count(text.substr(0, at), 1, 1024));
  std::uint64_t high = low;
  if (at != std::string_view::npos) {
    UFAB_ASSIGN(high, parse_count(text.substr(at + separator.size()), low, 1024));
  }
  return CountRange{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high)};
}

std::optional<int> signal_number(std::string_view name) {
  if (const auto number = to_number(name); number && *number >= 1 && *number <= 64) {
    return static_cast<int>(*number);
  }
  if (name.size() > 3 && equals_ignoring_case(name.substr(0, 3), "SIG")) name.remove_prefix(3);
  for (const SignalName& known : signal_names) {
    if (equals_ignoring_case(name, known.name)) return known.number;
  }
  return std::nullopt;
}

std::string signal_name(int number) {
  for (const SignalName& known : signal_names) {
    if (known.number == number) return std::string("SIG") + known.name;
  }
  return "signal " + std::to_string(number);
}

Result<SignalRequest> parse_signal(std::string_view text) {
  SignalRequest request;
  std::string_view rest = text;
  if (rest.starts_with("B:")) {
    request.batch_shell_only = true;
    rest.remove_prefix(2);
  }
  const std::size_t at = rest.find('@');
  if (at != std::string_view::npos) {
    UFAB_ASSIGN(const std::uint64_t seconds, parse_count(rest.substr(at + 1), 0, 65535));
    request.seconds_before_end = static_cast<std::uint32_t>(seconds);
  }
  const auto number = signal_number(rest.substr(0, at));
  if (!number) {
    return Error{ErrorCode::invalid,
                 "'" + std::string(text) + "' is not [B:]SIGNAL[@SECONDS], for example B:USR1@60"};
  }
  request.number = *number;
  return request;
}

Result<std::uint32_t> parse_percent_ppm(std::string_view text) {
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) + "' is not a percentage such as 5% or 0.5%"};
  if (!text.ends_with('%')) return malformed;
  std::string_view digits = text.substr(0, text.size() - 1);
  const std::size_t point = digits.find('.');
  const auto whole = to_number(digits.substr(0, point));
  if (!whole || *whole > 100) return malformed;
  std::uint64_t ppm = *whole * 10'000;
  if (point != std::string_view::npos) {
    const std::string_view decimals = digits.substr(point + 1);
    if (decimals.empty() || decimals.size() > 4) return malformed;
    const auto fraction = to_number(std::string(decimals) + std::string(4 - decimals.size(), '0'));
    if (!fraction) return malformed;
    ppm += *fraction;
  }
  if (ppm > 1'000'000) return malformed;
  return static_cast<std::uint32_t>(ppm);
}

std::string expand_file_name(std::string_view pattern, const NameValues& values) {
  std::string out;
  if (pattern.find('\\') != std::string_view::npos) {
    for (const char c : pattern) {
      if (c != '\\') out.push_back(c);
    }
    return out;
  }
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      out.push_back(pattern[i]);
      continue;
    }
    std::size_t at = i + 1;
    std::size_t width = 0;
    while (at < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[at])) != 0 && at - i <= 2) {
      width = width * 10 + static_cast<std::size_t>(pattern[at] - '0');
      ++at;
    }
    width = std::min<std::size_t>(width, 10);  // Slurm's own bound
    const char letter = at < pattern.size() ? pattern[at] : '\0';
    std::string number;
    switch (letter) {
      case '%': out.push_back('%'); break;
      case 'A':
      case 'j': number = std::to_string(values.job); break;
      case 'n':
      case 't': number = "0"; break;
      case 'x': out += values.job_name; break;
      case 'u': out += values.user; break;
      case 'N': out += values.node; break;
      default: out += pattern.substr(i, at - i + (letter != '\0' ? 1 : 0)); break;
    }
    if (!number.empty()) {
      if (number.size() < width) out.append(width - number.size(), '0');
      out += number;
    }
    i = letter != '\0' ? at : at - 1;
  }
  return out;
}

}  // namespace ufab::jobs
