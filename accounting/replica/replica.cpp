#include "accounting/replica/replica.h"

#include <fmt/format.h>

#include <algorithm>

#include "accounting/replica/chain_messages.h"

namespace ufab {

namespace {

constexpr std::size_t record_message_size = 256U << 10;  // bytes of records in one message, about
constexpr std::size_t records_sent_again_max = 4096;
constexpr std::size_t early_of_one_max = 16;                // messages
constexpr std::size_t early_size_max = 16U << 20;           // bytes, of all
constexpr std::uint64_t chain_answer_interval_us = 20'000;  // to one peer

SharedBytes share(Bytes bytes) {
  return std::make_shared<const Bytes>(std::move(bytes));
}

// Where votes of that view are needed no more once the block of `last` is durable.
bool is_past(const consensus::Vote& vote, const consensus::Header& last) {
  return vote.epoch < last.epoch || (vote.epoch == last.epoch && vote.view <= last.view);
}

bool only_speaks(const consensus::Action& action) {
  return std::holds_alternative<consensus::Broadcast>(action) ||
         std::holds_alternative<consensus::Send>(action);
}

// The chain must have come as far as the core then.
bool looks_at_chain(const consensus::Action& action) {
  return std::holds_alternative<consensus::ValidateBlock>(action) ||
         std::holds_alternative<consensus::EpochEnded>(action);
}

const char* offence_text(consensus::Offence offence) {
  switch (offence) {
    case consensus::Offence::bad_signature: return "a vote with a wrong signature";
    case consensus::Offence::bad_certificate: return "a certificate that does not hold";
    case consensus::Offence::bad_proposal: return "a proposal that is none";
    case consensus::Offence::bad_chain: return "a chain that does not hold";
  }
  return "";
}

}  // namespace

Replica::Replica(ReplicaOptions options, KeyPair key, ReplicaPorts& ports)
    : options_(std::move(options)),
      key_(std::move(key)),
      signer_(key_.copy()),
      ports_(ports),
      bench_(ports, options_.blocks),
      pool_(options_.pool) {}

void Replica::start(std::optional<std::vector<consensus::VoteRecord>> log, std::uint64_t now_us) {
  consensus::Restored restored;
  ports_.read([&](const Chain& chain) {
    restored.epoch = chain.epoch();
    restored.tip = restored.last = chain.place();
  });
  UFAB_ASSERT(restored.epoch != nullptr);
  if (restored.tip.view > 0) {
    const auto encoded = ports_.block(restored.tip.height);
    const auto block = encoded.ok() ? decode_block(*encoded) : Result<Block>(encoded.error());
    if (!block.ok()) {
      stopped_ = block.error().within("the last block of the ledger");
      return;
    }
    UFAB_ASSERT(block->finality && block->finality->certificate);
    restored.tip_proof = block->finality->certificate;
  }
  if (log) kept_ = *log;
  restored.log = std::move(log);
  out_of_office_ = !restored.epoch->validators.find(key_.public_key());
  const consensus::Config config{options_.limits, options_.timing, options_.scheme, &signer_};
  consensus::Started started = consensus::start(config, restored);
  core_ = std::move(started.state);
  for (consensus::Action& action : started.actions) due_.push_back(std::move(action));
  ports_.set_alarm(ReplicaAlarm::send_again, options_.send_again_ms);
  view_since_us_ = records_since_us_ = now_us;
}

void Replica::take(const consensus::Event& event) {
  for (consensus::Action& action : consensus::step(*core_, event)) {
    if (auto* vote = std::get_if<consensus::PersistVote>(&action)) {
      to_keep_.push_back(std::move(vote->record));
    } else if (auto* final_block = std::get_if<consensus::Deliver>(&action)) {
      to_deliver_.push_back(std::move(*final_block));
    } else {
      due_.push_back(std::move(action));
    }
  }
}

void Replica::receive(const consensus::Peer& from, ReplicaChannel channel, ByteView message,
                      std::uint64_t now_us) {
  if (stopped_) return;
  if (channel == ReplicaChannel::consensus) {
    const auto decoded = consensus::decode_message(message);
    if (!decoded.ok()) return ports_.penalise(from, "a message that is none");
    keep_early(from, *decoded, message.size());
    return take(consensus::MessageReceived{from, *decoded});
  }
  auto decoded = decode_chain_message(message);
  if (!decoded.ok()) return ports_.penalise(from, "a chain message that is none");
  if (const auto* request = std::get_if<ChainRequest>(&*decoded))
    return answer_chain(from, request->epoch, request->after_view, now_us);
  auto& answer = std::get<ChainAnswer>(*decoded);
  take(consensus::ChainReceived{from, std::move(answer.blocks), std::move(answer.certificate)});
}

Status Replica::admit(PooledRecord record, std::uint64_t now_us) {
  if (stopped_) return *stopped_;
  Status status;
  const bool fresh = !pool_.contains(record.id);
  const bool own = record.own;
  Bytes message;
  if (own && fresh) message = encode_records({&record});
  const bool first = pool_.size() == 0;
  ports_.read([&](const Chain& chain) { status = pool_.add(std::move(record), chain.state()); });
  if (!status.ok()) return status;
  if (first) {
    records_since_us_ = now_us;
    ports_.set_alarm(ReplicaAlarm::hurry, patience_us() / 1000);
  }
  if (!message.empty()) ports_.send_all(ReplicaChannel::records, share(std::move(message)));
  return {};
}

std::uint64_t Replica::next_sequence(const PublicKey& key) const {
  std::uint64_t next = 0;
  ports_.read([&](const Chain& chain) { next = pool_.next_sequence(key, chain.state()); });
  return next;
}

bool Replica::is_away(consensus::Seat leader) const {
  const auto absences = absences_.find(leader);
  return absences != absences_.end() && absences->second % 4 != 0;
}

std::uint64_t Replica::patience_us() const {
  const std::uint64_t once = options_.timing.view_ms - options_.timing.fill_ms;
  const std::uint64_t whole = (once << slowness_ / 2) * 1000;
  return is_away(core_->epoch->leader(view_)) ? whole / 4 : whole;
}

void Replica::enter_view(consensus::View view, std::uint64_t now_us) {
  const consensus::Seat leader = core_->epoch->leader(view - 1);
  const auto before = core_->slots.find(view - 1);
  const bool over = before == core_->slots.end();  // final, or before what is
  if (over ? core_->tip.view == view - 1 : before->second.notarised != nullptr) {
    absences_.erase(leader);
    slowness_ -= slowness_ > 0 ? 1 : 0;
  } else if (!over && before->second.skipped) {
    if (!is_away(leader)) slowness_ = std::min(slowness_ + 1, options_.timing.doublings_max);
    ++absences_[leader];
  }
  view_ = view;
  view_since_us_ = now_us;
  if (pool_.size() > 0) ports_.set_alarm(ReplicaAlarm::hurry, patience_us() / 1000 + 1);
}

void Replica::hurry(std::uint64_t now_us) {
  if (pool_.size() == 0 || view_ == 0) return;
  bool any = false;
  ports_.read([&](const Chain& chain) { any = pool_.has_any_for(chain.state()); });
  if (!any) return ports_.set_alarm(ReplicaAlarm::hurry, patience_us() / 1000);
  const std::uint64_t due = std::max(view_since_us_, records_since_us_) + patience_us();
  if (now_us < due) return ports_.set_alarm(ReplicaAlarm::hurry, (due - now_us) / 1000 + 1);
  ports_.set_alarm(ReplicaAlarm::hurry, patience_us() / 1000);
  take(consensus::TimerFired{consensus::Timer::view, view_});
}

void Replica::send_again(std::uint64_t now_us) {
  ports_.set_alarm(ReplicaAlarm::send_again, options_.send_again_ms);
  const std::uint64_t before = now_us - std::min(now_us, options_.send_again_ms * 1000);
  std::vector<const PooledRecord*> part;
  std::size_t size = 0;
  const auto send = [&] {
    if (!part.empty()) ports_.send_all(ReplicaChannel::records, share(encode_records(part)));
    part.clear();
    size = 0;
  };
  for (const PooledRecord* record : pool_.to_send_again(before, now_us, records_sent_again_max)) {
    part.push_back(record);
    size += record->encoding.size();
    if (size > record_message_size) send();
  }
  send();
}

void Replica::ring(ReplicaAlarm alarm, std::uint64_t now_us) {
  if (stopped_) return;
  switch (alarm) {
    case ReplicaAlarm::view: return take(consensus::TimerFired{consensus::Timer::view, view_});
    case ReplicaAlarm::standstill: return take(consensus::TimerFired{consensus::Timer::standstill, 0});
    case ReplicaAlarm::fill: fill_over_ = true; return;
    case ReplicaAlarm::gather: gather_over_ = true; return;
    case ReplicaAlarm::hurry: return hurry(now_us);
    case ReplicaAlarm::send_again: return send_again(now_us);
  }
}

Status Replica::perform(std::uint64_t now_us) {
  if (!stopped_) {
    const Status status = run(now_us);
    if (!status.ok()) stopped_ = status.error();
  }
  if (stopped_) return *stopped_;
  return {};
}

Status Replica::run(std::uint64_t now_us) {
  for (;;) {
    if (!due_.empty()) {
      consensus::Action action = std::move(due_.front());
      due_.pop_front();
      if (only_speaks(action)) {
        to_say_.push_back(std::move(action));
        continue;
      }
      if (looks_at_chain(action)) UFAB_TRY(make_final(now_us));
      UFAB_TRY(act(action, now_us));
    } else if (building_) {
      UFAB_TRY(make_final(now_us));
      if (!fill_over_ && (may_gather() || !has_records_for(*building_))) break;
      build(now_us);
    } else {
      break;
    }
  }
  UFAB_TRY(keep_votes());
  for (const consensus::Action& action : std::exchange(to_say_, {})) UFAB_TRY(act(action, now_us));
  return make_final(now_us);
}

Status Replica::keep_votes() {
  if (to_keep_.empty()) return {};
  for (consensus::VoteRecord& record : to_keep_) {
    UFAB_TRY(ports_.keep_vote(record));
    kept_size_ += 200 + (record.proposal ? record.proposal->payload.size() : 0);
    kept_.push_back(std::move(record));
  }
  to_keep_.clear();
  return ports_.sync_votes();
}

Status Replica::renew_votes() {
  UFAB_TRY(ports_.sync_chain());
  UFAB_TRY(ports_.renew_votes(kept_));
  kept_size_ = 0;
  return {};
}

// What the core has finalised, as blocks of the ledger. A quorum vouches for them; that they do not hold here
// would mean that more than a third lie, or that this machine counts wrong: in both cases the node must stop.
Status Replica::make_final(std::uint64_t now_us) {
  if (to_deliver_.empty()) return {};
  std::vector<Block> blocks;
  std::vector<RecordId> records;
  for (const consensus::Deliver& final_block : to_deliver_) {
    const consensus::Proposal& proposal = *final_block.block;
    const SignedHeader signed_header{proposal.header, proposal.signature};
    if (proposal.header.seal) {
      UFAB_ASSERT(!blocks.empty());
      blocks.back().finality->seals.push_back(signed_header);
    } else {
      auto block = decode_block(proposal.payload);
      if (!block.ok()) return block.error().within("a block that a quorum has finalised");
      block->finality = Finality{signed_header, {}, nullptr};
      for (const Bytes& record : block->records) records.push_back(record_id(record));
      blocks.push_back(*std::move(block));
    }
    if (final_block.certificate->block == proposal.digest)
      blocks.back().finality->certificate = final_block.certificate;
  }
  UFAB_TRY(ports_.append(std::move(blocks)));
  for (const consensus::Deliver& final_block : to_deliver_) {
    if (!final_block.block->header.seal) bench_.finalised(final_block.block->digest);
  }
  const consensus::Header last = to_deliver_.back().block->header;
  to_deliver_.clear();
  records_since_us_ = now_us;
  if (building_ && !gather_over_ && building_->parent.view <= last.view)
    ports_.set_alarm(ReplicaAlarm::gather, options_.settle_ms);
  std::erase_if(kept_, [&](const consensus::VoteRecord& record) { return is_past(record.vote, last); });
  std::vector<PooledRecord> useless;
  ports_.read([&](const Chain& chain) { useless = pool_.settle(records, chain.state()); });
  for (const PooledRecord& record : useless) {
    Status why;
    ports_.read([&](const Chain& chain) { why = chain.state().admissible(record.record); });
    UFAB_ASSERT(!why.ok());
    ports_.turned_away(record.id, why.error());
  }
  if (kept_size_ > options_.votes_size_max) UFAB_TRY(renew_votes());
  return {};
}

// From the one after the final end up to that proposal, out of what the core holds.
std::optional<Workbench::Line> Replica::line_to(consensus::View view, const Digest& digest) const {
  Workbench::Line line;
  Digest wanted = digest;
  while (view > core_->tip.view) {
    const auto slot = core_->slots.find(view);
    if (slot == core_->slots.end()) return std::nullopt;
    const auto& candidates = slot->second.candidates;
    const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const consensus::Candidate& c) {
      return c.proposal->digest == wanted;
    });
    if (found == candidates.end()) return std::nullopt;
    line.push_back(found->proposal);
    view = found->proposal->header.parent_view;
    wanted = found->proposal->header.parent;
  }
  if (wanted != core_->tip.digest) return std::nullopt;
  std::reverse(line.begin(), line.end());
  return line;
}

