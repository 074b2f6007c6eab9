// Whether a waiting job may be considered at all: holds, begin time, deadline, dependencies and array
// throttles. Slurm's meaning of each kind:
//   after       the job has begun, or was cancelled
//   afterany    it has ended; afterburstbuffer is the same here
//   afterok     it has ended well           never holds once it ended otherwise
//   afternotok  it has ended not well       never holds once it ended well
//   aftercorr   the task with this one's index in that array has ended well
//   singleton   no earlier job of this user and name is left
// each so many minutes after the event as its delay says. A number that names an array stands for all its
// tasks. All of a job's dependencies must hold, or with dependency_any one of them. A job that nobody
// remembers is as good as ended well, as in Slurm.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>

#include "jobs/queue/queue.h"

namespace ufab::jobs {

enum class Fate : std::uint8_t { unknown, waiting, running, ended_well, ended_badly };

// What became of jobs that others may depend on. Kept up to date by its owner; not thread-safe.
class Fates {
 public:
  struct Entry {
    Fate fate = Fate::unknown;
    Seconds begun_s = time_never;  // or when it was cancelled before it began
    Seconds ended_s = time_never;
  };
  // `array` is 0 for a job of its own; one that was named a task once stays one.
  void set(std::uint64_t job, Entry entry, std::uint64_t array = 0, std::uint32_t task = 0);
  void forget(std::uint64_t job);
  [[nodiscard]] Entry of(std::uint64_t job) const;
  struct Task {
    std::uint64_t array = 0;
    std::uint32_t task = 0;
  };
  // Empty for a job of its own.
  [[nodiscard]] std::optional<Task> task_of(std::uint64_t job) const;
  // By task index; empty when the number names no array.
  [[nodiscard]] const std::map<std::uint32_t, std::uint64_t>& tasks(std::uint64_t array) const;

 private:
  struct Known {
    Entry entry;
    std::uint64_t array = 0;
    std::uint32_t task = 0;
  };
  std::unordered_map<std::uint64_t, Known> jobs_;
  std::unordered_map<std::uint64_t, std::map<std::uint32_t, std::uint64_t>> arrays_;
};

enum class Verdict : std::uint8_t { holds, waits, never };

// Of all dependencies of `job`. `alone`: no earlier job of its name is left. `next_s` is lowered to when time
// alone changes the answer.
[[nodiscard]] Verdict judge_dependencies(const QueuedJob& job, std::span<const Dependency> dependencies,
                                         bool alone, const Fates& fates, Seconds now_s, Seconds& next_s);

// The reason for which each job is out of consideration, Reason::none for the eligible. Throttles and
// singletons take what runs into account; what the same pass starts is the planner's business.
[[nodiscard]] std::vector<Reason> judge_eligibility(const Snapshot& snapshot, Seconds now_s, Seconds& next_s);

}  // namespace ufab::jobs
