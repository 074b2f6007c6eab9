// This organisation's queue on its node: which jobs wait, what each asks for, and which may start now.
//
// The ledger is the truth, but asking it for all jobs several times a second would hold its lock for long:
// with 100,000 waiting jobs a copy of them all takes a second. So the queue keeps an index and takes in what
// is new in bites, each under a short read:
//   new jobs         by number, at most `new_max` a refresh;
//   jobs in progress all of them, every refresh: there are never more than the providers hold;
//   jobs that wait   a slice of `slice_max` ten times a second, round and round. Only this node moves its own
//   waiting
//                    jobs on, and touch() has one looked at at once.
// What a job asks for is in its spec, read once when it first appears, for at most `reading_time` a refresh:
// in the journal of submissions or, where it has let go of it, in the job's folder.
// The decision itself is jobs/queue/queue.h's pure policy on a snapshot, taken without any lock; a pass is
// made when something has changed, and takes at most a tenth of the time.
//
// What occupies the providers is what the ledger says of everybody's jobs: leased slots, and by the order's
// time limit until when (ledger_facts.h). How long a job has waited counts from its order's block, for those
// that are planned again as well.
//
// A start is a wish: the attempt that is filed asks its providers, and each of them serves the organisations
// that ask by fair share (jobs/queue/arbiter.h). Until one has leased, the job waits here too ("asks"): it is
// counted as if it ran, and if it could start elsewhere after a while, it asks there instead. Where others
// compete for a provider, the first jobs that do not fit ask as well, so that the provider knows of them when
// something becomes free: at most `asks_ahead_max` at a provider.
//
// Thread-safe: refresh() and decide() belong to one thread, the rest may be called by any.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jobs/broker/broker.h"
#include "jobs/broker/cost.h"
#include "jobs/node/context.h"
#include "jobs/node/job_spec.h"
#include "jobs/node/known_links.h"
#include "jobs/node/submission_journal.h"
#include "jobs/queue/eligibility.h"
#include "jobs/queue/predictor.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {

class JobQueue {
 public:
  // The submission with this key that has no folder yet; null: none.
  using Submitted = std::function<std::shared_ptr<const Submission>(const std::string& key)>;
  JobQueue(const NodeContext& node, Submitted submitted) : node_(node), submitted_(std::move(submitted)) {}

  // Takes in what the ledger has that is new.
  void refresh();
  // The organisation's jobs that the gateway has something to do for: those that have an attempt, and those
  // that have ended and whose results are not home.
  [[nodiscard]] std::vector<JobId> to_drive() const;

  struct StartDecision {
    JobId job = 0;
    std::vector<std::string> providers;  // the gang, best first
    std::string reason;                  // why there is another attempt; empty for the first
    std::uint32_t after_attempt = 0;     // the newest one that the decision knows of
  };
  static constexpr const char* ask_elsewhere =
      "asks elsewhere";  // reason of an ask that takes another's place
  struct EndDecision {   // a job that can never start
    JobId job = 0;
    std::string reason;
  };
  struct Decisions {
    std::vector<StartDecision> starts;  // at most `starts_max`; whoever is left starts in the next pass
    std::vector<EndDecision> ends;
  };
  // One pass of the policy if one is due. Every start must be followed by a filed attempt and touch(), or by
  // failed().
  [[nodiscard]] Decisions decide(Seconds now_s);
  // A job whose newest attempt is `attempt` and ended, or never began, through no fault of its own: it waits
  // for its turn again, with the age that it has, for a gang without `exclude`. Those of `avoid` are left out
  // for `avoid_duration` only. Repeating it changes nothing.
  static constexpr std::chrono::seconds avoid_duration{120};
  void plan_again(JobId job, std::uint32_t attempt, const std::string& reason,
                  std::vector<std::string> exclude, std::vector<std::string> avoid);
  // What a provider says of an ask of this job.
  void told(JobId job, const std::string& reason);
  // A start that could not be filed: the job waits with this reason and is tried again after a moment.
  void failed(JobId job, const std::string& reason);

  // Has a job looked at in the next refresh, and a pass made.
  void touch(JobId job);
  void set_held(JobId job, bool held);
  // Of a waiting job; empty for others. Slurm's word, and behind a comma more where there is more to say.
  [[nodiscard]] std::string reason(JobId job) const;
  [[nodiscard]] bool waits(JobId job) const;
  // Empty when the job does not wait, or its spec has not been read yet.
  [[nodiscard]] std::optional<bool> held(JobId job) const;
  // Its array and index, of a task that the queue remembers.
  [[nodiscard]] std::optional<Fates::Task> task_of(JobId job) const;
  void finished(JobId job);  // its results are home
  // What this organisation measured of a link of its own.
  void measured(const std::string& a, const std::string& b, const LinkMeasure& measure) {
    links_.measured(a, b, measure);
  }
  // That, and what providers report of the links between them.
  [[nodiscard]] Links links() const { return links_.look(*node_.chain); }

