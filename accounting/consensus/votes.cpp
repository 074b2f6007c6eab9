// Votes: casting them by the rules, counting those of others, and what two that conflict are worth.
#include <algorithm>

#include "accounting/consensus/machine.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

// The rules stand here once more, where a vote is made, as they stand where it is decided.
void Machine::cast(VoteKind kind, View view, const Digest& block, ProposalPtr proposal,
                   CertificatePtr certificate) {
  UFAB_ASSERT(can_vote());
  auto& own = slot_of(view).own;
  UFAB_ASSERT(!own[index(kind)] || planted(Flaw::second_vote));
  UFAB_ASSERT(kind != VoteKind::skip || !own[index(VoteKind::finalise)]);
  UFAB_ASSERT(kind != VoteKind::finalise || !own[index(VoteKind::skip)] ||
              planted(Flaw::finalise_after_skip));
  Vote vote{s_.epoch->number, view, kind, block, *s_.seat, {}};
  vote.signature =
      s_.config.signer->sign(vote_signing_bytes(s_.epoch->chain_id, s_.epoch->number, view, kind, block));
  own[index(kind)] = vote;
  Message message = kind == VoteKind::propose ? Message(proposal) : Message(vote);
  persist_and_broadcast({vote, std::move(proposal), std::move(certificate)}, std::move(message));
  hear(vote);
  changed_ = true;
}

void Machine::persist_and_broadcast(VoteRecord record, Message message) {
  if (planted(Flaw::dropped_sync)) {
    out_.emplace_back(Broadcast{std::move(message)});
    out_.emplace_back(PersistVote{std::move(record)});
    return;
  }
  out_.emplace_back(PersistVote{std::move(record)});
  out_.emplace_back(Broadcast{std::move(message)});
}

bool Machine::is_good(const Vote& vote) const {
  return verify_vote(s_.epoch->chain_id, s_.epoch->validators, vote, *s_.config.scheme);
}

// A vote whose signature is good: kept, counted, and held against the others of its author.
void Machine::hear(const Vote& vote) {
  Slot& slot = slot_of(vote.view);
  if (s_.seat == vote.seat && !s_.observer) {
    const auto& own = slot.own[index(vote.kind)];
    if ((!own || own->block != vote.block) && !planted(Flaw::ignored_loss) && !planted(Flaw::second_vote)) {
      s_.observer = true;
      out_.emplace_back(RetireKey{vote});
    }
  }
  if (!keeps_votes_of(vote.view)) return;
  if (slot.ballots.empty()) open_ballots(slot);
  Ballot& ballot = slot.ballots[vote.seat];
  report(ballot, vote);
  auto& place = ballot.votes[index(vote.kind)];
  if (place && place->block != vote.block) return;
  if (!place || !place->checked) place.emplace(vote.block, vote.signature, true);
  if (vote.kind != VoteKind::propose) to_tally_.push_back({vote.view, vote.kind, vote.block});
}

// A vote of one that nothing speaks against, from itself: its link vouches for it. False: it must be checked.
bool Machine::hear_unchecked(const Peer& from, const Vote& vote) {
  if (from != validator(vote.seat).key || s_.seat == vote.seat) return false;
  Slot& slot = slot_of(vote.view);
  if (slot.ballots.empty()) open_ballots(slot);
  Ballot& ballot = slot.ballots[vote.seat];
  for (const VoteKind kind : {VoteKind::propose, VoteKind::notarise, VoteKind::skip, VoteKind::finalise}) {
    const auto& earlier = ballot.votes[index(kind)];
    if (earlier && votes_conflict(kind, earlier->block, vote.kind, vote.block)) return false;
  }
  auto& place = ballot.votes[index(vote.kind)];
  if (place) return false;
  place.emplace(vote.block, vote.signature, false);
  to_tally_.push_back({vote.view, vote.kind, vote.block});
  return true;
}

// One that was not checked yet: from here on it is good, or gone.
void Machine::check(View view, Seat seat, VoteKind kind) {
  auto& place = slot_of(view).ballots[seat].votes[index(kind)];
  if (!place || place->checked) return;
  place->checked = is_good({s_.epoch->number, view, kind, place->block, seat, place->signature});
  if (place->checked) return;
  place.reset();
  out_.emplace_back(Penalise{validator(seat).key, Offence::bad_signature});
}

// Whether that signature of it was checked before.
bool Machine::is_known(const Certificate& certificate, std::size_t signer) const {
  const Slot* slot = find_slot(certificate.view);
  if (slot == nullptr || slot->ballots.empty()) return false;
  const auto& vote = slot->ballots[certificate.signers[signer]].votes[index(certificate.kind)];
  return vote && vote->checked && vote->block == certificate.block &&
         vote->signature == certificate.signatures[signer];
}

