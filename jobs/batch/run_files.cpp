#include "jobs/batch/run_files.h"

#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <sstream>

#include "fabric/base/file.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

constexpr std::size_t max_file_bytes = 8u << 20;

constexpr std::array<const char*, 3> state_names{"pending", "running", "ended"};
constexpr std::array<const char*, 7> result_names{"none",    "completed",     "failed",   "cancelled",
                                                  "timeout", "out_of_memory", "node_fail"};
constexpr std::array<const char*, 7> result_codes{"", "CD", "F", "CA", "TO", "OOM", "NF"};

template <std::size_t N>
Result<std::size_t> index_of(const std::array<const char*, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return i;
  }
  return Error{ErrorCode::corrupt, "unknown word '" + std::string(name) + "'"};
}

// Runs a reader that uses Boost.JSON's throwing accessors; a file that is not what we wrote is corrupt.
template <typename T, typename Reader>
Result<T> read_json(const std::string& path, Reader reader) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, max_file_bytes));
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // environment, arguments and paths are bytes
  try {
    return reader(json::parse(text, {}, options));
  } catch (const std::exception& error) {
    return Error{ErrorCode::corrupt, path + ": " + error.what()};
  }
}

std::uint64_t process_start_ticks(std::int64_t pid) {
  const auto text = read_text_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return 0;
  // The name in parentheses may hold anything; the fields after its last ')' are numbers.
  const std::size_t close = text->rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream fields(text->substr(close + 1));
  std::string field;
  fields >> field;
  if (field == "Z") return 0;  // a zombie supervises nothing
  for (int i = 4; i <= 22; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

}  // namespace

const char* run_result_code(RunResult result) {
  return result_codes[static_cast<std::size_t>(result)];
}
const char* run_result_name(RunResult result) {
  return result_names[static_cast<std::size_t>(result)];
}

Status save_request(const std::string& run_folder, const RunRequest& request) {
  json::object environment;
  for (const auto& [key, value] : request.environment) environment[key] = value;
  const json::object object{{"schema", "ufab.run/1"},
                            {"name", request.name},
                            {"script", request.script},
                            {"arguments", json::array(request.arguments.begin(), request.arguments.end())},
                            {"folder", request.folder},
                            {"input", request.input},
                            {"output", request.output},
                            {"error", request.error},
                            {"append_output", request.append_output},
                            {"environment", environment},
                            {"slots", request.slots},
                            {"time_limit_s", request.time_limit_s},
                            {"grace_s", request.grace_s},
                            {"memory_limit_mib", request.memory_limit_mib},
                            {"warn_signal", request.warn_signal},
                            {"warn_before_s", request.warn_before_s},
                            {"warn_shell_only", request.warn_shell_only}};
  return write_file_atomic(run_folder + "/request.json", as_bytes(json::serialize(object) + "\n"), 0600);
}

Result<RunRequest> load_request(const std::string& run_folder) {
  return read_json<RunRequest>(run_folder + "/request.json", [](const json::value& value) {
    const json::object& object = value.as_object();
    RunRequest request;
    const auto text = [&](const char* key) { return std::string(object.at(key).as_string()); };
    const auto number = [&](const char* key) { return object.at(key).to_number<std::uint64_t>(); };
    request.name = text("name");
    request.script = text("script");
    for (const json::value& word : object.at("arguments").as_array())
      request.arguments.emplace_back(word.as_string());
    request.folder = text("folder");
    request.input = text("input");
    request.output = text("output");
    request.error = text("error");
    request.append_output = object.at("append_output").as_bool();
    for (const auto& [key, entry] : object.at("environment").as_object()) {
      request.environment[std::string(key)] = std::string(entry.as_string());
    }
    request.slots = object.at("slots").to_number<std::uint32_t>();
    request.time_limit_s = number("time_limit_s");
    request.grace_s = number("grace_s");
    request.memory_limit_mib = number("memory_limit_mib");
    request.warn_signal = object.at("warn_signal").to_number<int>();
    request.warn_before_s = number("warn_before_s");
    request.warn_shell_only = object.at("warn_shell_only").as_bool();
    return request;
  });
}

ShepherdIdentity ShepherdIdentity::of_this_process() {
  const std::int64_t pid = ::getpid();
  return {pid, process_start_ticks(pid)};
}

bool ShepherdIdentity::is_alive() const {
  return pid > 0 && start_ticks != 0 && process_start_ticks(pid) == start_ticks;
}

Status save_status(const std::string& run_folder, const RunFile& file) {
  const RunStatus& status = file.status;
  const json::object object{{"schema", "ufab.run-status/1"},
                            {"state", state_names[static_cast<std::size_t>(status.state)]},
                            {"result", run_result_name(status.result)},
                            {"reason", status.reason},
                            {"exit_code", status.exit_code},
                            {"signal", status.signal},
                            {"start_us", status.start_us},
                            {"end_us", status.end_us},
                            {"cpu_us", status.cpu_us},
                            {"max_rss_kib", status.max_rss_kib},
                            {"shepherd_pid", file.shepherd.pid},
                            {"shepherd_start_ticks", file.shepherd.start_ticks}};
  return write_file_atomic(run_folder + "/status.json", as_bytes(json::serialize(object) + "\n"), 0600);
}

Result<RunFile> load_status(const std::string& run_folder) {
  const std::string path = run_folder + "/status.json";
  return read_json<RunFile>(path, [&](const json::value& value) -> Result<RunFile> {
    const json::object& object = value.as_object();
    RunFile file;
    UFAB_ASSIGN(const std::size_t state,
                index_of(state_names, std::string_view(object.at("state").as_string())));
    UFAB_ASSIGN(const std::size_t result,
                index_of(result_names, std::string_view(object.at("result").as_string())));
    RunStatus& status = file.status;
    status.state = static_cast<RunState>(state);
    status.result = static_cast<RunResult>(result);
    status.reason = std::string(object.at("reason").as_string());
    status.exit_code = object.at("exit_code").to_number<int>();
    status.signal = object.at("signal").to_number<int>();
    status.start_us = object.at("start_us").to_number<std::int64_t>();
    status.end_us = object.at("end_us").to_number<std::int64_t>();
    status.cpu_us = object.at("cpu_us").to_number<std::uint64_t>();
    status.max_rss_kib = object.at("max_rss_kib").to_number<std::uint64_t>();
    file.shepherd.pid = object.at("shepherd_pid").to_number<std::int64_t>();
    file.shepherd.start_ticks = object.at("shepherd_start_ticks").to_number<std::uint64_t>();
    return file;
  });
}

std::string cancel_path(const std::string& run_folder) {
  return run_folder + "/cancel";
}

}  // namespace ufab::jobs
