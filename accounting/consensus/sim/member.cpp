#include "accounting/consensus/sim/member.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

constexpr std::size_t chain_answer_max = 64;  // blocks
constexpr std::size_t vote_file_prune_size = 64U << 10;
// The application refuses payloads that begin with this byte.
constexpr std::uint8_t invalid_byte = 0xee;

}  // namespace

Member::Member(World& world, std::size_t number, std::uint64_t seed, Surroundings around)
    : world_(world), number_(number), rng_(seed), around_(std::move(around)) {}

void Member::start() {
  UFAB_ASSERT(!state_);
  ++life_;
  Started started = consensus::start(
      {world_.limits, world_.timing, &world_.scheme(), &world_.signer(number_)}, read_disk());
  state_ = std::move(started.state);
  for (Action& action : started.actions) queue_.push_back(std::move(action));
  run();
}

Restored Member::read_disk() {
  Restored restored;
  EpochPtr epoch = world_.first_epoch();
  BlockRef tip = epoch->anchor, last = tip;
  CertificatePtr proof;
  for (const Stored& stored : chain_) {
    const Header& header = stored.block->header;
    if (header.epoch != epoch->number) {
      epoch = world_.epoch(header.epoch, last);
      proof = nullptr;
    }
    tip = {header.view, header.height, stored.block->digest};
    if (!header.seal) last = tip;
    if (stored.certificate->block == tip.digest) proof = stored.certificate;
  }
  if (chain_.empty()) tip = epoch->anchor;
  restored.epoch = epoch;
  restored.tip = tip;
  restored.last = last;
  restored.tip_proof = proof;
  valid_.clear();
  if (log_lost_) return restored;
  auto log = read_vote_log(vote_file_);
  if (!log.ok()) {
    log_lost_ = true;
    ++counts_.logs_damaged;
    if (!damaged_at_ && around_.checks != nullptr)
      around_.checks->violate("a vote log was taken for damaged that is not: " + log.error().message);
    return restored;
  }
  if (damaged_at_ && around_.checks != nullptr)
    around_.checks->violate("a damaged vote log was taken for a whole one");
  vote_file_.resize(log->size);
  vote_file_synced_ = vote_file_promised_ = log->size;
  writer_ = log->size == 0 ? VoteLogWriter() : VoteLogWriter(log->check);
  records_ = std::move(log->records);
  records_synced_ = records_.size();
  restored.log = records_;
  return restored;
}

void Member::crash() {
  UFAB_ASSERT(state_);
  if (around_.checks != nullptr) around_.checks->end_life(life_key());
  state_.reset();
  queue_.clear();
  answers_.clear();
  syncing_ = false;
  ++life_;
  // Of what was written and not synced any part may have reached the disk.
  vote_file_.resize(rng_.between(vote_file_synced_, vote_file_.size()));
  if (vote_file_.size() < vote_file_promised_) ++counts_.syncs_denied;
  if (damaged_at_ && *damaged_at_ >= vote_file_.size()) damaged_at_.reset();
  misdirect_next_ = false;
  chain_.resize(rng_.between(chain_synced_, chain_.size()));
  // The store keeps blocks together with the certificate that finalises them.
  while (!chain_.empty() && chain_.back().certificate->block != chain_.back().block->digest)
    chain_.pop_back();
  chain_synced_ = std::min(chain_synced_, chain_.size());
}

void Member::spoil_disk(DiskFault fault) {
  UFAB_ASSERT(!state_);
  if (fault == DiskFault::log_rot && vote_file_synced_ > 0) return flip_bit();
  if (fault == DiskFault::disk_gone) {
    ++counts_.disks_lost;
    chain_.clear();
    chain_synced_ = 0;
  }
  // Whoever gives a node a new disk says that its key has voted.
  vote_file_.clear();
  vote_file_synced_ = vote_file_promised_ = 0;
  records_.clear();
  records_synced_ = 0;
  damaged_at_.reset();
  log_lost_ = true;
}

void Member::flip_bit() {
  const std::size_t bit = rng_.below(vote_file_synced_ * 8);
  vote_file_[bit / 8] = static_cast<std::uint8_t>(vote_file_[bit / 8] ^ 1U << (bit % 8));
  damaged_at_ = std::min(damaged_at_.value_or(bit / 8), bit / 8);
}

std::uint64_t Member::height() const {
  return chain_.empty() ? World::genesis_height : chain_.back().block->header.height;
}

