// Blocks: proposing, judging and finalising them, and fetching those that are missing.
#include <algorithm>
#include <utility>

#include "accounting/consensus/machine.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

void Machine::add_candidate(View view, ProposalPtr proposal, Validity validity) {
  Slot& slot = slot_of(view);
  s_.held_size += proposal->payload.size();
  slot.candidates.push_back({std::move(proposal), validity});
  changed_ = true;
}

void Machine::drop_candidate(Slot& slot, std::size_t index) {
  UFAB_ASSERT(s_.held_size >= slot.candidates[index].proposal->payload.size());
  s_.held_size -= slot.candidates[index].proposal->payload.size();
  slot.candidates.erase(slot.candidates.begin() + static_cast<std::ptrdiff_t>(index));
}

Candidate* Machine::find(Slot& slot, const Digest& block) {
  for (Candidate& candidate : slot.candidates) {
    if (candidate.proposal->digest == block) return &candidate;
  }
  return nullptr;
}

void Machine::on_message(const Peer& from, const ProposalPtr& proposal) {
  const Header& header = proposal->header;
  if (!in_window(header.view) || header.view > s_.view + proposals_ahead) return;
  if (header.chain_id != s_.epoch->chain_id || header.parent_view >= header.view ||
      proposal->payload.size() > s_.config.limits.payload_size ||
      (header.seal && !proposal->payload.empty())) {
    out_.emplace_back(Penalise{from, Offence::bad_proposal});
    return;
  }
  Slot& slot = slot_of(header.view);
  if (find(slot, proposal->digest) != nullptr) return;
  const Vote vote = propose_vote(*proposal);
  if (!is_good(vote)) {
    out_.emplace_back(Penalise{from, Offence::bad_proposal});
    return;
  }
  hear(vote);
  const bool wanted =
      slot.notarised ? slot.notarised->block == proposal->digest : is_needed(header.view, proposal->digest);
  if (!wanted && header.view < s_.view) return;
  if (s_.held_size + proposal->payload.size() > s_.config.limits.held_size) return;
  if (slot.candidates.size() >= 2) {
    if (!wanted) return;
    const auto& own = slot.own[index(VoteKind::notarise)];
    drop_candidate(slot, own && own->block == slot.candidates[0].proposal->digest ? 1 : 0);
  }
  add_candidate(header.view, proposal, Validity::unknown);
}

// After the epoch's last block there are seals only, and they stay at its height.
bool Machine::follows(const Header& header, std::uint64_t parent_height) const {
  if (parent_height == s_.epoch->last_height) return header.seal && header.height == parent_height;
  return !header.seal && header.height == parent_height + 1;
}

// The certificates are here that let this block be voted for: its parent's, and a skip for every view
// between.
bool Machine::extends(const Header& header) const {
  if (planted(Flaw::skipped_parent_check)) return true;
  if (header.parent_view < s_.tip.view) return false;
  if (header.parent_view == s_.tip.view) {
    if (header.parent != s_.tip.digest) return false;
  } else {
    const Slot* parent = find_slot(header.parent_view);
    if (parent == nullptr || !parent->notarised || parent->notarised->block != header.parent) return false;
  }
  for (View view = header.view - 1; view > header.parent_view; --view) {
    const Slot* slot = find_slot(view);
    if (slot == nullptr || !slot->skipped) return false;
  }
  return true;
}

