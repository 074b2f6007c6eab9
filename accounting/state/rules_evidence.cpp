// Validators that contradicted themselves.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/evidence.h"
#include "accounting/state/flaws.h"
#include "accounting/state/transition.h"

namespace ufab {

// Evidence about epoch e is taken up to and with epoch e + evidence_epochs, and what is unstaked in e comes
// free at e + unbonding_epochs, which is later: so the stake of whoever left can still be slashed.
Status Transition::on(const EvidenceRecord& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, const std::string& why) {
    return Error{code, fmt::format("evidence about epoch {}, view {}: {}", body.epoch, body.view, why)};
  };
  const auto committee = s_.committees_.find(body.epoch);
  if (committee == s_.committees_.end()) {
    if (body.epoch + s_.params_.evidence_epochs < s_.epoch_)
      return wrong(ErrorCode::conflict, fmt::format("too old: it is taken for {} epochs after its own",
                                                    s_.params_.evidence_epochs));
    return wrong(ErrorCode::not_found, "no validators were in office then");
  }
  const auto& members = committee->second.members;
  const auto member = std::find_if(members.begin(), members.end(),
                                   [&](const Committee::Member& m) { return m.key == body.key; });
  const std::string key = body.key.hex().substr(0, 12);
  if (member == members.end())
    return wrong(ErrorCode::not_found, fmt::format("key {}… was not in office then", key));
  if (member->convicted && !planted(LedgerFlaw::second_conviction))
    return wrong(ErrorCode::conflict, fmt::format("key {}… is convicted already", key));
  const consensus::Evidence evidence = hpos::evidence_of(s_.chain_id_, body);
  UFAB_TRY(consensus::verify_evidence(evidence, consensus::Ed25519Scheme()));

  const OrgId guilty = member->organisation;
  for (auto& [epoch, past] : s_.committees_) {
    for (Committee::Member& m : past.members) {
      if (m.key != body.key) continue;
      m.convicted = true;
      touch(Slot::committee, epoch);
    }
  }
  Seizure seized = seize(guilty, s_.params_.slash_equivocation_ppm);
  Conviction conviction{guilty, body.key, body.epoch, body.view, seized.stake, seized.unbonding, org, 0, 0};
  const MicroUnc all = seized.stake + seized.unbonding;
  if (org != guilty) conviction.reward = part_ppm(all, s_.params_.evidence_reward_ppm);
  conviction.burned = all - conviction.reward;
  pay(seized, {AccountKind::balance, org}, conviction.reward);
  pay(seized, {AccountKind::burn, 0}, conviction.burned);
  OrgEntry& entry = org_mutable(guilty);
  entry.candidacy.reset();
  derive(conviction);
  score(entry, ScoreCause::slashed, 1);
  return {};
}

// The seats of the present epoch; what evidence is no longer taken about is forgotten.
void Transition::remember_committee(bool stayed) {
  while (!s_.committees_.empty() && s_.committees_.begin()->first + s_.params_.evidence_epochs < s_.epoch_) {
    touch(Slot::committee, s_.committees_.begin()->first);
    s_.committees_.erase(s_.committees_.begin());
  }
  if (s_.seats_.empty()) return;
  Committee& committee = s_.committees_[s_.epoch_];
  committee.stayed = stayed;
  for (const Seat& seat : s_.seats_) committee.members.push_back({seat.organisation, seat.key, false});
  touch(Slot::committee, s_.epoch_);
}

// It is, or was within the time of evidence, in office without having to have its pledge staked.
bool Transition::is_held(OrgId org) const {
  return std::any_of(s_.committees_.begin(), s_.committees_.end(), [org](const auto& entry) {
    const Committee& committee = entry.second;
    return committee.stayed &&
           std::any_of(committee.members.begin(), committee.members.end(),
                       [org](const Committee::Member& member) { return member.organisation == org; });
  });
}

// Part of the stake and of what unbonds, the stake first. What would have come free last goes first.
Transition::Seizure Transition::seize(OrgId id, std::uint64_t ppm) {
  const MicroUnc staked = s_.accounts_.balance({AccountKind::stake, id});
  const MicroUnc leaving = s_.accounts_.balance({AccountKind::unbonding, id});
  const MicroUnc amount = part_ppm(staked + leaving, ppm);
  const MicroUnc from_stake = std::min(amount, staked);
  const Seizure seized{id, from_stake, amount - from_stake};
  MicroUnc rest = seized.unbonding;
  OrgEntry& org = org_mutable(id);
  for (auto it = org.unbonding.rbegin(); it != org.unbonding.rend() && rest > 0; ++it) {
    const MicroUnc part = std::min(rest, it->amount);
    it->amount -= part;
    rest -= part;
  }
  UFAB_ASSERT(rest == 0);
  std::erase_if(org.unbonding, [](const EpochAmount& item) { return item.amount == 0; });
  return seized;
}

// Out of the stake first, then out of what unbonds; one receiver's part may need both.
void Transition::pay(Seizure& seizure, AccountId to, MicroUnc amount) {
  const MicroUnc first = std::min(amount, seizure.stake);
  const MicroUnc second = amount - first;
  UFAB_ASSERT(second <= seizure.unbonding);
  seizure.stake -= first;
  seizure.unbonding -= second;
  move({AccountKind::stake, seizure.from}, to, first);
  move({AccountKind::unbonding, seizure.from}, to, second);
}

}  // namespace ufab
