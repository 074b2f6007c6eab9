// This organisation's queue on its node: which jobs wait, what each asks for, and which may start now.
//
// The ledger is the truth, but asking it for all jobs several times a second would hold its lock for long:
// with 100,000 waiting jobs a copy of them all takes a second. So the queue keeps an index and takes in what
// is new in bites, each under a short read:
//   new jobs         by number, at most `new_max` a refresh;
//   jobs that run    all of them, every refresh: there are never more than the providers hold;
//   jobs that wait   a slice of `slice_max` a refresh, round and round. Only this node moves its own waiting
//                    jobs on, and touch() has one looked at at once.
// What a job asks for is in its spec, read once when it first appears, for at most `reading_time` a refresh.
// The decision itself is jobs/queue/queue.h's pure policy on a snapshot, taken without any lock; a pass is
// made when something has changed, and takes at most a tenth of the time.
//
// What is known of other organisations' jobs is what the ledger says: the slots that they have leased. When
// they began is counted from when this node first saw it, and so is everything else in time: a restart counts
// anew. A foreign run's time limit is unknown; it is taken to be an hour, then a second more at a time.
//
// Thread-safe: refresh() and decide() belong to one thread, the rest may be called by any.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jobs/broker/broker.h"
#include "jobs/broker/cost.h"
#include "jobs/node/context.h"
#include "jobs/node/job_spec.h"
#include "jobs/queue/eligibility.h"
#include "jobs/queue/predictor.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {

class JobQueue {
 public:
  explicit JobQueue(const NodeContext& node) : node_(node) {}

  // Takes in what the ledger has that is new.
  void refresh();
  // The organisation's jobs that the gateway has something to do for: those that have an attempt, and those
  // that have ended and whose results are not home.
  [[nodiscard]] std::vector<JobId> to_drive() const;

  struct StartDecision {
    JobId job = 0;
    std::vector<std::string> providers;  // the gang, best first
  };
  struct EndDecision {  // a job that can never start
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
  // What the gateway measured of the link to an organisation. Of the ticking thread.
  void measured(const std::string& organisation, LinkMeasure measure);
  [[nodiscard]] const Links& links() const { return links_; }

  struct Measures {
    std::size_t waiting = 0;
    std::size_t unread = 0;  // of those, whose spec is still to be read
    std::uint64_t passes = 0;
    std::chrono::microseconds longest_pass{0};
    std::chrono::microseconds longest_read{0};  // under the ledger's lock
  };
  [[nodiscard]] Measures measures() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    QueuedJob queued;
    std::vector<Dependency> dependencies;
    std::size_t request = 0;  // into requests_
    Reason reason = Reason::none;
    std::string detail;
    bool read = false;               // the spec has been
    bool ends_when_invalid = false;  // --kill-on-invalid-dep
    std::vector<OrgId> in_flight;    // the gang that was decided; not on the ledger yet
    Clock::time_point retry;         // not before; a start in flight is given up then
  };
  struct Running {  // a member of an open attempt, of any organisation's job
    OrgId provider = 0;
    std::uint32_t slots = 0;
  };
  struct Active {
    OrgId owner = 0;
    JobPhase phase = JobPhase::leasing;
    std::vector<Running> members;
    QueuedJob queued;  // own jobs: what it asked for
    Seconds seen_s = 0;
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
    std::vector<Running> members;
  };

  void take_in(const Seen& seen, Seconds now_s);
  void take_in_end(const Seen& seen, Seconds now_s);
  void read_specs();
  [[nodiscard]] bool read_spec(Waiting& waiting);
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

  // Of the ticking thread.
  JobId last_seen_ = 0;
  JobId slice_at_ = 0;
  JobId foreign_slice_at_ = 0;
  OrgId self_ = 0;
  Predictor predictor_;
  std::deque<JobId> ended_;  // in fates_, oldest first
  std::vector<BrokerRequest> requests_;
  std::map<std::string, std::size_t> request_index_;
  std::vector<std::size_t> placement_requests_;    // of each placement of the present pass
  std::map<std::size_t, std::string> objections_;  // of the present pass, by request
  Links links_;
  Clock::time_point pass_began_;
  Clock::duration pass_took_{};
  Seconds next_retry_s_ = time_never;
  Seconds next_s_ = time_never;  // when time alone calls for a pass

  mutable std::mutex mutex_;  // guards what follows
  std::map<JobId, Waiting> waiting_;
  std::set<JobId> unread_;  // of those, whose spec has not been read
  std::map<JobId, Active> active_;
  Fates fates_;  // written under mutex_ by the ticking thread alone, which may read it without
  std::set<JobId> foreign_waiting_;
  std::set<JobId> unfinished_;  // own, settled, results not home
  std::set<JobId> touched_;
  bool changed_ = true;  // since the last pass
  Measures measures_;
};

// Seconds since 1970.
[[nodiscard]] Seconds wall_clock_s();

// What the ledger says of a provider, as the broker wants it.
[[nodiscard]] ProviderCapacity capacity_of(const State& state, const OrgEntry& entry);

}  // namespace ufab::jobs
