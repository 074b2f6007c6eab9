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
  if (place && place->first != vote.block) return;
  if (!place) place.emplace(vote.block, vote.signature);
  if (vote.kind != VoteKind::propose) to_tally_.push_back({vote.view, vote.kind, vote.block});
}

void Machine::report(Ballot& ballot, const Vote& vote) {
  for (const VoteKind kind : {VoteKind::propose, VoteKind::notarise, VoteKind::skip, VoteKind::finalise}) {
    const auto& earlier = ballot.votes[index(kind)];
    if (ballot.reported || !earlier || !votes_conflict(kind, earlier->first, vote.kind, vote.block)) continue;
    ballot.reported = true;
    Evidence evidence{s_.epoch->chain_id,
                      s_.epoch->number,
                      vote.view,
                      validator(vote.seat).key,
                      {kind, earlier->first, earlier->second},
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
  auto certificate = std::make_shared<Certificate>();
  certificate->epoch = s_.epoch->number;
  certificate->view = view;
  certificate->kind = kind;
  certificate->block = block;
  certificate->validators = static_cast<std::uint16_t>(s_.epoch->validators.size());
  Tally sum(s_.epoch->validators);
  for (std::size_t seat = 0; seat < slot->ballots.size(); ++seat) {
    const auto& vote = slot->ballots[seat].votes[index(kind)];
    if (!vote || vote->first != block) continue;
    sum.add(static_cast<Seat>(seat));
    certificate->signers.push_back(static_cast<Seat>(seat));
    certificate->signatures.push_back(vote->second);
  }
  if (!sum.is_quorum()) return;
  // Everyone counts the votes; those who lead this view and the next see to those who missed some.
  if (s_.seat && (leader(view) == *s_.seat || leader(view + 1) == *s_.seat))
    out_.emplace_back(Broadcast{certificate});
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