// Whether the block and all its ancestors after the tip are valid. If that is not known, asks for the first
// thing that is missing: a body, or the application's word on the lowest ancestor that it has not judged.
bool Machine::make_valid(View view, const Digest& block) {
  UFAB_ASSERT(view > s_.tip.view);
  Candidate* lowest = nullptr;
  Digest digest = block;
  const Header* child = nullptr;
  CertificatePtr vouching;  // the lowest on the way: whoever signed it had what is below
  while (view > s_.tip.view) {
    const auto slot = s_.slots.find(view);
    if (slot != s_.slots.end() && slot->second.notarised) vouching = slot->second.notarised;
    Candidate* candidate = slot == s_.slots.end() ? nullptr : find(slot->second, digest);
    if (candidate == nullptr) {
      if (vouching) request_block(view, digest, *vouching);
      return false;
    }
    const Header& header = candidate->proposal->header;
    if (candidate->validity == Validity::invalid) return false;
    if (child != nullptr && !follows(*child, header.height)) {
      lowest->validity = Validity::invalid;
      return false;
    }
    if (candidate->validity == Validity::valid) break;
    lowest = candidate;
    child = &header;
    view = header.parent_view;
    digest = header.parent;
  }
  if (lowest == nullptr) return true;
  if (view <= s_.tip.view) {
    if (view != s_.tip.view || digest != s_.tip.digest || !follows(*child, s_.tip.height)) {
      lowest->validity = Validity::invalid;
      return false;
    }
  }
  if (lowest->validity == Validity::unknown) {
    if (child->seal) {
      lowest->validity = Validity::valid;
      changed_ = true;
      return false;
    }
    lowest->validity = Validity::asked;
    out_.emplace_back(ValidateBlock{lowest->proposal});
  }
  return false;
}

// The certificate is the block's own, or one of a block that builds on it: its own may be lost, when all who
// had it have crashed since.
void Machine::request_block(View view, const Digest& block, const Certificate& vouching) {
  Slot& slot = slot_of(view);
  if (slot.requested) return;
  const auto peer = signer_of(vouching);
  if (!peer) return;
  slot.requested = true;
  out_.emplace_back(Send{*peer, BlockRequest{s_.epoch->number, view, block}});
}

// Whether the newest notarised block builds on that one, as far as bodies are here.
bool Machine::is_needed(View view, const Digest& block) const {
  auto slot = s_.slots.rbegin();
  while (slot != s_.slots.rend() && !slot->second.notarised) ++slot;
  if (slot == s_.slots.rend()) return false;
  View at = slot->first;
  Digest digest = slot->second.notarised->block;
  while (at > view) {
    const Slot* here = find_slot(at);
    if (here == nullptr) return false;
    const auto& candidates = here->candidates;
    const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
      return candidate.proposal->digest == digest;
    });
    if (found == candidates.end()) return false;
    at = found->proposal->header.parent_view;
    digest = found->proposal->header.parent;
  }
  return at == view && digest == block;
}

void Machine::operator()(const BlockValidated& event) {
  const auto slot = s_.slots.find(event.view);
  if (slot == s_.slots.end()) return;
  Candidate* candidate = find(slot->second, event.block);
  if (candidate == nullptr || candidate->validity != Validity::asked) return;
  candidate->validity = event.valid ? Validity::valid : Validity::invalid;
  changed_ = true;
}

// The leader's part: extends the newest block that can be built on, once it knows all that is needed to.
void Machine::propose() {
  if (!can_vote() || !in_window(s_.view) || !s_.leading) return;
  if (s_.building || slot_of(s_.view).own[index(VoteKind::propose)]) return;
  BlockRef parent = s_.tip;
  for (View view = s_.view - 1; view > s_.tip.view; --view) {
    const Slot* slot = find_slot(view);
    if (slot == nullptr || (!slot->notarised && !slot->skipped)) return;
    if (!slot->notarised) continue;
    const Digest block = slot->notarised->block;
    if (!make_valid(view, block)) return;
    parent = {view, find(slot_of(view), block)->proposal->header.height, block};
    break;
  }
  if (parent.height == s_.epoch->last_height) return publish(parent, {});
  const bool full = s_.held_size > s_.config.limits.held_size / 2;
  s_.building = {s_.view, parent, s_.config.limits.payload_size};
  out_.emplace_back(
      BuildPayload{s_.view, parent, s_.building->bytes_max, full ? 0 : s_.config.timing.fill_ms, full});
}

