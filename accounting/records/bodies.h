// Bodies of the records that organisations sign. fields() names each field once, in the order of the
// encoding; encoder, decoder and JSON view are all generated from it (accounting/records/codec.h).
// Layout: integers little-endian in their declared width, enums one byte, flags one byte, digests and keys as
// they are, text and lists with a u32 length.
#pragma once

#include <string>
#include <vector>

#include "accounting/records/params.h"
#include "accounting/records/usage_values.h"

namespace ufab {

// The first record. Its id is the chain id, which every later signature covers. Founds organisation 1, the
// validator, which receives params.supply_initial.
struct Genesis {
  static constexpr RecordType type = RecordType::genesis;
  std::string chain_name;
  std::string organisation;
  std::string endpoint;
  ChainParams params;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("chain_name", s.chain_name, name_size_max);
    v("organisation", s.organisation, name_size_max);
    v("endpoint", s.endpoint, endpoint_size_max);
    v("params", s.params);
  }
};

// Registers the signer's key as a new organisation, with sequence 1.
struct Organisation {
  static constexpr RecordType type = RecordType::organisation;
  std::string name;
  std::string endpoint;  // HOST:PORT of its node, or empty
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("name", s.name, name_size_max);
    v("endpoint", s.endpoint, endpoint_size_max);
  }
};

// Signed by the old key; `proof` is the new key's signature over key_change_digest(chain, old, new).
struct KeyChange {
  static constexpr RecordType type = RecordType::key_change;
  PublicKey new_key;
  Signature proof;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("new_key", s.new_key);
    v("proof", s.proof);
  }
};

// What a provider offers. An organisation has one provider.
struct ProviderOffer {
  std::string name;
  std::uint32_t ranks = 0;
  std::uint32_t threads = 0;  // per rank
  std::uint64_t memory_bytes = 0;
  std::uint64_t mflops = 0;         // measured million floating-point operations per second
  MicroUnc price_per_tflop = 0;     // training
  MicroUnc price_per_cpu_hour = 0;  // ordinary batch scripts
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("name", s.name, name_size_max);
    v("ranks", s.ranks);
    v("threads", s.threads);
    v("memory_bytes", s.memory_bytes);
    v("mflops", s.mflops);
    v("price_micro_per_tflop", s.price_per_tflop);
    v("price_micro_per_cpu_hour", s.price_per_cpu_hour);
  }
};
struct ProviderEnrol {
  static constexpr RecordType type = RecordType::provider_enrol;
  ProviderOffer offer;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("offer", s.offer);
  }
};
struct ProviderUpdate {
  static constexpr RecordType type = RecordType::provider_update;
  ProviderOffer offer;  // replaces the old one; leases in force keep their price
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("offer", s.offer);
  }
};
struct ProviderActionRecord {
  static constexpr RecordType type = RecordType::provider_action;
  ProviderAction action = ProviderAction::drain;
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("action", s.action, 2);
    v("reason", s.reason, text_size_max);
  }
};

struct Stake {
  static constexpr RecordType type = RecordType::stake;
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("amount_micro", s.amount);
  }
};
// The amount leaves the stake now, can still be slashed while it unbonds, and is released by the epoch that
// is params.unbonding_epochs later.
struct Unstake {
  static constexpr RecordType type = RecordType::unstake;
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("amount_micro", s.amount);
  }
};
struct Transfer {
  static constexpr RecordType type = RecordType::transfer;
  OrgId to = 0;
  MicroUnc amount = 0;
  std::string memo;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("to", s.to);
    v("amount_micro", s.amount);
    v("memo", s.memo, text_size_max);
  }
};

// Orders a job and puts its budget in escrow. The ledger gives it the next job number.
struct JobOrder {
  static constexpr RecordType type = RecordType::job_order;
  JobKind kind = JobKind::training;
  std::string name;
  std::string idempotency_key;  // empty, or at most one job per organisation and key while it is remembered
  Digest script_digest;         // of the batch script's bytes
  Digest definition_digest;     // of the canonical job definition (training), else zero
  Digest data_file_digest;      // of the data file's bytes, or zero
  Digest data_content_digest;   // of the data's content, or zero
  std::uint32_t semantics_version = 0;  // of the kernels; zero for batch
  std::uint64_t steps = 0;              // training: total optimizer steps, else zero
  std::uint32_t window_steps = 0;       // training: steps per window; the last window may be shorter
  std::uint32_t micro_batches = 0;      // training: per step
  std::uint64_t flop_per_micro_batch = 0;
  MicroUnc price_max_per_tflop = 0;
  MicroUnc price_max_per_cpu_hour = 0;
  MicroUnc budget = 0;
  std::uint32_t verify_rate_ppm = 0;  // part of the windows that is re-executed; at least one window is
  std::uint16_t providers_min = 1;
  std::uint16_t providers_max = 1;
  // What a scheduler has to know, so that every node can tell what occupies a provider and until when. A
  // provider declines a job that asks for more than its order says, and ends it at the order's limit.
  std::uint32_t slots = 1;         // processors on each provider
  std::uint64_t memory_mib = 0;    // on each provider; 0: any
  std::uint64_t time_limit_s = 0;  // of one attempt; 0: none
  std::uint32_t nice = 0;      // behind the owner's own jobs with less of it: nobody can push to the front
  std::uint64_t begin_us = 0;  // since 1970, not before; 0: at once
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("kind", s.kind, 1);
    v("name", s.name, name_size_max);
    v("idempotency_key", s.idempotency_key, name_size_max);
    v("script_digest", s.script_digest);
    v("definition_digest", s.definition_digest);
    v("data_file_digest", s.data_file_digest);
    v("data_content_digest", s.data_content_digest);
    v("semantics_version", s.semantics_version);
    v("steps", s.steps);
    v("window_steps", s.window_steps);
    v("micro_batches", s.micro_batches);
    v("flop_per_micro_batch", s.flop_per_micro_batch);
    v("price_max_micro_per_tflop", s.price_max_per_tflop);
    v("price_max_micro_per_cpu_hour", s.price_max_per_cpu_hour);
    v("budget_micro", s.budget);
    v("verify_rate_ppm", s.verify_rate_ppm);
    v("providers_min", s.providers_min);
    v("providers_max", s.providers_max);
    v("slots", s.slots);
    v("memory_mib", s.memory_mib);
    v("time_limit_s", s.time_limit_s);
    v("nice", s.nice);
    v("begin_us", s.begin_us);
  }
};

