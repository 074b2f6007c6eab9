#include "accounting/audit/reconcile/sacct.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace ufab {

namespace {

constexpr std::uint64_t us_per_s = 1'000'000;
constexpr std::uint64_t number_max = std::uint64_t{1} << 53;  // of any value: beyond it something is wrong

struct StateName {
  std::string_view code, word;
  bool final;
};
constexpr std::array<StateName, 24> states{
    {{"BF", "BOOT_FAIL", true},      {"CA", "CANCELLED", true},    {"CD", "COMPLETED", true},
     {"CF", "CONFIGURING", false},   {"CG", "COMPLETING", false},  {"DL", "DEADLINE", true},
     {"F", "FAILED", true},          {"NF", "NODE_FAIL", true},    {"OOM", "OUT_OF_MEMORY", true},
     {"PD", "PENDING", false},       {"PR", "PREEMPTED", true},    {"R", "RUNNING", false},
     {"RD", "RESV_DEL_HOLD", false}, {"RF", "REQUEUE_FED", false}, {"RH", "REQUEUE_HOLD", false},
     {"RQ", "REQUEUED", false},      {"RS", "RESIZING", false},    {"RV", "REVOKED", false},
     {"SE", "SPECIAL_EXIT", false},  {"SI", "SIGNALING", false},   {"SO", "STAGE_OUT", false},
     {"ST", "STOPPED", false},       {"S", "SUSPENDED", false},    {"TO", "TIMEOUT", true}}};

std::optional<std::uint64_t> whole(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> bounded(std::string_view text) {
  const auto value = whole(text);
  return value && *value <= number_max ? value : std::nullopt;
}

std::uint32_t narrow(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
}

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > number_max / b ? number_max : a * b;
}
std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return std::min(number_max, a + b);
}

// The part before the separator, which is taken away with it; all of the text when there is none.
std::string_view take_until(std::string_view& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + separator.size());
  return part;
}

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
// low-level date algorithms").
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  if (month <= 2) --year;
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> exit_and_signal(std::string_view text) {
  if (text.empty()) return std::pair{0U, 0U};
  const auto code = whole(take_until(text, ":"));
  const auto signal = text.empty() ? std::optional<std::uint64_t>(0) : whole(text);
  if (!code || !signal) return std::nullopt;
  return std::pair{narrow(*code), narrow(*signal)};
}

// Slurm prints "not measured" as nothing, 0 or one of its NO_VALs.
std::uint64_t energy(std::string_view text) {
  return bounded(text).value_or(0);
}

enum Column : std::size_t {
  cluster,
  id_raw,
  id_shown,
  user,
  account,
  partition,
  submit,
  start,
  end,
  elapsed_raw,
  state,
  exit_code,
  alloc_cpus,
  nodes,
  alloc_tres,
  req_tres,
  total_cpu,
  max_rss,
  consumed_energy,
  name,
  columns
};
using Row = std::array<std::string_view, columns>;

// False when there are too few columns. The last column has everything that is left.
bool split(std::string_view line, std::string_view delimiter, const std::vector<std::size_t>& places,
           Row& row) {
  for (std::size_t i = 0; i + 1 < places.size(); ++i) {
    const std::size_t at = line.find(delimiter);
    if (at == std::string_view::npos) return false;
    if (places[i] < columns) row[places[i]] = line.substr(0, at);
    line = line.substr(at + delimiter.size());
  }
  row[places.back()] = line;
  return true;
}

