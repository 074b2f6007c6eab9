#include "jobs/batch/run_files.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "jobs/batch/run_json.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

constexpr std::array<const char*, 3> state_names{"pending", "running", "ended"};
constexpr std::array<const char*, 10> result_names{"none",     "completed",     "failed",    "cancelled",
                                                   "timeout",  "out_of_memory", "node_fail", "preempted",
                                                   "deadline", "boot_fail"};
constexpr std::array<const char*, 10> result_codes{"", "CD", "F", "CA", "TO", "OOM", "NF", "PR", "DL", "BF"};

template <std::size_t N>
Result<std::size_t> index_of(const std::array<const char*, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return i;
  }
  return Error{ErrorCode::corrupt, "unknown word '" + std::string(name) + "'"};
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

json::array words_to_json(const std::vector<std::string>& words) {
  return json::array(words.begin(), words.end());
}

std::vector<std::string> words_from_json(const json::value& value) {
  std::vector<std::string> words;
  for (const json::value& word : value.as_array()) words.emplace_back(word.as_string());
  return words;
}

constexpr std::pair<const char*, std::vector<std::string> Sandbox::*> sandbox_paths[] = {
    {"readable", &Sandbox::readable},
    {"writable", &Sandbox::writable},
    {"hidden", &Sandbox::hidden},
    {"own_writable", &Sandbox::own_writable},
    {"own_readable", &Sandbox::own_readable}};

json::value isolation_to_json(const RunRequest& request) {
  json::object object{{"launch_folder", request.launch_folder}};
  if (request.user) {
    object["user"] = json::object{{"name", request.user->name},
                                  {"uid", request.user->uid},
                                  {"gid", request.user->gid},
                                  {"home", request.user->home},
                                  {"shell", request.user->shell}};
  }
  if (request.sandbox) {
    json::object sandbox{{"network", request.sandbox->network}};
    for (const auto& [key, member] : sandbox_paths) sandbox[key] = words_to_json(*request.sandbox.*member);
    object["sandbox"] = sandbox;
  }
  return object;
}

void isolation_from_json(const json::object& object, RunRequest& request) {
  request.launch_folder = std::string(object.at("launch_folder").as_string());
  if (const json::value* value = object.if_contains("user"); value != nullptr) {
    const json::object& user = value->as_object();
    const auto text = [&](const char* key) { return std::string(user.at(key).as_string()); };
    request.user = RunUser{text("name"), user.at("uid").to_number<uid_t>(), user.at("gid").to_number<gid_t>(),
                           text("home"), text("shell")};
  }
  if (const json::value* value = object.if_contains("sandbox"); value != nullptr) {
    Sandbox sandbox;
    sandbox.network = value->at("network").as_bool();
    for (const auto& [key, member] : sandbox_paths) sandbox.*member = words_from_json(value->at(key));
    request.sandbox = std::move(sandbox);
  }
}

}  // namespace

Status check_run_name(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!good) return Error{ErrorCode::invalid, "'" + name + "' is no name of a run"};
  return {};
}

const char* run_result_code(RunResult result) {
  return result_codes[static_cast<std::size_t>(result)];
}
const char* run_result_name(RunResult result) {
  return result_names[static_cast<std::size_t>(result)];
}

Status save_request(const std::string& run_folder, const RunRequest& request) {
  json::object environment;
  for (const auto& [key, value] : request.environment) environment[key] = value;
  const json::object object{{"schema", "ufab.run/2"},
                            {"name", request.name},
                            {"script", request.script},
                            {"arguments", json::array(request.arguments.begin(), request.arguments.end())},
                            {"folder", request.folder},
                            {"input", request.input},
                            {"output", request.output},
                            {"error", request.error},
                            {"append_output", request.append_output},
                            {"environment", environment},
                            {"job_name", request.job_name},
                            {"script_digest", request.script_digest ? request.script_digest->str() : ""},
                            {"slots", request.slots},
                            {"tasks", request.tasks},
                            {"cpus_per_task", request.cpus_per_task},
                            {"nodes", request.nodes},
                            {"gpus", request.gpus},
                            {"time_limit_s", request.time_limit_s},
                            {"grace_s", request.grace_s},
                            {"memory_limit_mib", request.memory_limit_mib},
                            {"warn_signal", request.warn_signal},
                            {"warn_before_s", request.warn_before_s},
                            {"warn_shell_only", request.warn_shell_only},
                            {"isolation", isolation_to_json(request)}};
  return write_file_atomic(run_folder + "/request.json", as_bytes(json::serialize(object) + "\n"), 0600);
}

namespace {
constexpr const char* forgotten_suffix = ".gone";  // no run's name has a dot
}

Status forget_run_folder(const std::string& run_folder) {
  std::error_code error;
  const std::string gone = run_folder + forgotten_suffix;
  std::filesystem::remove_all(gone, error);
  std::filesystem::rename(run_folder, gone, error);
  if (!error) std::filesystem::remove_all(gone, error);
  if (error) return Error{ErrorCode::io, run_folder + ": " + error.message()};
  return {};
}

