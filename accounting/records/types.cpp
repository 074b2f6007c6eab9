#include "accounting/records/types.h"

#include <fmt/format.h>
#include <algorithm>

#include "accounting/records/codec.h"
#include "accounting/records/params.h"

namespace ufab {

const char* record_type_name(RecordType type) {
  switch (type) {
    case RecordType::genesis: return "genesis";
    case RecordType::organisation: return "organisation";
    case RecordType::key_change: return "key_change";
    case RecordType::provider_enrol: return "provider_enrol";
    case RecordType::provider_update: return "provider_update";
    case RecordType::provider_action: return "provider_action";
    case RecordType::stake: return "stake";
    case RecordType::unstake: return "unstake";
    case RecordType::transfer: return "transfer";
    case RecordType::job_order: return "job_order";
    case RecordType::job_attempt: return "job_attempt";
    case RecordType::lease: return "lease";
    case RecordType::receipt_batch: return "receipt_batch";
    case RecordType::countersignature: return "countersignature";
    case RecordType::usage_receipt: return "usage_receipt";
    case RecordType::vote: return "vote";
    case RecordType::cancel: return "cancel";
    case RecordType::correction: return "correction";
    case RecordType::usage_import: return "usage_import";
    case RecordType::benchmark: return "benchmark";
    case RecordType::benchmark_check: return "benchmark_check";
    case RecordType::lease_return: return "lease_return";
    case RecordType::link_report: return "link_report";
    case RecordType::agent_enrol: return "agent_enrol";
    case RecordType::agent_allowance: return "agent_allowance";
    case RecordType::agent_revoke: return "agent_revoke";
    case RecordType::validator_stand: return "validator_stand";
    case RecordType::validator_leave: return "validator_leave";
    case RecordType::evidence: return "evidence";
    case RecordType::seed_share: return "seed_share";
    case RecordType::refusal: return "refusal";
    case RecordType::validation: return "validation";
    case RecordType::verdict: return "verdict";
    case RecordType::slash: return "slash";
    case RecordType::burn: return "burn";
    case RecordType::settlement: return "settlement";
    case RecordType::reward: return "reward";
    case RecordType::score: return "score";
    case RecordType::epoch: return "epoch";
    case RecordType::release: return "release";
    case RecordType::fault: return "fault";
    case RecordType::standing: return "standing";
    case RecordType::benchmark_credit: return "benchmark_credit";
    case RecordType::benchmark_duty: return "benchmark_duty";
    case RecordType::conviction: return "conviction";
  }
  return "?";
}

bool record_type_known(std::uint8_t type) {
  return record_type_name(static_cast<RecordType>(type))[0] != '?';
}

const char* fault_kind_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::lease_missed: return "lease_missed";
    case FaultKind::receipts_missing: return "receipts_missing";
    case FaultKind::false_result: return "false_result";
    case FaultKind::verification_missed: return "verification_missed";
    case FaultKind::benchmark_expired: return "benchmark_expired";
    case FaultKind::benchmark_refuted: return "benchmark_refuted";
  }
  return "?";
}

const char* standing_status_name(StandingStatus status) {
  switch (status) {
    case StandingStatus::good: return "good";
    case StandingStatus::warned: return "warned";
    case StandingStatus::suspended: return "suspended";
    case StandingStatus::expelled: return "expelled";
  }
  return "?";
}

const char* key_role_name(KeyRole role) {
  switch (role) {
    case KeyRole::owner: return "owner";
    case KeyRole::agent: return "agent";
    case KeyRole::validator: return "validator";
  }
  return "?";
}

const char* job_kind_name(JobKind kind) {
  return kind == JobKind::training ? "training" : "batch";
}

const char* job_result_name(JobResult result) {
  switch (result) {
    case JobResult::done: return "done";
    case JobResult::cancelled: return "cancelled";
    case JobResult::failed: return "failed";
  }
  return "?";
}

Status check_name(std::string_view what, std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !name.empty() && name.size() <= name_size_max && alphanumeric(name.front());
  for (const char c : name) good = good && (alphanumeric(c) || c == '.' || c == '_' || c == '-');
  if (good) return {};
  return Error{ErrorCode::invalid, fmt::format("{} '{}': expected 1 to {} of a-z 0-9 . _ -, starting with a "
                                               "letter or digit",
                                               what, name, name_size_max)};
}

Status check_job_name(std::string_view name) {
  if (!name.empty() && name.size() <= name_size_max && is_printable_utf8(name)) return {};
  return Error{
      ErrorCode::invalid,
      fmt::format("a job name: expected 1 to {} bytes of UTF-8 without control characters", name_size_max)};
}

