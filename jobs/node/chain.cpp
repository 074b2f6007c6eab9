#include "jobs/node/chain.h"

#include <algorithm>
#include <utility>

#include "fabric/base/clock.h"
#include "fabric/net/mesh_member.h"
#include "jobs/node/block_feed.h"
#include "jobs/node/committee.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto call_wait = 10s;
constexpr std::uint64_t follow_wait_ms = 1000;
constexpr int send_tries = 3;
constexpr std::size_t evidence_max = 64;
constexpr std::uint64_t final_wait_ms = 8000;  // less than call_wait: the answer must get there

Result<FiledRecord> decode_submitted(const Answer& answer) {
  UFAB_ASSIGN(const std::string id, json_text(answer.result, "id"));
  UFAB_ASSIGN(const std::uint64_t height, json_number(answer.result, "height"));
  UFAB_ASSIGN(const Digest digest, Digest::parse(id));
  return FiledRecord{digest, height};
}

}  // namespace

Chain::Chain(const Home& home, HomeConfig config, HomeKeys keys, KeyPair key, Credentials credentials,
             std::unique_ptr<Ledger> ledger, Log log)
    : home_(home),
      config_(std::move(config)),
      log_(log ? std::move(log) : [](const std::string&) {}),
      owner_(std::move(keys.owner)),
      agent_(std::move(keys.agent)),
      key_(std::move(key)),
      ledger_(std::move(ledger)),
      calls_(credentials),
      following_(credentials),
      filling_(std::move(credentials)),
      snapshots_(std::make_unique<SnapshotKeeper>(*ledger_, home.chain_folder() + "/snapshots", log_)),
      began_empty_(ledger_->head().height == 0),
      snapshot_search_(ledger_->chain_id(), log_, stopping_),
      feed_([this](const Request& request) { return call_source(following_, request, call_wait); }) {}

Result<std::unique_ptr<Chain>> Chain::open(const Home& home, const HomeConfig& config, Log log) {
  UFAB_ASSIGN(HomeKeys keys, home.load_keys());
  LedgerOptions options = chain_options(home);
  // Where there are others to get blocks from.
  options.repair = config.follow.has_value() || file_exists(home.file("validator.key"));
  options.repaired = log;
  UFAB_ASSIGN(std::unique_ptr<Ledger> ledger, Ledger::open(options));
  bool founder_alone = false;
  ledger->with_state([&](const State& state) { founder_alone = state.seats().empty(); });
  if (founder_alone && !config.follow) {
    if (!keys.owner) {
      return Error{ErrorCode::denied, home.file("org.key") +
                                          ": it is not here, and the validator's node signs blocks with it; "
                                          "an agent's key does not do"};
    }
    UFAB_TRY(ledger->use_key(keys.owner->copy()));
  }
  bool agent = keys.agent && !keys.owner;
  if (keys.agent && keys.owner) {
    ledger->with_state(
        [&](const State& state) { agent = state.key_holder(keys.agent->public_key()).has_value(); });
  }
  KeyPair key = (agent ? keys.agent : keys.owner)->copy();
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  return std::unique_ptr<Chain>(new Chain(home, config, std::move(keys), std::move(key),
                                          std::move(credentials), std::move(ledger), std::move(log)));
}

Chain::~Chain() {
  stopping_ = true;
  wake_.notify_all();
  if (const auto committee = this->committee()) committee->wake();
  if (thread_.joinable()) thread_.join();
  if (filler_.joinable()) filler_.join();
}

void Chain::start() {
  thread_ = std::thread([this] { run(); });
}

bool Chain::is_validator() const {
  return ledger_->is_producer() || committee() != nullptr;
}

std::shared_ptr<Committee> Chain::committee() const {
  const std::lock_guard lock(committee_mutex_);
  return committee_;
}

std::vector<consensus::Evidence> Chain::take_evidence() {
  const std::lock_guard lock(committee_mutex_);
  return std::exchange(evidence_, {});
}

bool Chain::expects_validator(const PublicKey& key) const {
  const auto committee = this->committee();
  return committee != nullptr && committee->mesh().is_peer(key);
}

void Chain::serve_validator(Link& link, const Frame& first) {
  if (const auto committee = this->committee()) return committee->mesh().serve(link, first);
  refuse_mesh_link(link, "this node's validator is not in office");
}

