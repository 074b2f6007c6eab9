#include "jobs/queue/eligibility.h"

#include <algorithm>

namespace ufab::jobs {

void Fates::set(std::uint64_t job, Entry entry, std::uint64_t array, std::uint32_t task) {
  Known& known = jobs_[job];
  known.entry = entry;
  if (array == 0) return;
  known.array = array;
  known.task = task;
  arrays_[array][task] = job;
}

void Fates::forget(std::uint64_t job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  const auto array = arrays_.find(found->second.array);
  if (array != arrays_.end()) {
    array->second.erase(found->second.task);
    if (array->second.empty()) arrays_.erase(array);
  }
  jobs_.erase(found);
}

Fates::Entry Fates::of(std::uint64_t job) const {
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? Entry{} : found->second.entry;
}

std::optional<Fates::Task> Fates::task_of(std::uint64_t job) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end() || found->second.array == 0) return std::nullopt;
  return Task{found->second.array, found->second.task};
}

const std::map<std::uint32_t, std::uint64_t>& Fates::tasks(std::uint64_t array) const {
  static const std::map<std::uint32_t, std::uint64_t> none;
  const auto found = arrays_.find(array);
  return found == arrays_.end() ? none : found->second;
}

namespace {

// `since_s` is when the event was, `delay_minutes` ago or not yet.
Verdict held_since(Seconds since_s, std::uint32_t delay_minutes, Seconds now_s, Seconds& next_s) {
  if (delay_minutes == 0 || since_s == time_never) return Verdict::holds;
  const Seconds due_s = since_s + Seconds{delay_minutes} * 60;
  if (due_s <= now_s) return Verdict::holds;
  next_s = std::min(next_s, due_s);
  return Verdict::waits;
}

Verdict judge_one(const Dependency& dependency, const Fates::Entry& other, Seconds now_s, Seconds& next_s) {
  const bool well = other.fate == Fate::ended_well || other.fate == Fate::unknown;
  const bool badly = other.fate == Fate::ended_badly;
  const auto when_ended = [&](bool as_wished) {
    if (!well && !badly) return Verdict::waits;
    return as_wished ? held_since(other.ended_s, dependency.delay_minutes, now_s, next_s) : Verdict::never;
  };
  switch (dependency.kind) {
    case DependencyKind::after:
      if (other.fate == Fate::waiting) return Verdict::waits;
      return held_since(other.begun_s, dependency.delay_minutes, now_s, next_s);
    case DependencyKind::after_any:
    case DependencyKind::after_burst_buffer: return when_ended(true);
    case DependencyKind::after_ok:
    case DependencyKind::after_corr: return when_ended(well);
    case DependencyKind::after_not_ok: return when_ended(badly);
    case DependencyKind::singleton: break;
  }
  return Verdict::holds;
}

Verdict judge_task(const Dependency& dependency, const std::map<std::uint32_t, std::uint64_t>& tasks,
                   std::uint32_t task, const Fates& fates, Seconds now_s, Seconds& next_s) {
  const auto found = tasks.find(task);
  if (found == tasks.end()) return Verdict::never;
  return judge_one(dependency, fates.of(found->second), now_s, next_s);
}

// The whole array: as one job that ended well if every task did, and badly if one did.
Verdict judge_array(const Dependency& dependency, const std::map<std::uint32_t, std::uint64_t>& tasks,
                    const Fates& fates, Seconds now_s, Seconds& next_s) {
  bool some_wait = false;
  bool some_hold = false;
  bool some_never = false;
  for (const auto& [index, number] : tasks) {
    const Verdict one = judge_one(dependency, fates.of(number), now_s, next_s);
    some_wait = some_wait || one == Verdict::waits;
    some_hold = some_hold || one == Verdict::holds;
    some_never = some_never || one == Verdict::never;
  }
  if (dependency.kind == DependencyKind::after_not_ok) {
    if (some_wait) return Verdict::waits;
    return some_hold ? Verdict::holds : Verdict::never;
  }
  if (some_never) return Verdict::never;
  return some_wait ? Verdict::waits : Verdict::holds;
}

Verdict judge(const QueuedJob& job, const Dependency& dependency, bool alone, const Fates& fates,
              Seconds now_s, Seconds& next_s) {
  if (dependency.kind == DependencyKind::singleton) return alone ? Verdict::holds : Verdict::waits;
  const auto& tasks = fates.tasks(dependency.job);
  if (tasks.empty()) return judge_one(dependency, fates.of(dependency.job), now_s, next_s);
  if (dependency.task) return judge_task(dependency, tasks, *dependency.task, fates, now_s, next_s);
  if (dependency.kind == DependencyKind::after_corr && job.array != 0)
    return judge_task(dependency, tasks, job.array_task, fates, now_s, next_s);
  return judge_array(dependency, tasks, fates, now_s, next_s);
}

}  // namespace