// The job of a job's row; what is wrong otherwise.
std::optional<SacctJob> job_of(const Row& row, std::string& why) {
  SacctJob job;
  const auto want = [&why](auto value, const char* what, std::string_view text) {
    if (!value) why = std::string(what) + " '" + std::string(text.substr(0, 40)) + "'";
    return value;
  };
  const auto id = want(bounded(row[id_raw]), "JobIDRaw", row[id_raw]);
  const auto submitted = want(sacct_time_us(row[submit]), "Submit", row[submit]);
  const auto started = want(sacct_time_us(row[start]), "Start", row[start]);
  const auto ended = want(sacct_time_us(row[end]), "End", row[end]);
  const auto elapsed =
      want(row[elapsed_raw].empty() ? 0 : bounded(row[elapsed_raw]), "ElapsedRaw", row[elapsed_raw]);
  const auto exit = want(exit_and_signal(row[exit_code]), "ExitCode", row[exit_code]);
  const auto cpus =
      want(row[alloc_cpus].empty() ? 0 : bounded(row[alloc_cpus]), "AllocCPUS", row[alloc_cpus]);
  const auto node_count = want(row[nodes].empty() ? 0 : bounded(row[nodes]), "NNodes", row[nodes]);
  const auto cpu =
      want(row[total_cpu].empty() ? 0 : sacct_duration_us(row[total_cpu]), "TotalCPU", row[total_cpu]);
  const auto memory = want(sacct_size_bytes(row[max_rss]), "MaxRSS", row[max_rss]);
  if (!why.empty()) return std::nullopt;
  job.cluster = row[cluster];
  job.id = *id;
  job.id_shown = row[id_shown];
  job.name = row[name];
  job.user = row[user];
  job.account = row[account];
  job.partition = row[partition];
  job.submit_us = *submitted;
  job.start_us = *started;
  job.end_us = *ended;
  job.elapsed_us = times(*elapsed, us_per_s);
  job.state = sacct_state_code(row[state]);
  // A job that was cancelled while it waited has, by sacct, a start that equals its end and no elapsed time.
  if (job.start_us != 0 && job.elapsed_us == 0 && row[alloc_tres].empty()) job.start_us = 0;
  job.exit_code = exit->first;
  job.signal = exit->second;
  const bool started_once = job.start_us != 0;
  job.processors = started_once ? narrow(*cpus) : 0;
  job.nodes = started_once ? narrow(*node_count) : 0;
  job.gpus = narrow(sacct_gpus(row[alloc_tres]));
  job.gpu_us = times(job.gpus, job.elapsed_us);
  job.cpu_us = *cpu;
  job.memory_peak_bytes = *memory;
  job.energy_j = energy(row[consumed_energy]);
  job.billing_s = times(sacct_tres(row[alloc_tres], "billing"), *elapsed);
  return job;
}

}  // namespace

bool SacctJob::sacct_state_final(std::string_view code) {
  return std::any_of(states.begin(), states.end(),
                     [&](const StateName& s) { return s.code == code && s.final; });
}

std::string sacct_state_code(std::string_view word) {
  const std::string_view first = take_until(word, " ");  // "CANCELLED by 1000"
  for (const StateName& s : states) {
    if (first == s.word || first == s.code) return std::string(s.code);
  }
  return "?";
}

std::string sacct_state_word(std::string_view code) {
  for (const StateName& s : states) {
    if (code == s.code) return std::string(s.word);
  }
  return std::string(code);
}

std::optional<std::uint64_t> sacct_duration_us(std::string_view text) {
  std::uint64_t days = 0;
  bool with_days = false;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto number = bounded(text.substr(0, dash));
    if (!number || *number > 1'000'000) return std::nullopt;
    days = *number;
    with_days = true;
    text = text.substr(dash + 1);
  }
  std::uint64_t fraction_us = 0;
  if (const std::size_t dot = text.find('.'); dot != std::string_view::npos) {
    const std::string_view digits = text.substr(dot + 1);
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    const auto number = whole(digits);
    if (!number) return std::nullopt;
    fraction_us = *number;
    for (std::size_t i = digits.size(); i < 6; ++i) fraction_us *= 10;
    text = text.substr(0, dot);
  }
  std::vector<std::uint64_t> parts;
  while (true) {
    const bool last = text.find(':') == std::string_view::npos;
    const auto number = bounded(take_until(text, ":"));
    if (!number || *number > 1'000'000'000 || parts.size() == 3) return std::nullopt;
    parts.push_back(*number);
    if (last) break;
  }
  std::uint64_t seconds = days * 86400;
  if (with_days) {
    constexpr std::array<std::uint64_t, 3> units{3600, 60, 1};
    for (std::size_t i = 0; i < parts.size(); ++i) seconds += parts[i] * units[i];
  } else {
    if (parts.size() < 2) return std::nullopt;
    std::uint64_t value = 0;
    for (const std::uint64_t part : parts) value = value * 60 + part;
    seconds += value;
  }
  const std::uint64_t us = times(seconds, us_per_s);
  return us > number_max - us_per_s ? std::nullopt : std::optional(us + fraction_us);
}

