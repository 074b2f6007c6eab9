#include <fmt/format.h>

#include "accounting/state/transition.h"

namespace ufab {

Status Transition::check_new_organisation(const State& state, const PublicKey& key, const std::string& name,
                                          const std::string& endpoint) {
  UFAB_TRY(check_name("organisation", name));
  UFAB_TRY(check_endpoint("node endpoint", endpoint));
  if (!key.is_acceptable())
    return Error{ErrorCode::invalid, "organisation key: not an acceptable Ed25519 key"};
  if (state.keys_.contains(key)) {
    return Error{ErrorCode::conflict, fmt::format("organisation '{}': its key is registered already", name)};
  }
  if (state.names_.contains(name)) {
    return Error{ErrorCode::conflict, fmt::format("organisation '{}': the name is taken", name)};
  }
  return {};
}

void Transition::add_organisation(const PublicKey& key, const std::string& name,
                                  const std::string& endpoint) {
  const OrgId id = static_cast<OrgId>(s_.organisations_.size() + 1);
  OrgEntry org;
  org.id = id;
  org.name = name;
  org.endpoint = endpoint;
  org.key = key;
  org.sequence = 1;
  org.score = s_.params_.score_initial;
  s_.organisations_.emplace(id, std::move(org));
  s_.names_.emplace(name, id);
  take_key(key, id, KeyRole::owner);
  touch(Slot::organisation, id);
}

void Transition::take_key(const PublicKey& key, OrgId org, KeyRole role) {
  const bool fresh = s_.keys_.emplace(key, std::pair{org, role}).second;
  UFAB_ASSERT(fresh);
  touch(Slot::key, s_.keys_taken_.size());
  s_.keys_taken_.push_back(key);
}

Status Transition::on(const Genesis&, OrgId) {
  return Error{ErrorCode::conflict, "a genesis can only be the first record"};
}

Status Transition::on(const Organisation& body, OrgId) {
  UFAB_TRY(check_new_organisation(s_, record_->signer, body.name, body.endpoint));
  add_organisation(record_->signer, body.name, body.endpoint);
  return {};
}

Status Transition::on(const KeyChange& body, OrgId org) {
  if (!body.new_key.is_acceptable())
    return Error{ErrorCode::invalid, "new key: not an acceptable Ed25519 key"};
  if (s_.keys_.contains(body.new_key)) {
    return Error{ErrorCode::conflict,
                 "new key: it is or was a key of an organisation, an agent or a validator"};
  }
  const Digest digest = key_change_digest(s_.chain_id_, record_->signer, body.new_key);
  if (!verify(body.new_key, digest.view(), body.proof)) {
    return Error{ErrorCode::invalid, "new key: the proof of its possession is wrong"};
  }
  org_mutable(org).key = body.new_key;
  take_key(body.new_key, org, KeyRole::owner);
  return {};
}

Status Transition::check_offer(const ProviderOffer& offer) {
  UFAB_TRY(check_name("provider", offer.name));
  if (offer.ranks == 0 || offer.ranks > 1'000'000) {
    return Error{ErrorCode::invalid, "provider: ranks must be 1 to 1000000"};
  }
  if (offer.threads == 0 || offer.threads > 65536) {
    return Error{ErrorCode::invalid, "provider: threads must be 1 to 65536"};
  }
  return {};
}

Status Transition::on(const ProviderEnrol& body, OrgId org) {
  UFAB_TRY(check_offer(body.offer));
  const OrgEntry& entry = *s_.organisation(org);
  if (entry.provider && entry.provider->status != ProviderStatus::left) {
    return Error{ErrorCode::conflict, fmt::format("{} has provider '{}' enrolled already: update it instead",
                                                  entry.name, entry.provider->offer.name)};
  }
  if (entry.provider && entry.provider->leases_open > 0) {
    return Error{ErrorCode::conflict, fmt::format("provider '{}' was expelled with {} leases open: wait for "
                                                  "their end",
                                                  entry.provider->offer.name, entry.provider->leases_open)};
  }
  const Standing& standing = entry.standing;
  if (standing.status == StandingStatus::expelled && s_.epoch_ < standing.until_epoch) {
    return Error{ErrorCode::conflict, fmt::format("{} was expelled: it may enrol again in epoch {}",
                                                  entry.name, standing.until_epoch)};
  }
  OrgEntry& changed = org_mutable(org);
  changed.provider = ProviderEntry{body.offer, ProviderStatus::active, 0};
  if (standing.status == StandingStatus::expelled) {
    readmit(changed.standing, s_.params_.enrolment);
    standing_changed(changed);
  }
  return {};
}

Status Transition::on(const ProviderUpdate& body, OrgId org) {
  UFAB_TRY(check_offer(body.offer));
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.provider || entry.provider->status == ProviderStatus::left) {
    return Error{ErrorCode::conflict, fmt::format("{} has no provider enrolled", entry.name)};
  }
  org_mutable(org).provider->offer = body.offer;
  return {};
}