Result<std::optional<KeyPair>> Chain::seat_key() const {
  const OrgId own = self();
  const auto seat = read([&](const State& state) -> std::optional<PublicKey> {
    const Seat* found = state.seat_of(own);
    return found == nullptr ? std::nullopt : std::optional(found->key);
  });
  if (!seat) return std::optional<KeyPair>();
  UFAB_ASSIGN(std::optional<KeyPair> key, home_.load_validator_key(*seat));
  if (!key) {
    return Error{ErrorCode::not_found, "the validator does not vote: the key of its seat (" +
                                           seat->hex().substr(0, 12) + "…) is not in this home"};
  }
  return key;
}

Chain::Part Chain::part() {
  if (ledger_->is_producer()) return Part::produce;
  auto key = seat_key();
  if (!key.ok()) {
    set_trouble(key.error().message);
    return Part::follow;
  }
  if (!*key || (*key)->public_key() == failed_) return Part::follow;
  if (!read([](const State& state) { return state.by_vote(); })) {
    // The only seat: its signature is enough.
    static_cast<void>(ledger_->use_key(std::move(**key)));
    return ledger_->is_producer() ? Part::produce : Part::follow;
  }
  const auto floor = VoteFile::floor(home_.votes((*key)->public_key()));
  return floor.ok() && ledger_->head().height >= *floor ? Part::vote : Part::follow;
}

void Chain::run() {
  if (ledger_->history()) filler_ = std::thread([this] { fill_history(); });
  while (!stopping_) {
    switch (part()) {
      case Part::produce: produce(); break;
      case Part::vote: vote(); break;
      case Part::follow: follow(); break;
    }
  }
}

void Chain::vote() {
  auto key = seat_key();
  if (!key.ok() || !*key) return;  // the next look will say
  const PublicKey public_key = (*key)->public_key();
  const auto fail = [&](const Error& error) {
    failed_ = public_key;
    set_trouble("the validator has stopped: " + error.message);
    log_("the validator has stopped: " + error.message);
  };
  CommitteeOptions options;
  options.votes = home_.votes(public_key);
  options.evidence = [this](const consensus::Evidence& evidence) {
    const std::lock_guard lock(committee_mutex_);
    if (evidence_.size() < evidence_max) evidence_.push_back(evidence);
  };
  options.log = log_;
  auto opened = Committee::open(*ledger_, std::move(**key), std::move(options));
  if (!opened.ok()) return fail(opened.error());
  const std::shared_ptr<Committee> committee = *std::move(opened);
  {
    const std::lock_guard lock(committee_mutex_);
    committee_ = committee;
  }
  set_trouble("");
  log_("this node's validator is in office");
  const Status status = committee->run(stopping_);
  {
    const std::lock_guard lock(committee_mutex_);
    committee_.reset();
  }
  committee->close();
  if (!status.ok()) return fail(status.error());
  if (!stopping_) log_("this node's validator is out of office");
}

OrgId Chain::self() const {
  return read([&](const State& state) {
    const OrgId own = state.organisation_of_any_key(key_.public_key());
    // A node may start with nothing but an agent's key that is not enrolled yet.
    const bool unknown = own == 0 && !owner_;
    const OrgEntry* named = unknown ? state.organisation_by_name(config_.organisation) : nullptr;
    return named == nullptr ? own : named->id;
  });
}

std::optional<KeyPair> Chain::enrolled_agent() const {
  const std::lock_guard lock(agent_mutex_);
  if (!agent_) return std::nullopt;
  const bool enrolled = read([&](const State& state) {
    const auto holder = state.key_holder(agent_->public_key());
    return holder && holder->role == KeyRole::agent;
  });
  if (!enrolled) return std::nullopt;
  return agent_->copy();
}

std::optional<KeyRole> Chain::role() const {
  if (enrolled_agent()) return KeyRole::agent;
  if (owner_) return KeyRole::owner;
  return std::nullopt;
}

void Chain::adopt_agent(KeyPair agent) {
  const std::lock_guard lock(agent_mutex_);
  agent_ = std::move(agent);
}

std::optional<MicroUnc> Chain::allowance() const {
  const auto agent = enrolled_agent();
  if (!agent) return std::nullopt;
  return read([&](const State& state) -> std::optional<MicroUnc> {
    const auto holder = state.key_holder(agent->public_key());
    if (!holder || holder->role != KeyRole::agent) return std::nullopt;  // revoked just now
    return holder->organisation->agent->allowance;
  });
}

Result<KeyPair> Chain::signing_key(RecordType type) const {
  const bool needs_owner = record_needs_owner(type);
  if (!needs_owner) {
    if (auto agent = enrolled_agent()) return std::move(*agent);
  }
  if (owner_) return owner_->copy();
  const std::string what = record_type_name(type);
  if (needs_owner) {
    return Error{ErrorCode::denied, what +
                                        ": it needs the organisation's key, and this home has no org.key; "
                                        "name it with --key FILE"};
  }
  return Error{ErrorCode::denied, what +
                                      ": the agent's key of this home is not enrolled or was revoked, and "
                                      "org.key is not here; `ufab agent enroll --key FILE`"};
}

