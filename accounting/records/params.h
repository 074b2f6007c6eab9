// The chain's parameters: part of genesis, equal on every replica, never changed afterwards.
// Fields named _ppm are parts per million; amounts are micro-UNC; the defaults suit a small federation.
#pragma once

#include "accounting/records/enrolment_params.h"

namespace ufab {

inline constexpr std::uint64_t seats_limit = 512;  // of seats_max; the consensus has no more

inline constexpr std::uint64_t evidence_epochs_limit = 64;

struct ChainParams {
  // Blocks.
  std::uint64_t block_interval_ms = 2000;  // an empty block is due after this long without one
  std::uint64_t epoch_blocks = 30;
  // Supply: initial + all emission never exceeds supply_max. The default initial part is 3 %.
  MicroUnc supply_max = 1'000'000'000 * micro_per_unc;
  MicroUnc supply_initial = 30'000'000 * micro_per_unc;
  MicroUnc emission_per_epoch = 100 * micro_per_unc;
  std::uint64_t halving_epochs = 4'850'000;
  std::uint64_t treasury_ppm = 50'000;  // of each epoch's emission
  // Fees: on top of what providers are paid, from the escrow.
  std::uint64_t fee_ppm = 10'000;
  std::uint64_t fee_burn_ppm = 500'000;  // of the fee; the rest goes to the treasury
  // Stake and penalties.
  MicroUnc stake_min = 100 * micro_per_unc;        // to lease, to verify and to earn emission
  std::uint64_t slash_ppm = 200'000;               // of the stake, per proven false result
  std::uint64_t slash_compensation_ppm = 500'000;  // at most this part of a slash compensates honest members
  std::uint64_t slash_equivocation_ppm = 1'000'000;  // of stake and unbonding, once per validator's key
  std::uint64_t evidence_reward_ppm = 50'000;        // of such a slash, to whoever filed the evidence
  std::uint64_t evidence_epochs = 3;                 // how many epochs later evidence is still taken
  std::uint64_t unbonding_epochs = 4;                // more than that
  // Score.
  std::uint64_t score_initial = 100;
  std::uint64_t score_max = 1'000'000;
  std::uint64_t score_per_block = 1;
  std::uint64_t score_per_verification = 10;
  std::uint64_t score_penalty_multiple = 10;  // a missed duty costs this multiple of doing it
  // Power, weight and seats (accounting/hpos).
  std::uint64_t alpha_ppm = 500'000;         // weight of power against stake; at most one half
  std::uint64_t weight_cap_ppm = 333'333;    // of all weight, per organisation
  std::uint64_t power_growth_ppm = 500'000;  // power may grow by this part of itself per epoch …
  std::uint64_t power_growth_floor_mflop = 1'000'000'000'000;  // … or by this much, whichever is more
  std::uint64_t power_expiry_epochs = 8;
  std::uint64_t seats_max = 64;
  std::uint64_t validators_min = 4;            // with fewer who stand the validators in office stay
  std::uint64_t seat_ratio_min_ppm = 10'000;   // a seat's pledge must exceed this part of the running total
  std::uint64_t kickout_median_ppm = 100'000;  // below this part of the median score a seat is lost
  MicroUnc burn_to_earn = 0;                   // burned per organisation and epoch to earn emission …
  std::uint64_t burn_sunset_epoch = 0;         // … in epochs before this one
  // Duties and retention, in blocks.
  std::uint64_t verify_deadline_blocks = 300;
  std::uint64_t countersign_deadline_blocks = 300;
  std::uint64_t job_retention_blocks = 1000;  // how long a settled job stays in memory
  std::uint64_t refusals_per_epoch = 64;      // per organisation; further ones are turned away at the door
  EnrolmentParams enrolment;

  friend bool operator==(const ChainParams&, const ChainParams&) = default;

  template <class Visitor, class Self>
  static void fields(Visitor& v, Self& s) {
    v("block_interval_ms", s.block_interval_ms);
    v("epoch_blocks", s.epoch_blocks);
    v("supply_max_micro", s.supply_max);
    v("supply_initial_micro", s.supply_initial);
    v("emission_per_epoch_micro", s.emission_per_epoch);
    v("halving_epochs", s.halving_epochs);
    v("treasury_ppm", s.treasury_ppm);
    v("fee_ppm", s.fee_ppm);
    v("fee_burn_ppm", s.fee_burn_ppm);
    v("stake_min_micro", s.stake_min);
    v("slash_ppm", s.slash_ppm);
    v("slash_compensation_ppm", s.slash_compensation_ppm);
    v("slash_equivocation_ppm", s.slash_equivocation_ppm);
    v("evidence_reward_ppm", s.evidence_reward_ppm);
    v("evidence_epochs", s.evidence_epochs);
    v("unbonding_epochs", s.unbonding_epochs);
    v("score_initial", s.score_initial);
    v("score_max", s.score_max);
    v("score_per_block", s.score_per_block);
    v("score_per_verification", s.score_per_verification);
    v("score_penalty_multiple", s.score_penalty_multiple);
    v("alpha_ppm", s.alpha_ppm);
    v("weight_cap_ppm", s.weight_cap_ppm);
    v("power_growth_ppm", s.power_growth_ppm);
    v("power_growth_floor_mflop", s.power_growth_floor_mflop);
    v("power_expiry_epochs", s.power_expiry_epochs);
    v("seats_max", s.seats_max);
    v("validators_min", s.validators_min);
    v("seat_ratio_min_ppm", s.seat_ratio_min_ppm);
    v("kickout_median_ppm", s.kickout_median_ppm);
    v("burn_to_earn_micro", s.burn_to_earn);
    v("burn_sunset_epoch", s.burn_sunset_epoch);
    v("verify_deadline_blocks", s.verify_deadline_blocks);
    v("countersign_deadline_blocks", s.countersign_deadline_blocks);
    v("job_retention_blocks", s.job_retention_blocks);
    v("refusals_per_epoch", s.refusals_per_epoch);
    v("enrolment", s.enrolment);
  }
};

// The rules between parameters (ppm at most one, alpha at most one half, initial within the maximum, …).
[[nodiscard]] Status check_params(const ChainParams& params);
// Sets one by its name above ("epoch_blocks", "enrolment.bench_epochs" or just "bench_epochs") to a whole
// number. ErrorCode::usage for a name that is none, and a value that is no number of 64 bits.
[[nodiscard]] Status set_param(ChainParams& params, std::string_view name, std::string_view value);

}  // namespace ufab
