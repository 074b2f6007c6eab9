#include "jobs/queue/trace.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>

namespace ufab::jobs {

namespace {

constexpr std::size_t field_count = 18;
enum Field : std::size_t {
  number,
  submit,
  run = 3,
  processors = 4,
  processors_requested = 7,
  time_requested = 8,
  user = 11,
  group = 12,
  program = 13,
};
constexpr std::int64_t time_max = std::int64_t{1} << 40;

std::string_view next_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) {
    line = {};
    return {};
  }
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

// Some archives have fractions ("12.5"): the whole part counts.
std::optional<std::int64_t> whole_number(std::string_view word) {
  std::int64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc{} || stop == word.data()) return std::nullopt;
  if (stop != end) {
    if (*stop != '.') return std::nullopt;
    if (!std::all_of(stop + 1, end, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  }
  return value;
}

// "; MaxProcs: 128"
std::optional<std::uint32_t> machine_size(std::string_view comment) {
  comment.remove_prefix(1);
  if (next_word(comment) != "MaxProcs:") return std::nullopt;
  const auto value = whole_number(next_word(comment));
  if (!value || *value <= 0 || *value > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

Result<std::array<std::int64_t, field_count>> parse_line(std::string_view line) {
  std::array<std::int64_t, field_count> fields{};
  std::size_t count = 0;
  for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
    const auto value = whole_number(word);
    if (!value) return Error{ErrorCode::invalid, "'" + std::string(word.substr(0, 40)) + "' is not a number"};
    if (count < field_count) fields[count] = *value;
    ++count;
  }
  if (count != field_count)
    return Error{ErrorCode::invalid, std::to_string(count) + " numbers, not " + std::to_string(field_count)};
  return fields;
}

std::uint64_t known(std::int64_t value) {
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

}  // namespace

Result<Trace> parse_trace(std::string_view text) {
  Trace trace;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    line.remove_prefix(first);
    if (line.front() == ';') {
      if (const auto slots = machine_size(line)) trace.slots = *slots;
      continue;
    }
    const auto fields = parse_line(line);
    if (!fields) return fields.error().within("line " + std::to_string(line_number));
    const auto& field = *fields;
    if (field[number] < 0 || field[submit] < 0 || field[submit] > time_max || field[run] > time_max ||
        field[time_requested] > time_max) {
      return Error{ErrorCode::invalid,
                   "line " + std::to_string(line_number) + ": a number or time is out of range"};
    }
    const std::int64_t slots =
        field[processors_requested] > 0 ? field[processors_requested] : field[processors];
    if (slots <= 0 || field[run] < 0) {
      ++trace.left_out;
      continue;
    }
    if (slots > std::numeric_limits<std::int32_t>::max()) {
      return Error{ErrorCode::invalid, "line " + std::to_string(line_number) + ": too many processors"};
    }
    TraceJob job;
    job.number = known(field[number]);
    job.submit_s = field[submit];
    job.run_s = std::max<Seconds>(field[run], 1);
    job.slots = static_cast<std::uint32_t>(slots);
    job.requested_s = std::max<Seconds>(field[time_requested], 0);
    job.user = known(field[user]);
    job.group = known(field[group]);
    job.program = known(field[program]);
    trace.jobs.push_back(job);
  }
  std::stable_sort(trace.jobs.begin(), trace.jobs.end(),
                   [](const TraceJob& a, const TraceJob& b) { return a.submit_s < b.submit_s; });
  return trace;
}

Result<Trace> load_trace(const std::string& path) {
  // gzread hands a plain file through.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) return Error{ErrorCode::not_found, path + ": cannot be opened"};
  std::string text;
  std::array<char, 1 << 16> piece;
  for (;;) {
    const int got = gzread(file.get(), piece.data(), piece.size());
    if (got < 0) return Error{ErrorCode::corrupt, path + ": cannot be read, or is not whole"};
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > trace_size_max) return Error{ErrorCode::limit, path + ": more than 1 GiB of text"};
  }
  // A gzip file that was cut off ends without an error of gzread's own.
  int code = Z_OK;
  gzerror(file.get(), &code);
  if (code == Z_BUF_ERROR) return Error{ErrorCode::corrupt, path + ": cannot be read, or is not whole"};
  auto trace = parse_trace(text);
  if (!trace) return trace.error().within(path);
  return trace;
}

}  // namespace ufab::jobs