void Chain::pause(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [&] { return stopping_.load(); });
}

void Chain::set_trouble(std::string line) {
  const std::lock_guard lock(mutex_);
  trouble_ = std::move(line);
}

std::string Chain::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void Chain::produce() {
  const auto made = ledger_->produce_if_due();
  set_trouble(made.ok() ? "" : made.error().message);
  pause(50ms);
}

std::vector<Chain::Source> Chain::validator_nodes(OrgId except) const {
  std::vector<Source> all;
  read([&](const State& state) {
    for (const Seat& seat : state.seats()) {
      const OrgEntry& org = *state.organisation(seat.organisation);
      const auto endpoint = Endpoint::parse(org.endpoint);
      if (org.id != except && endpoint.ok()) all.push_back({*endpoint, org.keys()});
    }
    return 0;
  });
  return all;
}

// The validators' nodes, and those that the ticket names: while the founder is alone, and while this node
// knows of no validator that has come since, they are all that there is.
std::vector<Chain::Source> Chain::sources() const {
  std::vector<Source> all;
  const auto add = [&](const Endpoint& endpoint, const std::vector<PublicKey>& keys) {
    auto known = std::find_if(all.begin(), all.end(),
                              [&](const Source& source) { return source.endpoint == endpoint; });
    if (known == all.end()) known = all.insert(all.end(), {endpoint, {}});
    for (const PublicKey& key : keys) {
      if (std::find(known->keys.begin(), known->keys.end(), key) == known->keys.end())
        known->keys.push_back(key);
    }
  };
  for (const Source& validator : validator_nodes(self())) add(validator.endpoint, validator.keys);
  if (config_.follow) {
    for (const JoinTicket::Node& node : config_.follow->nodes) add(node.endpoint, {node.key});
  }
  return all;
}

JoinTicket Chain::ticket() const {
  JoinTicket::Node first{{config_.listen_host, config_.listen_port}, key_.public_key()};
  if (config_.follow) first = config_.follow->nodes.front();
  JoinTicket ticket{{first}, ledger_->chain_id()};
  for (const Source& validator : validator_nodes(0)) {
    for (const PublicKey& key : validator.keys) {
      const JoinTicket::Node node{validator.endpoint, key};
      if (ticket.nodes.size() < ticket_nodes_max && node != first) ticket.nodes.push_back(node);
    }
  }
  return ticket;
}

// Asks the one that answered last; when it does not, the next.
Result<Answer> Chain::call_source(PeerPool& pool, const Request& request, std::chrono::milliseconds wait) {
  const std::vector<Source> all = sources();
  if (all.empty()) return Error{ErrorCode::unavailable, "no node of this chain is known to ask"};
  Error last{ErrorCode::unavailable, ""};
  for (std::size_t tries = 0; tries < all.size() && !stopping_; ++tries) {
    const std::size_t at = source_;
    const Source& source = all[at % all.size()];
    auto answer = pool.call(source.endpoint, source.keys, request, wait);
    if (answer.ok()) return answer;
    last = answer.error();
    const bool other_may_do = last.code == ErrorCode::unavailable || last.code == ErrorCode::timeout ||
                              last.code == ErrorCode::denied;
    if (!other_may_do) break;
    source_ = at + 1;
  }
  return last;
}

void Chain::follow() {
  const auto head = feed_.fetch(ledger_->head().height + 1, follow_wait_ms);
  reachable_ = head.ok();
  if (!head) {
    set_trouble("following the chain: " + head.error().message);
    pause(500ms);
    return;
  }
  if (begin_with_snapshot(*head)) return;
  const Status taken =
      feed_.take([this](const auto& blocks) { return ledger_->import_blocks(blocks); }, true);
  set_trouble(taken.ok() ? "" : "a block was refused: " + taken.error().message);
  if (taken.ok()) return;
  ++source_;
  pause(2000ms);
}

// Where this node makes blocks itself, alone or with others; empty where it does not.
std::optional<Result<FiledRecord>> Chain::submit_here(const KeyPair& key, const RecordBody& body) {
  const auto filed = [](const Result<SubmitOutcome>& outcome) -> Result<FiledRecord> {
    if (!outcome.ok()) return outcome.error();
    return FiledRecord{outcome->id, outcome->height};
  };
  if (ledger_->is_producer()) return filed(ledger_->sign_and_submit(key, body));
  if (const auto committee = this->committee())
    return filed(committee->sign_and_submit(key, body, final_wait_ms));
  return std::nullopt;
}

