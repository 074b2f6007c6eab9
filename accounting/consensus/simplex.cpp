// Views, timers, repair: the events' way in, and everything that is about going on.
#include "accounting/consensus/simplex.h"

#include <algorithm>
#include <utility>

#include "accounting/consensus/machine.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

struct Place {
  std::uint64_t epoch;
  View view;
};

Place place_of(const Vote& vote) {
  return {vote.epoch, vote.view};
}
Place place_of(const CertificatePtr& certificate) {
  return {certificate->epoch, certificate->view};
}
Place place_of(const ProposalPtr& proposal) {
  return {proposal->header.epoch, proposal->header.view};
}
Place place_of(const BlockRequest& request) {
  return {request.epoch, request.view};
}

bool is_skip_vote(const Message& message) {
  const Vote* vote = std::get_if<Vote>(&message);
  return vote != nullptr && vote->kind == VoteKind::skip;
}

}  // namespace

Started start(const Config& config, const Restored& restored) {
  const Limits& limits = config.limits;
  const Timing& timing = config.timing;
  UFAB_ASSERT(config.scheme != nullptr && restored.epoch != nullptr);
  UFAB_ASSERT(timing.view_ms > timing.fill_ms && timing.standstill_ms > 0 && timing.doublings_max < 32);
  UFAB_ASSERT(limits.answers > 0 && limits.window > limits.ahead && limits.ahead > proposals_ahead &&
              limits.rebroadcast > 0);
  UFAB_ASSERT(limits.payload_size <= payload_size_max && limits.held_size / 6 >= limits.payload_size);
  Started started;
  started.state.config = config;
  Machine machine(started.state, started.actions);
  machine.restore(restored);
  machine.settle();
  return started;
}

Actions step(State& state, const Event& event) {
  Actions actions;
  if (state.halted) return actions;
  Machine machine(state, actions);
  std::visit(machine, event);
  machine.settle();
  return actions;
}

void Machine::begin_epoch(const EpochPtr& epoch) {
  UFAB_ASSERT(epoch->anchor.view == 0 && epoch->last_height > epoch->anchor.height);
  s_.epoch = epoch;
  s_.seat =
      s_.config.signer == nullptr ? std::nullopt : epoch->validators.find(s_.config.signer->public_key());
  s_.ended = false;
  s_.view = s_.certified = 0;
  s_.doublings = 0;
  s_.tip = s_.last = epoch->anchor;
  s_.previous_proof = s_.tip_proof;
  s_.tip_proof = nullptr;
  s_.slots.clear();
  s_.held_size = 0;
  s_.pending = nullptr;
  s_.pending_from.reset();
  s_.building.reset();
  s_.cursor = 0;
}

void Machine::restore(const Restored& restored) {
  begin_epoch(restored.epoch);
  s_.observer = s_.config.signer == nullptr || !restored.log.has_value();
  if (planted(Flaw::ignored_loss)) s_.observer = s_.config.signer == nullptr;
  if (restored.tip.view > 0) {
    s_.tip = restored.tip;
    s_.last = restored.last;
    s_.tip_proof = restored.tip_proof;
    s_.certified = restored.tip.view;
  }
  s_.ended = s_.tip.height == s_.epoch->last_height;
  out_.emplace_back(SetTimer{Timer::standstill, 0, s_.config.timing.standstill_ms});
  s_.tip_at_tick = {s_.epoch->number, s_.tip.view};
  if (s_.ended) out_.emplace_back(EpochEnded{s_.epoch->number, s_.last});
  if (restored.log && !planted(Flaw::forgotten_votes)) remember(*restored.log);
}

// What the own key has signed, in this epoch. Of views too far ahead of a chain that has lost its end, and of
// later epochs, it is kept until they come.
void Machine::remember(const std::vector<VoteRecord>& records) {
  std::vector<VoteRecord> later;
  for (const VoteRecord& record : records) {
    const Vote& vote = record.vote;
    const bool far = vote.epoch == s_.epoch->number && vote.view > s_.tip.view && !in_window(vote.view);
    if (vote.epoch > s_.epoch->number || (far && !s_.ended)) later.push_back(record);
    if (vote.epoch != s_.epoch->number || s_.ended || !in_window(vote.view)) continue;
    if (vote.seat != s_.seat) {
      // Another key's log, or another list's: nothing to sign on from.
      s_.observer = true;
      continue;
    }
    Slot& slot = slot_of(vote.view);
    slot.own[index(vote.kind)] = vote;
    if (record.proposal && vote.kind != VoteKind::propose) hear(propose_vote(*record.proposal));
    if (record.proposal && find(slot, record.proposal->digest) == nullptr &&
        s_.held_size + record.proposal->payload.size() <= s_.config.limits.held_size)
      add_candidate(vote.view, record.proposal, Validity::unknown);
    hear(vote);
    if (record.certificate) accept(record.certificate);
    out_.emplace_back(Broadcast{vote.kind == VoteKind::propose && record.proposal ? Message(record.proposal)
                                                                                  : Message(vote)});
  }
  s_.remembered = std::move(later);
}