bool Replica::has_records_for(const consensus::BuildPayload& wanted) {
  if (pool_.size() == 0) return false;
  const auto line = line_to(wanted.parent.view, wanted.parent.digest);
  const State* state = line ? bench_.state_at(*line) : nullptr;
  return state != nullptr && pool_.has_any_for(*state);
}

bool Replica::may_gather() const {
  return !gather_over_ && pool_.size() < options_.gather_records && pool_.bytes() < options_.gather_size;
}

void Replica::build(std::uint64_t now_us) {
  const consensus::BuildPayload wanted = *building_;
  building_.reset();
  ports_.cancel_alarm(ReplicaAlarm::fill);
  ports_.cancel_alarm(ReplicaAlarm::gather);
  // The core may have gone on meanwhile.
  if (!core_->building || core_->building->view != wanted.view) return;
  const auto line = line_to(wanted.parent.view, wanted.parent.digest);
  if (!line) return;
  // After views that were skipped blocks are smaller: one that is too large for this network to carry within
  // a view would be skipped again.
  const std::size_t size_max = wanted.frugal ? 0 : options_.blocks.signed_size_max >> core_->doublings;
  auto payload = bench_.make(*line, pool_, size_max, key_, now_us, wanted.view);
  if (!payload || payload->size() > wanted.bytes_max) {
    bench_.forget();
    return;
  }
  take(consensus::PayloadReady{wanted.view, *std::move(payload)});
  const auto proposed = std::find_if(to_keep_.begin(), to_keep_.end(), [&](const auto& record) {
    return record.vote.kind == consensus::VoteKind::propose && record.vote.view == wanted.view;
  });
  // Without room for it the core has not proposed it.
  if (proposed == to_keep_.end())
    bench_.forget();
  else
    bench_.adopt(proposed->vote.block);
}