void Member::receive(std::size_t from, const Message& message) {
  if (!state_) return;
  if (around_.checks != nullptr) note_heard(message);
  take(MessageReceived{world_.key(from), message});
  if (around_.checks != nullptr) around_.checks->evidence_due();
}

void Member::receive_chain(std::size_t from, const std::vector<ProposalPtr>& blocks,
                           const CertificatePtr& certificate) {
  if (state_) take(ChainReceived{world_.key(from), blocks, certificate});
}

// The votes that the header of the core promises to notice.
void Member::note_heard(const Message& message) {
  const State& state = *state_;
  const auto& validators = world_.epoch(state.epoch->number, state.epoch->anchor)->validators.all();
  const auto note = [&](const Vote& vote, std::uint64_t ahead) {
    if (state.ended || state.halted || vote.epoch != state.epoch->number || vote.view <= state.tip.view)
      return;
    if (vote.view - state.tip.view > state.config.limits.window || vote.view > state.view + ahead) return;
    if (vote.view + state.config.limits.kept < state.view) return;
    if (vote.seat >= validators.size()) return;
    const std::size_t author = world_.member(validators[vote.seat].key);
    if (author != number_ && (world_.dishonest(author) || world_.lies(author)))
      around_.checks->on_heard(life_key(), vote, validators);
  };
  if (const auto* vote = std::get_if<Vote>(&message)) {
    if (vote->kind != VoteKind::propose) note(*vote, state.config.limits.ahead);
  } else if (const auto* proposal = std::get_if<ProposalPtr>(&message)) {
    const Header& header = (*proposal)->header;
    if (header.epoch != state.epoch->number || header.chain_id != state.epoch->chain_id) return;
    if (header.parent_view >= header.view || (*proposal)->payload.size() > state.config.limits.payload_size)
      return;
    if (header.seal && !(*proposal)->payload.empty()) return;
    note({header.epoch, header.view, VoteKind::propose, (*proposal)->digest, state.epoch->leader(header.view),
          (*proposal)->signature},
         proposals_ahead);
  }
}

void Member::alarm(std::uint64_t life, Alarm alarm, std::uint64_t token) {
  if (!state_ || life != life_) return;
  switch (alarm) {
    case Alarm::view_timer:
      if (timers_[0] == token) take(TimerFired{Timer::view, timer_view_});
      return;
    case Alarm::standstill_timer:
      check_memory();
      if (around_.checks != nullptr && !around_.checks->violation().empty()) return;
      if (timers_[1] == token) take(TimerFired{Timer::standstill, 0});
      return;
    case Alarm::synced:
      syncing_ = false;
      vote_file_promised_ = vote_file_.size();
      records_synced_ = records_.size();
      if (!world_.lies(number_) || rng_.one_in(2)) vote_file_synced_ = vote_file_.size();
      return run();
    case Alarm::built:
    case Alarm::validated: {
      const auto answer = answers_.find(token);
      UFAB_ASSERT(answer != answers_.end());
      const Event event = std::move(answer->second);
      answers_.erase(answer);
      if (const auto* validated = std::get_if<BlockValidated>(&event);
          validated != nullptr && validated->valid)
        valid_.insert(validated->block);
      return take(event);
    }
  }
}

void Member::take(const Event& event) {
  Actions actions = step(*state_, event);
  // A dishonest member does not care whether its key is known to have signed elsewhere.
  if (around_.checks == nullptr) state_->observer = false;
  for (Action& action : actions) {
    // At once: the check must not wait for the disk.
    if (const auto* report = std::get_if<ReportEvidence>(&action);
        report != nullptr && around_.checks != nullptr)
      around_.checks->on_evidence(report->evidence);
    queue_.push_back(std::move(action));
  }
  run();
}

void Member::run() {
  while (!syncing_ && !queue_.empty()) {
    const Action action = std::move(queue_.front());
    queue_.pop_front();
    std::visit([this](const auto& a) { perform(a); }, action);
  }
}

