#include "jobs/script/spellings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

using Words = std::span<const std::string_view>;

std::string to_lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The word of the set that equals text in any case; empty: none.
std::string_view find_word(Words words, std::string_view text) {
  const auto found = std::find_if(words.begin(), words.end(),
                                  [&](std::string_view word) { return equals_ignoring_case(word, text); });
  return found == words.end() ? std::string_view() : *found;
}

std::string join(Words words, std::string_view separator) {
  std::string text;
  for (const std::string_view word : words)
    text += (text.empty() ? "" : std::string(separator)) + std::string(word);
  return text;
}

Error none_of(std::string_view text, Words words) {
  return {ErrorCode::invalid, "'" + std::string(text) + "' is none of " + join(words, ", ")};
}

// The words that are named, in the set's order; joined by commas.
std::string in_order(Words words, const std::vector<std::string_view>& named) {
  std::vector<std::string_view> kept;
  for (const std::string_view word : words) {
    if (std::find(named.begin(), named.end(), word) != named.end()) kept.push_back(word);
  }
  return join(kept, ",");
}

bool is_number(std::string_view text) {
  return parse_count(text, 0, 0xffffffff).ok();
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Result<std::string> spell_accounting_frequency(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kinds{"task", "energy", "network", "filesystem"};
  for (const std::string& item : split(text, ',')) {
    const std::size_t equals = item.find('=');
    const std::string seconds = equals == std::string::npos ? item : item.substr(equals + 1);
    const bool known = equals == std::string::npos || !find_word(kinds, item.substr(0, equals)).empty();
    // sbatch reads 0 and the controller refuses it: there is no sampling that often.
    if (!known || !parse_count(seconds, 1, 0xffffffff).ok()) {
      return Error{ErrorCode::invalid,
                   "'" + std::string(text) + "' is not SECONDS or a list such as task=30,energy=10"};
    }
  }
  return std::string(text);
}

Result<std::string> spell_cpu_frequency(std::string_view text) {
  static constexpr std::array<std::string_view, 4> levels{"Low", "Medium", "High", "Highm1"};
  static constexpr std::array<std::string_view, 6> governors{"Performance",  "OnDemand",  "UserSpace",
                                                             "Conservative", "PowerSave", "SchedUtil"};
  const Error malformed{ErrorCode::invalid, "'" + std::string(text) +
                                                "' is not P1[-P2[:GOVERNOR]], each a frequency in kHz, low, "
                                                "medium, high or highm1, or a governor alone"};
  if (const std::string_view governor = find_word(governors, text); !governor.empty())
    return std::string(governor);
  const auto level = [&](std::string_view part) {
    return is_number(part) ? std::string(part) : std::string(find_word(levels, part));
  };
  const std::size_t dash = text.find('-');
  std::string spelled = level(text.substr(0, dash));
  if (spelled.empty()) return malformed;
  if (dash == std::string_view::npos) return spelled;
  const std::string_view behind = text.substr(dash + 1);
  const std::size_t colon = behind.find(':');
  const std::string high = level(behind.substr(0, colon));
  if (high.empty()) return malformed;
  if (is_number(spelled) && is_number(high) && std::stoull(spelled) >= std::stoull(high)) return malformed;
  spelled += "-" + high;
  if (colon == std::string_view::npos) return spelled;
  const std::string_view governor = find_word(governors, behind.substr(colon + 1));
  if (governor.empty()) return malformed;
  return spelled + ":" + std::string(governor);
}

Result<std::string> spell_distribution(std::string_view text) {
  static constexpr std::array<std::string_view, 3> nodes{"block", "cyclic", "arbitrary"};
  static constexpr std::array<std::string_view, 3> inner{"block", "cyclic", "fcyclic"};
  const Error malformed{
      ErrorCode::invalid,
      "'" + std::string(text) + "' is not NODES[:SOCKETS[:CORES]][,pack|nopack] of block, cyclic, plane=N …"};
  const std::size_t comma = text.find(',');
  std::string pack = comma == std::string_view::npos ? "" : to_lower(text.substr(comma + 1));
  std::string levels = to_lower(text.substr(0, comma));
  if (pack.empty() && (levels == "pack" || levels == "nopack")) return levels;
  if (!pack.empty() && pack != "pack" && pack != "nopack") return malformed;
  if (!pack.empty()) pack = "," + pack;
  if (levels.starts_with("plane=")) {
    if (!parse_count(levels.substr(6), 1, 65535).ok()) return malformed;
    return levels + pack;
  }
  std::string spelled;
  const std::vector<std::string> parts = split(levels, ':');
  if (parts.size() > 3) return malformed;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string word = parts[i] == "*" ? (i == 0 ? "block" : "cyclic") : parts[i];
    if (find_word(i == 0 ? Words(nodes) : Words(inner), word).empty()) return malformed;
    spelled += (i == 0 ? "" : ":") + word;
  }
  return spelled + pack;
}

