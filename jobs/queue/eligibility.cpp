#include "jobs/queue/eligibility.h"

#include <algorithm>

namespace ufab::jobs {

void Fates::set(std::uint64_t job, Entry entry, std::uint64_t array, std::uint32_t task) {
  jobs_[job] = {entry, array, task};
  if (array != 0) arrays_[array][task] = job;
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

const std::map<std::uint32_t, std::uint64_t>& Fates::tasks(std::uint64_t array) const {
  static const std::map<std::uint32_t, std::uint64_t> none;
  const auto found = arrays_.find(array);
  return found == arrays_.end() ? none : found->second;
}

namespace {

Verdict judge_one(const QueueDependency& dependency, const Fates::Entry& other, Seconds now_s,
                  Seconds& next_s) {
  const bool ended = other.fate == Fate::ended_well || other.fate == Fate::ended_badly;
  switch (dependency.kind) {
    case DependencyKind::after: {
      if (other.fate == Fate::unknown) return Verdict::holds;
      if (other.fate == Fate::waiting || other.begun_s == time_never)
        return ended ? Verdict::holds : Verdict::waits;
      const Seconds due = other.begun_s + Seconds{dependency.minutes} * 60;
      if (due <= now_s) return Verdict::holds;
      next_s = std::min(next_s, due);
      return Verdict::waits;
    }
    case DependencyKind::afterany:
      return ended || other.fate == Fate::unknown ? Verdict::holds : Verdict::waits;
    case DependencyKind::afterok:
    case DependencyKind::aftercorr:
      if (other.fate == Fate::ended_well) return Verdict::holds;
      return ended || other.fate == Fate::unknown ? Verdict::never : Verdict::waits;
    case DependencyKind::afternotok:
      if (other.fate == Fate::ended_badly) return Verdict::holds;
      return ended || other.fate == Fate::unknown ? Verdict::never : Verdict::waits;
    case DependencyKind::singleton: break;
  }
  return Verdict::holds;
}

Verdict judge(const QueuedJob& job, const QueueDependency& dependency, const Fates& fates, Seconds now_s,
              Seconds& next_s) {
  const auto& tasks = fates.tasks(dependency.job);
  if (tasks.empty()) return judge_one(dependency, fates.of(dependency.job), now_s, next_s);
  if (dependency.kind == DependencyKind::aftercorr) {
    const auto same = tasks.find(job.array_task);
    if (job.array == 0 || same == tasks.end()) return Verdict::never;
    return judge_one(dependency, fates.of(same->second), now_s, next_s);
  }
  // The whole array: it ended well if every task did, and badly if one did, once all have ended.
  Verdict all = Verdict::holds;
  bool some_bad = false;
  bool all_ended = true;
  for (const auto& [index, number] : tasks) {
    const Fates::Entry entry = fates.of(number);
    if (dependency.kind == DependencyKind::afternotok) {
      some_bad = some_bad || entry.fate == Fate::ended_badly;
      all_ended = all_ended && (entry.fate == Fate::ended_well || entry.fate == Fate::ended_badly);
      continue;
    }
    const Verdict one = judge_one(dependency, entry, now_s, next_s);
    if (one == Verdict::never) return one;
    if (one == Verdict::waits) all = one;
  }
  if (dependency.kind != DependencyKind::afternotok) return all;
  if (!all_ended) return Verdict::waits;
  return some_bad ? Verdict::holds : Verdict::never;
}

}  // namespace

Verdict judge_dependencies(const QueuedJob& job, std::span<const QueueDependency> dependencies,
                           const Fates& fates, Seconds now_s, Seconds& next_s) {
  bool any_waits = false;
  bool any_never = false;
  bool any_holds = false;
  bool alternatives = false;
  for (const QueueDependency& dependency : dependencies) {
    if (dependency.kind == DependencyKind::singleton) continue;
    alternatives = alternatives || dependency.alternative;
    const Verdict one = judge(job, dependency, fates, now_s, next_s);
    any_waits = any_waits || one == Verdict::waits;
    any_never = any_never || one == Verdict::never;
    any_holds = any_holds || one == Verdict::holds;
  }
  if (alternatives) {
    if (any_holds) return Verdict::holds;
    return any_waits ? Verdict::waits : Verdict::never;
  }
  if (any_never) return Verdict::never;
  return any_waits ? Verdict::waits : Verdict::holds;
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
    return std::any_of(all.begin(), all.end(), [](const QueueDependency& dependency) {
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
    const auto dependencies = dependencies_of(job);
    switch (judge_dependencies(job, dependencies, fates, now_s, next_s)) {
      case Verdict::never: reason = Reason::dependency_never_satisfied; break;
      case Verdict::waits: reason = Reason::dependency; break;
      case Verdict::holds:
        if (is_singleton(job) && first_of_name.at(job.name_key) != job.job) reason = Reason::dependency;
        break;
    }
  }
  return reasons;
}

}  // namespace ufab::jobs