std::optional<std::uint64_t> sacct_time_us(std::string_view text) {
  if (text.empty() || text == "Unknown" || text == "None") return 0;
  if (text.find('T') == std::string_view::npos) {
    const auto seconds = bounded(text);
    if (!seconds || *seconds > number_max / us_per_s) return std::nullopt;
    return *seconds * us_per_s;
  }
  if (text.size() != 19 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const auto year = whole(text.substr(0, 4)), month = whole(text.substr(5, 2)),
             day = whole(text.substr(8, 2));
  const auto hour = whole(text.substr(11, 2)), minute = whole(text.substr(14, 2)),
             second = whole(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*year < 1970 || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60) {
    return std::nullopt;
  }
  const std::int64_t days = days_of(static_cast<std::int64_t>(*year), static_cast<std::int64_t>(*month),
                                    static_cast<std::int64_t>(*day));
  const std::uint64_t seconds =
      static_cast<std::uint64_t>(days) * 86400 + *hour * 3600 + *minute * 60 + *second;
  return seconds > number_max / us_per_s ? std::nullopt : std::optional(seconds * us_per_s);
}

std::optional<std::uint64_t> sacct_size_bytes(std::string_view text) {
  if (text.empty()) return 0;
  constexpr std::string_view suffixes = "KMGTPE";
  std::uint64_t unit = 1;
  if (const std::size_t power = suffixes.find(text.back()); power != std::string_view::npos) {
    unit = std::uint64_t{1} << (10 * (power + 1));
    text.remove_suffix(1);
  }
  std::string_view fraction = text;
  const auto number = bounded(take_until(fraction, "."));
  if (!number || *number > number_max / unit || fraction.size() > 6) return std::nullopt;
  std::uint64_t bytes = *number * unit;
  if (!fraction.empty()) {
    const auto digits = whole(fraction);
    if (!digits) return std::nullopt;
    std::uint64_t scale = 1;
    for (std::size_t i = 0; i < fraction.size(); ++i) scale *= 10;
    // unit / scale first where it would not fit: a millionth of an exbibyte is exact enough.
    bytes += unit > number_max / 1'000'000 ? unit / scale * *digits : unit * *digits / scale;
  }
  return std::min(bytes, number_max);
}

std::uint64_t sacct_tres(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    std::string_view item = take_until(list, ",");
    if (take_until(item, "=") == wanted) return bounded(item).value_or(0);
  }
  return 0;
}

std::uint64_t sacct_gpus(std::string_view tres) {
  if (const std::uint64_t all = sacct_tres(tres, "gres/gpu"); all != 0) return all;
  std::uint64_t total = 0;
  while (!tres.empty()) {
    std::string_view item = take_until(tres, ",");
    if (take_until(item, "=").starts_with("gres/gpu:")) total = sum(total, bounded(item).value_or(0));
  }
  return total;
}

Status SacctReader::feed(std::string_view text) {
  while (!text.empty()) {
    const std::size_t at = text.find('\n');
    const std::string_view part = text.substr(0, at);
    if (line_.size() + part.size() > line_size_max) {
      too_long_ = true;
      line_.clear();
    }
    if (at == std::string_view::npos) {
      if (!too_long_) line_ += part;
      return {};
    }
    text = text.substr(at + 1);
    if (too_long_) {
      ++counts_.lines;
      bad_line("longer than " + std::to_string(line_size_max) + " bytes");
      too_long_ = false;
    } else if (line_.empty()) {
      UFAB_TRY(take_line(part));
    } else {
      line_ += part;
      UFAB_TRY(take_line(line_));
    }
    line_.clear();
  }
  return {};
}

