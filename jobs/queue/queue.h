// Which waiting jobs start now, on which providers, and why every other job does not: a pure function of a
// snapshot and the time. No clock, file, thread or random number; integers only, so that every node that has
// the same snapshot comes to the same decisions, and `ufab sim queue` replays the very code that a node runs.
//
// One pass:
//   1. Eligibility (eligibility.h): held jobs, begin times, deadlines, dependencies, array throttles.
//   2. Order (priority.h): nice, QoS, age, size, response ratio, fair share between organisations. Whoever
//   has
//      waited longer than `patience_s` comes first, longest wait first, so nobody starves.
//   3. In that order every job that fits now starts. The first ones that do not fit, at most
//      `reservations_max`, get a reservation: the earliest time at which, by the time limits of what runs,
//      all members of their gang are free together.
//   4. Backfill: the remaining jobs, in `backfill` order, start if they fit until their own time limit beside
//      everything that runs and everything that is reserved. A started job is charged for its whole limit, so
//      backfill never delays a reservation (while no job runs longer than its limit).
// A gang starts whole or not at all: providers_min to providers_max members, each with the slots and memory
// that the job asks of a provider.
//
// First come, first served, EASY and conservative backfill are settings of the same pass (policy_fcfs,
// policy_easy, policy_conservative); tests hold the first two against independent textbook versions.
//
// Published sources: EASY: D. Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995. Conservative backfill:
// A. Mu'alem and D. Feitelson, IEEE TPDS 12(6), 2001. Shortest job backfilled first, and run times predicted
// from the user's history for the order alone: D. Tsafrir, Y. Etsion, D. Feitelson, IEEE TPDS 18(6), 2007.
// Response ratio: P. Brinch Hansen, "An analysis of response ratio scheduling", IFIP 1971. Waits beyond a
// threshold come first: J. Lelong, V. Reis, D. Trystram, "Tuning EASY-backfilling queues", JSSPP 2017. Sum of
// weighted factors, fair share with half-life: Slurm's multifactor priority and fair tree.
//
// Cost: O(n log n) for n waiting jobs plus, for each that is tried, the steps of its candidates' timelines.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jobs/queue/quota.h"
#include "jobs/script/dependency.h"

