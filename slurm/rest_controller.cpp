#include "slurm/rest_controller.h"

#include <unistd.h>

#include <pwd.h>
#include <boost/json.hpp>

#include "fabric/base/file.h"

namespace ufab::slurm {

namespace json = boost::json;

namespace {

using jobs::RunRequest;

constexpr const char* submit_target = "/slurm/v0.0.38/job/submit";
constexpr std::chrono::seconds answer_wait{120};
constexpr std::size_t token_max = 16384;

std::string own_name() {
  std::vector<char> room(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, room.data(), room.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return std::to_string(::geteuid());
}

// The token itself, or nothing that could end a header's line.
Result<std::string> read_token(const std::string& path) {
  UFAB_ASSIGN(std::string text, read_text_file(path, token_max));
  text.resize(std::min(text.size(), text.find_first_of("\r\n")));
  if (text.starts_with("SLURM_JWT=")) text.erase(0, 10);
  const bool plain =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!plain) return Error{ErrorCode::invalid, path + ": no token"};
  return text;
}

class RestController final : public Controller {
 public:
  RestController(RestSettings rest, SlurmSettings settings, std::unique_ptr<Controller> commands)
      : rest_(std::move(rest)), settings_(std::move(settings)), commands_(std::move(commands)) {}

  SubmitOutcome submit(const RunRequest& request, const std::string& tag,
                       const std::string& launcher) override {
    const bool shell_only = request.warn_signal != 0 && request.warn_shell_only;
    if (shell_only || request.user) return commands_->submit(request, tag, launcher);
    HttpRequest message{"POST",
                        submit_target,
                        {{"Content-Type", "application/json"}},
                        rest_job(settings_, request, tag, launcher)};
    if (!rest_.token_file.empty()) {
      const auto token = read_token(rest_.token_file);
      if (!token) return Unanswered{token.error().message};
      message.headers.emplace_back("X-SLURM-USER-NAME", own_name());
      message.headers.emplace_back("X-SLURM-USER-TOKEN", *token);
    }
    const auto answer = http_request(rest_.server, message, deadline_in(answer_wait));
    if (!answer) return Unanswered{"slurmrestd: " + answer.error().message};
    return rest_outcome(*answer);
  }
  Result<std::vector<SlurmJob>> queue(const std::set<std::string>& others) override {
    return commands_->queue(others);
  }
  Result<std::vector<SlurmJob>> accounts(std::span<const std::string> tags, std::int64_t since_us) override {
    return commands_->accounts(tags, since_us);
  }
  Status cancel(std::uint64_t job) override { return commands_->cancel(job); }

 private:
  RestSettings rest_;
  SlurmSettings settings_;
  std::unique_ptr<Controller> commands_;
};

}  // namespace

std::string rest_job(const SlurmSettings& settings, const RunRequest& request, const std::string& tag,
                     const std::string& launcher) {
  json::object job{{"name", tag},
                   {"no_requeue", true},
                   {"comment", job_comment(request)},
                   {"environment", json::object{{"UFAB_RUN", request.name}}},
                   {"tasks", request.tasks},
                   {"cpus_per_task", request.cpus_per_task},
                   {"current_working_directory", request.folder},
                   {"standard_input", plain_path(request.input)},
                   {"standard_output", plain_path(request.output)},
                   {"standard_error", plain_path(request.error)},
                   {"open_mode", request.append_output ? "append" : "truncate"}};
  const std::pair<const char*, const std::string*> named[] = {{"partition", &settings.partition},
                                                              {"account", &settings.account},
                                                              {"qos", &settings.qos},
                                                              {"reservation", &settings.reservation}};
  for (const auto& [key, value] : named) {
    if (!value->empty()) job[key] = *value;
  }
  if (request.nodes != 0) job["nodes"] = json::array{request.nodes, request.nodes};
  if (request.gpus != 0) job["gpus"] = std::to_string(request.gpus);
  if (request.memory_limit_mib != 0) job["memory_per_cpu"] = memory_per_processor_mib(request);
  if (request.time_limit_s != 0) job["time_limit"] = (request.time_limit_s + 59) / 60;
  if (request.warn_signal != 0) job["signal"] = warn_signal(request);
  return json::serialize(json::object{{"job", std::move(job)}, {"script", launcher}});
}

SubmitOutcome rest_outcome(const HttpAnswer& answer) {
  json::error_code error;
  const json::value body = json::parse(answer.body, error);
  const json::object* fields = error ? nullptr : body.if_object();
  std::string line;
  if (fields != nullptr) {
    if (const json::value* id = fields->if_contains("job_id")) {
      json::error_code no_number;
      const auto number = id->to_number<std::uint64_t>(no_number);
      if (!no_number && number != 0) return Accepted{number};
    }
    const json::value* errors = fields->if_contains("errors");
    if (errors != nullptr && errors->is_array()) {
      for (const json::value& one : errors->get_array()) {
        const json::object* entry = one.if_object();
        if (entry == nullptr) continue;
        const json::value* text = entry->if_contains("error");
        if (text != nullptr && text->is_string() && line.empty()) line = std::string(text->get_string());
      }
    }
  }
  // 400: slurmrestd itself could not read what it was given, and will not when asked again.
  if (answer.status == 400) return Refused{"slurmrestd: " + (line.empty() ? "bad request" : line)};
  if (line.empty())
    return Unanswered{"slurmrestd answers " + std::to_string(answer.status) +
                      (answer.status == 401 ? ", which is about the token" : "")};
  return submit_error_outcome(line);
}

std::unique_ptr<Controller> make_rest_controller(RestSettings rest, SlurmSettings settings,
                                                 std::unique_ptr<Controller> commands) {
  return std::make_unique<RestController>(std::move(rest), std::move(settings), std::move(commands));
}

}  // namespace ufab::slurm
