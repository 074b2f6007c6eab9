#include "jobs/node/gateway.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/provider_agent.h"

namespace ufab::jobs {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
constexpr auto member_patience = 30s;
constexpr auto end_patience = 3s;       // between a run's end and the judgement over it: receipts travel
constexpr auto receipt_patience = 10s;  // after all runs ended well
constexpr auto ask_interval = 700ms;
constexpr std::size_t runs_max = 10;     // attempts that ran
constexpr std::uint32_t asks_max = 200;  // attempts in all; the ledger allows a few more

// The provider's machines or its batch system ended the run, not the script.
bool is_machines_fault(const MemberProgress& member) {
  return member.result == "node_fail" || member.result == "preempted" || member.result == "boot_fail";
}

bool is_passing(const MemberProgress& member) {
  if (is_machines_fault(member)) return true;
  if (member.result != "failed") return false;
  return member.signal != 0 || member.exit_code == 75 || member.exit_code > 128;
}

}  // namespace

Status Gateway::open() {
  const std::string jobs = node_.home.file("jobs");
  UFAB_TRY(make_folders(jobs, 0700));
  UFAB_ASSIGN(journal_, SubmissionJournal::open(node_.home.file("outbox"), jobs, node_.log));
  return {};
}

Status Gateway::set_hold(JobId job, bool held) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  if (view->job.phase == JobPhase::settled) return Error{ErrorCode::conflict, "the job has ended already"};
  const std::string path = JobFolder(node_.home, job).held();
  UFAB_TRY(journal_->checkpoint());  // or a submission that is placed again would undo it
  if (held) {
    if (view->job.phase != JobPhase::ordered)
      return Error{ErrorCode::conflict, "the job has started, or has asked its providers for their time"};
    UFAB_TRY(write_file_atomic(path, {}));
    queue_.set_held(job, true);
    return {};
  }
  std::error_code error;
  if (fs::remove(path, error)) UFAB_TRY(sync_folder_of(path));
  if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  queue_.set_held(job, false);
  return {};
}

bool Gateway::is_held(JobId job) const {
  if (const auto held = queue_.held(job)) return *held;
  return file_exists(JobFolder(node_.home, job).held());
}

Status Gateway::cancel(JobId job, const std::string& reason) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  if (view->job.phase == JobPhase::settled) return Error{ErrorCode::conflict, "the job has ended already"};
  if (view->job.cancelled) return {};
  Cancel record;
  record.job = job;
  record.result = JobResult::cancelled;
  record.reason = reason;
  const auto submitted = node_.chain->submit(record);
  queue_.touch(job);
  return submitted.ok() ? Status{} : Status(submitted.error());
}

Status Gateway::requeue(JobId job) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  if (view->job.phase != JobPhase::running && view->job.phase != JobPhase::leasing) {
    return Error{ErrorCode::conflict, "only a running job can be requeued"};
  }
  const std::lock_guard lock(mutex_);
  watches_[job].requeue_asked = true;
  return {};
}

Gateway::Watch Gateway::watch_of(JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(job);
  return found == watches_.end() ? Watch{} : found->second;
}

std::vector<MemberProgress> Gateway::progress(JobId job) const {
  return watch_of(job).progress;
}
std::string Gateway::pending_reason(JobId job) const {
  if (queue_.waits(job)) {
    const std::string reason = queue_.reason(job);
    return reason.empty() && is_held(job) ? reason_name(Reason::held_user) : reason;
  }
  return watch_of(job).reason;
}

void Gateway::say(JobId job, const std::string& line) {
  const std::lock_guard lock(mutex_);
  Watch& watch = watches_[job];
  watch.reason = line;
  if (std::exchange(watch.said, line) != line && !line.empty())
    node_.log("job " + std::to_string(job) + ": " + line);
}

void Gateway::tick() {
  place_when_due();
  if (node_.chain->self() == 0) return;
  queue_.refresh();
  start_waiting();
  for (const JobId job : queue_.to_drive()) {
    const auto view = view_job(*node_.chain, job);
    const bool home =
        !view || (view->job.phase == JobPhase::settled && file_exists(JobFolder(node_.home, job).finished()));
    if (home) {
      queue_.finished(job);
      const std::lock_guard lock(mutex_);
      watches_.erase(job);
      continue;
    }
    if (journal_->pending(view->job.order.idempotency_key) != nullptr) place_submissions();
    const Status status = drive(*view);
    say(job, status.ok() ? std::string() : status.error().message);
  }
}