void Member::perform(const PersistVote& action) {
  if (disk_full_) {
    if (planted(Flaw::ignored_full_disk)) return;
    // As much of it as there is room for; what is not durable is never sent.
    const Bytes bytes = writer_.append(action.record);
    vote_file_.insert(vote_file_.end(), bytes.begin(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(rng_.below(bytes.size())));
    ++counts_.disks_full;
    crash();
    return around_.stopped();
  }
  records_.push_back(action.record);
  if (vote_file_.size() > vote_file_prune_size) {
    prune_log();
  } else {
    write_log(writer_.append(action.record));
  }
  syncing_ = true;
  around_.wake(rng_.one_in(20) ? rng_.between(50'000, 1'000'000) : rng_.between(300, 5'000), Alarm::synced,
               0);
}

void Member::write_log(const Bytes& bytes) {
  const std::size_t end = vote_file_.size();
  if (!misdirect_next_ || end == 0) {
    vote_file_.insert(vote_file_.end(), bytes.begin(), bytes.end());
    return;
  }
  // Over what is there; the file is as long as it should be, with zeros where the record belongs.
  misdirect_next_ = false;
  const std::size_t at = rng_.below(end);
  vote_file_.resize(end + bytes.size());
  std::copy(bytes.begin(), bytes.end(), vote_file_.begin() + static_cast<std::ptrdiff_t>(at));
  damaged_at_ = std::min(damaged_at_.value_or(at), at);
}

// A new file renamed over the old one: from here on the old one is gone, so what it held must be in the new
// one.
void Member::prune_log() {
  const Header* durable = chain_synced_ == 0 ? nullptr : &chain_[chain_synced_ - 1].block->header;
  std::erase_if(records_, [&](const VoteRecord& record) {
    return durable != nullptr && (record.vote.epoch < durable->epoch ||
                                  (record.vote.epoch == durable->epoch && record.vote.view <= durable->view));
  });
  writer_ = VoteLogWriter();
  vote_file_.clear();
  for (const VoteRecord& record : records_) {
    const Bytes bytes = writer_.append(record);
    vote_file_.insert(vote_file_.end(), bytes.begin(), bytes.end());
  }
  vote_file_synced_ = vote_file_promised_ = vote_file_.size();
  records_synced_ = records_.size();
  damaged_at_.reset();
}

// What it sends is among the records that the disk says it has. An observer passes on what its key signed
// before its log was lost, as others have it.
void Member::check_durable(const Vote& vote) const {
  if (state_->observer) return;
  const auto end = records_.begin() + static_cast<std::ptrdiff_t>(std::min(records_synced_, records_.size()));
  const auto is_it = [&](const VoteRecord& record) { return record.vote == vote; };
  if (std::find_if(std::make_reverse_iterator(end), records_.rend(), is_it) == records_.rend())
    around_.checks->violate("a vote was sent that is not on disk");
}

void Member::check_memory() const {
  if (around_.checks == nullptr || !state_) return;
  if (memory_used(*state_) > memory_bound(state_->config.limits, state_->epoch->validators.size()))
    around_.checks->violate("the state is above its memory bound");
}

void Member::note_sent(const Message& message) {
  if (around_.checks == nullptr) return;
  const auto& validators = state_->epoch->validators;
  const auto sent = [&](const Vote& vote) {
    check_durable(vote);
    if (!world_.lies(number_)) around_.checks->on_signed(world_.key(number_), vote);
  };
  if (const auto* vote = std::get_if<Vote>(&message)) {
    sent(*vote);
  } else if (const auto* proposal = std::get_if<ProposalPtr>(&message)) {
    const Header& header = (*proposal)->header;
    if (header.epoch != state_->epoch->number) return;
    const Seat leader = state_->epoch->leader(header.view);
    if (leader < validators.size() && validators[leader].key == world_.key(number_)) {
      sent({header.epoch, header.view, VoteKind::propose, (*proposal)->digest, leader,
            (*proposal)->signature});
      valid_.insert((*proposal)->digest);  // it made it itself
    }
  }
}

void Member::perform(const Broadcast& action) {
  note_sent(action.message);
  for (std::size_t to = 0; to < world_.size(); ++to) {
    if (to != number_) around_.send(to, action.message);
  }
}

void Member::perform(const Send& action) {
  note_sent(action.message);
  const std::size_t to = world_.member(action.to);
  if (to != number_) around_.send(to, action.message);
}

void Member::perform(const SetTimer& action) {
  const bool view = action.timer == Timer::view;
  timers_[view ? 0 : 1] = ++tokens_;
  if (view) timer_view_ = action.view;
  around_.wake(action.after_ms * 10 * clock_percent_, view ? Alarm::view_timer : Alarm::standstill_timer,
               tokens_);
}

void Member::perform(const CancelTimer& action) {
  timers_[action.timer == Timer::view ? 0 : 1] = ++tokens_;
}

void Member::perform(const BuildPayload& action) {
  Bytes payload(action.frugal ? 0 : std::min<std::size_t>(action.bytes_max, rng_.between(0, 40)));
  for (std::uint8_t& byte : payload) byte = static_cast<std::uint8_t>(rng_.below(200));
  if (around_.checks == nullptr && rng_.one_in(10) && !payload.empty()) payload[0] = invalid_byte;
  answers_.emplace(++tokens_, PayloadReady{action.view, std::move(payload)});
  around_.wake(rng_.between(action.wait_ms / 2, action.wait_ms) * 10 * clock_percent_, Alarm::built, tokens_);
}

void Member::perform(const ValidateBlock& action) {
  const Header& header = action.block->header;
  const bool known = header.parent_view == 0 || valid_.contains(header.parent) ||
                     std::any_of(chain_.rbegin(), chain_.rend(),
                                 [&](const Stored& s) { return s.block->digest == header.parent; });
  if (!known && around_.checks != nullptr)
    around_.checks->violate("asked to validate a block before its parent");
  const bool valid = action.block->payload.empty() || action.block->payload[0] != invalid_byte;
  answers_.emplace(++tokens_, BlockValidated{header.view, action.block->digest, valid});
  around_.wake(rng_.between(200, 20'000), Alarm::validated, tokens_);
}

void Member::perform(const Deliver& action) {
  const Header& header = action.block->header;
  if (around_.checks != nullptr) {
    BlockRef tip = world_.first_epoch()->anchor;
    if (!chain_.empty()) tip = {0, chain_.back().block->header.height, chain_.back().block->digest};
    // The first block of an epoch follows the last one that is no seal.
    if (header.parent_view == 0) {
      for (auto stored = chain_.rbegin(); stored != chain_.rend(); ++stored) {
        if (stored->block->header.seal) continue;
        tip.digest = stored->block->digest;
        break;
      }
    }
    const EpochPtr epoch = world_.epoch(header.epoch, state_->epoch->anchor);
    around_.checks->on_delivered(world_.key(number_), tip, *action.block, *action.certificate,
                                 epoch->validators.all(), epoch->leader(header.view));
    if (!action.block->payload.empty() && action.block->payload[0] == invalid_byte)
      around_.checks->violate("an invalid block was finalised");
    around_.checks->forget(life_key(), header.epoch, header.view);
  }
  chain_.push_back({action.block, action.certificate});
  if (rng_.one_in(3) && action.certificate->block == action.block->digest) chain_synced_ = chain_.size();
}

void Member::perform(const EpochEnded& action) {
  take(EpochBegins{world_.epoch(action.number + 1, action.last)});
}

void Member::perform(const ReportEvidence&) {}  // see take()

void Member::perform(const RequestChain& action) {
  const std::size_t to = world_.member(action.from);
  if (to != number_) around_.request_chain(to, action.epoch, action.after_view);
}

void Member::perform(const Penalise& action) {
  if (around_.checks != nullptr && !world_.dishonest(world_.member(action.peer)))
    around_.checks->violate("an honest peer was penalised");
}

void Member::perform(const RetireKey&) {
  if (around_.checks != nullptr && !log_lost_ && !world_.lies(number_))
    around_.checks->violate("a key was retired whose log was whole");
}

void Member::perform(const ReportFork&) {
  if (around_.checks != nullptr) around_.checks->violate("a node saw two conflicting finalised blocks");
}

std::pair<std::vector<ProposalPtr>, CertificatePtr> Member::chain_after(std::uint64_t epoch,
                                                                        View view) const {
  std::vector<ProposalPtr> blocks;
  CertificatePtr certificate;
  std::size_t whole = 0;
  auto stored = std::lower_bound(chain_.begin(), chain_.end(), std::pair(epoch, view + 1),
                                 [](const Stored& s, const std::pair<std::uint64_t, View>& wanted) {
                                   return std::pair(s.block->header.epoch, s.block->header.view) < wanted;
                                 });
  for (; stored != chain_.end() && stored->block->header.epoch == epoch; ++stored) {
    if (blocks.size() >= chain_answer_max && certificate) break;
    blocks.push_back(stored->block);
    if (stored->certificate->block != stored->block->digest) continue;
    certificate = stored->certificate;
    whole = blocks.size();
  }
  blocks.resize(whole);
  return {std::move(blocks), std::move(certificate)};
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
