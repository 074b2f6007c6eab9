#include "jobs/node/agent_key.h"

#include <filesystem>
#include <mutex>

namespace ufab::jobs {

namespace {

// The agent's key of this home as it can be enrolled: never one that the chain has seen.
Result<KeyPair> fresh_agent_key(const NodeContext& node) {
  const std::string path = node.home.file("agent.key");
  auto key = KeyPair::load(path);
  if (!key && key.error().code != ErrorCode::not_found) return key.error();
  if (key) {
    const bool seen = node.chain->read(
        [&](const State& state) { return state.organisation_of_any_key(key->public_key()) != 0; });
    if (!seen) return key;
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  }
  KeyPair made = KeyPair::generate();
  UFAB_TRY(made.save(path));
  return made;
}

}  // namespace

Result<AgentEnrol> offer_agent(const NodeContext& node) {
  static std::mutex mutex;  // two commands at once make one key
  const std::lock_guard lock(mutex);
  if (node.chain->is_validator()) {
    return Error{ErrorCode::denied,
                 "this is the validator's node: it signs blocks with the organisation's key, and cannot work "
                 "with an agent's"};
  }
  const OrgId self = node.chain->self();
  const auto owner = node.chain->read([&](const State& state) -> std::optional<OrgEntry> {
    const OrgEntry* entry = state.organisation(self);
    if (entry == nullptr) return std::nullopt;
    return *entry;
  });
  if (!owner) {
    return Error{ErrorCode::conflict, "this organisation is not on the chain yet; try again in a moment"};
  }
  if (owner->agent) {
    return Error{ErrorCode::conflict, owner->name + " has an agent enrolled; `ufab agent revoke` ends it"};
  }
  UFAB_ASSIGN(KeyPair key, fresh_agent_key(node));
  const Digest digest = agent_enrol_digest(node.chain->ledger().chain_id(), owner->key, key.public_key());
  const AgentEnrol offer{key.public_key(), key.sign(digest.view()), 0};
  node.chain->adopt_agent(std::move(key));
  return offer;
}

Result<RecordBody> agent_record(const NodeContext& node, const std::string& kind,
                                const boost::json::object& params) {
  if (kind == "agent_enroll") {
    UFAB_ASSIGN(const std::uint64_t allowance, json_number(params, "allowance_micro"));
    UFAB_TRY(node.chain->may_sign(RecordType::agent_enrol));  // before a key is made
    UFAB_ASSIGN(AgentEnrol enrol, offer_agent(node));
    enrol.allowance = allowance;
    return RecordBody(enrol);
  }
  if (kind == "agent_allowance") {
    UFAB_ASSIGN(const std::uint64_t allowance, json_number(params, "allowance_micro"));
    return RecordBody(AgentAllowance{allowance});
  }
  if (kind == "agent_revoke") {
    UFAB_ASSIGN(const std::string reason, json_text(params, "reason", text_size_max));
    return RecordBody(AgentRevoke{reason});
  }
  return Error{ErrorCode::invalid, "no record kind '" + kind + "'"};
}

Result<Answer> owner_facts(const NodeContext& node, const PublicKey& key) {
  struct Owner {
    OrgId id = 0;
    std::string name;
  };
  const auto owner = node.chain->read([&](const State& state) -> std::optional<Owner> {
    const auto holder = state.key_holder(key);
    if (!holder || holder->role != KeyRole::owner) return std::nullopt;
    return Owner{holder->organisation->id, holder->organisation->name};
  });
  if (!owner) {
    return Error{ErrorCode::denied,
                 "key " + key.hex().substr(0, 12) + "… is no organisation's own present key on this chain"};
  }
  UFAB_ASSIGN(const std::uint64_t sequence, node.chain->next_sequence(key));
  return Answer{{{"chain_id", node.chain->ledger().chain_id().str()},
                 {"sequence", sequence},
                 {"organisation", owner->name},
                 {"number", owner->id}},
                {}};
}

}  // namespace ufab::jobs
