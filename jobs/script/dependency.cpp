#include "jobs/script/dependency.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "jobs/script/array.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t job_max = 1'000'000'000'000;
constexpr std::uint64_t delay_max_minutes = 100 * 366 * 24 * 60;

struct Kind {
  DependencyKind kind;
  std::string_view name;
};
constexpr std::array<Kind, 7> kinds{{{DependencyKind::after, "after"},
                                     {DependencyKind::after_any, "afterany"},
                                     {DependencyKind::after_ok, "afterok"},
                                     {DependencyKind::after_not_ok, "afternotok"},
                                     {DependencyKind::after_corr, "aftercorr"},
                                     {DependencyKind::after_burst_buffer, "afterburstbuffer"},
                                     {DependencyKind::singleton, "singleton"}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Error malformed(std::string_view text) {
  return {ErrorCode::invalid, "'" + std::string(text) +
                                  "' is not a dependency such as afterok:7:8, after:7+10, afterany:7_3 or "
                                  "singleton, joined by , or ?"};
}

const Kind* find_kind(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.name == lower; });
  return found == kinds.end() ? nullptr : &*found;
}

bool read_job(std::string_view text, std::uint64_t& job) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto number = parse_count(text, 1, job_max);
  if (!number) return false;
  job = *number;
  return true;
}

// One job of a term: N[_TASK][+MINUTES]. `delay` is the term's, and this job may change it.
bool read_target(std::string_view text, DependencyKind kind, std::uint32_t& delay,
                 std::vector<Dependency>& out) {
  if (const std::size_t plus = text.find('+', 1); plus != std::string_view::npos) {
    std::string_view minutes = text.substr(plus + 1);
    if (minutes.ends_with('m')) minutes.remove_suffix(1);  // people write it, Slurm takes it
    const auto number = parse_count(minutes, 1, delay_max_minutes);
    if (!number) return false;
    delay = static_cast<std::uint32_t>(*number);
    text = text.substr(0, plus);
  }
  Dependency term{kind, 0, std::nullopt, delay};
  const std::size_t underscore = text.find('_');
  if (!read_job(text.substr(0, underscore), term.job)) return false;
  if (underscore == std::string_view::npos || text.substr(underscore + 1) == "*") {
    out.push_back(term);
    return true;
  }
  const std::string_view tasks = text.substr(underscore + 1);
  if (tasks.find('%') != std::string_view::npos) return false;
  const auto array = parse_array(tasks);
  if (!array) return false;
  for (const std::uint32_t task : array->tasks) {
    term.task = task;
    out.push_back(term);
  }
  return true;
}

// A comma inside [ ] belongs to a list of tasks.
std::size_t find_separator(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[') ++depth;
    if (text[i] == ']') --depth;
    if (depth == 0 && (text[i] == ',' || text[i] == '?')) return i;
  }
  return std::string_view::npos;
}

bool read_term(std::string_view text, std::vector<Dependency>& out) {
  std::uint32_t delay = 0;
  if (!text.empty() && is_digit(text.front())) {
    return text.find(':') == std::string_view::npos &&
           read_target(text, DependencyKind::after_any, delay, out);
  }
  const std::size_t colon = text.find(':');
  const Kind* kind = find_kind(text.substr(0, colon));
  if (kind == nullptr) return false;
  if (kind->kind == DependencyKind::singleton) {
    out.push_back({kind->kind, 0, std::nullopt, 0});
    return colon == std::string_view::npos;
  }
  if (colon == std::string_view::npos) return false;
  text.remove_prefix(colon + 1);
  for (;;) {
    const std::size_t next = text.find(':');
    if (!read_target(text.substr(0, next), kind->kind, delay, out)) return false;
    if (next == std::string_view::npos) return true;
    text.remove_prefix(next + 1);
  }
}

}  // namespace

std::string_view dependency_kind_name(DependencyKind kind) {
  return std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.kind == kind; })->name;
}

Result<DependencyRequest> parse_dependency(std::string_view text) {
  DependencyRequest request;
  if (text == "0") return request;  // Slurm's word for none
  std::vector<Dependency> terms;
  std::string_view rest = text;
  for (;;) {
    const std::size_t end = find_separator(rest);
    if (!read_term(rest.substr(0, end), terms)) {
      return malformed(text);
    }
    if (terms.size() > max_dependencies) {
      return Error{ErrorCode::limit, "more than " + std::to_string(max_dependencies) + " dependencies"};
    }
    if (end == std::string_view::npos) break;
    const bool any = rest[end] == '?';
    // Slurm's reading: behind a number without a kind come only commas and such numbers.
    if (is_digit(rest.front()) && (any || end + 1 == rest.size() || !is_digit(rest[end + 1])))
      return malformed(text);
    request.any_of = request.any_of || any;
    rest.remove_prefix(end + 1);
  }
  for (const Dependency& term : terms) {
    if (std::find(request.terms.begin(), request.terms.end(), term) == request.terms.end())
      request.terms.push_back(term);
  }
  return request;
}

std::string format_dependency(const DependencyRequest& request) {
  std::string text;
  for (const Dependency& term : request.terms) {
    if (!text.empty()) text += request.any_of ? "?" : ",";
    text += dependency_kind_name(term.kind);
    if (term.kind == DependencyKind::singleton) continue;
    text += ":" + std::to_string(term.job);
    if (term.task) text += "_" + std::to_string(*term.task);
    if (term.delay_minutes != 0) text += "+" + std::to_string(term.delay_minutes);
  }
  return text;
}

}  // namespace ufab::jobs
