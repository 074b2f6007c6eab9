#include "jobs/node/chain.h"

#include "fabric/base/codec.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto call_wait = 10s;
constexpr std::uint64_t follow_wait_ms = 1000;
constexpr int send_tries = 3;

LedgerOptions ledger_options(const Home& home) {
  LedgerOptions options;
  options.folder = home.chain_folder();
  return options;
}

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

Endpoint endpoint_of(const JoinTicket& ticket) {
  return {ticket.host, ticket.port};
}

Result<Answer> call_validator(PeerPool& pool, const JoinTicket& ticket, const std::string& method,
                              boost::json::object params, Bytes body, std::chrono::milliseconds wait) {
  return pool.call(endpoint_of(ticket), ticket.validator, {method, std::move(params), std::move(body)}, wait);
}

Result<FiledRecord> decode_submitted(const Answer& answer) {
  UFAB_ASSIGN(const std::string id, json_text(answer.result, "id"));
  UFAB_ASSIGN(const std::uint64_t height, json_number(answer.result, "height"));
  UFAB_ASSIGN(const Digest digest, Digest::parse(id));
  return FiledRecord{digest, height};
}

}  // namespace

Chain::Chain(HomeConfig config, HomeKeys keys, KeyPair key, Credentials credentials,
             std::unique_ptr<Ledger> ledger)
    : config_(std::move(config)),
      owner_(std::move(keys.owner)),
      agent_(std::move(keys.agent)),
      key_(std::move(key)),
      ledger_(std::move(ledger)),
      calls_(credentials),
      following_(std::move(credentials)) {}

Result<std::unique_ptr<Chain>> Chain::open(const Home& home, const HomeConfig& config) {
  UFAB_ASSIGN(HomeKeys keys, home.load_keys());
  if (!config.follow && !keys.owner) {
    return Error{ErrorCode::denied, home.file("org.key") +
                                        ": it is not here, and the validator's node signs blocks with it; "
                                        "an agent's key does not do"};
  }
  UFAB_ASSIGN(std::unique_ptr<Ledger> ledger,
              Ledger::open(ledger_options(home), config.follow ? nullptr : &*keys.owner));
  bool agent = keys.agent && !keys.owner;
  if (keys.agent && keys.owner) {
    ledger->with_state(
        [&](const State& state) { agent = state.key_holder(keys.agent->public_key()).has_value(); });
  }
  KeyPair key = (agent ? keys.agent : keys.owner)->copy();
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  return std::unique_ptr<Chain>(
      new Chain(config, std::move(keys), std::move(key), std::move(credentials), std::move(ledger)));
}

