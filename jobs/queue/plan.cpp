#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>

#include "jobs/queue/eligibility.h"
#include "jobs/queue/priority.h"
#include "jobs/queue/queue.h"
#include "jobs/queue/timeline.h"

namespace ufab::jobs {

const char* reason_name(Reason reason) {
  switch (reason) {
    case Reason::none: return "None";
    case Reason::priority: return "Priority";
    case Reason::resources: return "Resources";
    case Reason::dependency: return "Dependency";
    case Reason::dependency_never_satisfied: return "DependencyNeverSatisfied";
    case Reason::begin_time: return "BeginTime";
    case Reason::held_user: return "JobHeldUser";
    case Reason::held_admin: return "JobHeldAdmin";
    case Reason::array_task_limit: return "JobArrayTaskLimit";
    case Reason::deadline: return "DeadLine";
    case Reason::quota_jobs: return "AssocGrpJobsLimit";
    case Reason::quota_slots: return "AssocGrpCpuLimit";
    case Reason::quota_slot_minutes: return "AssocGrpCPUMinutesLimit";
    case Reason::quota_budget: return "AssocGrpBillingMinutes";
    case Reason::no_provider_now: return "ReqNodeNotAvail";
    case Reason::no_provider_ever: return "BadConstraints";
  }
  return "None";
}

Policy policy_fcfs() {
  Policy policy;
  policy.backfill = BackfillOrder::none;
  return policy;
}
Policy policy_easy() {
  return {};
}
Policy policy_conservative() {
  Policy policy;
  policy.reservations_max = std::numeric_limits<std::uint32_t>::max();
  return policy;
}
Policy policy_default() {
  Policy policy;
  policy.weights.response_ratio = 1'000'000;
  policy.weights.fair_share = 1'000;
  policy.weights.qos = 1;
  policy.patience_s = 12 * 3600;
  policy.backfill = BackfillOrder::shortest;
  policy.reservations_max = 2;
  return policy;
}

namespace {

// One pass over a snapshot. The members of a gang need the same of each provider.
class Planner {
 public:
  Planner(const Snapshot& snapshot, const Policy& policy, Seconds now_s)
      : snapshot_(snapshot), policy_(policy), now_s_(now_s), owners_(snapshot.owners) {}

  Plan run() {
    plan_.reasons = judge_eligibility(snapshot_, now_s_, plan_.next_s);
    plan_.priority = priorities(snapshot_, policy_, now_s_);
    count_running();
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t i = 0; i < snapshot_.jobs.size(); ++i) {
      if (plan_.reasons[i] == Reason::none) chosen.push_back(i);
    }
    sort_by_priority(snapshot_, policy_, now_s_, plan_.priority, chosen);
    const std::size_t rest = serve_in_order(chosen);
    std::vector<std::uint32_t> behind(chosen.begin() + static_cast<std::ptrdiff_t>(rest), chosen.end());
    backfill(behind);
    return std::move(plan_);
  }

 private:
  void count_running() {
    std::vector<std::vector<Timeline::Occupied>> occupied(snapshot_.providers.size());
    owner_jobs_.resize(owners_.size());
    owner_slots_.resize(owners_.size());
    std::uint64_t last = 0;
    for (const RunningJob& job : snapshot_.running) {
      UFAB_ASSERT(job.provider < snapshot_.providers.size() && job.owner < owners_.size());
      const Seconds end_s = std::max(job.end_s, now_s_ + 1);
      occupied[job.provider].push_back({end_s, job.slots, job.memory_mib});
      owner_slots_[job.owner] += job.slots;
      if (job.job == last) continue;  // another member of the same gang
      last = job.job;
      ++owner_jobs_[job.owner];
      if (job.array != 0) ++array_running_[job.array];
    }
    timelines_.reserve(snapshot_.providers.size());
    for (std::size_t i = 0; i < snapshot_.providers.size(); ++i) {
      timelines_.emplace_back(now_s_, snapshot_.providers[i], std::move(occupied[i]));
      if (snapshot_.providers[i].accepts_work) free_slots_ += timelines_.back().free_slots_now();
    }
  }