// What the policy decided of waiting jobs.
void Gateway::start_waiting() {
  const JobQueue::Decisions decisions = queue_.decide(wall_clock_s());
  if (!decisions.starts.empty() || !decisions.ends.empty()) place_submissions();
  for (const JobQueue::StartDecision& start : decisions.starts) {
    const auto view = view_job(*node_.chain, start.job);
    Status status;
    // What the ledger says may be newer than what was decided on.
    const bool still = view && !view->job.cancelled && view->job.phase != JobPhase::settled &&
                       view->job.phase != JobPhase::validating &&
                       view->job.attempts.size() == start.after_attempt;
    const bool leased =
        still && start.reason == JobQueue::ask_elsewhere &&
        std::any_of(view->job.attempts.back().members.begin(), view->job.attempts.back().members.end(),
                    [](const MemberEntry& member) { return member.leased; });
    if (still && !leased) status = plan_attempt(*view, start.reason, start.providers);
    if (!status.ok()) {
      queue_.failed(start.job, status.error().message);
      say(start.job, status.error().message);
    }
    queue_.touch(start.job);
  }
  for (const JobQueue::EndDecision& end : decisions.ends) {
    const auto view = view_job(*node_.chain, end.job);
    if (view && view->job.phase != JobPhase::settled && !view->job.cancelled)
      say(end.job, fail(*view, end.reason).ok() ? end.reason : "cannot be ended now: " + end.reason);
    queue_.touch(end.job);
  }
}

std::vector<ProviderCapacity> Gateway::capacities() const {
  return node_.chain->read([](const State& state) {
    std::vector<ProviderCapacity> all;
    for (const auto& [id, entry] : state.organisations()) {
      if (entry.provider) all.push_back(capacity_of(state, entry));
    }
    return all;
  });
}

Status Gateway::plan_attempt(const JobView& view, const std::string& reason,
                             const std::vector<std::string>& gang) {
  const JobEntry& job = view.job;
  const auto number = static_cast<std::uint32_t>(job.attempts.size()) + 1;
  const auto ran = static_cast<std::size_t>(
      std::count_if(job.attempts.begin(), job.attempts.end(),
                    [](const AttemptEntry& attempt) { return attempt.all_leased(); }));
  if (ran >= runs_max || number > asks_max) {
    return fail(view, "gave up after " + std::to_string(ran) + " runs and " + std::to_string(number - 1) +
                          " attempts: " + reason);
  }
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(JobFolder(node_.home, job.id).spec()));
  BrokerRequest request = broker_request(spec);
  request.exchange_bytes = spec.exchange_bytes;
  request.steps = job.order.steps;
  request.micro_batches = job.order.micro_batches;
  request.flop_per_micro_batch = job.order.flop_per_micro_batch;
  request.exclude = excluded_names(view);
  const std::vector<std::string> avoided = avoided_names(job.id);
  request.exclude.insert(request.exclude.end(), avoided.begin(), avoided.end());
  // Fewer than asked for may carry on what the convicted or silent left behind.
  if (!request.exclude.empty() && number > 1) {
    request.providers_min =
        static_cast<std::uint32_t>(std::min<std::size_t>(request.providers_min, gang.size()));
    request.shares.clear();
  }
  request.owner = node_.config.organisation;
  request.now_s = wall_clock_s();
  std::vector<ProviderCapacity> providers = capacities();
  std::erase_if(providers, [&](const ProviderCapacity& provider) {
    return std::find(gang.begin(), gang.end(), provider.organisation) == gang.end();
  });
  UFAB_ASSIGN(const JobOffer offer, make_offer(request, std::move(providers), queue_.links()));
  JobAttempt attempt;
  attempt.job = job.id;
  attempt.attempt = number;
  attempt.window_first = job.windows_complete;
  attempt.reason = reason.substr(0, text_size_max);
  UFAB_TRY(node_.chain->read([&](const State& state) -> Status {
    for (const OfferMember& member : offer.members) {
      const OrgEntry* entry = state.organisation_by_name(member.organisation);
      if (entry == nullptr) return Error{ErrorCode::not_found, "no organisation " + member.organisation};
      attempt.shares.push_back({entry->id, member.first_micro_batch, member.micro_batches});
    }
    return {};
  }));
  const auto submitted = node_.chain->submit(std::move(attempt));
  return submitted.ok() ? Status{} : submitted.error().within("attempt");
}

