#include "accounting/state/transition.h"

#include <fmt/format.h>

#include "accounting/state/flaws.h"

namespace ufab {

namespace {

Error bad_sequence(std::uint64_t got, std::uint64_t expected) {
  if (got < expected) {
    return {ErrorCode::conflict,
            fmt::format("sequence {} was used already, expected {} (a replayed record?)", got, expected)};
  }
  return {ErrorCode::conflict, fmt::format("sequence {}, expected {}", got, expected)};
}

}  // namespace

Result<Applied> Transition::genesis(const Record& record, const BlockContext& context) {
  if (context.height != 0 || !s_.organisations_.empty()) {
    return Error{ErrorCode::conflict, "a genesis can only be the first record"};
  }
  const auto* body = std::get_if<Genesis>(&record.body);
  if (body == nullptr) return Error{ErrorCode::invalid, "the first record must be a genesis"};
  if (record.sequence != 1) return bad_sequence(record.sequence, 1);
  UFAB_TRY(check_name("chain name", body->chain_name));
  UFAB_TRY(check_params(body->params));
  UFAB_TRY(check_new_organisation(s_, record.signer, body->organisation, body->endpoint));
  s_.chain_id_ = record_id(record);
  s_.chain_name_ = body->chain_name;
  s_.params_ = body->params;
  s_.context_ = context;
  Sha256 seed;
  s_.epoch_seed_ = seed.update("ufab epoch seed 1\n").update(s_.chain_id_.view()).finish();
  record_ = &record;
  add_organisation(record.signer, body->organisation, body->endpoint);
  move({AccountKind::mint, 0}, {AccountKind::balance, 1}, body->params.supply_initial);
  s_.accounts_.check_invariant();
  return std::move(out_);
}

Status Transition::admissible(const State& state, const Record& record) {
  if (record_type_derived(record.type())) {
    return Error{ErrorCode::denied, "derived records are made by the rules, not submitted"};
  }
  if (record.type() == RecordType::genesis) {
    return Error{ErrorCode::conflict, "a genesis can only be the first record"};
  }
  if (const auto* body = std::get_if<Organisation>(&record.body)) {
    UFAB_TRY(check_new_organisation(state, record.signer, body->name, body->endpoint));
    if (record.sequence != 1) return bad_sequence(record.sequence, 1);
    return {};
  }
  const auto holder = state.key_holder(record.signer);
  if (!holder) {
    const OrgEntry* before = state.organisation(state.organisation_of_any_key(record.signer));
    const std::string key = record.signer.hex().substr(0, 12);
    if (before != nullptr && state.role_of_any_key(record.signer) == KeyRole::validator) {
      return Error{ErrorCode::denied,
                   fmt::format("signer {}… is {}'s validator's key: it signs blocks and votes, no records",
                               key, before->name)};
    }
    if (before != nullptr) {
      return Error{ErrorCode::denied,
                   fmt::format("signer {}… is a key of {} that was replaced or revoked", key, before->name)};
    }
    return Error{ErrorCode::denied,
                 fmt::format("signer {}… is no organisation's present key: register it first", key)};
  }
  const OrgEntry& org = *holder->organisation;
  const std::uint64_t expected = state.next_sequence(record.signer);
  if (record.sequence != expected) return bad_sequence(record.sequence, expected);
  const std::uint32_t refusals = holder->role == KeyRole::owner ? org.refusals : org.agent->refusals;
  if (refusals >= state.params().refusals_per_epoch && !planted(LedgerFlaw::unlimited_refusals)) {
    return Error{ErrorCode::limit,
                 fmt::format("{}{} had {} records refused in this epoch; wait for the next one",
                             holder->role == KeyRole::owner ? "" : "the agent of ", org.name, refusals)};
  }
  return {};
}

Result<Applied> Transition::apply(const Record& record) {
  record_ = &record;
  const auto signer = s_.key_holder(record.signer);
  const OrgId org = signer ? signer->organisation->id : 0;
  if (signer) role_ = signer->role;
  if (role_ == KeyRole::agent) UFAB_TRY(check_agent_may(*signer->organisation, record.type()));
  UFAB_TRY(std::visit([&](const auto& body) { return on(body, org); }, record.body));
  if (org != 0) use_sequence(org);
  s_.accounts_.check_invariant();
  return std::move(out_);
}

Applied Transition::refuse(const Record& record, const RecordId& id, const Error& why) {
  UFAB_ASSERT(record.sequence == s_.next_sequence(record.signer));
  const auto signer = s_.key_holder(record.signer);
  UFAB_ASSERT(signer.has_value());
  record_ = &record;
  role_ = signer->role;
  use_sequence(signer->organisation->id);
  OrgEntry& org = org_mutable(signer->organisation->id);
  ++(role_ == KeyRole::owner ? org.refusals : org.agent->refusals);
  std::string reason = why.message;
  if (reason.size() > text_size_max) {
    reason.resize(text_size_max);
    // Never cut inside a UTF-8 sequence: a record's text must be well-formed.
    while (!reason.empty() && (static_cast<std::uint8_t>(reason.back()) & 0x80) != 0) reason.pop_back();
  }
  derive(Refusal{id, static_cast<std::uint8_t>(why.code), std::move(reason)});
  return std::move(out_);
}

OrgEntry& Transition::org_mutable(OrgId id) {
  const auto found = s_.organisations_.find(id);
  UFAB_ASSERT(found != s_.organisations_.end());
  touch(Slot::organisation, id);
  return found->second;
}

void Transition::use_sequence(OrgId id) {
  OrgEntry& org = org_mutable(id);
  (role_ == KeyRole::owner ? org.sequence : org.agent->sequence) = record_->sequence;
}

void Transition::move(AccountId debit, AccountId credit, MicroUnc amount) {
  for (const AccountId account : {debit, credit}) {
    if (account.kind > AccountKind::burn) {
      touch(Slot::account, static_cast<std::uint64_t>(account.kind), account.number);
    }
  }
  s_.accounts_.move(debit, credit, amount, out_.movements);
}

void Transition::derive(RecordBody body) {
  out_.derived.push_back({PublicKey{}, ++s_.derived_sequence_, s_.context_.time_us, std::move(body), {}});
}

std::string Transition::name_of(OrgId id) const {
  const OrgEntry* org = s_.organisation(id);
  return org == nullptr ? fmt::format("organisation {}", id) : org->name;
}

std::optional<MicroUnc> cost_of_work(Uint128 flop, MicroUnc price_per_tflop) {
  const Uint128 whole = flop / flop_per_tflop;
  const Uint128 rest = flop % flop_per_tflop;
  if (whole > UINT64_MAX) return std::nullopt;
  const Uint128 cost = whole * price_per_tflop + rest * price_per_tflop / flop_per_tflop;
  if (cost > UINT64_MAX) return std::nullopt;
  return static_cast<MicroUnc>(cost);
}

}  // namespace ufab