  // In order of priority: starts what fits, reserves for the first that do not. Returns how many of `chosen`
  // were looked at.
  std::size_t serve_in_order(const std::vector<std::uint32_t>& chosen) {
    // Without backfill nobody overtakes the first that does not fit.
    const std::uint32_t blocked_max = policy_.backfill == BackfillOrder::none ? 1 : policy_.reservations_max;
    std::uint32_t blocked = 0;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (blocked >= blocked_max) return i;
      const std::uint32_t index = chosen[i];
      if (try_start(index)) continue;
      if (plan_.reasons[index] != Reason::none) continue;  // a quota or a throttle: nothing to wait for here
      reserve(index);
      if (plan_.reasons[index] != Reason::resources) continue;  // no time will ever come: it blocks nobody
      ++blocked;
    }
    return chosen.size();
  }

  void backfill(std::vector<std::uint32_t>& behind) {
    if (policy_.backfill == BackfillOrder::shortest) {
      std::vector<std::tuple<Seconds, std::uint32_t, std::uint32_t>> order;  // run time, place, index
      order.reserve(behind.size());
      for (std::uint32_t place = 0; place < behind.size(); ++place)
        order.emplace_back(expected_run_s(snapshot_.jobs[behind[place]]), place, behind[place]);
      std::sort(order.begin(), order.end());
      for (std::size_t i = 0; i < order.size(); ++i) behind[i] = std::get<2>(order[i]);
    }
    for (const std::uint32_t index : behind) {
      const bool may = policy_.backfill != BackfillOrder::none && free_slots_ > 0;
      if (may && try_start(index)) continue;
      Reason& reason = plan_.reasons[index];
      if (reason != Reason::none) continue;
      reason = within_limits(index);
      if (reason != Reason::none) continue;
      reason = whether_ever(index);
      if (reason == Reason::none) reason = Reason::priority;
    }
  }

  [[nodiscard]] const Placement& placement_of(const QueuedJob& job) const {
    UFAB_ASSERT(job.placement < snapshot_.placements.size());
    return snapshot_.placements[job.placement];
  }
  [[nodiscard]] bool offers(const Placement::Candidate& candidate) const {
    UFAB_ASSERT(candidate.provider < snapshot_.providers.size());
    return snapshot_.providers[candidate.provider].accepts_work && candidate.price_expires_s > now_s_;
  }
  [[nodiscard]] static Seconds duration_of(const QueuedJob& job) {
    return job.limit_s > 0 ? job.limit_s : time_never;
  }
  static Seconds end_of(Seconds start_s, Seconds duration_s) {
    return duration_s >= time_never ? time_never : start_s + duration_s;
  }

  // Quotas and throttles, with what this pass has started counted in.
  [[nodiscard]] Reason within_limits(std::uint32_t index) const {
    const QueuedJob& job = snapshot_.jobs[index];
    UFAB_ASSERT(job.owner < owners_.size());
    const QueueOwner& owner = owners_[job.owner];
    if (job.array != 0 && job.array_throttle != 0) {
      const auto running = array_running_.find(job.array);
      if (running != array_running_.end() && running->second >= job.array_throttle)
        return Reason::array_task_limit;
    }
    const std::uint64_t slots = std::uint64_t{job.slots} * job.providers_min;
    if (owner.jobs_max != 0 && owner_jobs_[job.owner] >= owner.jobs_max) return Reason::quota_jobs;
    if (owner.slots_max != 0 && owner_slots_[job.owner] + slots > owner.slots_max) return Reason::quota_slots;
    if (!owner.slot_seconds.allows(slots * static_cast<std::uint64_t>(job.limit_s)))
      return Reason::quota_slot_minutes;
    if (!owner.budget.allows(job.cost_micro) || !owner.spending.allows(job.cost_micro))
      return Reason::quota_budget;
    return Reason::none;
  }

  // Whether an empty fabric could hold the job: none, no_provider_now or no_provider_ever.
  [[nodiscard]] Reason whether_ever(std::uint32_t index) const {
    const QueuedJob& job = snapshot_.jobs[index];
    std::size_t could = 0;
    std::size_t can = 0;
    for (const Placement::Candidate& candidate : placement_of(job).candidates) {
      const QueueProvider& provider = snapshot_.providers[candidate.provider];
      if (provider.slots < job.slots || provider.memory_mib < job.memory_mib) continue;
      ++could;
      if (offers(candidate)) ++can;
      if (can >= job.providers_min) return Reason::none;
    }
    return could >= job.providers_min ? Reason::no_provider_now : Reason::no_provider_ever;
  }

