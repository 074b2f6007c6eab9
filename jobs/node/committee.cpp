#include "jobs/node/committee.h"

#include "accounting/records/validators.h"
#include "fabric/base/clock.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;

// A leader of an idle chain waits for a whole block interval, and a view ends that much later.
constexpr std::uint64_t view_grace_ms = 600;

Error not_yet() {
  return {ErrorCode::unavailable, "this node is about to join the validators: try again"};
}

ReplicaOptions replica_options(const ChainParams& params, const consensus::SignatureScheme& scheme) {
  ReplicaOptions options;
  options.scheme = &scheme;
  options.timing.fill_ms = params.block_interval_ms;
  options.timing.view_ms = params.block_interval_ms + view_grace_ms;
  options.timing.standstill_ms = 2 * options.timing.view_ms + 1000;
  return options;
}

}  // namespace

Committee::Committee(Ledger& ledger, KeyPair key, CommitteeOptions options, VoteFile votes)
    : ledger_(ledger), key_(std::move(key)), options_(std::move(options)), votes_(std::move(votes)) {}

Result<std::unique_ptr<Committee>> Committee::open(Ledger& ledger, KeyPair key, CommitteeOptions options) {
  UFAB_ASSIGN(VoteFile votes, VoteFile::open(options.votes));
  UFAB_ASSIGN(Credentials credentials, Credentials::create(key));
  std::unique_ptr<Committee> made(
      new Committee(ledger, std::move(key), std::move(options), std::move(votes)));
  if (!made->votes_.records()) {
    made->log("this node's validator follows and never votes: " + made->votes_.why_lost() +
              "; stand with a new key (`ufab validator stand --new-key`)");
  }
  Committee& self = *made;
  ReplicaOptions replica;
  ledger.with_state([&](const State& state) { replica = replica_options(state.params(), self.scheme_); });
  made->replica_ = std::make_unique<Replica>(std::move(replica), made->key_.copy(), self);
  MeshOptions mesh;
  mesh.hello = {validator_protocol, validator_protocol, ledger.chain_id(), 0};
  made->mesh_ = std::make_unique<Mesh>(std::move(credentials), mesh,
                                       [&self](const PublicKey& from, MeshChannel channel, Bytes message) {
                                         self.arrive(from, channel, std::move(message));
                                       });
  return made;
}

Committee::~Committee() {
  close();
  mesh_.reset();
}

void Committee::close() {
  {
    const std::lock_guard guard(inbox_mutex_);
    closed_ = true;
    inbox_.clear();
  }
  inbox_changed_.notify_all();
  static_cast<void>(mesh_->set_peers({}));
}

void Committee::wake() {
  {
    const std::lock_guard guard(inbox_mutex_);
    woken_ = true;
  }
  inbox_changed_.notify_all();
}

// In a thread of the mesh.
void Committee::arrive(const PublicKey& from, MeshChannel channel, Bytes message) {
  Arrived arrived{from, static_cast<ReplicaChannel>(channel), std::move(message), {}};
  const std::size_t size = arrived.message.size();
  if (channel == MeshChannel::records) {
    auto records = decode_records(arrived.message, ledger_.chain_id(), now_us());
    if (!records.ok()) return mesh_->penalise(from, mesh_violation_points, records.error().message);
    arrived.records = *std::move(records);
    arrived.message.clear();
  }
  {
    std::unique_lock guard(inbox_mutex_);
    inbox_changed_.wait(guard, [&] { return closed_ || inbox_bytes_ < inbox_bytes_max; });
    if (closed_) return;
    inbox_bytes_ += size;
    inbox_.push_back(std::move(arrived));
  }
  inbox_changed_.notify_all();
}

void Committee::handle(Arrived& arrived) {
  if (arrived.channel != ReplicaChannel::records)
    return replica_->receive(arrived.from, arrived.channel, arrived.message, now_us());
  for (PooledRecord& record : arrived.records)
    static_cast<void>(replica_->admit(std::move(record), now_us()));
}

void Committee::ring_due() {
  const auto now = Clock::now();
  for (std::size_t i = 0; i < alarms_.size(); ++i) {
    if (!alarms_[i] || *alarms_[i] > now) continue;
    alarms_[i].reset();
    replica_->ring(static_cast<ReplicaAlarm>(i), now_us());
  }
}

// The validators of the present epoch, at their nodes' places.
void Committee::meet_peers() {
  std::vector<MeshPeer> peers;
  ledger_.with_state([&](const State& state) {
    if (state.epoch() == peers_epoch_) return;
    peers_epoch_ = state.epoch();
    for (const Seat& seat : state.seats()) {
      const OrgEntry& org = *state.organisation(seat.organisation);
      const auto endpoint = Endpoint::parse(org.endpoint);
      if (endpoint.ok()) peers.push_back({seat.key, *endpoint, org.keys()});
    }
  });
  if (peers.empty()) return;
  if (const Status status = mesh_->set_peers(peers); !status.ok()) log(status.error().message);
}