void Machine::operator()(const MessageReceived& event) {
  if (!of_this_epoch(event.from, event.message)) return;
  std::visit([&](const auto& message) { on_message(event.from, message); }, event.message);
}

// Of another epoch nothing can be judged here. Who is behind is helped, and who is ahead is asked.
bool Machine::of_this_epoch(const Peer& from, const Message& message) {
  const Place place = std::visit([](const auto& m) { return place_of(m); }, message);
  if (place.epoch > s_.epoch->number) {
    on_hint(from);
    return false;
  }
  if (place.epoch == s_.epoch->number && !s_.ended) return true;
  if (is_skip_vote(message)) help(from, 0);
  return false;
}

void Machine::on_message(const Peer& from, const Vote& vote) {
  if (vote.kind == VoteKind::propose) return;  // comes with its proposal
  if (vote.kind == VoteKind::skip && vote.view < s_.view) help(from, vote.view);
  const bool far = vote.view > s_.view + s_.config.limits.ahead && !planted(Flaw::unbounded_votes);
  if (!in_window(vote.view) || far) return;
  if (!keeps_votes_of(vote.view)) return;
  if (vote.seat >= s_.epoch->validators.size()) return;
  const Slot* slot = find_slot(vote.view);
  if (slot != nullptr && !slot->ballots.empty()) {
    const auto& known = slot->ballots[vote.seat].votes[index(vote.kind)];
    if (known && known->block == vote.block && known->signature == vote.signature) return;
  }
  if (hear_unchecked(from, vote)) return;
  if (!is_good(vote)) {
    out_.emplace_back(Penalise{from, Offence::bad_signature});
    return;
  }
  hear(vote);
}

void Machine::on_message(const Peer& from, const CertificatePtr& certificate) {
  const View view = certificate->view;
  if (view <= s_.tip.view) return;
  if (certificate->kind == VoteKind::finalise) {
    if (s_.pending && s_.pending->view >= view) return;
  } else if (!in_window(view)) {
    return on_hint(from);
  } else if (const Slot* slot = find_slot(view)) {
    if (certificate->kind == VoteKind::skip ? slot->skipped != nullptr : slot->notarised != nullptr) return;
  }
  const auto known = [&](std::size_t signer) { return is_known(*certificate, signer); };
  if (!verify_certificate(s_.epoch->chain_id, s_.epoch->validators, *certificate, *s_.config.scheme, known)) {
    out_.emplace_back(Penalise{from, Offence::bad_certificate});
    return;
  }
  if (in_window(view)) {
    for (std::size_t i = 0; i < certificate->signers.size(); ++i) {
      hear({certificate->epoch, view, certificate->kind, certificate->block, certificate->signers[i],
            certificate->signatures[i]});
    }
  }
  if (certificate->kind == VoteKind::finalise) s_.pending_from = from;
  accept(certificate);
}

void Machine::on_message(const Peer& from, const BlockRequest& request) {
  State::Courtesy* courtesy = courtesy_for(from);
  if (courtesy == nullptr || courtesy->answers >= s_.config.limits.answers) return;
  const auto slot = s_.slots.find(request.view);
  if (slot == s_.slots.end()) return;
  if (const Candidate* candidate = find(slot->second, request.block)) {
    ++courtesy->answers;
    out_.emplace_back(Send{from, candidate->proposal});
  }
}

// Validators always have a place; of others only so many.
State::Courtesy* Machine::courtesy_for(const Peer& peer) {
  const auto known = s_.courtesies.find(peer);
  if (known != s_.courtesies.end()) return &known->second;
  const bool room = s_.courtesies.size() < s_.config.limits.peers;
  if (!room && !s_.epoch->validators.find(peer)) return nullptr;
  return &s_.courtesies[peer];
}

// A claim to be ahead that cannot be judged here. The first of a period is followed at once; if that one
// lied, the next rebroadcast asks a validator by turns, whatever else is claimed.
void Machine::on_hint(const Peer& from) {
  if (s_.hinted || s_.ended) return;
  s_.hinted = true;
  out_.emplace_back(RequestChain{from, s_.epoch->number, s_.tip.view});
}