Result<std::string> spell_exclusive(std::string_view text) {
  static constexpr std::array<std::string_view, 2> words{"user", "mcs"};
  if (text.empty()) return std::string("exclusive");
  const std::string_view word = find_word(words, text);
  if (word.empty()) return none_of(text, words);
  return std::string(word);
}

Result<std::string> spell_extra_node_info(std::string_view text) {
  const std::vector<std::string> parts = split(text, ':');
  std::string spelled;
  bool any = false;
  for (std::size_t i = 0; i < std::min<std::size_t>(parts.size(), 3); ++i) {
    std::string part = parts[i];
    if (part.empty() && i > 0) continue;
    if (i > 0) spelled += ":";
    if (part == "*") continue;
    part = part.substr(0, part.find('-', 1));  // "1-2": sbatch keeps the minimum
    const auto number = parse_slurm_count(part, 1, 65535);
    const bool range = parts[i].find('-') != std::string::npos;
    if (!number || (range && !parse_slurm_count(parts[i].substr(parts[i].find('-') + 1), 1, 65535).ok())) {
      return Error{ErrorCode::invalid,
                   "'" + std::string(text) + "' is not SOCKETS[:CORES[:THREADS]] such as 2:4:1"};
    }
    spelled += std::to_string(*number);
    any = true;
  }
  return any ? spelled : std::string("unset");
}

Result<std::string> spell_gpu_bind(std::string_view text) {
  static constexpr std::array<std::string_view, 2> plain{"closest", "none"};
  std::string_view rest = text;
  if (to_lower(rest).starts_with("verbose,")) rest.remove_prefix(8);
  const std::string lower = to_lower(rest);
  const std::string first = lower.substr(0, lower.find(','));
  bool fits = !find_word(plain, first).empty();
  for (const char* prefix : {"single:", "per_task:", "map_gpu:", "mask_gpu:"})
    fits = fits || lower.starts_with(prefix);
  if (lower.starts_with("map_gpu:") || lower.starts_with("mask_gpu:")) {
    const std::string_view list = std::string_view(lower).substr(lower.find(':') + 1);
    fits = std::all_of(list.begin(), list.end(), [](unsigned char c) {
      return std::isxdigit(c) != 0 || c == ',' || c == '*' || c == 'x';
    });
    if (lower.starts_with("map_gpu:") && list.starts_with('x')) fits = false;
  }
  if (!fits) {
    return Error{ErrorCode::invalid,
                 "'" + std::string(text) +
                     "' is not [verbose,]closest, none, single:N, per_task:N, map_gpu:LIST or mask_gpu:LIST"};
  }
  return std::string(text);
}

Result<std::string> spell_gpu_frequency(std::string_view text) {
  static constexpr std::array<std::string_view, 4> levels{"low", "medium", "high", "highm1"};
  for (const std::string& item : split(text, ',')) {
    std::string_view value = item;
    if (value == "verbose") continue;
    if (value.starts_with("memory=")) value.remove_prefix(7);
    if (is_number(value) || !find_word(levels, value).empty()) continue;
    return Error{ErrorCode::invalid, "'" + std::string(text) +
                                         "' is not LEVEL[,memory=LEVEL][,verbose] of low, medium, high, "
                                         "highm1 or a frequency in MHz"};
  }
  return std::string(text);
}

Result<std::string> spell_gres_flags(std::string_view text) {
  static constexpr std::array<std::string_view, 2> words{"disable-binding", "enforce-binding"};
  const std::string_view word = find_word(words, text);
  if (word.empty()) return none_of(text, words);
  return std::string(word);
}

Result<std::string> spell_hint(std::string_view text) {
  static constexpr std::array<std::string_view, 4> words{"compute_bound", "memory_bound", "multithread",
                                                         "nomultithread"};
  for (const std::string& word : split(text, ',')) {
    if (find_word(words, word).empty()) return none_of(word, words);
  }
  return std::string(text);
}

Result<std::string> spell_mail_type(std::string_view text) {
  static constexpr std::array<std::string_view, 11> words{
      "ARRAY_TASKS", "INVALID_DEPEND", "BEGIN",         "END",           "FAIL",      "REQUEUE",
      "STAGE_OUT",   "TIME_LIMIT_50",  "TIME_LIMIT_80", "TIME_LIMIT_90", "TIME_LIMIT"};
  std::vector<std::string_view> named;
  for (const std::string& part : split(text, ',')) {
    if (equals_ignoring_case(part, "NONE")) return std::string("NONE");
    if (equals_ignoring_case(part, "ALL")) {
      named.insert(named.end(), words.begin() + 1, words.begin() + 7);
    } else if (const std::string_view word = find_word(words, part); !word.empty()) {
      named.push_back(word);
    }
  }
  if (named.empty()) return none_of(text, words);
  return in_order(words, named);
}