Status Gateway::fail(const JobView& view, const std::string& reason) {
  Cancel record;
  record.job = view.job.id;
  record.result = JobResult::failed;
  record.reason = reason.substr(0, text_size_max);
  const auto submitted = node_.chain->submit(record);
  return submitted.ok() ? Status{} : Status(submitted.error());
}

Status Gateway::drive(const JobView& view) {
  const JobEntry& job = view.job;
  if (job.phase == JobPhase::settled) return finish(view);
  const Status mirrored = mirror_output(view, false);
  if (job.cancelled) return {};
  Watch watch = watch_of(job.id);
  const auto present = static_cast<std::uint32_t>(job.attempts.size());
  if (watch.attempt != present) {
    watch.attempt = present;
    watch.attempt_seen = Clock::now();
    watch.ended_since.reset();
    watch.unreachable_since.clear();
    watch.heard.clear();
    watch.progress.clear();
    watch.requeue_asked = false;
  }
  Status status;
  switch (job.phase) {
    case JobPhase::ordered: break;  // the queue's
    case JobPhase::leasing: drive_leasing(view, watch); break;
    case JobPhase::running:
      status = job.order.kind == JobKind::batch && job.usage ? countersign_usage(view)
                                                             : drive_running(view, watch);
      break;
    case JobPhase::validating:
      if (job.order.kind == JobKind::batch) status = countersign_usage(view);
      break;
    case JobPhase::requeue: plan_again(view, "a verdict took windows back"); break;
    case JobPhase::settled: break;
  }
  const std::lock_guard lock(mutex_);
  watch.said = watches_[job.id].said;
  watch.requeue_asked = watch.requeue_asked || watches_[job.id].requeue_asked;
  watches_[job.id] = std::move(watch);
  return status.ok() ? mirrored : status;
}

MemberProgress Gateway::ask_member(const JobView& view, const MemberEntry& member) {
  const std::uint32_t attempt = view.job.attempts.back().number;
  const OrgEntry& organisation = view.organisations.at(member.share.organisation);
  MemberProgress progress;
  progress.organisation = organisation.name;
  const bool own = organisation.id == node_.chain->self();
  const auto asked = Clock::now();
  const Result<Answer> answer =
      own ? Result<Answer>(local_progress(node_, view.job.id, attempt))
          : call_organisation(node_, organisation,
                              {"job.progress", {{"job", view.job.id}, {"attempt", attempt}}, {}}, ask_wait);
  progress.reachable = answer.ok();
  if (!answer) return progress;
  if (!own) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - asked);
    queue_.measured(node_.config.organisation, organisation.name,
                    {0, static_cast<std::uint64_t>(took.count()), wall_clock_s()});
  }
  const json::object& fields = answer->result;
  const auto text = [&](const char* key) { return json_line(fields, key, 200); };
  const auto number = [&](const char* key) {
    return json_number(fields, key).ok() ? *json_number(fields, key) : 0;
  };
  progress.state = text("state");
  progress.result = text("result");
  progress.reason = text("reason");
  progress.loss = text("loss");
  progress.exit_code = static_cast<int>(number("exit_code"));
  progress.signal = static_cast<int>(number("signal"));
  progress.step = number("step");
  progress.start_us = number("start_us");
  progress.end_us = number("end_us");
  progress.tokens_per_s = static_cast<double>(number("tokens_per_s"));
  return progress;
}

