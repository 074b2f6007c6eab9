#include "accounting/audit/reconcile/telemetry.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <tuple>

#include "accounting/audit/reconcile/sacct.h"
#include "fabric/base/file.h"

namespace ufab {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::size_t line_size_max = 64 << 10;
constexpr std::size_t text_size_max_all = std::size_t{1} << 30;

auto key_of(const TelemetryJob& job) {
  return std::tie(job.cluster, job.id, job.submit_us);
}

std::optional<std::uint64_t> number(const json::object& object, const char* name, bool& good) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_int64() || value->get_int64() < 0 ||
      static_cast<std::uint64_t>(value->get_int64()) > usage_number_max) {
    good = false;
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(value->get_int64());
}

std::optional<std::uint64_t> seconds(const json::object& object, const char* name, bool& good) {
  const auto value = number(object, name, good);
  if (!value) return value;
  if (*value > usage_number_max / 1'000'000) {
    good = false;
    return std::nullopt;
  }
  return *value * 1'000'000;
}

std::optional<std::string> text_of(const json::object& object, const char* name, bool& good) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_string()) {
    good = false;
    return std::nullopt;
  }
  return std::string(value->get_string());
}

std::optional<TelemetryJob> job_of(std::string_view line, std::string& why) {
  json::error_code error;
  const json::value value = json::parse(json::string_view(line.data(), line.size()), error);
  if (error || !value.is_object()) {
    why = "no JSON object";
    return std::nullopt;
  }
  const json::object& object = value.get_object();
  bool good = true;
  const auto schema = text_of(object, "schema", good);
  if (!schema || *schema != "ufab.completion/1") {
    why = "its schema is not ufab.completion/1";
    return std::nullopt;
  }
  TelemetryJob job;
  job.cluster = text_of(object, "cluster", good).value_or("");
  job.id = number(object, "job_id", good).value_or(0);
  job.submit_us = seconds(object, "submit_s", good).value_or(0);
  if (job.cluster.empty() || job.id == 0 || job.submit_us == 0) {
    why = "cluster, job_id and submit_s are needed";
    return std::nullopt;
  }
  job.name = text_of(object, "name", good).value_or("");
  job.account = text_of(object, "account", good).value_or("");
  job.state = text_of(object, "state", good);
  if (job.state) job.state = sacct_state_code(*job.state);
  job.user = text_of(object, "user", good);
  job.partition = text_of(object, "partition", good);
  job.start_us = seconds(object, "start_s", good);
  job.end_us = seconds(object, "end_s", good);
  job.elapsed_us = seconds(object, "elapsed_s", good);
  for (const auto& [name, member] :
       {std::pair{"cpu_us", &TelemetryJob::cpu_us},
        std::pair{"memory_peak_bytes", &TelemetryJob::memory_peak_bytes},
        std::pair{"gpu_us", &TelemetryJob::gpu_us}, std::pair{"energy_j", &TelemetryJob::energy_j},
        std::pair{"billing_s", &TelemetryJob::billing_s}, std::pair{"exit_code", &TelemetryJob::exit_code},
        std::pair{"signal", &TelemetryJob::signal}, std::pair{"processors", &TelemetryJob::processors},
        std::pair{"nodes", &TelemetryJob::nodes}, std::pair{"gpus", &TelemetryJob::gpus}}) {
    job.*member = number(object, name, good);
  }
  if (!good) {
    why = "a value of the wrong kind, or too large";
    return std::nullopt;
  }
  return job;
}

template <class T>
void override_with(std::optional<T>& value, const std::optional<T>& later) {
  if (later) value = later;
}

void merge(TelemetryJob& job, const TelemetryJob& later) {
  if (!later.name.empty()) job.name = later.name;
  if (!later.account.empty()) job.account = later.account;
  for (const auto member : {&TelemetryJob::state, &TelemetryJob::user, &TelemetryJob::partition}) {
    override_with(job.*member, later.*member);
  }
  for (const auto member :
       {&TelemetryJob::start_us, &TelemetryJob::end_us, &TelemetryJob::elapsed_us, &TelemetryJob::cpu_us,
        &TelemetryJob::memory_peak_bytes, &TelemetryJob::gpu_us, &TelemetryJob::energy_j,
        &TelemetryJob::billing_s, &TelemetryJob::exit_code, &TelemetryJob::signal, &TelemetryJob::processors,
        &TelemetryJob::nodes, &TelemetryJob::gpus}) {
    override_with(job.*member, later.*member);
  }
}

}  // namespace

void TelemetryReader::add(std::string_view text, const std::string& where) {
  std::uint64_t line_number = 0;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++line_number;
    if (line.empty()) continue;
    ++result_.lines;
    std::string why = "longer than 64 KiB";
    auto job = line.size() > line_size_max ? std::nullopt : job_of(line, why);
    if (job) {
      parts_.push_back(std::move(*job));
    } else if (result_.lines_bad++ == 0) {
      result_.first_bad = fmt::format("{} line {}: {}", where, line_number, why);
    }
  }
}

Telemetry TelemetryReader::take() {
  // Stable: parts of one job stay in the order of their lines.
  std::stable_sort(parts_.begin(), parts_.end(),
                   [](const TelemetryJob& a, const TelemetryJob& b) { return key_of(a) < key_of(b); });
  for (TelemetryJob& part : parts_) {
    if (!result_.jobs.empty() && key_of(result_.jobs.back()) == key_of(part)) {
      merge(result_.jobs.back(), part);
    } else {
      result_.jobs.push_back(std::move(part));
    }
  }
  parts_.clear();
  return std::move(result_);
}

Result<Telemetry> read_telemetry(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == ".jsonl") files.push_back(entry.path().string());
    }
    if (error) return Error{ErrorCode::io, path + ": " + error.message()};
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  TelemetryReader reader;
  std::size_t left = text_size_max_all;
  for (const std::string& file : files) {
    UFAB_ASSIGN(const std::string text, read_text_file(file, left));
    left -= text.size();
    reader.add(text, file);
  }
  return reader.take();
}

}  // namespace ufab