namespace ufab::jobs {

using Seconds = std::int64_t;  // since 1970 for a time; a duration otherwise
inline constexpr Seconds time_never = std::int64_t{1} << 50;

// Why a job waits, under Slurm's names (reason_name).
enum class Reason : std::uint8_t {
  none,
  priority,                    // others come first
  resources,                   // next in line, waits for slots
  dependency,                  // waits for other jobs
  dependency_never_satisfied,  // and they have ended otherwise
  begin_time,                  // --begin is not reached
  held_user,
  held_admin,
  array_task_limit,    // %N tasks of its array run already
  deadline,            // cannot end before --deadline any more
  quota_jobs,          // the organisation's running jobs
  quota_slots,         // the organisation's slots in use
  quota_slot_minutes,  // the organisation's slot time
  quota_budget,        // the organisation's money
  no_provider_now,     // enough providers could, but drain or have no valid price
  no_provider_ever,    // no set of providers is large enough
};
[[nodiscard]] const char* reason_name(Reason reason);

// What a provider can hold. Indices into Snapshot::providers name providers below.
struct QueueProvider {
  std::uint32_t slots = 0;
  std::uint64_t memory_mib = 0;
  bool accepts_work = true;
};

struct RunningJob {
  std::uint64_t job = 0;
  std::uint32_t provider = 0;  // one entry per member of a gang, one behind the other
  std::uint32_t owner = 0;     // index into Snapshot::owners
  std::uint32_t slots = 0;
  std::uint64_t memory_mib = 0;
  std::uint64_t array = 0;     // number of its array, 0 for none
  std::uint64_t name_key = 0;  // as QueuedJob's
  Seconds end_s = time_never;  // by its limit; one that is past it is taken to end in a second
};

// Providers on which jobs of one kind may run, each once, best first, by joint cost of compute, network and
// data (jobs/broker/cost.h). Shared by all jobs that ask for the same.
struct Placement {
  struct Candidate {
    std::uint32_t provider = 0;
    std::uint64_t cost_micro = 0;
    Seconds price_expires_s = time_never;  // an offer that has expired is not used
  };
  std::vector<Candidate> candidates;
};

enum class Hold : std::uint8_t { none, user, admin };

struct QueuedJob {
  std::uint64_t job = 0;
  std::uint32_t owner = 0;      // index into Snapshot::owners
  std::uint32_t placement = 0;  // index into Snapshot::placements
  std::uint16_t providers_min = 1;
  std::uint16_t providers_max = 1;
  std::uint32_t slots = 1;  // on each provider
  std::uint64_t memory_mib = 0;
  Seconds submit_s = 0;
  Seconds begin_s = 0;           // 0: at once
  Seconds deadline_s = 0;        // 0: none
  Seconds limit_s = 0;           // 0: none
  Seconds predicted_s = 0;       // 0: no prediction, the limit is used. Never used to charge, only to order
  std::uint64_t cost_micro = 0;  // taken from the owner's budget when it starts
  std::int32_t nice = 0;
  std::uint32_t qos = 0;  // points, see PriorityWeights::qos
  Hold hold = Hold::none;
  std::uint64_t array = 0;             // number of its array, 0 for none
  std::uint32_t array_task = 0;        // index of its task
  std::uint32_t array_throttle = 0;    // 0: none
  std::uint64_t name_key = 0;          // equal for equal user and name (singleton)
  std::uint32_t dependency_first = 0;  // its part of Snapshot::dependencies
  std::uint32_t dependency_count = 0;
  bool dependency_any = false;  // one of them is enough
};

// Of one organisation. Limits of 0 mean none.
struct QueueOwner {
  std::uint32_t shares = 1;     // its part in fair share
  std::uint64_t usage = 0;      // decayed slot-seconds (fair_share.h)
  std::uint32_t jobs_max = 0;   // running
  std::uint32_t slots_max = 0;  // in use
  Quota slot_seconds;           // by time limits: settled, committed, in flight
  Quota budget;                 // micro-UNC, held by running jobs
  Quota spending;               // micro-UNC, ever: what jobs have cost counts as well
};

class Fates;  // eligibility.h: what became of other jobs

struct Snapshot {
  std::vector<QueueProvider> providers;
  std::vector<RunningJob> running;
  std::vector<QueueOwner> owners;
  std::vector<Placement> placements;
  std::vector<QueuedJob> jobs;           // waiting; in any order
  std::vector<Dependency> dependencies;  // of all jobs, each job's together
  const Fates* fates = nullptr;          // only needed when a job has dependencies; outlives the call
};

struct PriorityWeights {  // points for a factor of one
  std::uint32_t age = 0;
  std::uint32_t size = 0;            // part of all slots that the job asks for
  std::uint32_t response_ratio = 0;  // (wait + run) / run, up to response_ratio_max
  std::uint32_t fair_share = 0;
  std::uint32_t qos = 0;  // per point of QueuedJob::qos
};

enum class BackfillOrder : std::uint8_t { none, queue, shortest };

struct Policy {
  PriorityWeights weights;        // all zero: first come, first served
  Seconds age_max_s = 7 * 86400;  // waits count up to this
  std::uint32_t response_ratio_max = 100;
  Seconds response_floor_s = 10;  // shorter runs count as this long, as in bounded slowdown
  Seconds patience_s = 0;         // 0: off. Waits beyond it come first
  BackfillOrder backfill = BackfillOrder::queue;
  std::uint32_t reservations_max = 1;
};
[[nodiscard]] Policy policy_fcfs();
[[nodiscard]] Policy policy_easy();
[[nodiscard]] Policy policy_conservative();
[[nodiscard]] Policy policy_default();  // what nodes run

struct Start {
  std::uint32_t index = 0;               // into Snapshot::jobs
  std::vector<std::uint32_t> providers;  // the gang, best first
};
struct Reservation {
  std::uint32_t index = 0;
  Seconds start_s = 0;
  std::vector<std::uint32_t> providers;
};
struct Plan {
  std::vector<Start> starts;  // in the order of decision
  std::vector<Reservation> reservations;
  std::vector<Reason> reasons;         // of each job of the snapshot; none for the started
  std::vector<std::int64_t> priority;  // of each job
  Seconds next_s = time_never;         // when time alone makes a job eligible, or its deadline pass
};

// Preconditions (asserted): indices are in range, providers_min is at least 1 and at most providers_max,
// slots are at least 1.
[[nodiscard]] Plan plan(const Snapshot& snapshot, const Policy& policy, Seconds now_s);

}  // namespace ufab::jobs