void Gateway::ask_members(const JobView& view, Watch& watch) {
  if (Clock::now() - watch.asked < ask_interval) return;
  watch.asked = Clock::now();
  std::vector<MemberProgress> all;
  for (const MemberEntry& member : view.job.attempts.back().members) {
    all.push_back(ask_member(view, member));
    const MemberProgress& progress = all.back();
    if (progress.reachable) {
      watch.unreachable_since.erase(progress.organisation);
    } else {
      watch.unreachable_since.try_emplace(progress.organisation, Clock::now());
    }
  }
  watch.progress = std::move(all);
}

Status Gateway::drive_running(const JobView& view, Watch& watch) {
  const JobEntry& job = view.job;
  ask_members(view, watch);
  if (watch.requeue_asked) {
    plan_again(view, "requeued by its owner");
    return {};
  }
  std::string passing;
  std::string lasting;
  bool machines_fault = false;  // a provider's machines or its silence, not the script
  std::size_t ended_well = 0;
  for (const MemberProgress& member : watch.progress) {
    if (!member.reachable) {
      if (Clock::now() - watch.unreachable_since[member.organisation] > member_patience) {
        passing = "the node of " + member.organisation + " does not answer";
        machines_fault = true;
        watch.avoid[member.organisation] = Clock::now();
      }
      continue;
    }
    if (member.state != "ended") continue;
    if (member.result == "completed") {
      ++ended_well;
      continue;
    }
    const std::string line =
        member.organisation + ": " + member.result +
        (member.reason.empty() ? ", exit code " + std::to_string(member.exit_code) : ", " + member.reason);
    (is_passing(member) ? passing : lasting) = line;
    machines_fault = machines_fault || is_machines_fault(member);
  }
  if (job.order.kind == JobKind::batch && lasting.empty() && passing.empty()) return {};
  // An ordinary script's failure is its own affair: the provider files the use and the job ends with it.
  if (job.order.kind == JobKind::batch && !lasting.empty()) return {};
  if (job.order.kind == JobKind::batch && !machines_fault) return {};
  const bool all_well = ended_well == watch.progress.size() && ended_well > 0;
  if (passing.empty() && lasting.empty() && !all_well) {
    watch.ended_since.reset();
    return {};
  }
  if (!watch.ended_since) watch.ended_since = Clock::now();
  const auto waited = Clock::now() - *watch.ended_since;
  if (all_well && passing.empty()) {
    if (waited < receipt_patience) return {};
    return blame_missing_receipts(view, watch);
  }
  if (waited < end_patience) return {};
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(JobFolder(node_.home, job.id).spec()));
  if (!lasting.empty()) return fail(view, lasting);
  if (!spec.options.requeue) return fail(view, passing);
  {
    const std::lock_guard lock(mutex_);
    watches_[job.id].avoid = watch.avoid;
  }
  plan_again(view, passing);
  return {};
}

// Every run ended well, and still a window is not complete: a member's receipts are missing or were refused.
Status Gateway::blame_missing_receipts(const JobView& view, Watch& watch) {
  const JobEntry& job = view.job;
  const AttemptEntry& attempt = job.attempts.back();
  const auto open = job.windows.find(job.windows_complete);
  std::string missing;
  for (std::size_t i = 0; i < attempt.members.size(); ++i) {
    const bool filed = open != job.windows.end() && open->second.attempt == attempt.number &&
                       i < open->second.receipts.size() && open->second.receipts[i].filed;
    if (filed) continue;
    const std::string& name = view.organisations.at(attempt.members[i].share.organisation).name;
    watch.avoid[name] = Clock::now();
    missing += (missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty() || attempt.members.size() == 1) {
    return fail(view, "the script ended without training every window");
  }
  {
    const std::lock_guard lock(mutex_);
    watches_[job.id].avoid = watch.avoid;
  }
  plan_again(view, "no valid receipt from " + missing);
  return {};
}

Status Gateway::countersign_usage(const JobView& view) {
  const JobEntry& job = view.job;
  if (!job.usage || job.usage->provider == job.owner) return {};
  Countersignature signature;
  signature.job = job.id;
  signature.attempt = job.usage->receipt.attempt;
  signature.receipts.push_back({0, job.usage->provider, job.usage->digest});
  const auto submitted = node_.chain->submit(std::move(signature));
  return submitted.ok() ? Status{} : submitted.error().within("countersignature");
}

}  // namespace ufab::jobs