Status check_idempotency_key(std::string_view key) {
  const bool good = !key.empty() && key.size() <= name_size_max &&
                    std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (good) return {};
  return Error{ErrorCode::invalid,
               fmt::format("idempotency key: expected 1 to {} printable ASCII characters without blanks",
                           name_size_max)};
}

Status check_endpoint(std::string_view what, std::string_view endpoint) {
  if (endpoint.empty()) return {};
  const std::size_t colon = endpoint.rfind(':');
  bool good = endpoint.size() <= endpoint_size_max && colon != std::string_view::npos && colon > 0;
  std::uint32_t port = 0;
  if (good) {
    const std::string_view digits = endpoint.substr(colon + 1);
    good = !digits.empty() && digits.size() <= 5;
    for (const char c : digits) {
      good = good && c >= '0' && c <= '9';
      port = port * 10 + static_cast<std::uint32_t>(c - '0');
    }
    for (const char c : endpoint) good = good && c > ' ' && c < 0x7f;
  }
  if (good && port >= 1 && port <= 65535) return {};
  return Error{ErrorCode::invalid, fmt::format("{} '{}': expected HOST:PORT", what, endpoint)};
}

Status check_params(const ChainParams& p) {
  const auto wrong = [](const std::string& why) {
    return Error{ErrorCode::invalid, "chain parameters: " + why};
  };
  for (const auto& [name, value] :
       {std::pair{"treasury_ppm", p.treasury_ppm}, std::pair{"fee_ppm", p.fee_ppm},
        std::pair{"fee_burn_ppm", p.fee_burn_ppm}, std::pair{"slash_ppm", p.slash_ppm},
        std::pair{"slash_compensation_ppm", p.slash_compensation_ppm},
        std::pair{"slash_equivocation_ppm", p.slash_equivocation_ppm},
        std::pair{"evidence_reward_ppm", p.evidence_reward_ppm},
        std::pair{"weight_cap_ppm", p.weight_cap_ppm}, std::pair{"power_growth_ppm", p.power_growth_ppm},
        std::pair{"seat_ratio_min_ppm", p.seat_ratio_min_ppm},
        std::pair{"kickout_median_ppm", p.kickout_median_ppm}}) {
    if (value > ppm_one) return wrong(fmt::format("{} is {}, at most 1000000 is possible", name, value));
  }
  if (p.alpha_ppm > ppm_one / 2) return wrong("alpha_ppm must be at most 500000");
  if (p.supply_initial > p.supply_max) return wrong("supply_initial is above supply_max");
  if (p.block_interval_ms == 0 || p.block_interval_ms > 86'400'000) {
    return wrong("block_interval_ms must be 1 to 86400000");
  }
  for (const auto& [name, value] :
       {std::pair{"epoch_blocks", p.epoch_blocks}, std::pair{"halving_epochs", p.halving_epochs},
        std::pair{"power_expiry_epochs", p.power_expiry_epochs}, std::pair{"seats_max", p.seats_max},
        std::pair{"verify_deadline_blocks", p.verify_deadline_blocks},
        std::pair{"countersign_deadline_blocks", p.countersign_deadline_blocks},
        std::pair{"unbonding_epochs", p.unbonding_epochs}, std::pair{"score_max", p.score_max},
        std::pair{"stake_min", p.stake_min}}) {
    if (value == 0) return wrong(fmt::format("{} must be at least 1", name));
  }
  if (p.seats_max > seats_limit) return wrong(fmt::format("seats_max must be at most {}", seats_limit));
  if (p.validators_min == 0 || p.validators_min > p.seats_max)
    return wrong("validators_min must be 1 to seats_max");
  if (p.power_expiry_epochs > 1024) return wrong("power_expiry_epochs must be at most 1024");
  if (p.score_max > 1'000'000'000) return wrong("score_max must be at most 1000000000");
  if (p.score_initial > p.score_max) return wrong("score_initial is above score_max");
  for (const std::uint64_t value :
       {p.score_per_block, p.score_per_verification, p.score_penalty_multiple, p.verify_deadline_blocks,
        p.countersign_deadline_blocks, p.job_retention_blocks, p.unbonding_epochs, p.epoch_blocks}) {
    if (value > 1'000'000'000) return wrong("a score, deadline or duration is above 1000000000");
  }
  if (p.evidence_epochs == 0 || p.evidence_epochs > evidence_epochs_limit)
    return wrong(fmt::format("evidence_epochs must be 1 to {}", evidence_epochs_limit));
  // What is unstaked while its owner is in office comes free when evidence of that time is no longer taken.
  if (p.unbonding_epochs <= p.evidence_epochs)
    return wrong("unbonding_epochs must be more than evidence_epochs");
  UFAB_TRY(check_enrolment_params(p.enrolment));
  return {};
}

}  // namespace ufab
