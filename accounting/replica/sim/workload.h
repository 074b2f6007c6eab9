// What organisations file in a simulated run besides transfers: the whole life of jobs. Providers enrol,
// owners order jobs and name providers, these lease, file receipts in batches and countersign, verifiers
// vote, owners requeue, cancel or fall silent. As with real nodes every decision follows from what the ledger
// says and may be repeated after a crash; so this is a pure function of the seed, the organisation and the
// state.
//
// Training is stood in for by a hash: the parameters after a window are true_result() of those before it, so
// that honest providers agree, whatever attempt they are in, and a verifier can re-execute.
//
// One organisation, if any, is a cheat: a provider that claims more work than its share, files windows twice
// (the same receipts in another record, and receipts of the same windows that look new), reports false
// results, votes on windows that were not drawn for it, owes votes that it was drawn for, files evidence that
// others have filed, for the reward, and spams.
#pragma once

#include <vector>

#include "accounting/consensus/sim/rng.h"
#include "accounting/state/state.h"

namespace ufab::sim {

// The parameters that a job starts from, and those after a window that starts from `before`.
[[nodiscard]] Digest first_parameters(JobId job);
[[nodiscard]] Digest true_result(JobId job, std::uint64_t window, const Digest& before);

struct WorkloadOptions {
  std::uint64_t seed = 0;
  std::vector<OrgId> honest;       // whose records are filed; each provides, orders and verifies
  OrgId cheat = 0;                 // 0: none
  std::uint64_t jobs_of_each = 8;  // at most, one after the other
};

class Workload {
 public:
  explicit Workload(WorkloadOptions options) : options_(std::move(options)), rng_(options_.seed ^ 0x6a6f62) {}

  // What an honest organisation has to file now, in this order, if nothing that it filed before waits.
  // `closing`: no new orders, and what is open is cancelled.
  [[nodiscard]] std::vector<RecordBody> due(OrgId org, const State& state, bool closing) const;
  // What the cheat files now.
  [[nodiscard]] std::vector<RecordBody> cheat(const State& state);
  // A record that somebody has on the ledger, for the cheat to copy.
  void overhear(RecordBody body) { heard_.push_back(std::move(body)); }

 private:
  // In [0, count), the same for the same question.
  [[nodiscard]] std::uint64_t drawn(const char* what, std::uint64_t a, std::uint64_t b,
                                    std::uint64_t count) const;
  void enrol(OrgId org, const State& state, std::vector<RecordBody>& out) const;
  void order(OrgId org, const State& state, std::vector<RecordBody>& out) const;
  void own(OrgId org, const State& state, const JobEntry& job, bool closing,
           std::vector<RecordBody>& out) const;
  [[nodiscard]] std::vector<Share> plan(const State& state, const JobEntry& job) const;
  void lease(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const;
  void countersign(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const;
  void use(OrgId org, const State& state, const JobEntry& job, std::vector<RecordBody>& out) const;
  [[nodiscard]] std::vector<Receipt> receipts(OrgId org, const State& state, const JobEntry& job) const;
  void verify(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const;
  [[nodiscard]] ReceiptBatch spoilt(ReceiptBatch batch);
  void judge_itself(const JobEntry& job, std::vector<RecordBody>& out) const;

  const WorkloadOptions options_;
  consensus::Rng rng_;            // the cheat's
  std::vector<RecordBody> said_;  // by the cheat, to be filed again
  std::vector<RecordBody> heard_;
};

}  // namespace ufab::sim