// One member's part of every step of an attempt: micro-batches [first, first + count). Batch: 0 and 0.
struct Share {
  OrgId organisation = 0;
  std::uint32_t micro_batch_first = 0;
  std::uint32_t micro_batch_count = 0;
  friend bool operator==(const Share&, const Share&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("micro_batch_first", s.micro_batch_first);
    v("micro_batch_count", s.micro_batch_count);
  }
};
// The owner's plan for attempt 1, 2, …: who computes what, from which window on. Attempt n + 1 may be filed
// while n is leasing, running or waiting for a requeue; it starts at the first window that is not complete.
// Shares are in micro-batch order and partition the micro-batches of a step exactly.
struct JobAttempt {
  static constexpr RecordType type = RecordType::job_attempt;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::uint64_t window_first = 0;
  std::vector<Share> shares;
  std::string reason;  // why there is another attempt; empty for the first
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("window_first", s.window_first);
    v("shares", s.shares, members_max);
    v("reason", s.reason, text_size_max);
  }
};
// A provider accepts its share of an attempt. The bridge key is fresh for this job: the organisation's own
// key never reaches the job. The attempt runs once every member's lease is on the ledger.
struct Lease {
  static constexpr RecordType type = RecordType::lease;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::uint32_t micro_batch_first = 0;
  std::uint32_t micro_batch_count = 0;
  std::uint32_t ranks = 0;
  std::uint32_t threads = 0;
  MicroUnc price_per_tflop = 0;
  MicroUnc price_per_cpu_hour = 0;
  PublicKey bridge_key;
  std::string bridge_address;  // HOST:PORT
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("micro_batch_first", s.micro_batch_first);
    v("micro_batch_count", s.micro_batch_count);
    v("ranks", s.ranks);
    v("threads", s.threads);
    v("price_micro_per_tflop", s.price_per_tflop);
    v("price_micro_per_cpu_hour", s.price_per_cpu_hour);
    v("bridge_key", s.bridge_key);
    v("bridge_address", s.bridge_address, endpoint_size_max);
  }
};
// A member gives back its lease of an attempt that does not run yet, because another job comes first on its
// processors (jobs/queue/arbiter.h): so two gangs that hold half of what they need each cannot wait for each
// other for ever. It may lease the same attempt again later.
struct LeaseReturn {
  static constexpr RecordType type = RecordType::lease_return;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("reason", s.reason, text_size_max);
  }
};