void Machine::operator()(const PayloadReady& event) {
  if (!s_.building || s_.building->view != event.view || !can_vote()) return;
  UFAB_ASSERT(event.view == s_.view && event.payload.size() <= s_.building->bytes_max);
  // Without room for it the view passes: others would not take it either. `building` stays, so that it is not
  // asked for again in this view.
  if (s_.held_size + event.payload.size() > s_.config.limits.held_size) return;
  const BlockRef parent = s_.building->parent;
  s_.building.reset();
  publish(parent, event.payload);
}

void Machine::publish(const BlockRef& parent, Bytes payload) {
  Header header;
  header.chain_id = s_.epoch->chain_id;
  header.epoch = s_.epoch->number;
  header.view = s_.view;
  header.seal = parent.height == s_.epoch->last_height;
  header.height = header.seal ? parent.height : parent.height + 1;
  header.parent_view = parent.view;
  header.parent = parent.digest;
  const auto proposal =
      std::make_shared<const Proposal>(make_proposal(header, std::move(payload), *s_.config.signer));
  // Its own application made it.
  add_candidate(s_.view, proposal, Validity::valid);
  cast(VoteKind::propose, s_.view, proposal->digest, proposal, nullptr);
}

void Machine::vote() {
  if (!can_vote() || !in_window(s_.view)) return;
  Slot& slot = slot_of(s_.view);
  for (std::size_t i = 0; i < slot.candidates.size(); ++i) {
    const auto& own = slot.own[index(VoteKind::notarise)];
    const ProposalPtr proposal = slot.candidates[i].proposal;
    const bool again = planted(Flaw::second_vote) && i == 1;
    if (own && !(again && own->block == slot.candidates[0].proposal->digest)) continue;
    if (!extends(proposal->header) || !make_valid(s_.view, proposal->digest)) continue;
    const bool on_disk = slot.own[index(VoteKind::propose)].has_value();
    cast(VoteKind::notarise, s_.view, proposal->digest, on_disk ? nullptr : proposal, nullptr);
  }
}

// Delivers what the newest finalise certificate covers, if every block of it is here.
void Machine::finalise() {
  if (!s_.pending) return;
  if (s_.pending->view <= s_.tip.view) {
    s_.pending = nullptr;
    s_.pending_from.reset();
    return;
  }
  std::vector<ProposalPtr> blocks;
  View view = s_.pending->view;
  Digest digest = s_.pending->block;
  while (view > s_.tip.view) {
    const auto slot = s_.slots.find(view);
    const Candidate* candidate = slot == s_.slots.end() ? nullptr : find(slot->second, digest);
    if (candidate == nullptr) {
      if (s_.pending_requested) return;
      const auto peer = s_.pending_from ? s_.pending_from : signer_of(*s_.pending);
      s_.pending_requested = true;
      s_.pending_from.reset();
      if (peer) request_chain(*peer);
      return;
    }
    blocks.push_back(candidate->proposal);
    view = candidate->proposal->header.parent_view;
    digest = candidate->proposal->header.parent;
  }
  if (view != s_.tip.view || digest != s_.tip.digest) {
    s_.halted = true;
    out_.emplace_back(ReportFork{s_.tip_proof, s_.pending});
    return;
  }
  std::reverse(blocks.begin(), blocks.end());
  deliver(blocks, s_.pending);
}

void Machine::deliver(const std::vector<ProposalPtr>& blocks, const CertificatePtr& certificate) {
  for (const ProposalPtr& block : blocks) {
    const Header& header = block->header;
    UFAB_ASSERT(header.parent == s_.tip.digest && header.parent_view == s_.tip.view);
    s_.tip = {header.view, header.height, block->digest};
    if (!header.seal) s_.last = s_.tip;
    out_.emplace_back(Deliver{block, certificate});
  }
  s_.tip_proof = certificate;
  s_.certified = std::max(s_.certified, s_.tip.view);
  while (!s_.slots.empty() && s_.slots.begin()->first <= s_.tip.view) {
    Slot& slot = s_.slots.begin()->second;
    while (!slot.candidates.empty()) drop_candidate(slot, slot.candidates.size() - 1);
    s_.slots.erase(s_.slots.begin());
  }
  if (s_.pending && s_.pending->view <= s_.tip.view) s_.pending = nullptr;
  changed_ = true;
  if (s_.tip.height != s_.epoch->last_height) {
    if (!s_.remembered.empty()) remember(std::exchange(s_.remembered, {}));
    return;
  }
  s_.ended = true;
  s_.slots.clear();
  s_.held_size = 0;
  s_.building.reset();
  s_.pending = nullptr;
  out_.emplace_back(CancelTimer{Timer::view});
  out_.emplace_back(EpochEnded{s_.epoch->number, s_.last});
}

