#include "jobs/node/verifier.h"
#include "jobs/node/housekeeping.h"

#include <algorithm>

#include "fabric/base/file.h"
#include "fabric/train/contributions.h"
#include "fabric/train/gang.h"
#include "fabric/train/verifier.h"
#include "jobs/node/job_spec.h"
#include "jobs/node/run_environment.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t max_checkpoint_bytes = std::uint64_t{1} << 42;
constexpr std::uint64_t max_claims_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t verify_time_limit_s = 24 * 3600;

std::string run_name_of(JobId job, const WindowEntry& window, int attempt) {
  return "verify-" + std::to_string(job) + "-" + std::to_string(window.attempt) + "-" +
         std::to_string(window.window) + "-" + std::to_string(attempt);
}

// Runs of a verifier differ from the providers' on purpose: equal digests then say more.
std::uint32_t ranks_for(const AttemptEntry& attempt, std::uint32_t slots) {
  const std::uint32_t theirs = attempt.members.empty() ? 1 : attempt.members.front().lease.ranks;
  const std::uint32_t total = theirs * static_cast<std::uint32_t>(attempt.members.size());
  return slots > 1 && total == 1 ? 2 : 1;
}

// The whole machine where it is ours alone; of a cluster, no more than the attempt itself had.
std::uint32_t slots_for(const HomeConfig& config, const AttemptEntry& attempt) {
  const std::uint32_t all = run_slots(config);
  if (!config.provider || config.provider->batch == "local") return all;
  std::uint64_t leased = 0;
  for (const MemberEntry& member : attempt.members)
    leased += std::uint64_t{member.lease.ranks} * member.lease.threads;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(leased, 1, all));
}

}  // namespace

void Verifier::tick() {
  const OrgId self = node_.chain->self();
  if (self == 0) return;
  const auto is_mine = [&](const WindowEntry& window) {
    return window.check == WindowCheck::assigned && window.verifier == self;
  };
  const auto views = view_jobs_in_progress(*node_.chain, [&](const JobEntry& job) {
    return job.phase == JobPhase::validating &&
           std::any_of(job.windows.begin(), job.windows.end(),
                       [&](const auto& entry) { return is_mine(entry.second); });
  });
  for (const JobView& view : views) {
    for (const auto& [number, window] : view.job.windows) {
      if (!is_mine(window)) continue;
      const Status status = advance(view, window);
      const std::string key = run_name_of(view.job.id, window, 0);
      const std::string line = status.ok() ? std::string() : status.error().message;
      if (std::exchange(said_[key], line) != line && !line.empty()) node_.log(key + ": " + line);
    }
  }
}

Status Verifier::advance(const JobView& view, const WindowEntry& window) {
  const JobFolder job_folder(node_.home, view.job.id);
  const std::string folder = job_folder.verification(window.attempt, window.window);
  int& tries = tries_[folder];
  const std::string name = run_name_of(view.job.id, window, tries + 1);
  const auto status = node_.batch->status(name);
  if (!status.ok()) {
    if (status.error().code != ErrorCode::not_found) return status.error();
    if (tries >= max_tries * (static_cast<int>(view.job.validation_round) + 1)) return {};
    UFAB_TRY(prepare(view, window, folder));
    const AttemptEntry& attempt = *view.job.attempt(window.attempt);
    const std::uint32_t slots = slots_for(node_.config, attempt);
    const std::uint32_t ranks = ranks_for(attempt, slots);
    JobSpec spec;
    spec.name = "verify";
    spec.options.tasks = ranks;
    spec.options.cpus_per_task = std::max(1U, slots / ranks);
    RunRequest run;
    run.name = name;
    run.script = folder + "/verify.sh";
    run.folder = folder;
    run.input = "/dev/null";
    run.output = run.error = folder + "/output";
    run.environment = run_environment(node_, spec, view.job.id, attempt, false);
    run.tasks = spec.options.tasks;
    run.cpus_per_task = spec.options.cpus_per_task;
    run.slots = run.tasks * run.cpus_per_task;
    run.time_limit_s = verify_time_limit_s;
    UFAB_TRY(node_.batch->start(run));
    node_.log("job " + std::to_string(view.job.id) + ": re-executing window " +
              std::to_string(window.window));
    return {};
  }
  if (status->state != RunState::ended) return {};
  if (file_exists(folder + "/verdict.json")) return vote(view, window, folder);
  ++tries;
  return Error{ErrorCode::io, "re-execution ended without a verdict (exit code " +
                                  std::to_string(status->exit_code) + "); see " + folder + "/output"};
}

