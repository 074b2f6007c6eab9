#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/hpos.h"
#include "accounting/hpos/sample.h"
#include "accounting/state/flaws.h"
#include "accounting/state/transition.h"

namespace ufab {

namespace {
// Deadlines handled per block; the rest waits for the next one, so that a block stays small.
constexpr std::size_t timers_per_block = 256;
}  // namespace

Applied Transition::begin_block(const BlockContext& context) {
  mark_block(context);
  count_missed_slots(context);
  s_.context_ = context;
  ++org_mutable(context.producer).blocks_produced;
  judge_faults();
  draw_benchmark_checks();
  for (std::size_t done = 0; done < timers_per_block; ++done) {
    if (s_.timers_.empty() || s_.timers_.begin()->first > context.height) break;
    const JobId id = s_.timers_.begin()->second;
    s_.timers_.erase(s_.timers_.begin());
    run_timer(s_.jobs_.at(id));
  }
  forget_usage();
  if (context.height % s_.params_.epoch_blocks == 0) begin_epoch();
  s_.accounts_.check_invariant();
  return std::move(out_);
}

void Transition::run_timer(JobEntry& job) {
  touch(Slot::job, job.id);
  job.deadline = 0;
  switch (job.phase) {
    case JobPhase::settled: {
      if (!job.order.idempotency_key.empty()) s_.idempotency_.erase({job.owner, job.order.idempotency_key});
      s_.usage_.job_left(job,
                         s_.context_.height + s_.params_.job_retention_blocks * UsageImports::late_factor);
      touch(Slot::past_job, job.id);
      const JobId id = job.id;
      s_.jobs_.erase(id);
      return;
    }
    case JobPhase::validating:
      if (job.order.kind == JobKind::batch) {
        settle_usage(job);  // the owner was silent: it agrees
      } else {
        replace_late_verifiers(job);
      }
      return;
    case JobPhase::running:
      if (job.cancelled) settle(job, job.cancelled->result);
      return;
    case JobPhase::leasing:
      blame_attempt(job);
      if (!job.attempts.back().blamed) set_lease_timer(job);
      return;
    case JobPhase::ordered:
    case JobPhase::requeue: return;
  }
}

// A missed duty costs score_penalty_multiple times what doing it earns, a proven false result everything.
void Transition::score(OrgEntry& org, ScoreCause cause, std::uint64_t count) {
  const ChainParams& p = s_.params_;
  if (count == 0) return;
  const std::uint64_t before = org.score;
  const auto times = [count](std::uint64_t each) { return checked_mul(count, each).value_or(UINT64_MAX); };
  const auto raise = [&](std::uint64_t by) {
    org.score = std::max(before, std::min(p.score_max, checked_add(before, by).value_or(UINT64_MAX)));
  };
  const auto lower = [&](std::uint64_t by) { org.score = before > by ? before - by : 0; };
  switch (cause) {
    case ScoreCause::block_produced: raise(times(p.score_per_block)); break;
    case ScoreCause::verified: raise(times(p.score_per_verification)); break;
    case ScoreCause::missed_verification:
      lower(times(p.score_per_verification * p.score_penalty_multiple));
      break;
    case ScoreCause::missed_slot:
    case ScoreCause::missed_seed: lower(times(p.score_per_block * p.score_penalty_multiple)); break;
    case ScoreCause::slashed: org.score = 0; break;
  }
  touch(Slot::organisation, org.id);
  if (org.score != before) derive(Score{org.id, cause, count, before, org.score});
}

// Emission for the verified work of the epoch that ended.
void Transition::reward_work(Epoch& body, std::uint64_t ended) {
  const ChainParams& p = s_.params_;
  std::vector<OrgId> earners;
  std::vector<hpos::Merit> merits;
  std::vector<std::uint64_t> merit_values;
  Uint128 merit_total = 0;
  for (const auto& [id, org] : s_.organisations_) {
    // Pledge gates eligibility.
    if (org.verified_mflop == 0 || s_.stake(id) < p.stake_min) continue;
    const hpos::Merit merit = hpos::merit_of(org);
    if (merit.merit == 0) continue;
    if (ended < p.burn_sunset_epoch && p.burn_to_earn > 0) {
      if (s_.balance(id) < p.burn_to_earn) continue;
      move({AccountKind::balance, id}, {AccountKind::burn, 0}, p.burn_to_earn);
      derive(Burn{id, p.burn_to_earn, fmt::format("to earn in epoch {}", ended)});
    }
    earners.push_back(id);
    merits.push_back(merit);
    merit_values.push_back(merit.merit);
    merit_total += merit.merit;
  }
  if (planted(LedgerFlaw::unpaid_earner) && earners.size() > 1) {
    merit_total -= merit_values.back();
    earners.pop_back();
    merit_values.pop_back();
  }
  // Without verified work nothing is minted: emission pays for work.
  body.emission = earners.empty() ? 0 : hpos::emission(ended, s_.accounts_.minted(), p);
  body.treasury = part_ppm(body.emission, p.treasury_ppm);
  move({AccountKind::mint, 0}, {AccountKind::treasury, 0}, body.treasury);
  const MicroUnc shared = body.emission - body.treasury;
  std::vector<std::uint64_t> parts = hpos::apportion(shared, merit_values);
  if (planted(LedgerFlaw::rounding_that_mints)) {
    for (std::size_t i = 0; i < parts.size(); ++i)
      parts[i] = static_cast<std::uint64_t>(
          (static_cast<Uint128>(shared) * merit_values[i] + merit_total - 1) / merit_total);
  }
  for (std::size_t i = 0; i < earners.size(); ++i) {
    move({AccountKind::mint, 0}, {AccountKind::balance, earners[i]}, parts[i]);
    const std::uint64_t total =
        merit_total > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(merit_total);
    derive(Reward{ended, earners[i], merits[i].verified_mflop, merits[i].uptime_ppm, merits[i].quality_ppm,
                  merits[i].merit, total, shared, parts[i]});
  }
}

// What unbonds stays where it is while its owner is in office without having to have its pledge staked.
void Transition::release_unbonded() {
  for (auto& [id, org] : s_.organisations_) {
    if (org.unbonding.empty() || org.unbonding.front().epoch > s_.epoch_ || is_held(id)) continue;
    MicroUnc released = 0;
    while (!org.unbonding.empty() && org.unbonding.front().epoch <= s_.epoch_) {
      released += org.unbonding.front().amount;
      org.unbonding.erase(org.unbonding.begin());
    }
    touch(Slot::organisation, id);
    move({AccountKind::unbonding, id}, {AccountKind::balance, id}, released);
    derive(Release{id, released});
  }
}

// The end of one epoch and the start of the next: scores, rewards for verified work, power, seats, releases.
void Transition::begin_epoch() {
  const std::uint64_t ended = s_.epoch_;
  for (auto& [id, org] : s_.organisations_) {
    score(org, ScoreCause::block_produced, org.blocks_produced);
    score(org, ScoreCause::verified, org.duties_done);
    score(org, ScoreCause::missed_verification, org.duties_missed);
    score(org, ScoreCause::missed_slot, org.slots_missed);
  }
  charge_missed_shares();
  Epoch body;
  reward_work(body, ended);
  s_.epoch_ = ended + 1;
  draw_epoch_seed();
  begin_enrolment_epoch();
  for (auto& [id, org] : s_.organisations_) {
    const bool counted = org.verified_mflop != 0 || org.blocks_produced != 0 || org.slots_missed != 0 ||
                         org.duties_done != 0 || org.duties_missed != 0 || org.receipts_good != 0 ||
                         org.receipts_bad != 0 || org.refusals != 0 ||
                         (org.agent && org.agent->refusals != 0) || !org.power.empty();
    if (!counted) continue;
    hpos::grow_power(org.power, ended, org.verified_mflop, s_.params_);
    org.verified_mflop = org.blocks_produced = org.slots_missed = org.duties_done = org.duties_missed = 0;
    org.receipts_good = org.receipts_bad = 0;
    org.refusals = 0;
    if (org.agent) org.agent->refusals = 0;
    touch(Slot::organisation, id);
  }
  form_committee(body);
  release_unbonded();
  body.epoch = s_.epoch_;
  body.seed = s_.epoch_seed_;
  derive(std::move(body));
}

}  // namespace ufab