Status SacctReader::finish() {
  if (too_long_) bad_line("longer than " + std::to_string(line_size_max) + " bytes");
  if (!line_.empty()) UFAB_TRY(take_line(std::exchange(line_, {})));
  if (delimiter_.empty())
    return Error{ErrorCode::invalid, "sacct: no header line; was it run with --noheader?"};
  return flush_job();
}

Status SacctReader::take_header(std::string_view line) {
  std::vector<std::string_view> wanted;
  for (std::string_view left = sacct_columns; !left.empty();) wanted.push_back(take_until(left, ","));
  UFAB_ASSERT(wanted.size() == columns && wanted.back() == "JobName");
  const Error wrong{ErrorCode::invalid, "sacct: the first line is no header with the columns " +
                                            std::string(sacct_columns) + ", JobName last"};
  // "Cluster", the delimiter, "JobIDRaw", the delimiter, …
  const std::size_t second = line.find(wanted[1]);
  if (!line.starts_with(wanted[0]) || second == std::string_view::npos || second <= wanted[0].size())
    return wrong;
  const std::string delimiter(line.substr(wanted[0].size(), second - wanted[0].size()));
  std::vector<std::size_t> places;
  std::size_t found = 0;
  for (std::string_view left = line; !left.empty();) {
    const std::string_view name = take_until(left, delimiter);
    const auto at = std::find(wanted.begin(), wanted.end(), name);
    places.push_back(static_cast<std::size_t>(at - wanted.begin()));
    if (at == wanted.end()) continue;
    *at = "";  // a second one of the same name is not wanted
    ++found;
  }
  if (found != columns || places.back() != columns - 1) return wrong;
  delimiter_ = delimiter;
  places_ = std::move(places);
  return {};
}

void SacctReader::bad_line(const std::string& why) {
  if (counts_.lines_bad++ == 0) counts_.first_bad = "line " + std::to_string(counts_.lines) + ": " + why;
}

Status SacctReader::flush_job() {
  if (!job_) return {};
  job_->cpu_us = std::max(job_->cpu_us, steps_cpu_us_);
  if (job_->energy_j == 0) job_->energy_j = steps_energy_j_;
  ++counts_.jobs;
  const SacctJob job = *std::exchange(job_, std::nullopt);
  return sink_(job);
}

Status SacctReader::take_line(std::string_view line) {
  ++counts_.lines;
  if (delimiter_.empty()) return take_header(line);
  Row row;
  if (!split(line, delimiter_, places_, row)) {
    // Blank lines end some versions' output; the tail of a name with a line end in it is no row either.
    if (!line.empty()) bad_line("too few columns");
    return {};
  }
  const std::size_t dot = row[id_raw].find('.');
  if (dot == std::string_view::npos) {
    UFAB_TRY(flush_job());
    std::string why;
    job_ = job_of(row, why);
    if (!job_) bad_line(why);
    steps_cpu_us_ = steps_energy_j_ = 0;
    return {};
  }
  const auto id = bounded(row[id_raw].substr(0, dot));
  if (!id) {
    bad_line("JobIDRaw '" + std::string(row[id_raw].substr(0, 40)) + "'");
    return {};
  }
  if (!job_ || job_->id != *id || job_->cluster != row[cluster]) {
    ++counts_.steps_orphan;
    return {};
  }
  const auto cpu = row[total_cpu].empty() ? 0 : sacct_duration_us(row[total_cpu]);
  const auto memory = sacct_size_bytes(row[max_rss]);
  if (!cpu || !memory) bad_line("a step's TotalCPU or MaxRSS");
  ++counts_.steps;
  ++job_->steps;
  steps_cpu_us_ = sum(steps_cpu_us_, cpu.value_or(0));
  job_->memory_peak_bytes = std::max(job_->memory_peak_bytes, memory.value_or(0));
  // .extern measures the whole node's share in some set-ups: it would count the others twice.
  if (row[id_raw].substr(dot) != ".extern") {
    steps_energy_j_ = sum(steps_energy_j_, energy(row[consumed_energy]));
  }
  return {};
}

}  // namespace ufab
