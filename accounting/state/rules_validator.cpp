#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/hpos.h"
#include "accounting/hpos/validator_key.h"
#include "accounting/state/transition.h"

namespace ufab {

Status Transition::on(const ValidatorStand& body, OrgId org) {
  if (body.protocol < validator_protocol) {
    return Error{ErrorCode::invalid, fmt::format("validator protocol {}: this chain's validators speak {}",
                                                 body.protocol, validator_protocol)};
  }
  for (const PublicKey& key : {body.key, body.vrf_key}) {
    if (s_.keys_.contains(key)) {
      return Error{ErrorCode::conflict,
                   "validator key: it is or was a key of an organisation, an agent or a validator"};
    }
  }
  UFAB_TRY(hpos::check_stand(s_.chain_id_, record_->signer, body));
  org_mutable(org).candidacy = Candidacy{body.key, body.vrf_key, body.protocol, s_.context_.height};
  for (const PublicKey& key : {body.key, body.vrf_key}) take_key(key, org, KeyRole::validator);
  return {};
}

Status Transition::on(const ValidatorLeave&, OrgId org) {
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.candidacy) {
    return Error{ErrorCode::conflict, fmt::format("{} does not stand for a seat", entry.name)};
  }
  org_mutable(org).candidacy.reset();
  return {};
}

namespace {
// Views looked at in one block: more are skipped only while the network is down, which is nobody's fault.
constexpr std::uint64_t missed_slots_max = 4096;
}  // namespace

// The views between the last block's and the next one's were skipped: their leaders missed their slots.
void Transition::count_missed_slots(const BlockContext& next) {
  if (!s_.by_vote()) return;
  // Views begin at 1 after the block that began the epoch.
  const bool first = (next.height - 1) % s_.params_.epoch_blocks == 0;
  const std::uint64_t begin = first ? 1 : s_.context_.view + 1;
  const std::uint64_t count = next.view > begin ? std::min(next.view - begin, missed_slots_max) : 0;
  for (std::uint64_t i = 0; i < count; ++i) ++org_mutable(s_.producer(begin + i).organisation).slots_missed;
}

// The seats of the epoch that begins, from the pledges of those who stand; or those in office, if too few do.
void Transition::form_committee(Epoch& body) {
  const ChainParams& p = s_.params_;
  std::vector<hpos::Pledge> pledges;
  for (const auto& [id, org] : s_.organisations_) {
    if (org.candidacy && s_.stake(id) >= p.stake_min) pledges.push_back({id, s_.stake(id)});
  }
  const hpos::Seats formed = hpos::form_seats(std::move(pledges), p);
  if (formed.seats.size() < p.validators_min) return keep_committee(body);
  // Keys that were known before the epoch that ended, and so before anybody knew the seed of the present one,
  // take part in the next seed. In an epoch of one block there is no time for it.
  const std::uint64_t known_before = s_.context_.height - p.epoch_blocks;
  std::vector<std::uint64_t> scores;
  std::vector<Seat> seats;
  for (const hpos::Pledge& pledge : formed.seats) {
    const OrgEntry& org = *s_.organisation(pledge.organisation);
    const Candidacy& candidacy = *org.candidacy;
    const bool draws = candidacy.height < known_before && p.epoch_blocks > 1;
    seats.push_back(
        {org.id, candidacy.key, candidacy.vrf_key, draws, pledge.amount, hpos::power_total(org.power), 0});
    scores.push_back(org.score);
  }
  hpos::set_weights(seats, p);
  s_.kicked_ = hpos::kickout(seats, scores, p);
  std::erase_if(seats, [&](const Seat& seat) {
    return std::find(s_.kicked_.begin(), s_.kicked_.end(), seat.organisation) != s_.kicked_.end();
  });
  hpos::set_weights(seats, p);  // those that stay share all the weight
  s_.seats_ = std::move(seats);
  body.seat_price = formed.price;
  body.seats = s_.seats_;
  body.kicked = s_.kicked_;
  remember_committee(false);
}

// The seats in office stay as they are, but for convicted ones; without any left the founder is alone again.
void Transition::keep_committee(Epoch& body) {
  s_.kicked_.clear();
  body.seats_stay = !s_.seats_.empty();
  const auto before = s_.committees_.find(s_.epoch_ - 1);
  if (before != s_.committees_.end()) {
    const auto convicted = [&](const Seat& seat) {
      return std::any_of(
          before->second.members.begin(), before->second.members.end(),
          [&](const Committee::Member& member) { return member.convicted && member.key == seat.key; });
    };
    if (std::erase_if(s_.seats_, convicted) > 0) hpos::set_weights(s_.seats_, s_.params_);
  }
  for (Seat& seat : s_.seats_) seat.draws = s_.params_.epoch_blocks > 1;
  body.seats = s_.seats_;
  body.seat_price = s_.seats_.empty() ? 0 : s_.seats_.back().pledge;
  remember_committee(body.seats_stay);
}

}  // namespace ufab