  // As many members as may be, best first, that can hold the job from `start_s` on.
  [[nodiscard]] std::vector<std::uint32_t> gang_at(const QueuedJob& job, Seconds start_s) const {
    std::size_t members_max = job.providers_max;
    // A quota of slots may allow the smallest gang and not the largest.
    const QueueOwner& owner = owners_[job.owner];
    if (owner.slots_max != 0 && owner.slots_max > owner_slots_[job.owner]) {
      members_max = std::min<std::size_t>(
          members_max, std::max<std::uint64_t>(job.providers_min,
                                               (owner.slots_max - owner_slots_[job.owner]) / job.slots));
    }
    std::vector<std::uint32_t> gang;
    const Seconds until_s = end_of(start_s, duration_of(job));
    for (const Placement::Candidate& candidate : placement_of(job).candidates) {
      if (gang.size() >= members_max) break;
      if (!offers(candidate)) continue;
      if (timelines_[candidate.provider].fits(job.slots, static_cast<std::int64_t>(job.memory_mib), start_s,
                                              until_s))
        gang.push_back(candidate.provider);
    }
    if (gang.size() < job.providers_min) gang.clear();
    return gang;
  }

  void take(const QueuedJob& job, const std::vector<std::uint32_t>& gang, Seconds start_s) {
    for (const std::uint32_t provider : gang) {
      timelines_[provider].take(job.slots, static_cast<std::int64_t>(job.memory_mib), start_s,
                                end_of(start_s, duration_of(job)));
    }
  }

  // False with a reason when a limit stands against it, false without one when it does not fit now.
  bool try_start(std::uint32_t index) {
    const QueuedJob& job = snapshot_.jobs[index];
    UFAB_ASSERT(job.slots >= 1 && job.providers_min >= 1 && job.providers_min <= job.providers_max);
    if (std::int64_t{job.slots} * job.providers_min > free_slots_) return false;
    const Reason limit = within_limits(index);
    if (limit != Reason::none) {
      plan_.reasons[index] = limit;
      return false;
    }
    std::vector<std::uint32_t> gang = gang_at(job, now_s_);
    if (gang.empty()) return false;
    take(job, gang, now_s_);
    const std::uint64_t slots = std::uint64_t{job.slots} * gang.size();
    free_slots_ -= static_cast<std::int64_t>(slots);
    ++owner_jobs_[job.owner];
    owner_slots_[job.owner] += slots;
    if (job.array != 0) ++array_running_[job.array];
    QueueOwner& owner = owners_[job.owner];
    // The smallest gang was checked; a larger one may be more than what is left of the slot time.
    const auto time = static_cast<std::uint64_t>(job.limit_s);
    const bool whole = owner.slot_seconds.allows(slots * time);
    const bool taken =
        owner.slot_seconds.take((whole ? slots : std::uint64_t{job.slots} * job.providers_min) * time).ok() &&
        owner.budget.take(job.cost_micro).ok() && owner.spending.take(job.cost_micro).ok();
    UFAB_ASSERT(taken);
    plan_.starts.push_back({index, std::move(gang)});
    return true;
  }

  void reserve(std::uint32_t index) {
    const QueuedJob& job = snapshot_.jobs[index];
    Reason& reason = plan_.reasons[index];
    reason = within_limits(index);
    if (reason != Reason::none) return;
    reason = whether_ever(index);
    if (reason != Reason::none) return;
    reason = Reason::resources;
    // The time at which a gang first fits is one at which a member first fits again: try those in order.
    std::vector<Seconds> times;
    for (const Placement::Candidate& candidate : placement_of(job).candidates) {
      if (!offers(candidate)) continue;
      for (const Timeline::Step& step : timelines_[candidate.provider].steps()) times.push_back(step.at_s);
    }
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    for (const Seconds at_s : times) {
      std::vector<std::uint32_t> gang = gang_at(job, at_s);
      if (gang.empty()) continue;
      take(job, gang, at_s);
      plan_.reservations.push_back({index, at_s, std::move(gang)});
      return;
    }
    // Something without a time limit is in its way: nothing to reserve.
  }

  const Snapshot& snapshot_;
  const Policy& policy_;
  const Seconds now_s_;
  std::vector<QueueOwner> owners_;  // with what this pass takes in flight
  std::vector<Timeline> timelines_;
  std::int64_t free_slots_ = 0;  // now, of all providers that accept work
  std::vector<std::uint32_t> owner_jobs_;
  std::vector<std::uint64_t> owner_slots_;
  std::unordered_map<std::uint64_t, std::uint32_t> array_running_;
  Plan plan_;
};

}  // namespace

Plan plan(const Snapshot& snapshot, const Policy& policy, Seconds now_s) {
  return Planner(snapshot, policy, now_s).run();
}

}  // namespace ufab::jobs
