#include "accounting/replica/sim/node.h"

#include <fmt/format.h>

#include <algorithm>

namespace ufab::sim {

namespace {

constexpr std::size_t spoilt_last = 12;  // blocks: damage is among the last of them

Error died() {
  return {ErrorCode::io, "the machine died"};
}

Digest check_of(const Digest& before, const Bytes& block) {
  Sha256 hash;
  return hash.update(before.view()).update(block).finish();
}

bool wants_certificate(const Bytes& encoded) {
  const auto block = decode_block(encoded);
  return block.ok() && ufab::wants_certificate(*block);
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
      founding_(log.size()),
      reported_(log.size()) {
  for (const Bytes& block : log) store(block);
  log_synced_ = log_.size();
}

void Node::store(const Bytes& block) {
  checks_.push_back(check_of(checks_.empty() ? Digest() : checks_.back(), block));
  log_.push_back(written(DiskFile::ledger, block));
}

bool Node::is_whole(std::size_t height) const {
  return check_of(height == 0 ? Digest() : checks_[height - 1], log_[height]) == checks_[height];
}

// What reaches the place that the bytes are meant for, which is the file's end.
Bytes Node::written(DiskFile file, Bytes bytes) {
  if (misdirect_ != file) return bytes;
  const bool no_blocks = log_.size() == founding_, no_votes = !votes_ || votes_->empty();
  if (no_blocks || no_votes) return bytes;
  misdirect_.reset();
  ++misdirected_;
  overwrite(rng_.one_in(2) ? DiskFile::ledger : DiskFile::votes, bytes);
  std::optional<std::size_t>& damaged = file == DiskFile::votes ? votes_damaged_at_ : ledger_damaged_at_;
  const std::size_t end = file == DiskFile::votes ? votes_->size() : log_.size();
  damaged = std::min(damaged.value_or(end), end);
  return Bytes(bytes.size());
}

// From anywhere in the vote log or in the ledger's last blocks on, as far as the file reaches.
void Node::overwrite(DiskFile file, const Bytes& bytes) {
  if (file == DiskFile::votes) {
    const std::size_t at = rng_.below(votes_->size()), size = std::min(bytes.size(), votes_->size() - at);
    std::copy_n(bytes.begin(), size, votes_->begin() + static_cast<std::ptrdiff_t>(at));
    votes_damaged_at_ = std::min(votes_damaged_at_.value_or(at), at);
    return;
  }
  const std::size_t last = std::min(spoilt_last, log_.size() - founding_);
  std::size_t height = log_.size() - rng_.between(1, last), at = rng_.below(log_[height].size());
  ledger_damaged_at_ = std::min(ledger_damaged_at_.value_or(height), height);
  for (const std::uint8_t byte : bytes) {
    if (at == log_[height].size()) {
      ++height;
      at = 0;
    }
    if (height == log_.size()) return;
    log_[height][at++] = byte;
  }
}

void Node::load_chain() {
  std::size_t whole = 0;
  while (whole < log_.size() && is_whole(whole)) ++whole;
  if (ledger_damaged_at_ && *ledger_damaged_at_ < whole)
    around_.violated(number_, "it took a damaged ledger for a whole one");
  misdirected_found_ += ledger_damaged_at_ ? 1U : 0U;
  ledger_damaged_at_.reset();
  // Of blocks that became final together nobody was told before all were there.
  while (whole > founding_ && wants_certificate(log_[whole - 1])) --whole;
  log_.resize(whole);
  checks_.resize(whole);
  chain_ = Chain();
  for (const Bytes& encoded : log_) {
    auto block = decode_block(encoded);
    if (!block.ok()) return around_.violated(number_, "its own log does not hold");
    const auto applied = chain_.import(*std::move(block), Signatures::checked);
    if (!applied.ok()) return around_.violated(number_, "its own log does not hold");
    report(applied->block);
  }
  log_synced_ = log_.size();
}

// Once for each block of the chain, in order.
void Node::report(const Block& block) {
  if (block.header.height < reported_) return;
  reported_ = block.header.height + 1;
  around_.on_final(number_, block, chain_);
}

void Node::catch_up(const std::vector<Bytes>& log) {
  UFAB_ASSERT(!replica_);
  consensus::BlockRef place = chain_.place();
  for (std::size_t height = log_.size(); height < log.size(); ++height) {
    auto block = decode_block(log[height]);
    if (!block.ok() || !chain_.check_finality(*block, place, *options_.scheme).ok())
      return around_.violated(number_, "the log of another node does not hold");
    const auto applied = chain_.import(*std::move(block), Signatures::checked);
    if (!applied.ok()) return around_.violated(number_, "the log of another node does not hold");
    store(log[height]);
    report(applied->block);
    place = chain_.place();
  }
  log_synced_ = log_.size();
}

bool Node::spoil_block() {
  UFAB_ASSERT(!replica_);
  if (log_.size() == founding_) return false;
  const std::size_t last = std::min(spoilt_last, log_.size() - founding_);
  Bytes& block = log_[log_.size() - rng_.between(1, last)];
  block[rng_.below(block.size())] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
  return true;
}

bool Node::lose_blocks() {
  UFAB_ASSERT(!replica_);
  if (log_.size() == founding_) return false;
  const std::size_t last = std::min(spoilt_last, log_.size() - founding_);
  log_.resize(log_.size() - rng_.between(1, last));
  checks_.resize(log_.size());
  return true;
}

bool Node::spoil_votes() {
  UFAB_ASSERT(!replica_);
  if (!votes_ || votes_synced_ == 0) return false;
  const std::size_t at = rng_.below(votes_synced_);
  (*votes_)[at] ^= static_cast<std::uint8_t>(1U << rng_.below(8));
  votes_damaged_at_ = at;
  return true;
}

// Empty when the log is lost: the key never votes again.
std::optional<std::vector<consensus::VoteRecord>> Node::load_votes() {
  if (!votes_) return std::nullopt;
  auto read = consensus::read_vote_log(*votes_);
  if (!read.ok()) {
    if (!votes_damaged_at_) around_.violated(number_, "its vote log does not hold: " + read.error().message);
    misdirected_found_ += misdirected_ > 0 ? 1U : 0U;
    votes_.reset();
    return std::nullopt;
  }
  // What was torn off at its end may have been damaged too: it was never synced.
  if (votes_damaged_at_ && *votes_damaged_at_ < read->size)
    around_.violated(number_, "it took a damaged vote log for a whole one");
  votes_damaged_at_.reset();
  votes_->resize(read->size);
  votes_synced_ = read->size;
  writer_ = read->size == 0 ? consensus::VoteLogWriter() : consensus::VoteLogWriter(read->check);
  return std::move(read->records);
}

void Node::start(std::uint64_t now_us) {
  UFAB_ASSERT(!replica_);
  dead_ = false;
  dies_in_.reset();
  load_chain();
  if (is_behind()) return;
  std::optional<std::vector<consensus::VoteRecord>> records = load_votes();
  if (chain_.epoch() == nullptr) return around_.violated(number_, "the epoch does not vote");
  replica_ = std::make_unique<Replica>(options_, key_.copy(), *this);
  replica_->start(std::move(records), now_us);
  perform(now_us);
}

void Node::perform(std::uint64_t now_us) {
  if (dead_ || stopped_) return;
  const Status status = replica_->perform(now_us);
  if (!status.ok() && !dead_ && !stopped_) around_.violated(number_, "it stopped: " + status.error().message);
}

void Node::crash() {
  UFAB_ASSERT(replica_);
  replica_.reset();
  ++life_;
  tokens_ = {};
  dead_ = stopped_ = false;
  // Of what was written and not synced any part may have reached the disk.
  log_.resize(rng_.between(std::min(log_synced_, log_.size()), log_.size()));
  while (log_.size() > log_synced_ && wants_certificate(log_.back())) log_.pop_back();
  checks_.resize(log_.size());
  log_synced_ = log_.size();
  if (ledger_damaged_at_ && *ledger_damaged_at_ >= log_.size()) ledger_damaged_at_.reset();
  if (!votes_) return;
  votes_->resize(rng_.between(votes_synced_, votes_->size()));
}

void Node::lose_disk(std::vector<Bytes> log) {
  UFAB_ASSERT(!replica_);
  log_.clear();
  checks_.clear();
  for (const Bytes& block : log) store(block);
  log_synced_ = log_.size();
  votes_.reset();
  votes_floor_ = 0;
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

Status Node::refused() {
  stopped_ = true;
  return Error{ErrorCode::io, "no space left on the disk"};
}

Status Node::keep_vote(const consensus::VoteRecord& record) {
  if (dies()) return died();
  if (!votes_) {
    around_.violated(number_, "it votes without a log");
    return died();
  }
  const Bytes bytes = written(DiskFile::votes, writer_.append(record));
  // On a full disk as much of it as there is room for.
  const std::size_t room = full_ ? rng_.below(bytes.size()) : bytes.size();
  votes_->insert(votes_->end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(room));
  return full_ ? refused() : Status();
}

Status Node::sync_votes() {
  if (dies()) return died();
  votes_synced_ = votes_->size();
  return {};
}

Status Node::renew_votes(const std::vector<consensus::VoteRecord>& records) {
  if (dies()) return died();
  if (!votes_) return {};
  if (full_) return refused();
  votes_floor_ = chain_.head().height;
  writer_ = consensus::VoteLogWriter();
  votes_->clear();
  for (const auto& record : records) {
    const Bytes bytes = writer_.append(record);
    votes_->insert(votes_->end(), bytes.begin(), bytes.end());
  }
  votes_synced_ = votes_->size();
  votes_damaged_at_.reset();
  return {};
}

// A node that dies while it writes several keeps a part of them; those without a certificate do not count.
Status Node::append(std::vector<Block> blocks) {
  const bool dying = dies(), fails = dying || full_;
  std::size_t kept = fails ? rng_.below(blocks.size() + 1) : blocks.size();
  while (kept > 0 && ufab::wants_certificate(blocks[kept - 1])) --kept;
  for (std::size_t i = 0; i < kept; ++i) {
    const Bytes encoded = encode_block(blocks[i]);
    if (!fails) {
      consensus::BlockRef place = chain_.place();
      const Status votes = chain_.check_finality(blocks[i], place, *options_.scheme);
      if (!votes.ok()) around_.violated(number_, "what became final does not hold: " + votes.error().message);
      auto applied = chain_.import(std::move(blocks[i]), Signatures::checked);
      if (!applied.ok()) return applied.error();
      store(encoded);
      reported_ = std::max<std::size_t>(reported_, applied->block.header.height + 1);
      around_.on_final(number_, applied->block, chain_);
    } else {
      store(encoded);
    }
  }
  if (!dying && rng_.one_in(4)) log_synced_ = log_.size();
  if (dying) return died();
  return full_ ? refused() : Status();
}

Status Node::sync_chain() {
  if (dies()) return died();
  log_synced_ = log_.size();
  return {};
}

Result<Bytes> Node::block(std::uint64_t height) const {
  if (height >= log_.size()) return Error{ErrorCode::not_found, fmt::format("block {}", height)};
  if (!is_whole(height)) return Error{ErrorCode::corrupt, fmt::format("block {}", height)};
  return log_[height];
}

void Node::send(const consensus::Peer& to, ReplicaChannel channel, SharedBytes message) {
  if (stopped_) around_.violated(number_, "it sends although its disk has refused a write");
  if (!dies()) around_.send(number_, to, channel, std::move(message));
}

void Node::send_all(ReplicaChannel channel, SharedBytes message) {
  if (stopped_) around_.violated(number_, "it sends although its disk has refused a write");
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
