// The reconciliation: do the ledger, Slurm's accounting (sacct) and the hooks' telemetry say the same of the
// same runs? A pure function of the three; no order of its inputs matters, and its result is sorted.
//
// Kinds of differences
//   missing_on_ledger  Slurm knows a run of the fabric that the ledger does not: it carries this chain's tag
//   in its
//                      name, or it ran in a partition or account that is the fabric's alone (a job that
//                      bypassed the fabric has no tag). One finding a run, with all the sources that know it.
//   missing_in_slurm   the ledger knows a run that a source does not: sacct has no row of it, or no hook
//   reported
//                      its completion. One finding a run, with the sources that lack it.
//   differs            both know the run, and a field differs by more than the tolerance: field, both values.
//   clock              the times of a cluster in a source are those of the ledger moved by one offset. One
//   finding a
//                      cluster and source; its rows are compared with the offset taken away.
//
// How runs find each other, per source: (1) the offset of each cluster's clock: of all pairs that surely are
// one run (the same tag and id, or an id that each side has once), more than half have the same difference of
// submit times, within the tolerance, and of end times too; (2) equal cluster, id and, less the offset,
// submit time; (3) of those left, equal cluster and tag: then the id or the submit time is what differs. What
// is left is missing. Only runs of the period count; whatever happened outside of it may still find its
// partner.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "accounting/audit/export/runs.h"
#include "accounting/audit/reconcile/sacct.h"
#include "accounting/audit/reconcile/telemetry.h"

namespace ufab {

// The name of a run inside a provider's Slurm: "ufab:CHAIN:job-JOB-ATTEMPT:REQUEST", the first 8 hex digits
// of the chain's id and the first 16 of the request's SHA-256. A re-execution for a verdict, which nobody is
// paid for by use, is "ufab:CHAIN:verify-…:REQUEST": job and attempt are 0, and no record of its use is
// missed.
struct RunTag {
  std::string chain;
  JobId job = 0;
  std::uint32_t attempt = 0;
};
[[nodiscard]] std::optional<RunTag> parse_run_tag(std::string_view name);

// What a usage import says of a job of sacct's; check_usage_values() tells whether the job has ended.
[[nodiscard]] UsageValues usage_of(const SacctJob& job);

struct ReconcileTolerances {
  std::uint64_t time_us = 1'000'000;    // Slurm counts seconds
  std::uint64_t clock_us = 5'000'000;   // an offset of a cluster's clock up to this is none
  std::uint64_t relative_ppm = 10'000;  // of cpu, memory, energy: late steps are accounted late …
  std::uint64_t cpu_us = 1'000'000;     // … or this much, whichever is more
  std::uint64_t memory_bytes = 1 << 20;
  std::uint64_t energy_j = 10;
};

struct ReconcileInput {
  std::string chain;                                   // first 8 hex digits of the chain's id
  std::vector<UsageRun> ledger;                        // of the clusters looked at
  std::set<std::pair<JobId, std::uint32_t>> leased;    // attempts that the provider leased, imported or not
  std::vector<SacctJob> sacct;                         // rows that have not ended are passed over
  std::optional<std::vector<TelemetryJob>> telemetry;  // none: no hooks were asked
  std::set<std::string> partitions, accounts;          // the fabric's alone
  std::uint64_t fabric_since_us =
      0;  // what ended there before then bypassed nothing: the provider's enrolment
  std::optional<std::string> cluster;  // look at this one only
  Period period;
  ReconcileTolerances tolerances;
};

enum class DifferenceKind { missing_on_ledger, missing_in_slurm, differs, clock };
[[nodiscard]] const char* difference_kind_name(DifferenceKind kind);

struct Difference {
  DifferenceKind kind = DifferenceKind::differs;
  std::string cluster;
  std::uint64_t external_id = 0;  // 0 for clock
  std::uint64_t submit_us = 0;    // as the ledger has it; for missing_on_ledger as Slurm has it
  JobId job = 0;                  // and attempt: 0 when there is no telling
  std::uint32_t attempt = 0;
  std::vector<std::string> sources;  // "sacct", "telemetry": which knows, lacks, or contradicts
  std::string field;                 // differs
  std::string ledger_value, slurm_value;
  std::int64_t offset_us = 0;  // clock: Slurm's time less the ledger's
  std::uint64_t rows = 0;      // clock: pairs that have it
  std::string reason;          // one line for people
  friend auto operator<=>(const Difference&, const Difference&) = default;
};

struct Reconciliation {
  std::vector<Difference> differences;             // sorted
  std::uint64_t ledger_runs = 0;                   // in the period
  std::uint64_t sacct_matched = 0;                 // of them
  std::optional<std::uint64_t> telemetry_matched;  // none: there was no telemetry
};
[[nodiscard]] Reconciliation reconcile(const ReconcileInput& input);

// {"schema":"ufab.reconcile/1", counts, "missing_on_ledger":[…], "missing_in_slurm":[…], "differs":[…],
// "clock":[…]}, and lines for people.
[[nodiscard]] std::string reconciliation_json(const Reconciliation& result);
[[nodiscard]] std::string reconciliation_text(const Reconciliation& result);

}  // namespace ufab
