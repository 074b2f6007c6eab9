// Which jobs a provider looks at, and what it does about attempts that ask for it.
#include <algorithm>

#include "jobs/node/lease_desk.h"
#include "jobs/node/provider_agent.h"

namespace ufab::jobs {

Status check_ordered(const JobSpec& spec, const JobOrder& order) {
  const std::uint64_t slots = std::uint64_t{spec.options.tasks} * spec.options.cpus_per_task;
  const auto declined = [](std::string why) {
    return Error{ErrorCode::limit, "declined: " + std::move(why)};
  };
  if (slots != order.slots) {
    return declined("the job's script wants " + std::to_string(slots) + " processors, its order " +
                    std::to_string(order.slots));
  }
  if (spec.options.memory_limit_mib() > order.memory_mib) {
    return declined("the job's script wants " + std::to_string(spec.options.memory_limit_mib()) +
                    " MiB, its order " + std::to_string(order.memory_mib));
  }
  return {};
}

std::uint64_t run_limit_s(const JobSpec& spec, const JobOrder& order) {
  const std::uint64_t asked_s = std::uint64_t{spec.options.time_limit_minutes.value_or(0)} * 60;
  if (asked_s == 0 || order.time_limit_s == 0) return std::max(asked_s, order.time_limit_s);
  return std::min(asked_s, order.time_limit_s);
}

// Jobs in progress in which this provider has or had a share, and those that it watches still.
std::vector<JobView> ProviderAgent::views_of(OrgId self) {
  const auto concerns = [&](const JobEntry& job) {
    return std::any_of(job.attempts.begin(), job.attempts.end(), [&](const AttemptEntry& attempt) {
      return JobEntry::member_of(attempt, self).has_value();
    });
  };
  if (!std::exchange(looked_, true)) {
    watched_ = node_.chain->read([&](const State& state) {
      std::set<JobId> jobs;
      for (const auto& [id, job] : state.jobs()) {
        if (concerns(job)) jobs.insert(id);
      }
      return jobs;
    });
  }
  std::vector<JobView> views = view_jobs_in_progress(*node_.chain, concerns);
  std::set<JobId> present;
  for (const JobView& view : views) present.insert(view.job.id);
  for (const JobId job : std::exchange(watched_, present)) {
    if (present.contains(job)) continue;
    auto view = view_job(*node_.chain, job);
    if (!view) continue;  // it has left the state
    watched_.insert(job);
    views.push_back(*std::move(view));
  }
  return views;
}

bool ProviderAgent::has_runs(const JobView& view) const {
  return std::any_of(view.job.attempts.begin(), view.job.attempts.end(), [&](const AttemptEntry& attempt) {
    const auto status = node_.batch->status(run_name(view.job.id, attempt.number));
    return status.ok() ? status->state != RunState::ended : status.error().code != ErrorCode::not_found;
  });
}

Status ProviderAgent::answer_ask(const JobView& view, const AttemptEntry& attempt,
                                 const MemberEntry& member) {
  LeaseDesk& desk = *node_.desk;
  const JobId job = view.job.id;
  const AskAnswer answer = desk.answer(job, attempt.number);
  if (answer == AskAnswer::give_back && member.leased) return give_back(view, attempt);
  if (answer != AskAnswer::lease || member.leased) return {};
  Status status = file_lease(view, attempt, member);
  if (status.ok()) return {};
  // What a repetition cannot change is refused for good: a broken rule, or a script that is not the order's.
  const ErrorCode code = status.error().code;
  const bool passing = code == ErrorCode::unavailable || code == ErrorCode::timeout || code == ErrorCode::io;
  desk.set_aside(job, attempt.number, status.error().message, !passing, LeaseDesk::Clock::now());
  return status;
}

Status ProviderAgent::give_back(const JobView& view, const AttemptEntry& attempt) {
  const std::string reason = node_.desk->reason(view.job.id, attempt.number);
  const auto submitted = node_.chain->submit(LeaseReturn{view.job.id, attempt.number, reason});
  if (!submitted) return submitted.error().within("lease return");
  node_.log("job " + std::to_string(view.job.id) + ": gave the lease of attempt " +
            std::to_string(attempt.number) + " back (" + reason + ")");
  return {};
}

}  // namespace ufab::jobs