void Replica::judge(const consensus::ProposalPtr& block, std::uint64_t now_us) {
  const consensus::Header& header = block->header;
  const auto line = line_to(header.parent_view, header.parent);
  if (!line) return;  // final or skipped by now
  const auto checked = [this](const RecordId& id) { return pool_.contains(id); };
  const Status status = bench_.judge(*line, *block, checked, now_us);
  if (!status.ok()) {
    ports_.log(fmt::format("the proposal of view {} is refused: {}", header.view, status.error().message));
  }
  take(consensus::BlockValidated{header.view, block->digest, status.ok()});
}

void Replica::begin_epoch() {
  consensus::EpochPtr epoch;
  ports_.read([&](const Chain& chain) { epoch = chain.epoch(); });
  answered_us_.clear();
  absences_.clear();
  out_of_office_ = epoch == nullptr || !epoch->validators.find(key_.public_key());
  std::map<consensus::Peer, std::vector<consensus::Message>> early;
  early.swap(early_);
  early_size_ = 0;
  if (epoch == nullptr) return;
  take(consensus::EpochBegins{epoch});
  for (const auto& [from, messages] : early) {
    for (const consensus::Message& message : messages) take(consensus::MessageReceived{from, message});
  }
}

// The core takes messages of its own epoch only. Whoever has finalised the last block of an epoch begins the
// next at once, a moment before others do: without this they would miss its first votes, and wait for a
// time-out.
void Replica::keep_early(const consensus::Peer& from, const consensus::Message& message, std::size_t size) {
  const std::uint64_t next = core_->epoch->number + 1;
  const std::uint64_t epoch = std::visit(
      [](const auto& m) {
        using Kind = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<Kind, consensus::ProposalPtr>)
          return m->header.epoch;
        else if constexpr (std::is_same_v<Kind, consensus::CertificatePtr>)
          return m->epoch;
        else
          return m.epoch;
      },
      message);
  if (epoch != next || early_size_ + size > early_size_max) return;
  if (!early_.contains(from) && early_.size() >= options_.limits.peers) return;
  auto& messages = early_[from];
  if (messages.size() >= early_of_one_max) return;
  messages.push_back(message);
  early_size_ += size;
}

