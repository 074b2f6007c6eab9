// What comes home from the members of a job: output as it is written, logs and the final model; and the
// answer of a member's node to "how far is it".
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/gateway.h"
#include "jobs/node/lease_desk.h"
#include "jobs/node/provider_agent.h"
#include "jobs/node/run_environment.h"

namespace ufab::jobs {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t max_result_bytes = std::uint64_t{1} << 42;

Status keep_job_file(const JobFile& source, const std::string& target) {
  UFAB_ASSIGN(const ForeignFile file, ForeignFile::open(source.folder, source.name));
  return file.keep_as(target, max_result_bytes);
}

// Where the present leader's output begins in the file that the script names, so that the size of that file
// says how much of the output is there; never behind its end. Kept beside the job and changed only when
// another member leads or somebody cut the file:
//   {"lead": NAME, "begin": OFFSET, "taken": {NAME: BYTES of an earlier leader's}}
// A leader that comes back goes on behind what was taken of it.
Result<std::uint64_t> begin_mirror(const std::string& notes, const std::string& lead, bool append,
                                   AppendFile& file) {
  json::object kept;
  if (const auto text = read_text_file(notes, 65536); text.ok()) {
    json::error_code error;
    const json::value value = json::parse(*text, error);
    if (!error && value.is_object()) kept = value.get_object();
  }
  const auto known = json_text(kept, "lead");
  const auto begin = json_number(kept, "begin");
  const bool started = known.ok() && begin.ok();
  if (started && *known == lead && *begin <= file.size()) return *begin;
  // The file of an earlier job is overwritten, as sbatch does.
  if (!started && !append && file.size() > 0) UFAB_TRY(file.truncate(0));
  json::object taken;
  if (const json::value* earlier = kept.if_contains("taken"); earlier != nullptr && earlier->is_object())
    taken = earlier->get_object();
  if (started && *known != lead && *begin <= file.size()) taken[*known] = file.size() - *begin;
  const auto of_lead = json_number(taken, lead);
  const std::uint64_t fresh = file.size() - std::min(file.size(), of_lead.ok() ? *of_lead : 0);
  const json::object object{{"lead", lead}, {"begin", fresh}, {"taken", taken}};
  UFAB_TRY(write_file_atomic(notes, as_bytes(json::serialize(object) + "\n"), 0600));
  return fresh;
}

}  // namespace

// Brings the first member's output to where the script's --output says, as far as it has been written.
Status Gateway::mirror_output(const JobView& view, bool last) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  const auto spec = load_job_spec(folder.spec());
  if (!spec || job.attempts.empty() || job.attempts.back().members.empty()) return {};
  const OrgEntry& lead = view.organisations.at(job.attempts.back().members.front().share.organisation);
  const SubmitOptions& options = spec->options;
  const fs::path base = options.working_folder.empty() ? spec->submit_folder : options.working_folder;
  const NameValues names = name_values(*spec, job.id);
  // A script that ran here as a user of its own may have prepared the path: it leads no further than that
  // user comes.
  std::optional<RunUser> writer;
  const OrgId self = node_.chain->self();
  const bool ran_here = std::any_of(
      job.attempts.begin(), job.attempts.end(),
      [&](const AttemptEntry& attempt) { return JobEntry::member_of(attempt, self).has_value(); });
  if (ran_here && node_.config.provider) {
    UFAB_ASSIGN(writer, run_user_for(node_.config.provider->isolation, node_.config.organisation));
  }
  const auto open_target = [&](const std::string& target) -> Result<AppendFile> {
    const FilesAs rights(writer);
    if (!rights.ok()) return Error{ErrorCode::denied, target + ": cannot be written as user " + writer->name};
    return AppendFile::open(target);
  };
  const auto mirror = [&](const std::string& name, const std::string& pattern) -> Status {
    const std::string target = (base / expand_file_name(pattern, names)).string();
    std::error_code error;
    const fs::file_status kind = fs::status(target, error);
    if (fs::exists(kind) && !fs::is_regular_file(kind)) return {};  // /dev/null, for example
    UFAB_ASSIGN(AppendFile file, open_target(target));
    UFAB_ASSIGN(const std::uint64_t begin, begin_mirror(folder.path() + "/mirrored-" + name + ".json",
                                                        lead.name, options.append_output, file));
    for (;;) {
      const std::uint64_t have = file.size() - begin;
      Result<Answer> piece = Error{ErrorCode::not_found, ""};
      if (lead.id == node_.chain->self()) {
        const auto source = resolve_job_file(node_.home, job.id, name);
        if (source) piece = read_job_file(*source, have);
      } else {
        piece = call_organisation(
            node_, lead, {"job.file", {{"job", job.id}, {"name", name}, {"offset", have}}, {}}, ask_wait);
      }
      if (!piece || piece->body.empty()) return {};
      UFAB_TRY(file.append(piece->body));
      if (!last) return {};  // the rest at the next tick
    }
  };
  if (Status status = mirror("output", options.output); !status.ok()) return status.error().within("output");
  if (options.error.empty() || options.error == options.output) return {};
  if (Status status = mirror("error", options.error); !status.ok()) return status.error().within("output");
  return {};
}