Status Committee::run(const std::atomic<bool>& stopping) {
  {
    std::unique_lock guard(replica_mutex_);
    performing_ = &guard;
    meet_peers();
    replica_->start(votes_.records(), now_us());
    started_ = true;
    UFAB_TRY(replica_->perform(now_us()));
  }
  std::deque<Arrived> taken;
  while (!stopping) {
    std::optional<Clock::time_point> next;
    {
      const std::lock_guard guard(replica_mutex_);
      for (const auto& alarm : alarms_) {
        if (alarm && (!next || *alarm < *next)) next = alarm;
      }
    }
    {
      std::unique_lock guard(inbox_mutex_);
      const auto news = [&] { return woken_ || !inbox_.empty(); };
      if (next)
        inbox_changed_.wait_until(guard, *next, news);
      else
        inbox_changed_.wait_for(guard, 1s, news);
      woken_ = false;
      taken.clear();
      taken.swap(inbox_);
      inbox_bytes_ = 0;
    }
    inbox_changed_.notify_all();
    std::unique_lock guard(replica_mutex_);
    performing_ = &guard;
    for (Arrived& arrived : taken) handle(arrived);
    ring_due();
    UFAB_TRY(replica_->perform(now_us()));
    meet_peers();
    if (replica_->out_of_office()) return {};
  }
  return {};
}

Result<SubmitOutcome> Committee::admit(PooledRecord record, std::uint64_t timeout_ms,
                                       std::unique_lock<std::mutex>& guard) {
  if (!started_) return not_yet();
  const RecordId id = record.id;
  const auto expectation = ledger_.expect(id);
  const Status admitted = replica_->admit(std::move(record), now_us());
  guard.unlock();
  if (!admitted.ok()) {
    // Perhaps it was submitted before and went through, a moment ago or long since.
    if (auto outcome = expectation->wait(0)) return *outcome;
    if (auto outcome = ledger_.outcome_of(id)) return *outcome;
    return admitted.error();
  }
  wake();
  if (auto outcome = expectation->wait(timeout_ms)) return *outcome;
  return Error{ErrorCode::timeout,
               "the record waits for the validators; it may still become part of the chain"};
}

Result<SubmitOutcome> Committee::submit(Record record, Bytes encoding, std::uint64_t timeout_ms) {
  const RecordId id = record_id(encoding);
  std::unique_lock guard(replica_mutex_);
  return admit({std::move(record), std::move(encoding), id, now_us(), true}, timeout_ms, guard);
}

Result<SubmitOutcome> Committee::sign_and_submit(const KeyPair& key, RecordBody body,
                                                 std::uint64_t timeout_ms) {
  std::unique_lock guard(replica_mutex_);
  if (!started_) return not_yet();
  const std::uint64_t sequence = replica_->next_sequence(key.public_key());
  Record record = sign_record(ledger_.chain_id(), key, sequence, now_us(), std::move(body));
  Bytes encoding = encode_record(record);
  UFAB_TRY(decode_record(encoding));  // bounds of the fields
  const RecordId id = record_id(encoding);
  return admit({std::move(record), std::move(encoding), id, now_us(), true}, timeout_ms, guard);
}

std::uint64_t Committee::next_sequence(const PublicKey& key) {
  const std::lock_guard guard(replica_mutex_);
  if (started_) return replica_->next_sequence(key);
  return ledger_.next_sequence(key);
}

Committee::Standing Committee::standing() {
  const std::lock_guard guard(replica_mutex_);
  if (!started_) return {};
  const consensus::State& state = replica_->consensus();
  return {state.epoch->number, state.view,          state.tip.height,
          state.observer,      replica_->waiting(), votes_.why_lost()};
}

void Committee::read(const std::function<void(const ufab::Chain&)>& reader) const {
  ledger_.with_chain(reader);
}

Status Committee::keep_vote(const consensus::VoteRecord& record) {
  return votes_.append(record);
}

// What takes the replica longest: meanwhile records that are submitted here are on their way to the others.
Status Committee::sync_votes() {
  performing_->unlock();
  const Status status = votes_.sync();
  performing_->lock();
  return status;
}

Status Committee::renew_votes(const std::vector<consensus::VoteRecord>& records) {
  if (!votes_.records()) return {};
  return votes_.renew(records, ledger_.head().height);
}

Status Committee::append(std::vector<Block> blocks) {
  return ledger_.append_final(std::move(blocks));
}

Status Committee::sync_chain() {
  return ledger_.sync();
}

Result<Bytes> Committee::block(std::uint64_t height) const {
  return ledger_.block(height);
}

void Committee::send(const consensus::Peer& to, ReplicaChannel channel, SharedBytes message) {
  mesh_->send(to, static_cast<MeshChannel>(channel), std::move(message));
}

void Committee::send_all(ReplicaChannel channel, SharedBytes message) {
  mesh_->broadcast(static_cast<MeshChannel>(channel), message);
}

void Committee::set_alarm(ReplicaAlarm alarm, std::uint64_t after_ms) {
  alarms_[static_cast<std::size_t>(alarm)] = Clock::now() + std::chrono::milliseconds(after_ms);
}

void Committee::cancel_alarm(ReplicaAlarm alarm) {
  alarms_[static_cast<std::size_t>(alarm)].reset();
}

void Committee::penalise(const consensus::Peer& peer, const char* why) {
  mesh_->penalise(peer, mesh_violation_points, why);
}

void Committee::evidence(const consensus::Evidence& evidence) {
  log("validator " + evidence.key.hex().substr(0, 12) + "… has signed two votes that conflict, in view " +
      std::to_string(evidence.view) + " of epoch " + std::to_string(evidence.epoch));
  if (options_.evidence) options_.evidence(evidence);
}

void Committee::turned_away(const RecordId& id, const Error& why) {
  ledger_.turn_away(id, why);
}

void Committee::log(const std::string& line) {
  if (options_.log) options_.log(line);
}

}  // namespace ufab::jobs
