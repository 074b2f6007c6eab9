// What the state remembers of usage imports, and of who may still file one after a job has left it.
//
// A settled job leaves State::jobs() after params.job_retention_blocks; batch systems are slower than that
// (slurmdbd down over night, a sweep of sacct the next morning). So who leased which attempt is kept for
// late_factor times as long, for at most past_jobs_max jobs (whichever is due first goes first, of several
// the lowest number), and with it the imports that were filed. Both are part of the state root (slots
// usage_import and past_job). Not thread-safe.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "accounting/state/entries.h"

namespace ufab {

struct UsageSlot {
  JobId job = 0;
  std::uint32_t attempt = 0;
  OrgId provider = 0;
  friend auto operator<=>(const UsageSlot&, const UsageSlot&) = default;
};

struct UsageImportEntry {
  RecordId record;
  // The key of the run.
  std::string cluster;
  std::uint64_t external_id = 0;
  std::uint64_t submit_us = 0;
  friend bool operator==(const UsageImportEntry&, const UsageImportEntry&) = default;
};

// A job that has left the state.
struct PastJob {
  struct Lease {
    std::uint32_t attempt = 0;
    OrgId provider = 0;
    friend bool operator==(const Lease&, const Lease&) = default;
  };
  std::uint64_t until = 0;  // height at which it is forgotten
  std::vector<Lease> leases;
  friend bool operator==(const PastJob&, const PastJob&) = default;
};

class UsageImports {
 public:
  static constexpr std::uint64_t late_factor = 64;
  static constexpr std::size_t past_jobs_max = 1 << 16;

  [[nodiscard]] const UsageImportEntry* find(const UsageSlot& slot) const;
  [[nodiscard]] const std::map<UsageSlot, UsageImportEntry>& all() const { return imports_; }
  [[nodiscard]] const std::map<JobId, PastJob>& past_jobs() const { return past_; }
  // Where this record was filed; null for a record that is no import, or one from too long ago.
  [[nodiscard]] const UsageSlot* slot_of(const RecordId& record) const;
  // The slot for which this provider filed the same run of its batch system already.
  [[nodiscard]] const UsageSlot* slot_of_run(OrgId provider, const UsageImportEntry& run) const;
  // Whether a job that has left the state was leased by this provider in this attempt.
  [[nodiscard]] bool leased_in_the_past(const UsageSlot& slot) const;
  [[nodiscard]] bool remembers_job(JobId job) const { return past_.contains(job); }

  // Precondition: neither the slot nor the provider's run is there.
  void file(const UsageSlot& slot, UsageImportEntry entry);
  // The job leaves the state now and is forgotten at height `until`.
  void job_left(const JobEntry& job, std::uint64_t until);
  struct Forgotten {
    std::vector<UsageSlot> imports;
    std::vector<JobId> jobs;
  };
  // Forgets what is due at `height`, at most `jobs_max` jobs.
  [[nodiscard]] Forgotten forget(std::uint64_t height, std::size_t jobs_max);
  // What all() and past_jobs() were; empty if these contradict each other.
  [[nodiscard]] static std::optional<UsageImports> restore(std::map<UsageSlot, UsageImportEntry> imports,
                                                           std::map<JobId, PastJob> past);

 private:
  using RunKey = std::tuple<OrgId, std::string, std::uint64_t, std::uint64_t>;
  [[nodiscard]] static RunKey run_key(OrgId provider, const UsageImportEntry& run);

  std::map<UsageSlot, UsageImportEntry> imports_;
  std::map<RecordId, UsageSlot> by_record_;
  std::map<RunKey, UsageSlot> by_run_;
  std::map<JobId, PastJob> past_;
  std::set<std::pair<std::uint64_t, JobId>> due_;  // height, job
};

}  // namespace ufab