// What brings a peer on that votes to skip a view which is over here; once a standstill period.
void Machine::help(const Peer& from, View view) {
  State::Courtesy* courtesy = courtesy_for(from);
  if (courtesy == nullptr || courtesy->helped) return;
  CertificatePtr certificate = s_.tip_proof ? s_.tip_proof : s_.previous_proof;
  const Slot* slot = find_slot(view);
  if (slot != nullptr && !slot->notarised && !slot->skipped) slot = find_slot(s_.certified);
  if (slot != nullptr) certificate = slot->notarised ? slot->notarised : slot->skipped;
  if (!certificate) return;
  courtesy->helped = true;
  out_.emplace_back(Send{from, certificate});
}

void Machine::operator()(const TimerFired& event) {
  if (event.timer == Timer::view) {
    if (event.view == s_.view) vote_to_skip(s_.view);
    return;
  }
  const std::pair<std::uint64_t, View> tip{s_.epoch->number, s_.tip.view};
  s_.courtesies.clear();
  s_.chain_requested = s_.pending_requested = false;
  s_.chain_from.reset();
  ++s_.retry;
  for (auto& [view, slot] : s_.slots) slot.requested = false;
  if (tip == s_.tip_at_tick) rebroadcast();
  s_.tip_at_tick = tip;
  s_.hinted = false;
  out_.emplace_back(SetTimer{Timer::standstill, 0, s_.config.timing.standstill_ms});
  UFAB_ASSERT(planted(Flaw::unbounded_votes) ||
              memory_used(s_) <= memory_bound(s_.config.limits, s_.epoch->validators.size()));
}

void Machine::rebroadcast() {
  if (const CertificatePtr& proof = s_.tip_proof ? s_.tip_proof : s_.previous_proof)
    out_.emplace_back(Broadcast{proof});
  if (s_.pending || s_.observer || !s_.seat || s_.hinted) {
    const Seat seat = static_cast<Seat>(s_.retry % s_.epoch->validators.size());
    request_chain(validator(seat).key);
  }
  if (s_.ended) return;
  // The oldest views first, some of them each time, for a peer can use them in that order only. One that it
  // has jumped over, and nobody may have a certificate of any more, it votes to skip as if its time were
  // over here.
  View view = std::max(s_.cursor, s_.tip.view + 1);
  for (std::uint32_t i = 0; i < s_.config.limits.rebroadcast && view < s_.view; ++i, ++view) {
    rebroadcast_slot(view, slot_of(view));
    vote_to_skip(view);
  }
  s_.cursor = view < s_.view ? view : 0;
  if (const Slot* current = find_slot(s_.view)) {
    rebroadcast_slot(s_.view, *current);
    for (const Candidate& candidate : current->candidates) {
      const auto& own = current->own[index(VoteKind::notarise)];
      if (!own || own->block == candidate.proposal->digest) {
        out_.emplace_back(Broadcast{candidate.proposal});
        break;
      }
    }
  }
}

void Machine::rebroadcast_slot(View view, const Slot& slot) {
  if (slot.skipped) out_.emplace_back(Broadcast{slot.skipped});
  if (slot.notarised) out_.emplace_back(Broadcast{slot.notarised});
  const bool open = !slot.skipped && !slot.notarised;
  for (const VoteKind kind : {VoteKind::notarise, VoteKind::skip, VoteKind::finalise}) {
    const auto& own = slot.own[index(kind)];
    if (own && (open || kind == VoteKind::finalise || view == s_.view)) out_.emplace_back(Broadcast{*own});
  }
}

void Machine::request_chain(const Peer& from) {
  if (s_.chain_requested || (s_.config.signer != nullptr && from == s_.config.signer->public_key())) return;
  s_.chain_requested = true;
  out_.emplace_back(RequestChain{from, s_.epoch->number, s_.tip.view});
}

std::optional<Peer> Machine::signer_of(const Certificate& certificate) const {
  const std::size_t count = certificate.signers.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Seat seat = certificate.signers[(s_.retry + certificate.view + i) % count];
    if (seat < s_.epoch->validators.size() && seat != s_.seat) return validator(seat).key;
  }
  return std::nullopt;
}

void Machine::operator()(const EpochBegins& event) {
  UFAB_ASSERT(s_.ended && event.epoch->number == s_.epoch->number + 1);
  UFAB_ASSERT(event.epoch->anchor.digest == s_.last.digest && event.epoch->anchor.height == s_.last.height);
  if (planted(Flaw::stale_list)) {
    Epoch stale = *event.epoch;
    stale.validators = s_.epoch->validators;
    stale.leader = s_.epoch->leader;
    return begin_epoch(std::make_shared<const Epoch>(std::move(stale)));
  }
  begin_epoch(event.epoch);
  if (s_.chain_from) out_.emplace_back(RequestChain{*s_.chain_from, s_.epoch->number, 0});
  remember(std::exchange(s_.remembered, {}));
}

