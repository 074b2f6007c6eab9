// What other organisations' jobs leave on this node's disk, and when it goes.
//
// A provider or verifier keeps a job's files after the job has ended: its owner may still fetch the output
// and the model, and people may want to look. `keep_days` of the provider section says for how long (default
// 14; 0: for ever). Then these go, in this order, so that whatever a crash leaves is found again:
//   the batch system's records of its runs (BatchSystem::forget)
//   its isolated runs' folders            RUNS/job-N-A, RUNS/job-N-A.launch
//   its folder                            HOME/jobs/N
//   corpora that no job's folder shares any more      HOME/blobs/DIGEST
// A job is over when it has settled on this node's copy of the ledger, or when the ledger has forgotten it.
// Its age counts from the last change in its folder or its runs' folders. Only folders that the node has
// marked as another organisation's (`foreign`, written before anything else) are ever removed: what an
// organisation's own jobs brought home is its own to delete.
//
// One pass an hour, at most `removed_max` jobs in one tick. Of the ticking thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "jobs/node/job_files.h"

namespace ufab::jobs {

// Marks HOME/jobs/N as another organisation's, which its owner's name is kept of. Makes the folder.
[[nodiscard]] Status mark_foreign(const JobFolder& folder, const std::string& owner);

struct KeptJob {
  JobId job = 0;
  bool foreign = false;
  bool over = false;
  std::int64_t changed_s = 0;  // seconds since 1970
};
// Which of them have been kept long enough. Pure.
[[nodiscard]] std::vector<JobId> outdated(const std::vector<KeptJob>& kept, std::int64_t now_s,
                                          std::uint32_t keep_days);

class Housekeeping {
 public:
  // Calls its argument while no submission is being taken in: one may be about to share a corpus.
  using Undisturbed = std::function<void(const std::function<void()>&)>;
  Housekeeping(NodeContext& node, Undisturbed undisturbed)
      : node_(node), undisturbed_(std::move(undisturbed)) {}
  void tick();
  // One whole pass now.
  void pass(std::int64_t now_s);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes first_after{1};
  static constexpr std::chrono::hours interval{1};
  static constexpr std::size_t removed_max = 8;

  [[nodiscard]] std::vector<KeptJob> look() const;
  void begin(std::int64_t now_s);
  void remove_some(std::size_t most);
  [[nodiscard]] Status remove(JobId job);
  void remove_unshared_corpora(std::int64_t now_s, std::uint32_t keep_days);

  NodeContext& node_;
  Undisturbed undisturbed_;
  Clock::time_point next_ = Clock::now() + first_after;
  std::vector<JobId> removing_;  // of the present pass, those that are left
};

}  // namespace ufab::jobs