Result<FiledRecord> Chain::submit(RecordBody body) {
  UFAB_ASSIGN(const KeyPair key, signing_key(type_of(body)));
  // At the turn of an epoch it may be the other way round a moment later.
  for (int attempt = 1;; ++attempt) {
    auto here = submit_here(key, body);
    if (!here) break;
    if (here->ok() || here->error().code != ErrorCode::unavailable || attempt == send_tries || stopping_)
      return *std::move(here);
    pause(300ms);
  }
  const std::lock_guard lock(submit_mutex_);
  return submit_remote(key, std::move(body));
}

Result<FiledRecord> Chain::send_record(ByteView encoded, bool passed_on) {
  // The same bytes may be sent again: whoever has it knows the record by its id.
  for (int attempt = 1;; ++attempt) {
    const auto answer = call_source(
        calls_, {"chain.submit", {{"passed_on", passed_on}}, Bytes(encoded.begin(), encoded.end())},
        call_wait);
    if (answer) return decode_submitted(*answer);
    const bool link_failed =
        answer.error().code == ErrorCode::unavailable || answer.error().code == ErrorCode::timeout;
    if (!link_failed || attempt == send_tries || stopping_) return answer.error();
    pause(300ms);
  }
}

Status Chain::may_sign(RecordType type) const {
  UFAB_TRY(signing_key(type));
  return {};
}

namespace {

Error makes_no_blocks() {
  return {ErrorCode::denied, "this node makes no blocks: submit to the node of a validator"};
}

}  // namespace

Result<std::uint64_t> Chain::next_sequence_for(const PublicKey& key, bool passed_on) {
  if (ledger_->is_producer()) return ledger_->next_sequence(key);
  if (const auto committee = this->committee()) return committee->next_sequence(key);
  if (passed_on) return makes_no_blocks();
  UFAB_ASSIGN(
      const Answer next,
      call_source(calls_, {"chain.next_sequence", {{"key", key.hex()}, {"passed_on", true}}, {}}, call_wait));
  return json_number(next.result, "sequence");
}

Result<std::uint64_t> Chain::next_sequence(const PublicKey& key) {
  return next_sequence_for(key, false);
}

Result<FiledRecord> Chain::take_record_here(ByteView encoded) {
  Result<SubmitOutcome> outcome = makes_no_blocks();
  if (ledger_->is_producer()) {
    outcome = ledger_->submit(encoded);
  } else if (const auto committee = this->committee()) {
    UFAB_ASSIGN(Record record, decode_record(encoded));
    if (record_type_derived(record.type()) || !verify_record(ledger_->chain_id(), record, encoded))
      return Error{ErrorCode::invalid, describe_record(record) + ": the signature is wrong"};
    outcome = committee->submit(std::move(record), Bytes(encoded.begin(), encoded.end()), final_wait_ms);
  }
  if (!outcome.ok()) return outcome.error();
  return FiledRecord{outcome->id, outcome->height};
}

Result<FiledRecord> Chain::take_record(ByteView encoded, bool passed_on) {
  if (passed_on || is_validator()) return take_record_here(encoded);
  return send_record(encoded, true);
}

Result<FiledRecord> Chain::submit_signed(ByteView encoded) {
  if (is_validator()) return take_record_here(encoded);
  UFAB_ASSIGN(const FiledRecord submitted, send_record(encoded));
  // Reading one's own writes: what the caller looks at next has this record in it.
  for (int i = 0; i < 100 && ledger_->head().height < submitted.height && !stopping_; ++i) {
    static_cast<void>(ledger_->wait_for_block(submitted.height - 1, 100));
  }
  return submitted;
}

Result<FiledRecord> Chain::submit_remote(const KeyPair& key, RecordBody body) {
  UFAB_ASSIGN(std::uint64_t sequence, next_sequence(key.public_key()));
  // The node that was asked may be behind this one.
  sequence = std::max(sequence, ledger_->next_sequence(key.public_key()));
  std::uint64_t& acknowledged = acknowledged_[key.public_key()];
  if (sequence <= acknowledged) {
    return Error{ErrorCode::corrupt, "the validator forgot a record that it had acknowledged (sequence " +
                                         std::to_string(acknowledged) + ")"};
  }
  const Record record = sign_record(ledger_->chain_id(), key, sequence, now_us(), std::move(body));
  UFAB_ASSIGN(const FiledRecord submitted, submit_signed(encode_record(record)));
  acknowledged = sequence;
  return submitted;
}

}  // namespace ufab::jobs
