#include "slurm/run_step.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ufab::slurm {

namespace {

using jobs::RunResult;
using jobs::RunState;

struct EndedState {
  std::string_view name;
  RunResult result;
};
// squeue(1) and sacct(1), "JOB STATE CODES": the states that a job does not leave by itself.
constexpr std::array<EndedState, 12> ended_states{{{"COMPLETED", RunResult::completed},
                                                   {"FAILED", RunResult::failed},
                                                   {"CANCELLED", RunResult::cancelled},
                                                   {"TIMEOUT", RunResult::timeout},
                                                   {"OUT_OF_MEMORY", RunResult::out_of_memory},
                                                   {"NODE_FAIL", RunResult::node_fail},
                                                   {"PREEMPTED", RunResult::preempted},
                                                   {"DEADLINE", RunResult::deadline},
                                                   {"BOOT_FAIL", RunResult::boot_fail},
                                                   {"REVOKED", RunResult::node_fail},
                                                   {"LAUNCH_FAILED", RunResult::node_fail},
                                                   {"RECONFIG_FAIL", RunResult::node_fail}}};

const EndedState* ended_state(std::string_view name) {
  // sacct writes "CANCELLED by 1000".
  name = name.substr(0, name.find(' '));
  const auto found = std::find_if(ended_states.begin(), ended_states.end(),
                                  [&](const EndedState& s) { return s.name == name; });
  return found == ended_states.end() ? nullptr : &*found;
}

bool is_started_state(std::string_view name) {
  constexpr std::array<std::string_view, 7> started{"RUNNING",   "COMPLETING", "SUSPENDED", "STOPPED",
                                                    "SIGNALING", "STAGE_OUT",  "RESIZING"};
  return std::find(started.begin(), started.end(), name) != started.end();
}

void end(RunRecord& record, RunResult result, std::string reason) {
  record.phase = RunPhase::ended;
  record.status.state = RunState::ended;
  record.status.result = result;
  record.status.reason = std::move(reason);
}

bool is_twin(const RunRecord& record, std::uint64_t job) {
  return std::find(record.twins.begin(), record.twins.end(), job) != record.twins.end();
}

void cancel_twin(RunRecord& record, std::uint64_t job, std::vector<Action>& actions) {
  if (!is_twin(record, job)) record.twins.push_back(job);
  actions.emplace_back(CancelJob{job});
}

// Takes over what Slurm says. The record ends only through `end_as`.
void describe(RunRecord& record, const SlurmJob& job) {
  jobs::RunStatus& status = record.status;
  status.external_id = job.id;
  status.submit_us = job.submit_us;
  status.start_us = job.start_us;
  if (is_ended_state(job.state)) {
    status.exit_code = job.exit_code;
    status.signal = job.signal;
    status.end_us = job.end_us;
    if (status.start_us == 0) status.end_us = 0;  // cancelled before it started
    return;
  }
  status.state = is_started_state(job.state) ? RunState::running : RunState::pending;
  status.reason = status.state == RunState::pending && job.reason != "None" ? job.reason : "";
}

void take_usage(RunRecord& record, const SlurmJob& job) {
  jobs::RunStatus& status = record.status;
  status.cluster = job.cluster;
  status.elapsed_us = job.elapsed_us;
  status.cpu_us = job.cpu_us;
  status.max_rss_kib = job.max_rss_kib;
  status.nodes = job.nodes;
  status.processors = job.processors;
  status.gpus = job.gpus;
  status.gpu_us = job.gpu_us;
  status.energy_j = job.energy_j;
  status.billing_s = job.billing_s;
  status.user = job.user;
  status.partition = job.partition;
}

void end_as(RunRecord& record, const SlurmJob& job) {
  describe(record, job);
  RunResult result = ended_state(job.state)->result;
  // Its script started between the look at the claim and the cancelling: nobody wished for its end.
  if (result == RunResult::cancelled && !record.cancel_wanted && is_twin(record, job.id))
    result = RunResult::node_fail;
  // A killed slurmctld forgets that it has launched a job. Nobody knows how the script fared.
  if (result == RunResult::failed && record.launched_again && job.exit_code == launch_refused)
    result = RunResult::node_fail;
  std::string reason;
  if (result != RunResult::completed && result != RunResult::failed) {
    reason = "Slurm job " + std::to_string(job.id) + ": " + job.state;
  }
  end(record, result, std::move(reason));
}

std::vector<Action> cancel_if_wanted(RunRecord& record, std::int64_t now_us, const StepLimits& limits) {
  if (!record.cancel_wanted || record.phase != RunPhase::submitted || record.finished_us != 0) return {};
  if (record.cancelled_us != 0 && now_us - record.cancelled_us < limits.cancel_again_us) return {};
  record.cancelled_us = now_us;
  return {CancelJob{record.job}};
}

void adopt(RunRecord& record, std::uint64_t job) {
  record.phase = RunPhase::submitted;
  record.job = job;
  record.missing_since_us = 0;
  record.unknown_since_us = 0;
  record.status.external_id = job;
}

const SlurmJob* find_job(const std::vector<SlurmJob>& jobs, std::uint64_t id) {
  const SlurmJob* newest = nullptr;  // ids are recycled: the newest submission is ours
  for (const SlurmJob& job : jobs) {
    if (job.id == id && (newest == nullptr || job.submit_us > newest->submit_us)) newest = &job;
  }
  return newest;
}

// The job to adopt when the answer to a submission was lost: the oldest that still lives, else the oldest.
const SlurmJob* adoptable(const RunRecord& record, const std::vector<SlurmJob>& jobs) {
  const SlurmJob* best = nullptr;
  for (const SlurmJob& job : jobs) {
    if (is_twin(record, job.id)) continue;
    const auto key = [](const SlurmJob& j) { return std::pair(is_ended_state(j.state), j.id); };
    if (best == nullptr || key(job) < key(*best)) best = &job;
  }
  return best;
}

std::vector<Action> on_queue(RunRecord& record, const InQueue& queue, std::int64_t now_us,
                             const StepLimits& limits) {
  if (record.phase == RunPhase::intended) return {};
  if (record.phase == RunPhase::attempted) {
    const SlurmJob* found = adoptable(record, queue.jobs);
    if (found == nullptr) {
      if (queue.asked_us - record.attempted_us >= limits.settle_us && record.missing_since_us == 0)
        record.missing_since_us = queue.asked_us;
      return {};
    }
    adopt(record, found->id);
  }
  if (!record.claimed && find_job(queue.jobs, record.job) == nullptr) {
    // slurmctld lost it; a twin of an earlier submission is as good.
    if (const SlurmJob* twin = adoptable(record, queue.jobs); twin != nullptr) adopt(record, twin->id);
  }
  std::vector<Action> actions;
  for (const SlurmJob& job : queue.jobs) {  // late twins of a lost submission
    if (job.id != record.job && !is_ended_state(job.state)) cancel_twin(record, job.id, actions);
  }
  const SlurmJob* job = find_job(queue.jobs, record.job);
  if (job == nullptr) {
    // The question may be older than the submission that it seems to miss.
    if (record.missing_since_us == 0 && queue.asked_us > record.attempted_us)
      record.missing_since_us = queue.asked_us;
    return actions;
  }
  record.missing_since_us = 0;
  record.unknown_since_us = 0;
  describe(record, *job);
  if (is_ended_state(job->state)) {
    if (record.finished_us == 0) record.finished_us = now_us;
    if (now_us - record.finished_us >= limits.accounts_us) end_as(record, *job);
    return actions;
  }
  record.finished_us = 0;  // requeued by an administrator
  for (Action& action : cancel_if_wanted(record, now_us, limits)) actions.push_back(action);
  return actions;
}

// No job of this run is in Slurm, and its script has not started.
void submit_again(RunRecord& record, const StepLimits& limits) {
  record.phase = RunPhase::intended;
  record.job = 0;
  record.missing_since_us = 0;
  record.unknown_since_us = 0;
  record.cancelled_us = 0;
  if (record.cancel_wanted) {
    end(record, RunResult::cancelled, "cancelled before it started");
  } else if (record.attempts >= limits.attempts) {
    end(record, RunResult::node_fail, "Slurm lost " + std::to_string(record.attempts) + " submissions of it");
  }
}

void on_accounts(RunRecord& record, const InAccounts& accounts, const StepLimits& limits) {
  if (record.phase == RunPhase::intended) return;
  if (record.phase == RunPhase::attempted) {
    const SlurmJob* found = adoptable(record, accounts.jobs);
    if (found != nullptr) {
      adopt(record, found->id);
    } else {
      const bool settled = accounts.asked_us - record.attempted_us >= limits.settle_us;
      if (!settled || record.missing_since_us == 0) return;
      submit_again(record, limits);  // both have answered, late enough: it never arrived
      return;
    }
  }
  const SlurmJob* job = find_job(accounts.jobs, record.job);
  if (job != nullptr) {
    take_usage(record, *job);
    // While slurmctld lists the job as alive, its word is newer than the database's.
    const bool gone = record.finished_us != 0 || record.missing_since_us != 0;
    if (is_ended_state(job->state) && job->end_us != 0 && gone) {
      end_as(record, *job);
      return;
    }
  }
  if (record.missing_since_us == 0) return;
  // Both have answered, and neither has an end of it.
  if (record.unknown_since_us == 0) record.unknown_since_us = accounts.asked_us;
  const std::int64_t unknown_us = accounts.asked_us - record.unknown_since_us;
  if (!record.claimed && unknown_us >= limits.settle_us) {
    submit_again(record, limits);
  } else if (record.claimed && unknown_us >= limits.forgotten_us) {
    end(record, record.cancel_wanted ? RunResult::cancelled : RunResult::node_fail,
        "Slurm no longer knows job " + std::to_string(record.job));
  }
}

}  // namespace

