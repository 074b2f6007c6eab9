#include "jobs/script/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
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

// What strtol skips in front of a number.
std::string_view without_sign(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  return text;
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
// Those that Slurm knows by name come first, then others that a run may end with.
constexpr std::size_t slurm_signals = 16;
constexpr std::array<SignalName, 18> signal_names{{{"HUP", SIGHUP},
                                                   {"INT", SIGINT},
                                                   {"QUIT", SIGQUIT},
                                                   {"ABRT", SIGABRT},
                                                   {"KILL", SIGKILL},
                                                   {"ALRM", SIGALRM},
                                                   {"TERM", SIGTERM},
                                                   {"USR1", SIGUSR1},
                                                   {"USR2", SIGUSR2},
                                                   {"URG", SIGURG},
                                                   {"CONT", SIGCONT},
                                                   {"STOP", SIGSTOP},
                                                   {"TSTP", SIGTSTP},
                                                   {"TTIN", SIGTTIN},
                                                   {"TTOU", SIGTTOU},
                                                   {"XCPU", SIGXCPU},
                                                   {"SEGV", SIGSEGV},
                                                   {"PIPE", SIGPIPE}}};

}  // namespace

Result<std::optional<std::uint64_t>> parse_duration_s(std::string_view text) {
  const Error malformed{ErrorCode::invalid, "'" + std::string(text) +
                                                "' is not a time; write minutes, M:S, H:M:S, D-H, D-H:M or "
                                                "D-H:M:S"};
  if (equals_ignoring_case(text, "UNLIMITED") || equals_ignoring_case(text, "INFINITE") || text == "-1") {
    return std::optional<std::uint64_t>{};
  }
  std::uint64_t days = 0;
  const std::size_t dash = text.find('-');
  const bool has_days = dash != std::string_view::npos;
  if (has_days) {
    const auto number = to_number(text.substr(0, dash));
    if (!number) return malformed;
    days = *number;
    text.remove_prefix(dash + 1);
  }
  std::vector<std::uint64_t> parts;
  if (has_days && text.empty()) parts.push_back(0);  // "1-" is a day
  while (parts.empty() || !text.empty()) {
    const std::size_t colon = text.find(':');
    const auto number = to_number(text.substr(0, colon));
    if (!number || parts.size() == 3) return malformed;
    parts.push_back(*number);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    if (text.empty()) return malformed;
  }
  // Behind days the first part is hours; otherwise three parts begin with hours and fewer with minutes.
  if (!has_days && parts.size() < 3) parts.insert(parts.begin(), 0);
  parts.resize(3, 0);
  constexpr std::uint64_t bound = 1'000'000'000;  // keeps the sum far from overflow
  if (days > bound || *std::max_element(parts.begin(), parts.end()) > bound) return malformed;
  return std::optional<std::uint64_t>(days * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2]);
}

Result<std::optional<std::uint32_t>> parse_time_limit(std::string_view text) {
  UFAB_ASSIGN(const std::optional<std::uint64_t> seconds, parse_duration_s(text));
  if (!seconds || *seconds == 0) return std::optional<std::uint32_t>{};
  const std::uint64_t minutes = (*seconds + 59) / 60;
  if (minutes > 0x7fffffff) return Error{ErrorCode::limit, "the time limit is longer than 4,000 years"};
  return std::optional<std::uint32_t>(static_cast<std::uint32_t>(minutes));
}

std::string format_seconds(std::uint64_t seconds) {
  std::array<char, 48> text{};
  const auto days = static_cast<unsigned long long>(seconds / 86400);
  const auto rest = static_cast<unsigned>(seconds % 86400);
  const int length = days == 0 ? std::snprintf(text.data(), text.size(), "%02u:%02u:%02u", rest / 3600,
                                               rest / 60 % 60, rest % 60)
                               : std::snprintf(text.data(), text.size(), "%llu-%02u:%02u:%02u", days,
                                               rest / 3600, rest / 60 % 60, rest % 60);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string format_time_limit(std::optional<std::uint32_t> minutes) {
  return minutes ? format_seconds(std::uint64_t{*minutes} * 60) : "UNLIMITED";
}

Result<std::uint64_t> parse_memory_mib(std::string_view text) {
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) +
                            "' is not an amount of memory; write a whole number and K, M, "
                            "G or T (MiB without a letter)"};
  std::uint64_t shift = 0;
  bool kibi = false;
  std::string_view digits = without_sign(text);
  if (digits.size() > 2 && (digits.back() == 'b' || digits.back() == 'B') &&
      std::isalpha(static_cast<unsigned char>(digits[digits.size() - 2])) != 0) {
    digits.remove_suffix(1);  // "2GB"
  }
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