Result<std::string> spell_memory_bind(std::string_view text) {
  static constexpr std::array<std::string_view, 5> words{"verbose", "prefer", "sort", "rank", "local"};
  bool verbose = false;
  bool prefer = false;
  bool sort = false;
  std::string type;
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) +
                            "' is not [verbose,][prefer,]none, rank, local, map_mem:LIST, "
                            "mask_mem:LIST, sort or nosort"};
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string lower = to_lower(rest);
    if (lower.starts_with("map_mem:") || lower.starts_with("mask_mem:")) {  // their list runs to the end
      type = lower.substr(0, lower.find(':') + 1);
      for (const std::string& item : split(lower.substr(type.size()), ',')) {
        if (item.empty()) return malformed;
        if (!type.ends_with(':')) type += ",";
        type += type.starts_with("mask") && item.starts_with("0x") ? item.substr(2) : item;
      }
      break;
    }
    const std::size_t comma = rest.find(',');
    const std::string word = lower.substr(0, comma);
    if (word == "verbose" || word == "v") {
      verbose = true;
    } else if (word == "quiet" || word == "q") {
      verbose = false;
    } else if (word == "prefer" || word == "p") {
      prefer = true;
    } else if (word == "sort" || word == "nosort") {
      sort = word == "sort";
    } else if (word == "none" || word == "no") {
      type = "none";
    } else if (word == "rank" || word == "local") {
      type = word;
    } else {
      return malformed;
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (text.empty()) return malformed;
  std::string spelled =
      in_order(words, {verbose ? "verbose" : "", prefer ? "prefer" : "", sort ? "sort" : ""});
  if (!type.empty()) spelled += (spelled.empty() ? "" : ",") + type;
  return spelled.empty() ? std::string("unset") : spelled;
}

Result<std::string> spell_no_kill(std::string_view text) {
  if (text.empty()) return std::string("set");
  if (equals_ignoring_case(text, "off") || equals_ignoring_case(text, "no")) return std::string("unset");
  return Error{ErrorCode::invalid, "'" + std::string(text) + "' is not off"};
}

Result<std::string> spell_power(std::string_view text) {
  for (const std::string& word : split(text, ',')) {
    if (equals_ignoring_case(word, "level")) return std::string("LEVEL");
  }
  return std::string("unset");  // Slurm ignores what it does not know here
}

Result<std::string> spell_profile(std::string_view text) {
  static constexpr std::array<std::string_view, 4> words{"Energy", "Lustre", "Network", "Task"};
  std::vector<std::string_view> named;
  for (const std::string& part : split(text, ',')) {
    if (equals_ignoring_case(part, "none")) return std::string("None");
    if (equals_ignoring_case(part, "all")) {
      named.insert(named.end(), words.begin(), words.end());
    } else if (const std::string_view word = find_word(words, part); !word.empty()) {
      named.push_back(word);
    } else {
      return none_of(part, words);
    }
  }
  return in_order(words, named);
}

Result<std::string> spell_propagate(std::string_view text) {
  static constexpr std::array<std::string_view, 10> words{"AS",    "CORE",   "CPU",   "DATA", "FSIZE",
                                                          "NPROC", "NOFILE", "STACK", "RSS",  "MEMLOCK"};
  if (text.empty() || text == "ALL") return std::string("ALL");
  if (text == "NONE") return std::string(text);
  for (const std::string& part : split(text, ',')) {
    std::string_view word = part;
    if (word.starts_with("RLIMIT_")) word.remove_prefix(7);
    if (std::find(words.begin(), words.end(), word) == words.end()) return none_of(part, words);
  }
  return std::string(text);
}

Result<std::string> spell_switches(std::string_view text) {
  const std::size_t at = text.find('@');
  UFAB_ASSIGN(const std::uint64_t count, parse_slurm_count(text.substr(0, at), 1, 0x7fffffff));
  std::string spelled = std::to_string(count);
  if (at == std::string_view::npos) return spelled;
  UFAB_ASSIGN(const std::optional<std::uint64_t> seconds, parse_duration_s(text.substr(at + 1)));
  return seconds ? spelled + "@" + format_seconds(*seconds) : spelled;
}

Result<std::string> spell_user_environment(std::string_view text) {
  std::string_view digits = text;
  std::string mode;
  if (!digits.empty() &&
      (digits.back() == 'S' || digits.back() == 'L' || digits.back() == 's' || digits.back() == 'l')) {
    mode = std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(digits.back()))));
    digits.remove_suffix(1);
  }
  if (digits.empty()) return "0" + mode;
  UFAB_ASSIGN(const std::uint64_t seconds, parse_count(digits, 0, 0x7fffffff));
  return std::to_string(seconds) + mode;
}

}  // namespace ufab::jobs