void Machine::settle() {
  do {
    changed_ = false;
    while (!to_tally_.empty()) {
      const ToTally next = to_tally_.back();
      to_tally_.pop_back();
      tally(next.view, next.kind, next.block);
    }
    if (s_.ended || s_.halted) break;
    finalise();
    if (s_.ended || s_.halted) break;
    advance();
    propose();
    vote();
  } while (changed_ || !to_tally_.empty());
}

void Machine::advance() {
  if (s_.view > s_.certified) return;
  // After a restart there may be no room for the next one yet: then the newest that is known, so that votes
  // of no more views are kept than ever.
  for (const View next : {s_.certified + 1, s_.certified}) {
    if (next > s_.view && in_window(next)) return enter(next);
  }
}

void Machine::enter(View view) {
  UFAB_ASSERT(view > s_.view);
  const View left = s_.view;
  const Slot* before = find_slot(view - 1);
  if (before != nullptr && before->skipped && !before->notarised) {
    s_.doublings = std::min(s_.doublings + 1, s_.config.timing.doublings_max);
  } else if (s_.doublings > 0) {
    --s_.doublings;
  }
  s_.view = view;
  s_.leading = s_.seat && leader(view) == *s_.seat;
  s_.building.reset();
  trim(left, view);
  out_.emplace_back(SetTimer{Timer::view, view, view_ms()});
  changed_ = true;
}

// Of views that are over, keeps the blocks that were voted for or notarised; of those longer over, no
// single votes.
void Machine::trim(View from, View to) {
  for (auto slot = s_.slots.lower_bound(from); slot != s_.slots.end() && slot->first < to; ++slot) {
    const auto& own = slot->second.own[index(VoteKind::notarise)];
    const CertificatePtr& notarised = slot->second.notarised;
    for (std::size_t i = slot->second.candidates.size(); i-- > 0;) {
      const Digest& block = slot->second.candidates[i].proposal->digest;
      if (!(own && own->block == block) && !(notarised && notarised->block == block))
        drop_candidate(slot->second, i);
    }
  }
  const std::uint64_t kept = s_.config.limits.kept;
  const View begin = from > kept ? from - kept : 0;
  for (auto slot = s_.slots.lower_bound(begin); slot != s_.slots.end() && slot->first + kept < to; ++slot) {
    if (slot->second.skipped || slot->second.notarised) slot->second.ballots = {};
  }
  while (Slot* newest = newest_open_beyond(s_.config.limits.open)) newest->ballots = {};
}

// If votes are kept of more than that many old open views: the newest of them.
Slot* Machine::newest_open_beyond(std::size_t count) {
  Slot* newest = nullptr;
  std::size_t open = 0;
  for (auto& [view, slot] : s_.slots) {
    if (view + s_.config.limits.kept >= s_.view) break;
    if (slot.ballots.empty()) continue;
    ++open;
    newest = &slot;
  }
  return open > count ? newest : nullptr;
}

// Whether single votes of that view are kept. Of open views older ones come first, for blocks can only be
// built over views that are certified without a gap; a newer one makes room.
bool Machine::keeps_votes_of(View view) {
  if (view + s_.config.limits.kept >= s_.view) return true;
  Slot& slot = slot_of(view);
  if (slot.skipped || slot.notarised) return false;
  if (!slot.ballots.empty()) return true;
  open_ballots(slot);
  if (Slot* newest = newest_open_beyond(s_.config.limits.open)) newest->ballots = {};
  return !slot.ballots.empty();
}

void Machine::open_ballots(Slot& slot) {
  slot.ballots.resize(s_.epoch->validators.size());
  for (const auto& own : slot.own) {
    if (own) slot.ballots[own->seat].votes[index(own->kind)].emplace(own->block, own->signature, true);
  }
}

std::uint64_t Machine::view_ms() const {
  return s_.config.timing.view_ms << s_.doublings;
}

// What the leader signed with its proposal.
Vote Machine::propose_vote(const Proposal& proposal) const {
  const Header& header = proposal.header;
  return {header.epoch,    header.view,         VoteKind::propose,
          proposal.digest, leader(header.view), proposal.signature};
}

Slot& Machine::slot_of(View view) {
  UFAB_ASSERT(in_window(view));
  return s_.slots[view];
}

const Slot* Machine::find_slot(View view) const {
  const auto found = s_.slots.find(view);
  return found == s_.slots.end() ? nullptr : &found->second;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
