// What comes home from the members of a job: output as it is written, logs and the final model; and the
// answer of a member's node to "how far is it".
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/gateway.h"
#include "jobs/node/provider_agent.h"
#include "jobs/node/run_environment.h"

namespace ufab::jobs {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t max_result_bytes = std::uint64_t{1} << 42;

}  // namespace

// Brings the first member's output to where the script's --output says, as far as it has been written.
void Gateway::mirror_output(const JobView& view, bool last) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  const auto spec = load_job_spec(folder.spec());
  if (!spec || job.attempts.empty() || job.attempts.back().members.empty()) return;
  const OrgEntry& lead = view.organisations.at(job.attempts.back().members.front().share.organisation);
  const char* user = std::getenv("USER");
  const NameValues names{job.id, spec->name, user == nullptr ? "" : user, short_host_name()};
  const SubmitOptions& options = spec->options;
  const std::string base = options.working_folder.empty() ? spec->submit_folder : options.working_folder;
  const auto mirror = [&](const char* name, const std::string& pattern) {
    if (pattern.empty()) return;
    const std::string target = (fs::path(base) / expand_file_name(pattern, names)).string();
    std::error_code error;
    std::uint64_t have = fs::exists(target, error) ? fs::file_size(target, error) : 0;
    for (;;) {
      Result<Answer> piece = Error{ErrorCode::not_found, ""};
      if (lead.id == node_.chain->self()) {
        const auto path = resolve_job_file(node_.home, job.id, name);
        if (path) piece = read_job_file(*path, have);
      } else {
        piece = call_organisation(
            node_, lead, {"job.file", {{"job", job.id}, {"name", name}, {"offset", have}}, {}}, ask_wait);
      }
      if (!piece || piece->body.empty()) return;
      auto file = AppendFile::open(target);
      if (!file || !file->append(piece->body).ok()) return;
      have += piece->body.size();
      if (!last) return;  // the rest at the next tick
    }
  };
  mirror("output", options.output);
  mirror("error", options.error);
}

Status Gateway::finish(const JobView& view) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  mirror_output(view, true);
  if (job.order.kind == JobKind::training) {
    UFAB_TRY(make_folders(folder.result() + "/logs", 0700));
    const OrgId self = node_.chain->self();
    for (const AttemptEntry& attempt : job.attempts) {
      for (const MemberEntry& member : attempt.members) {
        const OrgEntry& organisation = view.organisations.at(member.share.organisation);
        const std::string name = "log:" + std::to_string(attempt.number);
        const std::string target =
            folder.result() + "/logs/attempt-" + std::to_string(attempt.number) + ".jsonl";
        if (file_exists(target)) break;
        if (organisation.id == self) {
          if (const auto path = resolve_job_file(node_.home, job.id, name))
            static_cast<void>(link_or_copy(*path, target));
        } else if (fetch_job_file(node_, organisation, job.id, name, target, nullptr, max_result_bytes)
                       .ok()) {
          break;
        }
      }
    }
    const std::string model = folder.result() + "/model.h5";
    const bool trained = job.settlement && job.windows_complete == job.windows_total();
    if (trained && !file_exists(model)) {
      const std::string name =
          "checkpoint:" + std::to_string(job.attempts.back().number) + ":" + std::to_string(job.order.steps);
      Status fetched = Error{ErrorCode::not_found, "nobody has the final checkpoint"};
      for (const MemberEntry& member : job.attempts.back().members) {
        const OrgEntry& organisation = view.organisations.at(member.share.organisation);
        if (organisation.id == self) {
          const auto path = resolve_job_file(node_.home, job.id, name);
          fetched = path.ok() ? link_or_copy(*path, model) : Status(path.error());
        } else {
          fetched = fetch_job_file(node_, organisation, job.id, name, model, nullptr, max_result_bytes);
        }
        if (fetched.ok()) break;
      }
      UFAB_TRY(fetched);
    }
  }
  UFAB_TRY(make_folders(folder.path(), 0700));
  UFAB_TRY(write_file_atomic(folder.path() + "/finished", {}));
  node_.log("job " + std::to_string(job.id) + ": settled");
  return {};
}

Answer local_progress(const NodeContext& node, JobId job, std::uint32_t attempt) {
  Answer answer;
  const auto status = node.batch->status(run_name(job, attempt));
  if (!status) return answer;
  static constexpr const char* states[] = {"pending", "running", "ended"};
  answer.result["state"] = states[static_cast<std::size_t>(status->state)];
  answer.result["result"] = run_result_name(status->result);
  answer.result["reason"] = status->reason;
  answer.result["exit_code"] = status->exit_code;
  answer.result["signal"] = status->signal;
  // The newest step: the last whole line of the trainer's log.
  const std::string path = JobFolder(node.home, job).out(attempt) + "/log.jsonl";
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error || size == 0) return answer;
  const auto tail = read_job_file(path, size > 8192 ? size - 8192 : 0);
  if (!tail) return answer;
  std::string_view text = as_text(tail->body);
  text = text.substr(0, text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n'));
  text = text.substr(text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1);
  json::error_code parse_error;
  const json::value line = json::parse(text, parse_error);
  if (parse_error || !line.is_object()) return answer;
  const json::object& fields = line.get_object();
  if (const json::value* step = fields.if_contains("step")) answer.result["step"] = *step;
  if (const json::value* loss = fields.if_contains("loss")) answer.result["loss"] = json_decimal(*loss);
  if (const json::value* speed = fields.if_contains("tokens_per_s"); speed != nullptr && speed->is_number()) {
    answer.result["tokens_per_s"] = static_cast<std::uint64_t>(std::max(0.0, speed->to_number<double>()));
  }
  return answer;
}

}  // namespace ufab::jobs