// One provider's claim for one window. work_flop must equal flop_per_micro_batch × its micro-batches × the
// steps of the window: it is checked, never believed.
struct Receipt {
  JobId job = 0;
  std::uint32_t attempt = 0;
  OrgId provider = 0;
  std::uint64_t window = 0;
  Digest start_digest;       // of the parameters before the window's first step
  Digest end_digest;         // and after its last
  Digest contribution_root;  // over this provider's integer gradient sums, per step and micro-batch
  std::uint64_t work_flop = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t wall_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  friend bool operator==(const Receipt&, const Receipt&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("provider", s.provider);
    v("window", s.window);
    v("start_digest", s.start_digest);
    v("end_digest", s.end_digest);
    v("contribution_root", s.contribution_root);
    v("work_flop", s.work_flop);
    v("cpu_us", s.cpu_us);
    v("wall_us", s.wall_us);
    v("memory_peak_bytes", s.memory_peak_bytes);
  }
};
// merkle::leaf_hash of the receipt's encoding: what a countersignature names.
[[nodiscard]] Digest receipt_digest(const Receipt& receipt);
[[nodiscard]] std::vector<Digest> receipt_digests(const std::vector<Receipt>& receipts);
// `root` is the RFC 9162 root over receipt_digest of each, in order: one signature covers them all.
struct ReceiptBatch {
  static constexpr RecordType type = RecordType::receipt_batch;
  Digest root;
  std::vector<Receipt> receipts;
  // Fills in root.
  [[nodiscard]] static ReceiptBatch of(std::vector<Receipt> receipts);
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("root", s.root);
    v("receipts", s.receipts, receipts_max);
  }
};
struct CountersignedReceipt {
  std::uint64_t window = 0;
  OrgId provider = 0;
  Digest receipt;  // receipt_digest, or usage_receipt_digest for a batch job
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("window", s.window);
    v("provider", s.provider);
    v("receipt", s.receipt);
  }
};
// Another member of the gang saw the same digests. For a batch job: the owner agrees with the usage.
struct Countersignature {
  static constexpr RecordType type = RecordType::countersignature;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::vector<CountersignedReceipt> receipts;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("receipts", s.receipts, receipts_max);
  }
};
// Measured use of an ordinary batch script. Needs the owner's countersignature when provider and owner
// differ; an owner silent for params.countersign_deadline_blocks agrees.
struct UsageReceipt {
  static constexpr RecordType type = RecordType::usage_receipt;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t wall_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint32_t exit_code = 0;
  std::uint32_t signal = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("cpu_us", s.cpu_us);
    v("wall_us", s.wall_us);
    v("memory_peak_bytes", s.memory_peak_bytes);
    v("exit_code", s.exit_code);
    v("signal", s.signal);
  }
};
[[nodiscard]] Digest usage_receipt_digest(const UsageReceipt& receipt);

// What a verifier found out about one member. step (1, 2, …) and micro_batch name the first difference; zero
// when ok. Where no single step is at fault (a false claim about the window), step is the window's first.
struct MemberFinding {
  OrgId organisation = 0;
  bool bad = false;
  std::uint64_t step = 0;
  std::uint32_t micro_batch = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("bad", s.bad);
    v("step", s.step);
    v("micro_batch", s.micro_batch);
  }
};
// The assigned verifier's result of re-executing one sampled window from its start digest. One finding per
// member of the attempt, in the order of its shares.
struct Vote {
  static constexpr RecordType type = RecordType::vote;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::uint64_t window = 0;
  Digest start_digest;
  Digest end_digest;  // recomputed
  std::vector<MemberFinding> findings;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("window", s.window);
    v("start_digest", s.start_digest);
    v("end_digest", s.end_digest);
    v("findings", s.findings, members_max);
  }
};

// The owner ends a job: nothing new is accepted, complete windows are still validated and paid.
struct Cancel {
  static constexpr RecordType type = RecordType::cancel;
  JobId job = 0;
  JobResult result = JobResult::cancelled;  // cancelled or failed
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("result", s.result, 2);
    v("reason", s.reason, text_size_max);
  }
};
// What a provider's batch system says that its run of one attempt used: the link between a job of this ledger
// and a job of, for example, Slurm. It moves no money (a usage receipt or receipts of windows do) and makes
// the provider's own accounting comparable (accounting/audit/reconcile) and exportable
// (accounting/audit/export).
//
// Who and when: any leased member of the attempt, once the run has ended, in whatever phase the job is; one
// for each (job, attempt, provider), and one for each run of a batch system (cluster, external_id,
// submit_us). A settled job leaves the state after params.job_retention_blocks; an import may still come for
// as long as the state remembers who leased it (accounting/state/usage_imports.h), and is refused after that.
// A wrong one is never replaced: see Correction. Build it with usage_import(), below.
struct UsageImport {
  static constexpr RecordType type = RecordType::usage_import;
  JobId job = 0;
  std::uint32_t attempt = 0;
  UsageValues usage;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("usage", s.usage);
  }
};
// The record from what a batch system says, ready to be signed. Names that the ledger cannot hold (control
// bytes, no UTF-8, too long) are made to fit first, because a batch system allows them; an Error
// (check_usage_values) is a run that has not ended or numbers that contradict each other, and would be
// refused.
[[nodiscard]] Result<UsageImport> usage_import(JobId job, std::uint32_t attempt, UsageValues usage);

// About an earlier record of the same signer; moves nothing, replaces nothing. Without values it is a remark.
// With values (one element) it corrects a usage import: the values are all of what is right, those that were
// right already included. cluster, external_id and submit_us must be the import's, because a correction is
// about what was used and not about which run; an import that names the wrong run is corrected to zero use.
// Several corrections of one import: the last one counts. Values that correct something else than an import
// of the signer are refused where the state remembers the import, and have no effect where it does not any
// more: whoever reads the whole log (audit, exports) applies this rule to all of them.
struct Correction {
  static constexpr RecordType type = RecordType::correction;
  RecordId record;
  std::string reason;
  std::vector<UsageValues> usage;  // at most one
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("record", s.record);
    v("reason", s.reason, text_size_max);
    v("usage", s.usage, 1);
  }
};
// True when `correction`, filed by `signer`, is a valid correction of `import`, filed by `provider`.
[[nodiscard]] bool corrects(const Correction& correction, OrgId signer, const UsageImport& import,
                            const RecordId& import_id, OrgId provider);

}  // namespace ufab
