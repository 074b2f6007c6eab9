// A trace replayed under a policy: events are arrivals and ends, and at each the very plan() that nodes run
// decides. The machine is perfect: starts are immediate and nothing fails. Deterministic.
//
// What a policy sees of a job is what a scheduler would: size, submit time, time limit, and from the history
// of runs that have ended a predicted run time; never the run time itself.
//   Time limit: the trace's requested time. Where the trace has none, its user is taken to have asked for the
//   run time multiplied by a factor between 1 and 2 × estimate_factor − 1, drawn evenly by a hash of the
//   job's number (the f-model of A. Mu'alem and D. Feitelson, IEEE TPDS 12(6), 2001), rounded up to one of
//   the round values that people choose (D. Tsafrir, Y. Etsion, D. Feitelson, "Modeling user runtime
//   estimates", JSSPP 2005), at least five minutes. With estimate_factor 1 the limit is the run time itself.
//   Every policy sees the same limits. A run that was longer than its limit has its limit raised to its
//   length (`limits_raised`). Several providers: the machine is cut into equal parts; a job wider than one
//   part becomes a gang over as few parts as hold it, with equal slots on each (rounded up).
#pragma once

#include <functional>

#include "jobs/queue/queue.h"
#include "jobs/queue/trace.h"

namespace ufab::jobs {

struct ReplayOptions {
  std::uint32_t slots = 0;       // of the machine; 0: as the trace says
  std::uint32_t providers = 1;   // equal parts of it
  double load = 1.0;             // time between arrivals is divided by it
  double estimate_factor = 3.0;  // mean factor of limits that are made up; at least 1
  std::uint64_t jobs_max = 0;    // the first so many; 0: all
};

struct Contender {
  std::string name;
  Policy policy;
  bool predicts = false;  // whether it gets predicted run times
};

struct ReplayResult {
  std::string name;
  std::uint64_t jobs = 0;
  std::uint64_t limits_raised = 0;
  std::uint64_t limits_made_up = 0;  // of jobs without a requested time
  double utilisation = 0;            // work / (slots × time from the first arrival to the last end)
  double utilisation_arrivals = 0;   // the same of the time until the last arrival: no tail, in which few run
  double offered_load = 0;           // work / (slots × time from the first arrival to the last)
  double wait_mean_s = 0;
  double wait_median_s = 0;
  double wait_p95_s = 0;
  double wait_max_s = 0;
  double wait_max_wide_s = 0;  // of jobs that ask for at least half of the machine
  // Bounded slowdown: max(1, (wait + run) / max(run, 10 s)) (D. Feitelson et al., JSSPP 1997).
  double slowdown_mean = 0;
  double slowdown_median = 0;
  double slowdown_p95 = 0;
  // Jain's index over the users' mean bounded slowdowns: 1 when all fare alike.
  double fairness_users = 0;
  std::uint64_t passes = 0;
  std::uint64_t queue_longest = 0;
  Seconds makespan_s = 0;
};

// When each job of the trace began, for tests.
struct ReplayedJob {
  std::size_t trace_index = 0;
  Seconds start_s = 0;
  std::vector<std::uint32_t> providers;
};

// ErrorCode::invalid for options out of range or a job wider than the machine.
[[nodiscard]] Result<ReplayResult> replay(const Trace& trace, const ReplayOptions& options,
                                          const Contender& contender,
                                          std::vector<ReplayedJob>* schedule = nullptr);

// The round value that a user would ask for to have at least `seconds`.
[[nodiscard]] Seconds round_limit_s(Seconds seconds);

// First come, first served; EASY; ours.
[[nodiscard]] std::vector<Contender> standard_contenders();

}  // namespace ufab::jobs
