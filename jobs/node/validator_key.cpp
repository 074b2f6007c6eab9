#include "jobs/node/validator_key.h"

#include <filesystem>
#include <mutex>

#include "accounting/hpos/validator_key.h"
#include "jobs/node/vote_file.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

Status set_aside(const std::string& path, const KeyPair& key, const char* suffix) {
  const std::string aside = path + "." + key.public_key().hex().substr(0, 12) + suffix;
  std::error_code error;
  std::filesystem::rename(path, aside, error);
  if (error) return Error{ErrorCode::io, aside + ": " + error.message()};
  return {};
}

// The validator's key of this home as it can stand: never one that the chain has seen.
Result<KeyPair> fresh_validator_key(const NodeContext& node, const OrgEntry& owner, bool new_key) {
  const std::string path = node.home.file("validator.key");
  auto key = KeyPair::load(path);
  if (!key && key.error().code != ErrorCode::not_found) return key.error();
  if (key) {
    if (owner.candidacy && owner.candidacy->key == key->public_key() && !new_key) {
      return Error{ErrorCode::conflict,
                   owner.name + " stands already, with the key of this home; --new-key takes another"};
    }
    const bool seen = node.chain->read(
        [&](const State& state) { return state.organisation_of_any_key(key->public_key()) != 0; });
    if (!seen && !new_key) return key;
    UFAB_TRY(set_aside(path, *key, new_key ? ".retired" : ""));
  }
  // The vote log first: a key without one counts as a key whose log is lost.
  KeyPair made = KeyPair::generate();
  UFAB_TRY(VoteFile::create(node.home.votes(made.public_key())));
  UFAB_TRY(made.save(path));
  return made;
}

Result<OrgEntry> own_entry(const NodeContext& node) {
  const OrgId self = node.chain->self();
  const auto entry = node.chain->read([&](const State& state) -> std::optional<OrgEntry> {
    const OrgEntry* found = state.organisation(self);
    if (found == nullptr) return std::nullopt;
    return *found;
  });
  if (entry) return *entry;
  return Error{ErrorCode::conflict, "this organisation is not on the chain yet; try again in a moment"};
}

json::object seat_to_json(const State& state, const Seat& seat) {
  return {{"organisation", state.organisation(seat.organisation)->name},
          {"key", seat.key.hex()},
          {"pledge_micro", seat.pledge},
          {"power_mflop", seat.power_mflop},
          {"weight_ppm", seat.weight_ppm},
          {"seed_share", !seat.draws                                       ? "not due"
                         : state.seed_shares().contains(seat.organisation) ? "filed"
                                                                           : "due"}};
}

}  // namespace

Result<ValidatorStand> offer_validator(const NodeContext& node, bool new_key) {
  static std::mutex mutex;  // two commands at once make one key
  const std::lock_guard lock(mutex);
  UFAB_ASSIGN(const OrgEntry owner, own_entry(node));
  UFAB_ASSIGN(const KeyPair key, fresh_validator_key(node, owner, new_key));
  return hpos::make_stand(node.chain->ledger().chain_id(), owner.key, key);
}

Result<RecordBody> validator_record(const NodeContext& node, const std::string& kind,
                                    const json::object& params) {
  if (kind == "validator_stand") {
    UFAB_TRY(node.chain->may_sign(RecordType::validator_stand));  // before a key is made
    UFAB_ASSIGN(const ValidatorStand stand, offer_validator(node, json_flag(params, "new_key")));
    return RecordBody(stand);
  }
  if (kind == "validator_leave") return RecordBody(ValidatorLeave{});
  return Error{ErrorCode::invalid, "no record kind '" + kind + "'"};
}

Result<Answer> validator_status(const NodeContext& node) {
  UFAB_ASSIGN(const OrgEntry own, own_entry(node));
  json::object result = node.chain->read([&](const State& state) {
    const ChainParams& params = state.params();
    std::uint64_t standing = 0;
    for (const auto& [id, org] : state.organisations()) {
      if (org.candidacy && state.stake(id) >= params.stake_min) ++standing;
    }
    json::array seats;
    for (const Seat& seat : state.seats()) seats.push_back(seat_to_json(state, seat));
    json::object object{{"schema", "ufab.validator/1"},
                        {"organisation", own.name},
                        {"epoch", state.epoch()},
                        {"height", state.height()},
                        {"next_epoch_height", (state.epoch() + 1) * params.epoch_blocks},
                        {"stake_micro", state.stake(own.id)},
                        {"stake_min_micro", params.stake_min},
                        {"seat_price_micro", state.seats().empty() ? 0 : state.seats().back().pledge},
                        {"standing", standing},
                        {"validators_min", params.validators_min},
                        {"score", own.score},
                        {"blocks_produced", own.blocks_produced},
                        {"slots_missed", own.slots_missed},
                        {"candidacy", nullptr},
                        {"seat", nullptr},
                        {"seats", std::move(seats)}};
    if (own.candidacy) {
      object["candidacy"] = json::object{{"key", own.candidacy->key.hex()},
                                         {"vrf_key", own.candidacy->vrf_key.hex()},
                                         {"protocol", own.candidacy->protocol},
                                         {"height", own.candidacy->height}};
    }
    if (const Seat* seat = state.seat_of(own.id)) object["seat"] = seat_to_json(state, *seat);
    return object;
  });
  // Whether this node can vote: the key of its seat, or else of its candidacy.
  bool has_key = false;
  for (const char* what : {"seat", "candidacy"}) {
    if (!result.at(what).is_object()) continue;
    UFAB_ASSIGN(const PublicKey key, PublicKey::parse(result.at(what).at("key").as_string()));
    UFAB_ASSIGN(const auto found, node.home.load_validator_key(key));
    has_key = found.has_value();
    break;
  }
  result["has_key"] = has_key;
  return Answer{std::move(result), {}};
}

}  // namespace ufab::jobs