  struct Measures {
    std::size_t waiting = 0;
    std::size_t unread = 0;  // of those, whose spec is still to be read
    std::uint64_t passes = 0;
    std::chrono::microseconds longest_pass{0};
    std::chrono::microseconds longest_read{0};  // under the ledger's lock
  };
  [[nodiscard]] Measures measures() const;
  // The organisation's money, micro-UNC: what its settled jobs have cost by the ledger, the escrows of those
  // that run or ask for providers, and of those whose attempt is not on the ledger yet. Jobs that wait for
  // their turn are in none of them. The limit is queue.budget_max_micro.
  [[nodiscard]] Quota spending() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    QueuedJob queued;
    std::vector<Dependency> dependencies;
    std::size_t request = 0;  // into requests_
    Reason reason = Reason::none;
    std::string detail;
    bool read = false;               // the spec has been
    bool hold_told = false;          // by set_held(), which knows better than what is being read
    bool ends_when_invalid = false;  // --kill-on-invalid-dep
    std::vector<OrgId> in_flight;    // the gang that was decided; not on the ledger yet
    Clock::time_point retry;         // not before; a start in flight is given up then
    std::uint32_t attempts = 0;      // on the ledger
    std::vector<OrgId> asks;         // of the newest one, when nobody has leased it
    Clock::time_point asked;         // when that was first seen
    std::string told;                // what a provider said of it
  };
  // Why, and without whom, a job is planned again.
  struct Again {
    std::uint32_t attempt = 0;  // after this one
    std::string reason;
    std::vector<std::string> exclude;
    std::vector<std::string> avoid;
    Clock::time_point avoid_until;
  };
  struct Running {  // a member of an open attempt, of any organisation's job
    OrgId provider = 0;
    std::uint32_t slots = 0;
  };
  struct Active {
    OrgId owner = 0;
    JobPhase phase = JobPhase::leasing;
    std::vector<Running> members;
    QueuedJob queued;            // own jobs: what it asked for
    Seconds end_s = time_never;  // by the order's limit
  };
  struct Seen {  // what one read of the ledger brings out
    JobId job = 0;
    OrgId owner = 0;
    bool gone = false;
    JobPhase phase = JobPhase::ordered;
    bool well = false;
    std::uint64_t wall_us = 0;
    MicroUnc budget = 0;
    std::string name;
    std::uint32_t attempts = 0;
    std::vector<Running> members;
    bool any_leased = false;
    Seconds end_s = time_never;
    Seconds order_s = 0;
    std::uint64_t memory_mib = 0;
  };

  void take_in(const Seen& seen, Seconds now_s);
  void take_in_end(const Seen& seen, Seconds now_s);
  void take_in_waiting(const Seen& seen);
  void add_slices(std::vector<JobId>& look);
  void read_specs();
  [[nodiscard]] bool read_spec(Waiting& waiting, const std::optional<Again>& again);
  // An ask that has been seen for so long, the longer the more there were, is weighed against other gangs.
  [[nodiscard]] static bool asks_firmly(const Waiting& waiting, Clock::time_point now);
  // Whether other organisations run on this provider, or ask for it.
  [[nodiscard]] bool is_contested(OrgId provider) const;
  [[nodiscard]] std::size_t asks_at(OrgId provider) const;
  void note_array(const JobSpec& spec, QueuedJob& queued) const;
  void read_active(JobId job, Active& active) const;
  void leave(JobId job);
  [[nodiscard]] Snapshot snapshot_of(Seconds now_s, Clock::time_point now, std::vector<JobId>& jobs);
  void complete(Snapshot& snapshot, const std::vector<ProviderCapacity>& capacities,
                const std::map<OrgId, std::uint32_t>& index_of, Seconds now_s);
  [[nodiscard]] const std::string& objections(std::size_t request,
                                              const std::vector<ProviderCapacity>& capacities, Seconds now_s);
  [[nodiscard]] std::size_t intern(const BrokerRequest& request);

  const NodeContext& node_;
  const Submitted submitted_;

  // Of the ticking thread.
  JobId last_seen_ = 0;
  JobId slice_at_ = 0;
  JobId foreign_slice_at_ = 0;
  Clock::time_point sliced_;
  OrgId self_ = 0;
  Predictor predictor_;
  std::deque<JobId> ended_;  // in fates_, oldest first
  std::vector<BrokerRequest> requests_;
  std::map<std::string, std::size_t> request_index_;
  std::vector<std::size_t> placement_requests_;    // of each placement of the present pass
  std::map<std::size_t, std::string> objections_;  // of the present pass, by request
  Clock::time_point pass_began_;
  Clock::duration pass_took_{};
  Seconds next_retry_s_ = time_never;
  Seconds next_s_ = time_never;  // when time alone calls for a pass

  mutable std::mutex mutex_;  // guards what follows
  std::map<JobId, Waiting> waiting_;
  std::set<JobId> unread_;  // of those, whose spec has not been read
  std::set<JobId> begun_;   // and those that have an attempt
  std::map<JobId, Again> again_;
  std::map<JobId, Active> active_;
  Fates fates_;  // written under mutex_ by the ticking thread alone, which may read it without
  std::set<JobId> foreign_waiting_;
  std::set<JobId> unfinished_;  // own, settled, results not home
  std::set<JobId> touched_;
  bool changed_ = true;  // since the last pass
  Measures measures_;
  mutable KnownLinks links_;  // locks for itself, and takes reports in as they are asked for
};

// Seconds since 1970.
[[nodiscard]] Seconds wall_clock_s();

// What the ledger says of a provider, as the broker wants it.
[[nodiscard]] ProviderCapacity capacity_of(const State& state, const OrgEntry& entry);

}  // namespace ufab::jobs