Chain::~Chain() {
  stopping_ = true;
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Chain::start() {
  thread_ = std::thread([this] { is_validator() ? produce() : follow(); });
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
  while (!stopping_) {
    const auto made = ledger_->produce_if_due();
    set_trouble(made.ok() ? "" : made.error().message);
    pause(50ms);
  }
}

void Chain::follow() {
  while (!stopping_) {
    const std::uint64_t next = ledger_->head().height + 1;
    const auto answer = call_validator(following_, *config_.follow, "chain.blocks",
                                       {{"from", next}, {"wait_ms", follow_wait_ms}}, {}, call_wait);
    reachable_ = answer.ok();
    if (!answer) {
      set_trouble("following the chain: " + answer.error().message);
      pause(500ms);
      continue;
    }
    Status taken;
    Reader reader(answer->body);
    while (taken.ok() && reader.remaining() > 0 && !reader.failed()) {
      const ByteView block = reader.blob(max_body_bytes);
      if (!reader.failed()) taken = ledger_->import_block(block);
    }
    if (taken.ok()) taken = reader.finish("the validator's answer");
    set_trouble(taken.ok() ? "" : "a block from the validator was refused: " + taken.error().message);
    if (!taken.ok()) pause(2000ms);
  }
}

Result<FiledRecord> Chain::submit(RecordBody body) {
  const std::lock_guard lock(submit_mutex_);
  UFAB_ASSIGN(const KeyPair key, signing_key(type_of(body)));
  if (!is_validator()) return submit_remote(key, std::move(body));
  UFAB_ASSIGN(const SubmitOutcome outcome, ledger_->sign_and_submit(key, std::move(body)));
  return FiledRecord{outcome.id, outcome.height};
}

Result<FiledRecord> Chain::send_record(ByteView encoded) {
  // The same bytes may be sent again: the validator knows the record by its id.
  for (int attempt = 1;; ++attempt) {
    const auto answer = call_validator(calls_, *config_.follow, "chain.submit", {},
                                       Bytes(encoded.begin(), encoded.end()), call_wait);
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

Result<std::uint64_t> Chain::next_sequence(const PublicKey& key) {
  if (is_validator()) return ledger_->next_sequence(key);
  UFAB_ASSIGN(const Answer next, call_validator(calls_, *config_.follow, "chain.next_sequence",
                                                {{"key", key.hex()}}, {}, call_wait));
  return json_number(next.result, "sequence");
}

Result<FiledRecord> Chain::submit_signed(ByteView encoded) {
  if (is_validator()) {
    UFAB_ASSIGN(const SubmitOutcome outcome, ledger_->submit(encoded));
    return FiledRecord{outcome.id, outcome.height};
  }
  UFAB_ASSIGN(const FiledRecord submitted, send_record(encoded));
  // Reading one's own writes: what the caller looks at next has this record in it.
  for (int i = 0; i < 100 && ledger_->head().height < submitted.height && !stopping_; ++i) {
    static_cast<void>(ledger_->wait_for_block(submitted.height - 1, 100));
  }
  return submitted;
}

Result<FiledRecord> Chain::submit_remote(const KeyPair& key, RecordBody body) {
  UFAB_ASSIGN(const std::uint64_t sequence, next_sequence(key.public_key()));
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

Status found_chain(const Home& home, const HomeConfig& config, const std::string& chain_name,
                   const ChainParams& params) {
  UFAB_ASSIGN(const KeyPair key, home.load_key());
  Genesis genesis;
  genesis.chain_name = chain_name;
  genesis.organisation = config.organisation;
  genesis.endpoint = Endpoint{config.listen_host, config.listen_port}.str();
  genesis.params = params;
  const auto ledger = Ledger::create(ledger_options(home), key, genesis);
  if (!ledger) return ledger.error();
  return {};
}

Status join_chain(const Home& home, const HomeConfig& config) {
  UFAB_ASSERT(config.follow.has_value());
  UFAB_ASSIGN(const KeyPair key, home.load_key());
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  PeerPool pool(std::move(credentials));
  const auto answer =
      call_validator(pool, *config.follow, "chain.blocks", {{"from", 0}, {"wait_ms", 0}}, {}, call_wait);
  if (!answer) return answer.error().within("the validator at " + endpoint_of(*config.follow).str());
  Reader reader(answer->body);
  const ByteView block = reader.blob(max_body_bytes);
  if (reader.failed()) return Error{ErrorCode::invalid, "the validator sent no first block"};
  UFAB_ASSIGN(const std::unique_ptr<Ledger> ledger, Ledger::join(ledger_options(home), block));
  if (ledger->chain_id() != config.follow->genesis) {
    return Error{ErrorCode::corrupt,
                 "the validator has another chain (" + ledger->chain_id().str() + ") than the ticket names"};
  }
  const Record record =
      sign_record(ledger->chain_id(), key, 1, now_us(),
                  Organisation{config.organisation, Endpoint{config.listen_host, config.listen_port}.str()});
  const auto registered =
      call_validator(pool, *config.follow, "chain.submit", {}, encode_record(record), call_wait);
  if (!registered) return registered.error().within("registration");
  return {};
}

}  // namespace ufab::jobs