// What a large file that came over a link says of the link; small ones say more of the round trip.
void Gateway::measure_transfer(const std::string& organisation, const std::string& file,
                               Clock::duration took) {
  constexpr std::uint64_t worth_measuring = 1u << 20;
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(file, error);
  const auto us =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  if (error || bytes < worth_measuring || us == 0) return;
  const Seconds now_s = wall_clock_s();
  LinkMeasure measure = queue_.links().between(node_.config.organisation, organisation, now_s);
  measure.bytes_per_s = std::max<std::uint64_t>(bytes / us * 1'000'000, 1);
  measure.measured_s = now_s;
  queue_.measured(node_.config.organisation, organisation, measure);
}

Status Gateway::finish(const JobView& view) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  if (const Status status = mirror_output(view, true); !status.ok()) {
    node_.log("job " + std::to_string(job.id) + ": " + status.error().message);
  }
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
          if (const auto source = resolve_job_file(node_.home, job.id, name))
            static_cast<void>(keep_job_file(*source, target));
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
          const auto source = resolve_job_file(node_.home, job.id, name);
          fetched = source.ok() ? keep_job_file(*source, model) : Status(source.error());
        } else {
          const auto began = Clock::now();
          fetched = fetch_job_file(node_, organisation, job.id, name, model, nullptr, max_result_bytes);
          if (fetched.ok()) measure_transfer(organisation.name, model, Clock::now() - began);
        }
        if (fetched.ok()) break;
      }
      UFAB_TRY(fetched);
    }
  }
  // How an ordinary script ended, in words that the ledger has no field for (timeout, out of memory).
  std::string outcome;
  if (job.order.kind == JobKind::batch && job.usage && !job.attempts.back().members.empty()) {
    const MemberProgress progress = ask_member(view, job.attempts.back().members.front());
    outcome = json::serialize(json::object{{"result", progress.result},
                                           {"reason", progress.reason},
                                           {"start_us", progress.start_us},
                                           {"end_us", progress.end_us}}) +
              "\n";
  }
  UFAB_TRY(make_folders(folder.path(), 0700));
  UFAB_TRY(write_file_atomic(folder.finished(), as_bytes(outcome)));
  node_.log("job " + std::to_string(job.id) + ": settled");
  return {};
}

Answer local_progress(const NodeContext& node, JobId job, std::uint32_t attempt) {
  Answer answer;
  const auto status = node.batch->status(run_name(job, attempt));
  if (!status) {
    // There is no run: perhaps an ask that waits for its turn.
    const auto note = node.desk == nullptr ? std::nullopt : node.desk->note(job, attempt);
    if (!note) return answer;
    answer.result["state"] = note->declined ? "declined" : "asked";
    answer.result["reason"] = note->reason;
    return answer;
  }
  static constexpr const char* states[] = {"pending", "running", "ended"};
  answer.result["state"] = states[static_cast<std::size_t>(status->state)];
  answer.result["result"] = run_result_name(status->result);
  answer.result["reason"] = status->reason;
  answer.result["exit_code"] = status->exit_code;
  answer.result["signal"] = status->signal;
  answer.result["start_us"] = std::max<std::int64_t>(status->start_us, 0);
  answer.result["end_us"] = std::max<std::int64_t>(status->end_us, 0);
  // The newest step: the last whole line of the trainer's log.
  const JobFile written = JobFolder(node.home, job).written(attempt, "log.jsonl");
  const auto log = ForeignFile::open(written.folder, written.name);
  if (!log || log->size() == 0) return answer;
  const auto tail = log->read(log->size() > 8192 ? log->size() - 8192 : 0, 8192);
  if (!tail) return answer;
  std::string_view text = as_text(*tail);
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
