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
  for (const PublicKey& key : {body.key, body.vrf_key})
    s_.keys_.emplace(key, std::pair{org, KeyRole::validator});
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

// The seats of the epoch that begins, from the pledges of those who stand; or those in office, if too few do.
void Transition::form_committee(Epoch& body) {
  const ChainParams& p = s_.params_;
  std::vector<hpos::Pledge> pledges;
  for (const auto& [id, org] : s_.organisations_) {
    if (org.candidacy && s_.stake(id) >= p.stake_min) pledges.push_back({id, s_.stake(id)});
  }
  const hpos::Seats formed = hpos::form_seats(std::move(pledges), p);
  s_.kicked_.clear();
  if (formed.seats.size() < p.validators_min) {
    body.seats_stay = !s_.seats_.empty();
    body.seat_price = s_.seats_.empty() ? 0 : s_.seats_.back().pledge;
  } else {
    std::vector<std::uint64_t> scores;
    std::vector<Seat> seats;
    for (const hpos::Pledge& pledge : formed.seats) {
      const OrgEntry& org = *s_.organisation(pledge.organisation);
      seats.push_back({org.id, org.candidacy->key, org.candidacy->vrf_key, pledge.amount,
                       hpos::power_total(org.power), 0});
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
  }
  body.seats = s_.seats_;
  body.kicked = s_.kicked_;
}

}  // namespace ufab
