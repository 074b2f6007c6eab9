#include "accounting/replica/sim/node.h"

#include <fmt/format.h>

namespace ufab::sim {

namespace {

Error died() {
  return {ErrorCode::io, "the machine died"};
}

// It became final together with later ones; without them it does not count.
bool lacks_certificate(const Bytes& encoded) {
  const auto block = decode_block(encoded);
  return block.ok() && block->finality && !block->finality->certificate;
}

}  // namespace

Node::Node(std::size_t number, KeyPair key, std::vector<Bytes> log, const ReplicaOptions& options,
           std::uint64_t seed, Surroundings around)
    : number_(number),
      key_(std::move(key)),
      public_key_(key_.public_key()),
      options_(options),
      rng_(seed * 1000 + number),
      around_(std::move(around)),
      log_(std::move(log)),
      log_synced_(log_.size()) {}

void Node::load_chain() {
  chain_ = Chain();
  for (const Bytes& encoded : log_) {
    auto block = decode_block(encoded);
    if (!block.ok() || !chain_.import(*std::move(block), Signatures::checked).ok())
      return around_.violated(number_, "its own log does not hold");
  }
}

void Node::start(std::uint64_t now_us) {
  UFAB_ASSERT(!replica_);
  dead_ = false;
  dies_in_.reset();
  load_chain();
  std::optional<std::vector<consensus::VoteRecord>> records;
  if (votes_) {
    const auto read = consensus::read_vote_log(*votes_);
    if (read.ok()) {
      votes_->resize(read->size);
      votes_synced_ = read->size;
      writer_ = read->size == 0 ? consensus::VoteLogWriter() : consensus::VoteLogWriter(read->check);
      records = read->records;
    } else {
      around_.violated(number_, "its vote log does not hold: " + read.error().message);
    }
  }
  if (chain_.epoch() == nullptr) return around_.violated(number_, "the epoch does not vote");
  replica_ = std::make_unique<Replica>(options_, key_.copy(), *this);
  replica_->start(std::move(records), now_us);
  perform(now_us);
}

void Node::perform(std::uint64_t now_us) {
  if (dead_) return;
  const Status status = replica_->perform(now_us);
  if (!status.ok() && !dead_) around_.violated(number_, "it stopped: " + status.error().message);
}

void Node::crash() {
  UFAB_ASSERT(replica_);
  replica_.reset();
  ++life_;
  tokens_ = {};
  dead_ = false;
  // Of what was written and not synced any part may have reached the disk.
  log_.resize(rng_.between(log_synced_, log_.size()));
  while (log_.size() > log_synced_ && lacks_certificate(log_.back())) log_.pop_back();
  log_synced_ = log_.size();
  if (!votes_) return;
  votes_->resize(rng_.between(votes_synced_, votes_->size()));
}

void Node::lose_disk(std::vector<Bytes> log) {
  UFAB_ASSERT(!replica_);
  log_ = std::move(log);
  log_synced_ = log_.size();
  votes_.reset();
}

bool Node::dies() {
  if (dead_) return true;
  if (!dies_in_) return false;
  if (*dies_in_ > 0) {
    --*dies_in_;
    return false;
  }
  dead_ = true;
  return true;
}

Status Node::keep_vote(const consensus::VoteRecord& record) {
  if (dies()) return died();
  if (!votes_) {
    around_.violated(number_, "it votes without a log");
    return died();
  }
  const Bytes bytes = writer_.append(record);
  votes_->insert(votes_->end(), bytes.begin(), bytes.end());
  return {};
}

Status Node::sync_votes() {
  if (dies()) return died();
  votes_synced_ = votes_->size();
  return {};
}

Status Node::renew_votes(const std::vector<consensus::VoteRecord>& records) {
  if (dies()) return died();
  if (!votes_) return {};
  writer_ = consensus::VoteLogWriter();
  votes_->clear();
  for (const auto& record : records) {
    const Bytes bytes = writer_.append(record);
    votes_->insert(votes_->end(), bytes.begin(), bytes.end());
  }
  votes_synced_ = votes_->size();
  return {};
}

// A node that dies while it writes several keeps a part of them; those without a certificate do not count.
Status Node::append(std::vector<Block> blocks) {
  const bool dying = dies();
  std::size_t kept = dying ? rng_.below(blocks.size() + 1) : blocks.size();
  while (kept > 0 && !blocks[kept - 1].finality->certificate) --kept;
  for (std::size_t i = 0; i < kept; ++i) {
    Bytes encoded = encode_block(blocks[i]);
    if (!dying) {
      consensus::BlockRef place = chain_.place();
      const Status votes = chain_.check_finality(blocks[i], place, *options_.scheme);
      if (!votes.ok()) around_.violated(number_, "what became final does not hold: " + votes.error().message);
      auto applied = chain_.import(std::move(blocks[i]), Signatures::checked);
      if (!applied.ok()) return applied.error();
      log_.push_back(std::move(encoded));
      around_.on_final(number_, applied->block, chain_);
    } else {
      log_.push_back(std::move(encoded));
    }
  }
  if (!dying && rng_.one_in(4)) log_synced_ = log_.size();
  return dying ? Status(died()) : Status();
}

Status Node::sync_chain() {
  if (dies()) return died();
  log_synced_ = log_.size();
  return {};
}

Result<Bytes> Node::block(std::uint64_t height) const {
  if (height >= log_.size()) return Error{ErrorCode::not_found, fmt::format("block {}", height)};
  return log_[height];
}

void Node::send(const consensus::Peer& to, ReplicaChannel channel, SharedBytes message) {
  if (!dies()) around_.send(number_, to, channel, std::move(message));
}

void Node::send_all(ReplicaChannel channel, SharedBytes message) {
  if (!dies()) around_.send_all(number_, channel, std::move(message));
}

void Node::set_alarm(ReplicaAlarm alarm, std::uint64_t after_ms) {
  if (dead_) return;
  tokens_[static_cast<std::size_t>(alarm)] = ++token_;
  around_.set_alarm(number_, life_, alarm, token_, after_ms);
}

void Node::cancel_alarm(ReplicaAlarm alarm) {
  tokens_[static_cast<std::size_t>(alarm)] = ++token_;
}

void Node::penalise(const consensus::Peer& peer, const char* why) {
  around_.on_penalty(number_, peer, why);
}

void Node::evidence(const consensus::Evidence& evidence) {
  around_.on_evidence(number_, evidence);
}

}  // namespace ufab::sim
