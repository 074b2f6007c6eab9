#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "jobs/cli/verbs.h"
#include "jobs/rpc/client.h"
#include "jobs/script/array.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

Result<Answer> ask_node(const Invocation& invocation, const std::string& method, boost::json::object params,
                        Bytes body, int timeout_s) {
  UFAB_ASSIGN(const Home home, invocation.home());
  if (!home.exists())
    return Error{ErrorCode::not_found, home.path() + " is no home yet; `ufab init` makes one"};
  UFAB_ASSIGN(RpcClient client, RpcClient::connect_home(home.socket()));
  return client.call({method, std::move(params), std::move(body)}, std::chrono::seconds(timeout_s));
}

std::string program_beside(const char* name) {
  std::error_code error;
  return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name).string();
}

void print_json(const boost::json::object& object) {
  std::puts(boost::json::serialize(object).c_str());
}

Result<std::uint64_t> parse_job_number(const std::string& text) {
  const auto number = parse_count(text, 1, 1'000'000'000'000);
  if (!number) return Error{ErrorCode::usage, "'" + text + "' is no job number"};
  return *number;
}

Result<std::vector<std::uint64_t>> resolve_jobs(const Invocation& invocation, const std::string& text) {
  const std::size_t underscore = text.find('_');
  UFAB_ASSIGN(const std::uint64_t number, parse_job_number(text.substr(0, underscore)));
  std::vector<std::uint32_t> wanted;
  if (underscore != std::string::npos) {
    const auto tasks = parse_array(std::string_view(text).substr(underscore + 1));
    if (!tasks || tasks->throttle != 0) return Error{ErrorCode::usage, "'" + text + "' is no job number"};
    wanted = tasks->tasks;
  }
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "array", {{"job", number}}));
  const boost::json::array& tasks = answer.result.at("tasks").as_array();
  const auto field = [](const boost::json::value& task, const char* name) {
    return task.as_object().at(name).to_number<std::uint64_t>();
  };
  // Only the first task's number is the array's too; another task's means that task alone.
  const bool whole = !tasks.empty() && field(tasks.front(), "job") == number;
  if (underscore == std::string::npos && !whole) return std::vector<std::uint64_t>{number};
  std::vector<std::uint64_t> jobs;
  for (const boost::json::value& task : tasks) {
    const bool named =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), field(task, "task")) != wanted.end();
    if (whole && named) jobs.push_back(field(task, "job"));
  }
  if (jobs.empty()) return Error{ErrorCode::not_found, "no job " + text};
  return jobs;
}

std::string format_duration(std::uint64_t seconds) {
  char text[48];
  if (seconds >= 3600) {
    std::snprintf(text, sizeof text, "%llu:%02llu:%02llu", static_cast<unsigned long long>(seconds / 3600),
                  static_cast<unsigned long long>(seconds / 60 % 60),
                  static_cast<unsigned long long>(seconds % 60));
  } else {
    std::snprintf(text, sizeof text, "%llu:%02llu", static_cast<unsigned long long>(seconds / 60),
                  static_cast<unsigned long long>(seconds % 60));
  }
  return text;
}

}  // namespace ufab::jobs
