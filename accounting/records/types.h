// The small types that records share, and the bounds on everything a record may contain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "accounting/amount.h"
#include "fabric/base/digest.h"
#include "fabric/base/sign.h"

namespace ufab {

using OrgId = std::uint32_t;  // organisations are numbered 1, 2, … in the order of their registration
inline constexpr OrgId founder = 1;
using JobId = std::uint64_t;  // jobs are numbered 1, 2, … in the order of their orders
using RecordId = Digest;      // SHA-256 of a record's whole encoding, signature included

inline constexpr std::size_t name_size_max = 64;
inline constexpr std::size_t endpoint_size_max = 255;
inline constexpr std::size_t text_size_max = 512;  // reasons and memos
inline constexpr std::size_t members_max = 64;     // providers in one gang
inline constexpr std::size_t receipts_max = 1024;  // receipts under one signature
inline constexpr std::size_t record_size_max = 1 << 20;
inline constexpr std::uint64_t windows_max = 1 << 20;  // windows of one job
inline constexpr std::size_t sampled_max = 1 << 14;    // windows re-executed in one round of validation

enum class RecordType : std::uint8_t {
  // Signed by an organisation.
  genesis = 1,
  organisation = 2,
  key_change = 3,
  provider_enrol = 4,
  provider_update = 5,
  provider_action = 6,
  stake = 7,
  unstake = 8,
  transfer = 9,
  job_order = 10,
  job_attempt = 11,
  lease = 12,
  receipt_batch = 13,
  countersignature = 14,
  usage_receipt = 15,
  vote = 16,
  cancel = 17,
  correction = 18,
  usage_import = 19,
  benchmark = 20,
  benchmark_check = 21,
  lease_return = 30,
  link_report = 40,
  agent_enrol = 41,
  agent_allowance = 42,
  agent_revoke = 43,
  validator_stand = 44,
  validator_leave = 45,
  evidence = 46,
  seed_share = 47,
  // Derived by the rules: every replica computes the same ones, so they carry no signature of their own.
  refusal = 64,
  validation = 65,
  verdict = 66,
  slash = 67,
  burn = 68,
  settlement = 69,
  reward = 70,
  score = 71,
  epoch = 72,
  release = 73,
  fault = 74,
  standing = 75,
  benchmark_credit = 76,
  benchmark_duty = 77,
  conviction = 78,
};
[[nodiscard]] const char* record_type_name(RecordType type);  // "?" for a value that is none
[[nodiscard]] bool record_type_known(std::uint8_t type);
[[nodiscard]] inline bool record_type_derived(RecordType type) {
  return static_cast<std::uint8_t>(type) >= 64;
}

// Which of an organisation's keys it is: its own, its agent's (accounting/records/agents.h), or one of its
// validator's, which signs no records (accounting/records/validators.h).
enum class KeyRole : std::uint8_t { owner = 0, agent = 1, validator = 2 };
[[nodiscard]] const char* key_role_name(KeyRole role);

// The table of what needs the organisation's own key: moving money out, and everything about keys. An agent
// may sign the rest. The owner may sign everything.
[[nodiscard]] constexpr bool record_needs_owner(RecordType type) {
  switch (type) {
    case RecordType::genesis:
    case RecordType::organisation:
    case RecordType::key_change:
    case RecordType::stake:
    case RecordType::unstake:
    case RecordType::transfer:
    case RecordType::agent_enrol:
    case RecordType::agent_allowance:
    case RecordType::agent_revoke:
    case RecordType::validator_stand:
    case RecordType::validator_leave: return true;
    case RecordType::provider_enrol:
    case RecordType::provider_update:
    case RecordType::provider_action:
    case RecordType::job_order:
    case RecordType::job_attempt:
    case RecordType::lease:
    case RecordType::lease_return:
    case RecordType::receipt_batch:
    case RecordType::countersignature:
    case RecordType::usage_receipt:
    case RecordType::vote:
    case RecordType::cancel:
    case RecordType::correction:
    case RecordType::usage_import:
    case RecordType::benchmark:
    case RecordType::benchmark_check:
    case RecordType::link_report:
    case RecordType::evidence:
    case RecordType::seed_share: return false;
    default: return true;  // derived records: nobody signs them
  }
}

enum class JobKind : std::uint8_t { training = 0, batch = 1 };
enum class ProviderAction : std::uint8_t { drain = 0, resume = 1, leave = 2 };
enum class JobResult : std::uint8_t { done = 0, cancelled = 1, failed = 2 };
// Why a score changed.
enum class ScoreCause : std::uint8_t {
  block_produced = 0,
  verified = 1,
  missed_verification = 2,
  slashed = 3,
  missed_slot = 4,  // views in which it was the leader and no block came
  missed_seed = 5   // no share of the next epoch's seed
};

// What a provider can fall short in, as far as the ledger itself sees it.
enum class FaultKind : std::uint8_t {
  lease_missed = 0,         // named in an attempt, able to, and no lease within the deadline
  receipts_missing = 1,     // an attempt was given up in a window for which others had filed, and it had not
  false_result = 2,         // a verdict against it
  verification_missed = 3,  // a verifier's deadline
  benchmark_expired = 4,
  benchmark_refuted = 5,
};
enum class StandingStatus : std::uint8_t { good = 0, warned = 1, suspended = 2, expelled = 3 };

[[nodiscard]] const char* fault_kind_name(FaultKind kind);
[[nodiscard]] const char* standing_status_name(StandingStatus status);
[[nodiscard]] const char* job_kind_name(JobKind kind);
[[nodiscard]] const char* job_result_name(JobResult result);

// A name people type: 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit.
[[nodiscard]] Status check_name(std::string_view what, std::string_view name);
// A job's name, as batch scripts have them: 1 to 64 bytes of UTF-8 without control characters.
[[nodiscard]] Status check_job_name(std::string_view name);
// An idempotency key: 1 to 64 printable ASCII characters without blanks.
[[nodiscard]] Status check_idempotency_key(std::string_view key);
// HOST:PORT, printable, no spaces; empty means "reachable only as a client".
[[nodiscard]] Status check_endpoint(std::string_view what, std::string_view endpoint);

}  // namespace ufab
