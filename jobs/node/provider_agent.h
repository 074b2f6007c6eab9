// The provider's side of jobs, driven by the ledger alone: every tick compares what the ledger says with what
// is here and does the next thing. All of it may be repeated, so a node that was killed goes on where it was.
//
//   our share in an attempt, and its turn is now → file a lease (fresh bridge key, address)
//   a lease of a gang that others come before    → give it back (both: jobs/queue/arbiter.h, lease_desk.h)
//   every member has leased                      → fetch script, definition, corpus; start the script
//   a window's line in out/windows.jsonl         → file a receipt
//   another member's receipt with our digests    → countersign
//   a newer attempt, a cancelled or settled job  → end our run
//   an ordinary script has ended                 → file its measured use
//   a run under Slurm has ended                  → file what Slurm's accounting says it used (usage import)
#pragma once

#include <map>
#include <optional>
#include <set>

#include "jobs/node/job_files.h"
#include "jobs/node/job_spec.h"
#include "jobs/node/run_place.h"

namespace ufab::jobs {

class ProviderAgent {
 public:
  explicit ProviderAgent(NodeContext& node) : node_(node) {}
  // One pass over every job that concerns this provider. Called by one thread.
  void tick();

 private:
  [[nodiscard]] std::vector<JobView> views_of(OrgId self);
  Status answer_ask(const JobView& view, const AttemptEntry& attempt, const MemberEntry& member);
  Status give_back(const JobView& view, const AttemptEntry& attempt);
  [[nodiscard]] bool has_runs(const JobView& view) const;
  Status advance(const JobView& view);
  Status file_lease(const JobView& view, const AttemptEntry& attempt, const MemberEntry& member);
  [[nodiscard]] Status check_isolation(const JobView& view) const;
  Status isolate(const JobView& view, const AttemptEntry& attempt,
                 const std::optional<TrainingInputs>& training, bool own_job, RunRequest& run);
  Status start_run(const JobView& view, const AttemptEntry& attempt);
  Status fetch_inputs(const JobView& view, const JobFolder& folder);
  Status fetch_resume_checkpoint(const JobView& view, const AttemptEntry& attempt);
  Status file_receipts(const JobView& view, const AttemptEntry& attempt);
  Status countersign(const JobView& view, const AttemptEntry& attempt);
  Status file_usage(const JobView& view, const AttemptEntry& attempt);
  Status note_import(const std::string& run);
  void file_imports();
  void end_other_runs(const JobView& view, std::uint32_t keep_attempt);

  NodeContext& node_;
  bool looked_ = false;      // at every job of the ledger, once: some may have ended while the node was down
  std::set<JobId> watched_;  // had a share of ours when last seen in progress; until their runs have ended
  std::map<std::string, std::string> said_;  // last trouble by job, so that it is logged once
  std::set<std::string> refused_;            // records that the ledger refused: never sent again
};

// Name of a run in the batch system.
[[nodiscard]] std::string run_name(JobId job, std::uint32_t attempt);
[[nodiscard]] std::optional<std::pair<JobId, std::uint32_t>> parse_run_name(std::string_view name);

// ErrorCode::limit when the specification asks for more than the order that the ledger holds, by which
// everybody counts what occupies this provider; or for other processors than the order.
[[nodiscard]] Status check_ordered(const JobSpec& spec, const JobOrder& order);
// The shorter of the specification's time limit and the order's; 0: neither has one.
[[nodiscard]] std::uint64_t run_limit_s(const JobSpec& spec, const JobOrder& order);

// What an ended run is charged, and how it ended. The local batch system does not pin processes, so a script
// may have used more processors than it leased; the ledger takes no more than the lease can spend, and no
// more is charged. A script that a limit stopped is no success even if it caught TERM and left with 0.
[[nodiscard]] UsageReceipt usage_receipt(JobId job, std::uint32_t attempt, const RunStatus& status,
                                         std::uint64_t processors);

// What the provider's batch system says that an ended run used; nullopt for a batch system that keeps no
// account (the local one).
[[nodiscard]] std::optional<UsageValues> usage_values(const RunStatus& status);

// For how long an escrow pays for an ordinary script on so many processors, fee included, rounded up; nullopt
// when the provider asks nothing. A script of another organisation runs no longer, whatever limit it asks
// for.
[[nodiscard]] std::optional<std::uint64_t> paid_seconds(MicroUnc budget, std::uint64_t fee_ppm,
                                                        MicroUnc price_per_cpu_hour,
                                                        std::uint64_t processors);

}  // namespace ufab::jobs
