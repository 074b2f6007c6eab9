// The order of waiting jobs: a sum of weighted factors, in points. Factors are integers in millionths:
//   age             wait / age_max, up to one
//   size            slots that the job asks for (all members) / all slots there are
//   response ratio  ((wait + run) / run − 1) / response_ratio_max, up to one; run is the predicted run time
//   fair share      fair_share.h
// and QoS adds its own points, nice takes points away (Slurm's sign: higher nice, later).
#pragma once

#include "jobs/queue/queue.h"

namespace ufab::jobs {

// Of each job of the snapshot.
[[nodiscard]] std::vector<std::int64_t> priorities(const Snapshot& snapshot, const Policy& policy,
                                                   Seconds now_s);

// Indices of `chosen` (into snapshot.jobs), first to be served first: those whose patience is over by submit
// time, then by priority; equal ones by submit time, then number.
void sort_by_priority(const Snapshot& snapshot, const Policy& policy, Seconds now_s,
                      const std::vector<std::int64_t>& priority, std::vector<std::uint32_t>& chosen);

// The run time that the order goes by: the geometric mean of the predicted run time and of the time limit,
// for each knows what the other does not (what such jobs took, and what the user means to do this time); the
// limit where nothing is predicted; without a limit a day stands for it.
[[nodiscard]] Seconds expected_run_s(const QueuedJob& job);

}  // namespace ufab::jobs