std::string format_memory(std::uint64_t mib) {
  if (mib != 0 && mib % (1024 * 1024) == 0) return std::to_string(mib >> 20) + "T";
  if (mib != 0 && mib % 1024 == 0) return std::to_string(mib >> 10) + "G";
  return std::to_string(mib);
}

Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t low, std::uint64_t high) {
  const auto number = to_number(text);
  if (!number || *number < low || *number > high) {
    return Error{ErrorCode::invalid, "'" + std::string(text) + "' is not a whole number from " +
                                         std::to_string(low) + " to " + std::to_string(high)};
  }
  return *number;
}

Result<std::uint64_t> parse_slurm_count(std::string_view text, std::uint64_t low, std::uint64_t high) {
  auto number = parse_count(without_sign(text), low, high);
  if (!number)
    return Error{
        ErrorCode::invalid,
        "'" + std::string(text) + number.error().message.substr(number.error().message.find("' is not"))};
  return number;
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

Result<CountRange> parse_nodes(std::string_view text) {
  const auto read = [](std::string_view part) -> std::optional<std::uint32_t> {
    std::uint64_t unit = 1;
    if (part.ends_with('k') || part.ends_with('K')) unit = 1024;
    if (part.ends_with('m') || part.ends_with('M')) unit = 1024 * 1024;
    if (unit != 1) part.remove_suffix(1);
    const auto number = to_number(without_sign(part));
    if (!number || *number == 0 || *number > 0x7fffffff / unit) return std::nullopt;
    return static_cast<std::uint32_t>(*number * unit);
  };
  const std::size_t dash = text.find('-');
  const auto low = dash == 0 ? std::optional<std::uint32_t>(1) : read(text.substr(0, dash));
  const auto high = dash == std::string_view::npos ? low : read(text.substr(dash + 1));
  if (!low || !high || *low > *high) {
    return Error{ErrorCode::invalid, "'" + std::string(text) + "' is not a number of nodes such as 2 or 2-4"};
  }
  return CountRange{*low, *high};
}

std::string format_nodes(const CountRange& nodes) {
  return std::to_string(nodes.min) + (nodes.min == nodes.max ? "" : "-" + std::to_string(nodes.max));
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
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) + "' is not [B:]SIGNAL[@SECONDS], for example B:USR1@60"};
  SignalRequest request;
  std::string_view rest = text;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    for (const char flag : rest.substr(0, colon)) {
      if (flag != 'B' && flag != 'R') return malformed;
      (flag == 'B' ? request.batch_shell_only : request.reservation_overlap) = true;
    }
    rest.remove_prefix(colon + 1);
  }
  const std::size_t at = rest.find('@');
  if (at != std::string_view::npos) {
    const std::string_view behind = rest.substr(at + 1);
    const auto seconds = behind.empty() ? Result<std::uint64_t>(0) : parse_count(behind, 0, 65535);
    if (!seconds) return malformed;
    request.seconds_before_end = static_cast<std::uint32_t>(*seconds);
  }
  const std::string_view name = rest.substr(0, at);
  const auto number = signal_number(name);
  if (!number) return malformed;
  const bool by_name = !to_number(name);
  const auto known = std::find_if(signal_names.begin(), signal_names.end(),
                                  [&](const SignalName& signal) { return signal.number == *number; });
  if (by_name && known - signal_names.begin() >= static_cast<std::ptrdiff_t>(slurm_signals)) return malformed;
  request.number = *number;
  return request;
}

std::string format_signal(const SignalRequest& request) {
  std::string text = request.reservation_overlap ? "R" : "";
  if (request.batch_shell_only) text += "B";
  if (!text.empty()) text += ":";
  const std::string name = signal_name(request.number);
  text += name.starts_with("SIG") ? name.substr(3) : std::to_string(request.number);
  if (request.seconds_before_end != 60) text += "@" + std::to_string(request.seconds_before_end);
  return text;
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

}  // namespace ufab::jobs