void Machine::report(Ballot& ballot, const Vote& vote) {
  for (const VoteKind kind : {VoteKind::propose, VoteKind::notarise, VoteKind::skip, VoteKind::finalise}) {
    const auto& earlier = ballot.votes[index(kind)];
    if (ballot.reported || !earlier || !votes_conflict(kind, earlier->block, vote.kind, vote.block)) continue;
    check(vote.view, vote.seat, kind);
    if (!earlier) continue;
    ballot.reported = true;
    Evidence evidence{s_.epoch->chain_id,
                      s_.epoch->number,
                      vote.view,
                      validator(vote.seat).key,
                      {kind, earlier->block, earlier->signature},
                      {vote.kind, vote.block, vote.signature}};
    if (std::pair(evidence.second.kind, evidence.second.block) <
        std::pair(evidence.first.kind, evidence.first.block))
      std::swap(evidence.first, evidence.second);
    out_.emplace_back(ReportEvidence{evidence});
  }
}

void Machine::tally(View view, VoteKind kind, const Digest& block) {
  const Slot* slot = find_slot(view);
  if (slot == nullptr || slot->ballots.empty()) return;
  if (kind == VoteKind::skip ? slot->skipped != nullptr
                             : kind == VoteKind::notarise && slot->notarised != nullptr)
    return;
  if (kind == VoteKind::finalise && s_.pending && s_.pending->view >= view) return;
  const auto cast_by = [&](std::size_t seat) {
    const auto& vote = slot->ballots[seat].votes[index(kind)];
    return vote && vote->block == block ? &*vote : nullptr;
  };
  // First whether there are enough; then those that are not checked yet, as many as it takes.
  Tally all(s_.epoch->validators), checked(s_.epoch->validators);
  for (std::size_t seat = 0; seat < slot->ballots.size(); ++seat) {
    const KeptVote* vote = cast_by(seat);
    if (vote == nullptr) continue;
    all.add(static_cast<Seat>(seat));
    if (vote->checked) checked.add(static_cast<Seat>(seat));
  }
  if (!all.is_quorum()) return;
  for (std::size_t seat = 0; seat < slot->ballots.size() && !checked.is_quorum(); ++seat) {
    const KeptVote* vote = cast_by(seat);
    if (vote == nullptr || vote->checked) continue;
    check(view, static_cast<Seat>(seat), kind);
    if (cast_by(seat) != nullptr) checked.add(static_cast<Seat>(seat));
  }
  if (!checked.is_quorum()) return;
  auto certificate = std::make_shared<Certificate>();
  certificate->epoch = s_.epoch->number;
  certificate->view = view;
  certificate->kind = kind;
  certificate->block = block;
  certificate->validators = static_cast<std::uint16_t>(s_.epoch->validators.size());
  for (std::size_t seat = 0; seat < slot->ballots.size(); ++seat) {
    const KeptVote* vote = cast_by(seat);
    if (vote == nullptr || !vote->checked) continue;
    certificate->signers.push_back(static_cast<Seat>(seat));
    certificate->signatures.push_back(vote->signature);
  }
  // Everyone counts the votes; for those who missed some, whom it helps most sees to it: the next leader
  // needs them in its view, this one wants its block final.
  const View helped = kind == VoteKind::finalise ? view : view + 1;
  if (s_.seat && leader(helped) == *s_.seat) out_.emplace_back(Broadcast{certificate});
  accept(certificate);
}

// A certificate that is known to be good.
void Machine::accept(const CertificatePtr& certificate) {
  const View view = certificate->view;
  if (certificate->kind == VoteKind::finalise && (!s_.pending || s_.pending->view < view)) {
    s_.pending = certificate;
    s_.pending_requested = false;
  }
  changed_ = true;
  if (!in_window(view)) return;
  Slot& slot = slot_of(view);
  s_.certified = std::max(s_.certified, view);
  if (view + s_.config.limits.kept < s_.view) slot.ballots = {};
  if (certificate->kind == VoteKind::skip) {
    slot.skipped = certificate;
    return;
  }
  if (!slot.notarised) slot.notarised = certificate;
  if (certificate->kind != VoteKind::notarise || !can_vote() || slot.own[index(VoteKind::finalise)]) return;
  if (slot.own[index(VoteKind::skip)] && !planted(Flaw::finalise_after_skip)) return;
  cast(VoteKind::finalise, view, certificate->block, nullptr, certificate);
}

void Machine::vote_to_skip(View view) {
  if (!can_vote() || !in_window(view)) return;
  const Slot& slot = slot_of(view);
  if (slot.notarised || slot.skipped) return;
  if (slot.own[index(VoteKind::skip)] || slot.own[index(VoteKind::finalise)]) return;
  cast(VoteKind::skip, view, {}, nullptr, nullptr);
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