void remove_forgotten(const std::string& batch_folder) {
  std::vector<std::filesystem::path> gone;
  std::error_code error;
  for (std::filesystem::directory_iterator it(batch_folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == forgotten_suffix) gone.push_back(it->path());
  }
  for (const auto& path : gone) std::filesystem::remove_all(path, error);
}

Result<RunRequest> load_request(const std::string& run_folder) {
  return read_json_file<RunRequest>(run_folder + "/request.json", [](const json::value& value) {
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
    request.job_name = text("job_name");
    if (const std::string digest = text("script_digest"); !digest.empty()) {
      const auto parsed = Digest::parse(digest);
      if (!parsed) throw std::runtime_error("script_digest: " + parsed.error().message);
      request.script_digest = *parsed;
    }
    const auto count = [&](const char* key) { return object.at(key).to_number<std::uint32_t>(); };
    request.slots = count("slots");
    request.tasks = count("tasks");
    request.cpus_per_task = count("cpus_per_task");
    request.nodes = count("nodes");
    request.gpus = count("gpus");
    request.time_limit_s = number("time_limit_s");
    request.grace_s = number("grace_s");
    request.memory_limit_mib = number("memory_limit_mib");
    request.warn_signal = object.at("warn_signal").to_number<int>();
    request.warn_before_s = number("warn_before_s");
    request.warn_shell_only = object.at("warn_shell_only").as_bool();
    // A request of an earlier version has none.
    if (const json::value* isolation = object.if_contains("isolation"); isolation != nullptr)
      isolation_from_json(isolation->as_object(), request);
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

json::object run_status_to_json(const RunStatus& status) {
  return {{"state", state_names[static_cast<std::size_t>(status.state)]},
          {"result", run_result_name(status.result)},
          {"reason", status.reason},
          {"exit_code", status.exit_code},
          {"signal", status.signal},
          {"start_us", status.start_us},
          {"end_us", status.end_us},
          {"cpu_us", status.cpu_us},
          {"max_rss_kib", status.max_rss_kib},
          {"cluster", status.cluster},
          {"external_id", status.external_id},
          {"submit_us", status.submit_us},
          {"elapsed_us", status.elapsed_us},
          {"nodes", status.nodes},
          {"processors", status.processors},
          {"gpus", status.gpus},
          {"gpu_us", status.gpu_us},
          {"energy_j", status.energy_j},
          {"billing_s", status.billing_s},
          {"user", status.user},
          {"partition", status.partition}};
}

Result<RunStatus> run_status_from_json(const json::object& object) {
  UFAB_ASSIGN(const std::size_t state,
              index_of(state_names, std::string_view(object.at("state").as_string())));
  UFAB_ASSIGN(const std::size_t result,
              index_of(result_names, std::string_view(object.at("result").as_string())));
  RunStatus status;
  status.state = static_cast<RunState>(state);
  status.result = static_cast<RunResult>(result);
  const auto text = [&](const char* key) { return std::string(object.at(key).as_string()); };
  const auto number = [&]<typename T>(const char* key, T& field) { field = object.at(key).to_number<T>(); };
  status.reason = text("reason");
  number("exit_code", status.exit_code);
  number("signal", status.signal);
  number("start_us", status.start_us);
  number("end_us", status.end_us);
  number("cpu_us", status.cpu_us);
  number("max_rss_kib", status.max_rss_kib);
  status.cluster = text("cluster");
  number("external_id", status.external_id);
  number("submit_us", status.submit_us);
  number("elapsed_us", status.elapsed_us);
  number("nodes", status.nodes);
  number("processors", status.processors);
  number("gpus", status.gpus);
  number("gpu_us", status.gpu_us);
  number("energy_j", status.energy_j);
  number("billing_s", status.billing_s);
  status.user = text("user");
  status.partition = text("partition");
  return status;
}

Status save_status(const std::string& run_folder, const RunFile& file) {
  json::object object = run_status_to_json(file.status);
  object["schema"] = "ufab.run-status/2";
  object["shepherd_pid"] = file.shepherd.pid;
  object["shepherd_start_ticks"] = file.shepherd.start_ticks;
  return write_file_atomic(run_folder + "/status.json", as_bytes(json::serialize(object) + "\n"), 0600);
}

Result<RunFile> load_status(const std::string& run_folder) {
  const std::string path = run_folder + "/status.json";
  return read_json_file<RunFile>(path, [&](const json::value& value) -> Result<RunFile> {
    const json::object& object = value.as_object();
    RunFile file;
    UFAB_ASSIGN(file.status, run_status_from_json(object));
    file.shepherd.pid = object.at("shepherd_pid").to_number<std::int64_t>();
    file.shepherd.start_ticks = object.at("shepherd_start_ticks").to_number<std::uint64_t>();
    return file;
  });
}

std::string cancel_path(const std::string& run_folder) {
  return run_folder + "/cancel";
}

}  // namespace ufab::jobs