void Machine::operator()(const ChainReceived& event) {
  const CertificatePtr& certificate = event.certificate;
  if (s_.ended || !certificate || certificate->epoch != s_.epoch->number) return;
  if (certificate->view <= s_.tip.view) return;
  std::vector<ProposalPtr> blocks;
  BlockRef tip = s_.tip;
  bool sound = certificate->kind == VoteKind::finalise;
  for (const ProposalPtr& block : event.blocks) {
    const Header& header = block->header;
    if (header.view <= s_.tip.view && blocks.empty()) continue;  // came by another way meanwhile
    // The answer to a question of an earlier life, which had come further: nobody's fault.
    if (header.parent_view > s_.tip.view && blocks.empty()) return;
    sound = sound && header.parent == tip.digest && header.parent_view == tip.view &&
            header.view > tip.view && follows(header, tip.height);
    tip = {header.view, header.height, block->digest};
    blocks.push_back(block);
  }
  sound = sound && tip.digest == certificate->block && tip.view == certificate->view &&
          verify_certificate(s_.epoch->chain_id, s_.epoch->validators, *certificate, *s_.config.scheme);
  // No digest covers a leader's signature, and whoever gets the block from here needs it.
  const auto is_signed = [&](const ProposalPtr& block) { return is_good(propose_vote(*block)); };
  if (!planted(Flaw::unsigned_chain)) sound = sound && std::all_of(blocks.begin(), blocks.end(), is_signed);
  if (!sound) {
    out_.emplace_back(Penalise{event.from, Offence::bad_chain});
    return;
  }
  deliver(blocks, certificate);
  // There may be more where that came from, in this epoch or, once it has begun, in the next.
  s_.chain_from = event.from;
  if (s_.ended) return;
  s_.pending_requested = true;
  out_.emplace_back(RequestChain{event.from, s_.epoch->number, s_.tip.view});
}

std::size_t memory_bound(const Limits& limits, std::size_t validators) {
  const std::size_t certificate = sizeof(Certificate) + validators * (sizeof(Seat) + sizeof(Signature));
  const std::size_t slot = sizeof(Slot) + 2 * certificate + 2 * (sizeof(Candidate) + sizeof(Proposal));
  const std::size_t ballots = (limits.ahead + limits.kept + 1 + limits.open) * validators * sizeof(Ballot);
  return sizeof(State) + limits.window * slot + ballots + limits.held_size + 3 * certificate +
         (limits.peers + validators) * sizeof(std::pair<Peer, State::Courtesy>);
}

std::size_t memory_used(const State& state) {
  const auto certificate = [](const CertificatePtr& c) {
    return c ? sizeof(Certificate) + c->signers.size() * (sizeof(Seat) + sizeof(Signature)) : 0;
  };
  std::size_t used = sizeof(State) + certificate(state.tip_proof) + certificate(state.previous_proof) +
                     certificate(state.pending) +
                     state.courtesies.size() * sizeof(std::pair<Peer, State::Courtesy>);
  for (const auto& [view, slot] : state.slots) {
    used += sizeof(Slot) + certificate(slot.notarised) + certificate(slot.skipped) +
            slot.ballots.size() * sizeof(Ballot);
    for (const Candidate& candidate : slot.candidates)
      used += sizeof(Candidate) + sizeof(Proposal) + candidate.proposal->payload.size();
  }
  return used;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
