// What an auditor does, offline, from a ledger's folder or from a single file, trusting nobody.
// Everything here only reads; none of it needs a node. Functions are independent of each other.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "accounting/chain/block.h"

namespace ufab {

struct AuditSummary {
  Digest chain_id;
  std::string chain_name;
  std::uint64_t blocks = 0;
  std::uint64_t records = 0;
  std::uint64_t signatures = 0;
  std::uint64_t head_height = 0;
  Digest head_hash;
  std::uint64_t minted = 0;  // micro-UNC
  std::uint64_t burned = 0;
  std::uint64_t balances = 0;
  bool torn_tail = false;  // the log ends in a part of a frame that was never acknowledged
};
// Reads the whole log under `folder` (the same folder as LedgerOptions::folder) and re-derives everything:
// frame checksums and hash chain, block signatures, record signatures, sequence numbers, rules, derived
// records, record and state roots, the money invariant. The error names the first bad record:
// "block H record I (TYPE): what is wrong". If an expected chain id is given, the genesis must have it.
[[nodiscard]] Result<AuditSummary> audit_verify(const std::string& folder,
                                                std::optional<Digest> chain_id = std::nullopt);

// Everything about one job, from the log: order, attempts, leases, receipts, countersignatures, votes,
// verdicts, slashes, settlement, money movements, and how each reward of the epochs concerned was derived.
struct JobAudit {
  std::string text;  // for people, lines of at most 110 columns
  std::string json;  // one object, schema ufab.audit.job/1
};
[[nodiscard]] Result<JobAudit> audit_job(const std::string& folder, std::uint64_t job);

// A self-contained proof that a record is on the chain. REF is "block/position" ("12/3"), a record id
// ("sha256:…" or at least eight hex digits of it), or "job/N" for the settlement of job N.
[[nodiscard]] Result<Bytes> audit_prove(const std::string& folder, const std::string& reference);
struct ProofFacts {
  Digest chain_id;
  std::uint64_t height = 0;
  std::uint32_t position = 0;
  std::uint64_t block_time_us = 0;
  Record record;
  std::string text;  // what the file proves, for people
};
// Checks a proof with nothing but the file; compare chain_id with the one you know. See
// accounting/audit/proof.h for the layout.
[[nodiscard]] Result<ProofFacts> audit_check(ByteView proof, std::optional<Digest> chain_id = std::nullopt);

// A benchmark as it stands on the ledger, with what followed.
struct BenchmarkAudit {
  OrgId organisation = 0;
  std::string name;
  std::uint64_t height = 0;
  std::uint32_t position = 0;
  std::uint64_t challenge_height = 0;
  Digest challenge;  // derived anew: benchmark_challenge()
  std::uint32_t semantics_version = 0;
  std::uint32_t repeats = 0;
  std::vector<Digest> lanes;
  std::uint64_t mflops = 0;  // credited
  std::uint64_t epoch_end = 0;
  std::uint32_t lane = 0;  // the one drawn last
  struct Check {
    std::string verifier;
    std::uint64_t height = 0;
    std::uint32_t position = 0;
    Digest digest;
  };
  std::optional<Check> check;
};
// In the ledger's order; of one organisation if a name is given (not_found if there is none). The whole log
// is checked on the way, as by audit_verify. Re-executing lanes is the caller's part: it needs the kernels.
[[nodiscard]] Result<std::vector<BenchmarkAudit>> audit_benchmarks(const std::string& folder,
                                                                   const std::string& organisation = {});

struct LossPoint {
  std::uint64_t step = 0;
  std::string loss;  // decimal text as the job's log has it: accounting computes with integers only
  bool evaluation = false;
};
struct ReportInput {
  std::string title;
  std::optional<std::uint64_t> job;  // the job to feature; default: the last one settled
  std::vector<LossPoint> losses;     // at most 100,000
};
// One self-contained HTML page: no scripts from elsewhere, no links outside, inline SVG, light and dark.
[[nodiscard]] Result<std::string> audit_report(const std::string& folder, const ReportInput& input);

}  // namespace ufab
