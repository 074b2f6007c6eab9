// The runs of batch systems that a ledger knows, as exports and the reconciliation want them: one entry for
// each usage import, with its corrections. Read offline from a ledger's folder, everything re-derived on the
// way.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "accounting/records/record.h"

namespace ufab {

struct RunCorrection {
  RecordId record;
  std::string reason;
  std::uint64_t time_us = 0;  // of the block
  UsageValues usage;          // all values, as corrected
};

struct UsageRun {
  JobId job = 0;
  std::uint32_t attempt = 0;
  OrgId provider_id = 0;
  std::string provider;  // organisation that ran it
  std::string owner;     // organisation that ordered the job
  std::string job_name;  // of the order
  RecordId import;
  std::uint64_t time_us = 0;               // of the import's block
  UsageValues imported;                    // as it was filed
  std::vector<RunCorrection> corrections;  // those that corrects() accepts, oldest first

  // What stands: the last correction's values, or those imported.
  [[nodiscard]] const UsageValues& usage() const {
    return corrections.empty() ? imported : corrections.back().usage;
  }
  // What does not stand any more, oldest first.
  [[nodiscard]] std::vector<const UsageValues*> superseded() const;
  [[nodiscard]] bool corrected() const { return !corrections.empty(); }
};

struct UsageLedger {
  Digest chain_id;
  std::string chain_name;
  std::vector<UsageRun> runs;                                      // in the order of the ledger
  std::set<std::tuple<JobId, std::uint32_t, std::string>> leased;  // job, attempt, provider
  std::map<std::string, std::uint64_t> enrolled_us;                // by provider: when it first did
};

// The error of a ledger that does not verify names its first bad record.
[[nodiscard]] Result<UsageLedger> read_usage(const std::string& folder);

// Half open: from <= end < to, microseconds since 1970.
struct Period {
  std::uint64_t from_us = 0;
  std::uint64_t to_us = UINT64_MAX;
  [[nodiscard]] bool has(std::uint64_t time_us) const { return from_us <= time_us && time_us < to_us; }
  // Whether the run ended in it, by the values that stand or by any that did.
  [[nodiscard]] bool has(const UsageRun& run) const;
  // The same, widened to whole months (UTC).
  [[nodiscard]] Period whole_months() const;
};

}  // namespace ufab