Status Verifier::prepare(const JobView& view, const WindowEntry& window, const std::string& folder) {
  const JobEntry& job = view.job;
  const JobOrder& order = job.order;
  const AttemptEntry& attempt = *job.attempt(window.attempt);
  const OrgEntry& owner = view.organisations.at(job.owner);
  if (job.owner != node_.chain->self()) UFAB_TRY(mark_foreign(JobFolder(node_.home, job.id), owner.name));
  UFAB_TRY(make_folders(folder, 0700));
  if (!file_exists(folder + "/definition.toml")) {
    UFAB_TRY(
        fetch_job_file(node_, owner, job.id, "definition", folder + "/definition.toml", nullptr, 1u << 20));
  }
  const std::string blob = node_.home.blob(order.data_file_digest);
  if (!use_blob(blob)) {
    UFAB_TRY(make_folders(node_.home.file("blobs"), 0700));
    UFAB_TRY(
        fetch_job_file(node_, owner, job.id, "corpus", blob, &order.data_file_digest, max_checkpoint_bytes));
  }

  Gang gang;
  gang.job = job.id;
  gang.attempt = window.attempt;
  gang.resume = "none";
  const std::string attempt_text = std::to_string(window.attempt);
  for (const MemberEntry& member : attempt.members) {
    const OrgEntry& organisation = view.organisations.at(member.share.organisation);
    UFAB_ASSIGN(const Endpoint endpoint, Endpoint::parse(member.lease.bridge_address));
    gang.members.push_back({organisation.name, member.lease.bridge_key, endpoint.host, endpoint.port,
                            member.share.micro_batch_first, member.share.micro_batch_count});
    const std::string claims = folder + "/claims/" + organisation.name;
    UFAB_TRY(make_folders(claims + "/contributions", 0700));
    UFAB_TRY(fetch_job_file(node_, organisation, job.id, "windows:" + attempt_text, claims + "/windows.jsonl",
                            nullptr, max_claims_bytes));
    UFAB_TRY(fetch_job_file(node_, organisation, job.id,
                            "contributions:" + attempt_text + ":" + std::to_string(window.window),
                            contributions_path(claims, window.window), nullptr, max_claims_bytes));
  }
  UFAB_TRY(write_file_atomic(folder + "/gang.json", as_bytes(gang_json(gang) + "\n")));

  std::string start;
  if (window.window > 0) {
    const std::uint64_t step = window.window * order.window_steps;
    const std::string path = folder + "/start.h5";
    Status fetched = Error{ErrorCode::not_found, "nobody has the checkpoint"};
    for (const MemberEntry& member : attempt.members) {
      fetched = fetch_job_file(node_, view.organisations.at(member.share.organisation), job.id,
                               "checkpoint:" + attempt_text + ":" + std::to_string(step), path, nullptr,
                               max_checkpoint_bytes);
      if (fetched.ok()) break;
    }
    UFAB_TRY(fetched);
    start = " --start start.h5";
  }
  const std::string script =
      "#!/bin/sh\n"
      "# Written by ufabd: re-executes one window of a job and compares it with the providers' claims.\n"
      "exec ufab train --ranks \"$UFAB_RANKS\" --threads \"$UFAB_THREADS\" -- --verify " +
      std::to_string(window.window) + " --job definition.toml --data " + blob + start +
      " --gang gang.json --claims claims --out .\n";
  UFAB_TRY(write_file_atomic(folder + "/verify.sh", as_bytes(script), 0700));
  return {};
}

Status Verifier::vote(const JobView& view, const WindowEntry& window, const std::string& folder) {
  const AttemptEntry& attempt = *view.job.attempt(window.attempt);
  UFAB_ASSIGN(const std::string text, read_text_file(folder + "/verdict.json", 16u << 20));
  Vote vote;
  vote.job = view.job.id;
  vote.attempt = window.attempt;
  vote.window = window.window;
  auto verdict = parse_verdict(text);
  if (!verdict) return verdict.error().within(folder + "/verdict.json");
  vote.start_digest = verdict->start_digest;
  vote.end_digest = verdict->end_digest;
  for (const MemberEntry& member : attempt.members) {
    const std::string& name = view.organisations.at(member.share.organisation).name;
    const auto found = std::find_if(verdict->members.begin(), verdict->members.end(),
                                    [&](const MemberVerdict& m) { return m.name == name; });
    if (found == verdict->members.end()) {
      return Error{ErrorCode::corrupt, folder + "/verdict.json: says nothing of " + name};
    }
    MemberFinding finding;
    finding.organisation = member.share.organisation;
    finding.bad = !found->ok;
    if (finding.bad) {
      finding.step = found->first_bad_step.value_or(window.window * view.job.order.window_steps + 1);
    }
    finding.micro_batch = found->micro_batch.value_or(0);
    vote.findings.push_back(finding);
  }
  const bool good =
      std::none_of(vote.findings.begin(), vote.findings.end(), [](const auto& f) { return f.bad; });
  const auto submitted = node_.chain->submit(std::move(vote));
  if (!submitted) return submitted.error().within("vote");
  node_.log("job " + std::to_string(view.job.id) + ": window " + std::to_string(window.window) +
            (good ? " re-executed, digests equal" : " re-executed, digests differ"));
  return {};
}

}  // namespace ufab::jobs