bool is_ended_state(std::string_view slurm_state) {
  return ended_state(slurm_state) != nullptr;
}

bool lacks_usage(const RunRecord& record) {
  return record.phase == RunPhase::ended && record.job != 0 && record.status.cluster.empty();
}

bool wants_accounts(const RunRecord& record) {
  switch (record.phase) {
    case RunPhase::intended:
    case RunPhase::ended: return false;
    case RunPhase::attempted: return record.missing_since_us != 0;
    case RunPhase::submitted: return record.finished_us != 0 || record.missing_since_us != 0;
  }
  return false;
}

std::vector<Action> step(RunRecord& record, const Event& event, std::int64_t now_us,
                         const StepLimits& limits) {
  if (record.phase == RunPhase::ended) {
    std::vector<Action> actions;
    if (const auto* accounts = std::get_if<InAccounts>(&event); accounts != nullptr && lacks_usage(record)) {
      const SlurmJob* job = find_job(accounts->jobs, record.job);
      if (job != nullptr && is_ended_state(job->state) && job->end_us != 0) take_usage(record, *job);
    }
    // A twin that turns up after the end must not stay in the queue.
    if (const auto* queue = std::get_if<InQueue>(&event)) {
      for (const SlurmJob& job : queue->jobs) {
        if (!is_ended_state(job.state)) actions.emplace_back(CancelJob{job.id});
      }
    }
    return actions;
  }
  if (std::holds_alternative<Tick>(event)) {
    if (record.phase != RunPhase::intended) return cancel_if_wanted(record, now_us, limits);
    record.phase = RunPhase::attempted;
    record.attempted_us = now_us;
    ++record.attempts;
    record.status.reason.clear();
    return {Submit{}};
  }
  if (const auto* accepted = std::get_if<Accepted>(&event)) {
    if (record.phase == RunPhase::attempted) adopt(record, accepted->job);
    return cancel_if_wanted(record, now_us, limits);
  }
  if (const auto* refused = std::get_if<Refused>(&event)) {
    if (record.phase == RunPhase::attempted) {
      end(record, record.cancel_wanted ? RunResult::cancelled : RunResult::node_fail, refused->reason);
    }
    return {};
  }
  if (const auto* unanswered = std::get_if<Unanswered>(&event)) {
    record.status.reason = unanswered->reason;
    return {};
  }
  if (const auto* claimed = std::get_if<Claimed>(&event)) {
    if (claimed->job == closed_claim) {
      end(record, record.cancel_wanted ? RunResult::cancelled : RunResult::node_fail,
          "ended before it started");
      return {};
    }
    if (record.phase == RunPhase::attempted || record.phase == RunPhase::submitted) {
      record.claimed = true;
      record.launched_again = record.launched_again || claimed->launched_again;
      if (record.job != claimed->job) adopt(record, claimed->job);
    }
    return {};
  }
  if (std::holds_alternative<CancelAsked>(event)) {
    record.cancel_wanted = true;
    if (record.phase == RunPhase::intended) {
      end(record, RunResult::cancelled, "cancelled before it started");
      return {};
    }
    return cancel_if_wanted(record, now_us, limits);
  }
  if (const auto* queue = std::get_if<InQueue>(&event)) return on_queue(record, *queue, now_us, limits);
  on_accounts(record, std::get<InAccounts>(event), limits);
  return {};
}

}  // namespace ufab::slurm
