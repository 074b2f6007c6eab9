// The owner's side of jobs: takes submissions, files orders and attempts, follows runs, brings results home.
//
// Driven by the ledger and by what members' nodes answer, repeatable like the other agents:
//   ordered   → wait in the queue (job_queue.h); when the policy starts it, file attempt 1 with the providers
//               that it chose; when it can never start, cancel it as failed
//   leasing   → ask members why they have not leased; a member that waits for its turn says so, and one that
//               says nothing for lease_patience is left out when the job is planned again
//   running   → ask members how they are; a run that failed for a passing reason → the next attempt, from the
//               first window that is not complete; for a lasting one → cancel the job as failed
//   requeue   → a verdict took windows back: the next attempt without the convicted
// Planning again goes through the queue like a first start, with the age that the job has.
//   settled   → fetch the outputs, the log and the final model
// A submission is durable in a journal (submission_journal.h) before its order is filed, so no crash loses
// one or files it twice.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "jobs/broker/broker.h"
#include "jobs/node/job_files.h"
#include "jobs/node/job_queue.h"
#include "jobs/node/job_spec.h"
#include "jobs/node/submission_journal.h"
#include "jobs/node/training_plan.h"

namespace ufab::jobs {

struct MemberProgress {
  std::string organisation;
  bool reachable = false;
  std::string state;   // asked (the lease waits), declined, pending, running, ended; empty: nothing is known
  std::string result;  // run_result_name
  std::string reason;
  int exit_code = 0;
  int signal = 0;
  std::uint64_t step = 0;
  std::string loss;  // decimal text of the newest step
  double tokens_per_s = 0;
  std::uint64_t start_us = 0;  // microseconds since 1970; 0: not yet
  std::uint64_t end_us = 0;
};

class Gateway {
 public:
  explicit Gateway(NodeContext& node)
      : node_(node), queue_(node, [this](const std::string& key) { return journal_->pending(key); }) {}

  // Reads what submissions a node that ended has left. Once, before everything else.
  [[nodiscard]] Status open();

  // "submit": params.spec (job_spec_to_json), params.train and params.data (absolute paths),
  // params.test_only; body: the script. Answers job, offer and, for --test-only, no job; of an array also
  // tasks and task_jobs, in the order of their indices. Thread-safe.
  [[nodiscard]] Result<Answer> submit(const boost::json::object& params, ByteView script);
  // What has been submitted so far is in its job's folder when it returns. A submission does not wait for it,
  // and the queue does not need it: files are made in the lull after a burst, when very many wait, before a
  // job is started or ended, and before any other request looks. Thread-safe.
  void place_submissions();
  // "array": the tasks of the array that `job` is a task of, [{task, job}] by index; empty when it is none.
  [[nodiscard]] Result<Answer> array_tasks(JobId job) const;
  [[nodiscard]] Status set_hold(JobId job, bool held);
  [[nodiscard]] Status cancel(JobId job, const std::string& reason);
  // Plans the next attempt now. Thread-safe.
  [[nodiscard]] Status requeue(JobId job);
  [[nodiscard]] std::vector<MemberProgress> progress(JobId job) const;
  [[nodiscard]] std::string pending_reason(JobId job) const;
  [[nodiscard]] bool is_held(JobId job) const;
  [[nodiscard]] std::optional<Fates::Task> task_of(JobId job) const { return queue_.task_of(job); }
  [[nodiscard]] JobQueue::Measures queue_measures() const { return queue_.measures(); }
  [[nodiscard]] Quota spending() const { return queue_.spending(); }

  // Calls `what` while no submission is being taken in.
  void undisturbed(const std::function<void()>& what) {
    const std::lock_guard lock(submit_mutex_);
    what();
  }

  // One pass; called by one thread.
  void tick();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds ask_wait{5};  // for another node's answer
  static constexpr std::chrono::milliseconds lull{250};
  static constexpr std::size_t backlog_max = 1024;  // submissions without a folder

  struct Watch {  // what is known of a job beyond ledger and disk; lost at a restart without harm
    Clock::time_point attempt_seen;
    std::uint32_t attempt = 0;
    std::map<std::string, Clock::time_point> unreachable_since;
    std::map<std::string, Clock::time_point>
        heard;  // members that wait for their turn, and when they said so
    std::optional<Clock::time_point> ended_since;
    std::map<std::string, Clock::time_point> avoid;  // organisations that stayed silent, and since when
    std::vector<MemberProgress> progress;
    Clock::time_point asked;
    std::string reason;
    std::string said;
    bool requeue_asked = false;
  };

  struct Prepared;
  Result<Prepared> prepare(const boost::json::object& params, JobSpec spec, std::uint64_t orders);
  Result<Answer> submit_array(const boost::json::object& params, JobSpec spec, ByteView script);
  Result<Submission> submission_of(const Prepared& prepared, ByteView script);
  Result<Answer> file_order(const Prepared& prepared, ByteView script);
  [[nodiscard]] std::optional<JobId> job_of_key(const std::string& key) const;
  Status place(const Submission& submission, JobId job);
  void place_when_due();
  Status drive(const JobView& view);
  Status drive_running(const JobView& view, Watch& watch);
  Status blame_missing_receipts(const JobView& view, Watch& watch);
  void drive_leasing(const JobView& view, Watch& watch);
  // Files the next attempt, of those of `gang` that still qualify.
  Status plan_attempt(const JobView& view, const std::string& reason, const std::vector<std::string>& gang);
  void plan_again(const JobView& view, const std::string& reason);
  [[nodiscard]] static std::vector<std::string> excluded_names(const JobView& view);
  [[nodiscard]] std::vector<std::string> avoided_names(JobId job) const;
  void start_waiting();
  void say(JobId job, const std::string& line);
  Status fail(const JobView& view, const std::string& reason);
  Status finish(const JobView& view);
  void measure_transfer(const std::string& organisation, const std::string& file, Clock::duration took);
  void ask_members(const JobView& view, Watch& watch);
  [[nodiscard]] MemberProgress ask_member(const JobView& view, const MemberEntry& member);
  Status countersign_usage(const JobView& view);
  Status mirror_output(const JobView& view, bool last);
  [[nodiscard]] std::vector<ProviderCapacity> capacities() const;
  Watch watch_of(JobId job) const;

  NodeContext& node_;
  std::unique_ptr<SubmissionJournal> journal_;
  // One submission at a time: two with one key share an entry of the journal, two jobs a blob, and HDF5,
  // which reads the corpus, is no library for several threads.
  std::mutex submit_mutex_;
  std::mutex place_mutex_;    // a submission's files are written by one thread
  bool left_placed_ = false;  // what the node that ended had left; of the ticking thread
  JobQueue queue_;
  mutable std::mutex mutex_;
  std::map<JobId, Watch> watches_;  // guarded by mutex_
};

// What a job asks of the broker.
[[nodiscard]] BrokerRequest broker_request(const JobSpec& spec);

// Answers "job.progress" for a run of this node.
[[nodiscard]] Answer local_progress(const NodeContext& node, JobId job, std::uint32_t attempt);

}  // namespace ufab::jobs