Verdict judge_dependencies(const QueuedJob& job, std::span<const Dependency> dependencies, bool alone,
                           const Fates& fates, Seconds now_s, Seconds& next_s) {
  bool some_wait = false;
  bool some_never = false;
  bool some_hold = false;
  for (const Dependency& dependency : dependencies) {
    const Verdict one = judge(job, dependency, alone, fates, now_s, next_s);
    some_wait = some_wait || one == Verdict::waits;
    some_never = some_never || one == Verdict::never;
    some_hold = some_hold || one == Verdict::holds;
  }
  if (job.dependency_any && some_hold) return Verdict::holds;
  if (job.dependency_any) return some_wait ? Verdict::waits : Verdict::never;
  if (some_never) return Verdict::never;
  return some_wait ? Verdict::waits : Verdict::holds;
}

std::vector<Reason> judge_eligibility(const Snapshot& snapshot, Seconds now_s, Seconds& next_s) {
  static const Fates nobody;
  const Fates& fates = snapshot.fates == nullptr ? nobody : *snapshot.fates;
  const auto dependencies_of = [&](const QueuedJob& job) {
    UFAB_ASSERT(job.dependency_first + std::size_t{job.dependency_count} <= snapshot.dependencies.size());
    return std::span(snapshot.dependencies).subspan(job.dependency_first, job.dependency_count);
  };
  // Names that a singleton asks about, with the first job of that name which has not ended.
  std::unordered_map<std::uint64_t, std::uint64_t> first_of_name;
  const auto is_singleton = [&](const QueuedJob& job) {
    const auto all = dependencies_of(job);
    return std::any_of(all.begin(), all.end(), [](const Dependency& dependency) {
      return dependency.kind == DependencyKind::singleton;
    });
  };
  for (const QueuedJob& job : snapshot.jobs) {
    if (job.dependency_count != 0 && is_singleton(job)) first_of_name.try_emplace(job.name_key, job.job);
  }
  if (!first_of_name.empty()) {
    const auto lower = [&](std::uint64_t name, std::uint64_t number) {
      if (const auto found = first_of_name.find(name); found != first_of_name.end())
        found->second = std::min(found->second, number);
    };
    for (const QueuedJob& job : snapshot.jobs) lower(job.name_key, job.job);
    for (const RunningJob& job : snapshot.running) lower(job.name_key, job.job);
  }

  std::vector<Reason> reasons(snapshot.jobs.size(), Reason::none);
  for (std::size_t i = 0; i < snapshot.jobs.size(); ++i) {
    const QueuedJob& job = snapshot.jobs[i];
    Reason& reason = reasons[i];
    if (job.hold != Hold::none) {
      reason = job.hold == Hold::user ? Reason::held_user : Reason::held_admin;
      continue;
    }
    if (job.deadline_s != 0) {
      // Slurm: without a limit it is enough to begin in time.
      const Seconds last_start = job.deadline_s - job.limit_s;
      if (last_start < now_s) {
        reason = Reason::deadline;
        continue;
      }
      next_s = std::min(next_s, last_start + 1);
    }
    if (job.begin_s > now_s) {
      reason = Reason::begin_time;
      next_s = std::min(next_s, job.begin_s);
      continue;
    }
    if (job.dependency_count == 0) continue;
    const auto first = first_of_name.find(job.name_key);
    const bool alone = first == first_of_name.end() || first->second == job.job;
    switch (judge_dependencies(job, dependencies_of(job), alone, fates, now_s, next_s)) {
      case Verdict::never: reason = Reason::dependency_never_satisfied; break;
      case Verdict::waits: reason = Reason::dependency; break;
      case Verdict::holds: break;
    }
  }
  return reasons;
}

}  // namespace ufab::jobs