Status Transition::on(const ProviderActionRecord& body, OrgId org) {
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.provider || entry.provider->status == ProviderStatus::left) {
    return Error{ErrorCode::conflict, fmt::format("{} has no provider enrolled", entry.name)};
  }
  if (body.action == ProviderAction::leave && entry.provider->leases_open > 0) {
    return Error{ErrorCode::conflict, fmt::format("provider '{}' has {} leases open: drain it and wait",
                                                  entry.provider->offer.name, entry.provider->leases_open)};
  }
  ProviderStatus& status = org_mutable(org).provider->status;
  switch (body.action) {
    case ProviderAction::drain: status = ProviderStatus::draining; break;
    case ProviderAction::resume: status = ProviderStatus::active; break;
    case ProviderAction::leave: status = ProviderStatus::left; break;
  }
  return {};
}

Status Transition::on(const Stake& body, OrgId org) {
  if (body.amount == 0) return Error{ErrorCode::invalid, "stake: the amount is zero"};
  if (s_.balance(org) < body.amount) {
    return Error{ErrorCode::conflict,
                 fmt::format("stake of {}: the balance is {}", format_amount(body.amount),
                             format_amount(s_.balance(org)))};
  }
  move({AccountKind::balance, org}, {AccountKind::stake, org}, body.amount);
  return {};
}

Status Transition::on(const Unstake& body, OrgId org) {
  constexpr std::size_t unbonding_max = 64;
  if (body.amount == 0) return Error{ErrorCode::invalid, "unstake: the amount is zero"};
  const MicroUnc stake = s_.stake(org);
  if (stake < body.amount) {
    return Error{ErrorCode::conflict, fmt::format("unstake of {}: the stake is {}",
                                                  format_amount(body.amount), format_amount(stake))};
  }
  const OrgEntry& entry = *s_.organisation(org);
  if (entry.provider && entry.provider->leases_open > 0 && stake - body.amount < s_.params_.stake_min) {
    return Error{ErrorCode::conflict,
                 fmt::format("unstake of {}: leases are open, and {} must stay staked",
                             format_amount(body.amount), format_amount(s_.params_.stake_min))};
  }
  const std::uint64_t release = s_.epoch_ + s_.params_.unbonding_epochs;
  const bool joins_last = !entry.unbonding.empty() && entry.unbonding.back().epoch == release;
  if (!joins_last && entry.unbonding.size() >= unbonding_max) {
    return Error{ErrorCode::limit, fmt::format("unstake: {} amounts are unbonding already", unbonding_max)};
  }
  OrgEntry& changed = org_mutable(org);
  if (joins_last) {
    changed.unbonding.back().amount += body.amount;
  } else {
    changed.unbonding.push_back({release, body.amount});
  }
  move({AccountKind::stake, org}, {AccountKind::unbonding, org}, body.amount);
  return {};
}

Status Transition::on(const Transfer& body, OrgId org) {
  if (body.amount == 0) return Error{ErrorCode::invalid, "transfer: the amount is zero"};
  if (s_.organisation(body.to) == nullptr) {
    return Error{ErrorCode::not_found, fmt::format("transfer: there is no organisation {}", body.to)};
  }
  if (body.to == org) return Error{ErrorCode::invalid, "transfer: from an organisation to itself"};
  if (s_.balance(org) < body.amount) {
    return Error{ErrorCode::conflict,
                 fmt::format("transfer of {}: the balance is {}", format_amount(body.amount),
                             format_amount(s_.balance(org)))};
  }
  move({AccountKind::balance, org}, {AccountKind::balance, body.to}, body.amount);
  return {};
}

}  // namespace ufab
