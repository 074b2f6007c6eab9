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
  std::uint64_t certificates = 0;
  std::uint64_t epochs = 0;          // begun
  std::uint64_t validators = 0;      // in office at the head; 0: the founder alone
  bool checkpoint_checked = false;   // there was one beside the log, and it is of this chain and its end
};
// Reads the whole log under `folder` (the same folder as LedgerOptions::folder) and re-derives everything:
// frame checksums and hash chain, block signatures, record signatures, sequence numbers, rules, derived
// records, record and state roots, the money invariant. The error names the first bad record:
// "block H record I (TYPE): what is wrong", or the block and what of its header or its votes is wrong. If an
// expected chain id is given, the genesis must have it. All processors work.
[[nodiscard]] Result<AuditSummary> audit_verify(const std::string& folder,
                                                std::optional<Digest> chain_id = std::nullopt);
// The same for a bundle. Its checkpoint must hold by itself, all its blocks be the log's, and its head the end.
[[nodiscard]] Result<AuditSummary> audit_verify_bundle(const std::string& folder,
                                                       std::optional<Digest> chain_id = std::nullopt);
// What such an error names: the block that its line begins with, or that of the checkpoint's part, and the record
// in it. Empty where nothing of that kind is wrong: a file that is not there, a cosignature.
struct AuditPlace {
  std::optional<std::uint64_t> block;
  std::optional<std::uint32_t> record;
};
[[nodiscard]] AuditPlace audit_place(const Error& error);
// What an auditor elsewhere needs, in a new folder: the log with all votes (log/), the checkpoint of its end
// (checkpoint), and README.txt. Checks the whole log on the way.
[[nodiscard]] Result<AuditSummary> audit_bundle(const std::string& folder, const std::string& to);

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
// What tells somebody who knows the chain's id its head and its validators: accounting/audit/checkpoint.h, also
// for what it promises. With the headers after block `since`, if given, for witnesses.
[[nodiscard]] Result<Bytes> audit_checkpoint(const std::string& folder,
                                             std::optional<std::uint64_t> since = std::nullopt);

struct CheckOptions {
  std::optional<Digest> chain_id;  // the one you know; without it the file may be of any chain
  std::vector<PublicKey> witnesses;
  std::size_t witnesses_min = 0;  // so many of them must have cosigned
};
struct CheckpointFacts {
  Digest chain_id;
  std::string chain_name;
  std::uint64_t head_height = 0;
  Digest head_hash;
  Digest state_root;
  std::uint64_t head_time_us = 0;
  std::uint64_t epoch = 0;
  std::uint64_t links = 0;
  std::vector<Seat> validators;  // in office after the head; empty: the founder alone, with producer_key
  PublicKey producer_key;
  std::vector<PublicKey> witnesses;  // whose cosignatures hold
};
struct ProvenRecord {
  std::uint64_t height = 0;
  std::uint32_t position = 0;
  std::uint32_t record_count = 0;
  std::uint64_t block_time_us = 0;
  RecordId id;
  Record record;
  bool refused = false;
  std::string fate;  // for people
};
struct CheckFacts {
  CheckpointFacts checkpoint;
  std::optional<ProvenRecord> proven;  // of a proof
  std::string text;                    // what the file proves, for people
};
// Checks a checkpoint or a proof (accounting/audit/proof.h) with nothing but the file.
[[nodiscard]] Result<CheckFacts> audit_check(ByteView file, const CheckOptions& options = {});

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