void Replica::answer_chain(const consensus::Peer& to, std::uint64_t epoch, consensus::View after_view,
                           std::uint64_t now_us) {
  const auto [last, fresh] = answered_us_.try_emplace(to, now_us);
  if (!fresh) {
    if (now_us - std::min(now_us, last->second) < chain_answer_interval_us) return;
    last->second = now_us;
  } else if (answered_us_.size() > options_.limits.peers) {
    answered_us_.erase(last);
    return;
  }
  std::uint64_t length = 0, head = 0;
  ports_.read([&](const Chain& chain) {
    length = chain.state().params().epoch_blocks;
    head = chain.head().height;
  });
  Bytes answer = blocks_after(
      epoch, after_view, length, head, [this](std::uint64_t height) { return ports_.block(height); },
      options_.chain_answer_size);
  if (!answer.empty()) ports_.send(to, ReplicaChannel::chain, share(std::move(answer)));
}

namespace {

// One overload for each action of the core.
template <class... Parts>
struct Match : Parts... {
  using Parts::operator()...;
};
template <class... Parts>
Match(Parts...) -> Match<Parts...>;

}  // namespace

Status Replica::act(const consensus::Action& action, std::uint64_t now_us) {
  using namespace consensus;
  Status status;
  const Match match{
      [](const PersistVote&) { UFAB_ASSERT(false); },
      [](const Deliver&) { UFAB_ASSERT(false); },
      [&](const Broadcast& a) {
        ports_.send_all(ReplicaChannel::consensus, share(encode_message(a.message)));
      },
      [&](const Send& a) { ports_.send(a.to, ReplicaChannel::consensus, share(encode_message(a.message))); },
      [&](const SetTimer& a) {
        if (a.timer == Timer::standstill) return ports_.set_alarm(ReplicaAlarm::standstill, a.after_ms);
        enter_view(a.view, now_us);
        ports_.set_alarm(ReplicaAlarm::view, a.after_ms);
      },
      [&](const CancelTimer& a) {
        ports_.cancel_alarm(a.timer == Timer::view ? ReplicaAlarm::view : ReplicaAlarm::standstill);
      },
      [&](const BuildPayload& a) {
        building_ = a;
        fill_over_ = a.wait_ms == 0;
        gather_over_ = options_.gather_ms == 0;
        ports_.set_alarm(ReplicaAlarm::fill, a.wait_ms);
        const bool after_final = a.parent.view <= core_->tip.view;
        ports_.set_alarm(ReplicaAlarm::gather, after_final ? options_.settle_ms : options_.gather_ms);
      },
      [&](const ValidateBlock& a) { judge(a.block, now_us); },
      [&](const EpochEnded&) { begin_epoch(); },
      [&](const ReportEvidence& a) { ports_.evidence(a.evidence); },
      [&](const RequestChain& a) {
        ports_.send(a.from, ReplicaChannel::chain, share(encode_chain_request({a.epoch, a.after_view})));
      },
      [&](const Penalise& a) { ports_.penalise(a.peer, offence_text(a.offence)); },
      [&](const RetireKey& a) {
        ports_.log(
            fmt::format("a vote of this node's key for view {} is not in its vote log: the key never "
                        "votes again; stand with a new one (`ufab validator stand --new-key`)",
                        a.vote.view));
      },
      [&](const ReportFork&) {
        status = Error{ErrorCode::corrupt,
                       "two conflicting blocks are final: more than a third of the validators lie"};
      },
  };
  std::visit(match, action);
  return status;
}

Result<std::vector<PooledRecord>> decode_records(ByteView message, const Digest& chain_id,
                                                 std::uint64_t now_us) {
  Reader reader(message);
  std::vector<PooledRecord> records;
  while (reader.remaining() > 0 && !reader.failed()) {
    const ByteView bytes = reader.blob(record_size_max);
    if (reader.failed()) break;
    UFAB_ASSIGN(Record record, decode_record(bytes));
    if (record_type_derived(record.type()) || !verify_record(chain_id, record, bytes)) {
      return Error{ErrorCode::invalid, describe_record(record) + ": the signature is wrong"};
    }
    records.push_back(
        {std::move(record), Bytes(bytes.begin(), bytes.end()), record_id(bytes), now_us, false});
  }
  UFAB_TRY(reader.finish("records"));
  return records;
}

}  // namespace ufab
