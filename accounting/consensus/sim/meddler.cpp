#include "accounting/consensus/sim/meddler.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {
constexpr std::size_t known_views_max = 12;
constexpr std::size_t known_proposals_max = 6;  // of a view
constexpr std::size_t heard_max = 64;
constexpr int spam_burst = 64;
}  // namespace

Vices draw_vices(Rng& rng) {
  Vices vices;
  vices.second_self = rng.one_in(3);
  vices.equivocates = rng.one_in(2);
  vices.proposes_twice = rng.one_in(2);
  vices.forges = rng.one_in(2);
  vices.stale_list = rng.one_in(3);
  vices.floods = rng.one_in(4);
  vices.spams = rng.one_in(4);
  vices.withheld = rng.one_in(2) ? 0 : rng.between(10, 100);
  vices.late = rng.one_in(2);
  return vices;
}

void Meddler::on_message(const Message& message, const State& state) {
  if (state.ended || state.halted) return;
  if (state.epoch->number != epoch_) {
    epoch_ = state.epoch->number;
    known_.clear();
    previous_ = current_;
    current_ = world_.epoch(state.epoch->number, state.epoch->anchor);
    previous_true_ = std::exchange(last_true_, nullptr);
  }
  learn(message);
  const EpochPtr epoch = current_;
  const auto seat = epoch->validators.find(world_.key(number_));
  const View view = state.view - (state.view > 2 ? rng_.below(3) : 0) + rng_.below(2);
  if (seat && vices_.equivocates && rng_.one_in(8)) equivocate(*epoch, *seat, view);
  if (seat && vices_.proposes_twice && epoch->leader(state.view) == *seat && rng_.one_in(6))
    propose(*epoch, state);
  if (vices_.forges && rng_.one_in(8)) forge(*epoch, view);
  if (vices_.forges && rng_.one_in(16)) forge_from_true(*epoch);
  if (vices_.stale_list && rng_.one_in(8)) use_stale_list(*epoch, state, view);
  if (seat && vices_.floods && rng_.one_in(4)) flood(*epoch, *seat, view);
  if (vices_.spams && rng_.one_in(64)) spam(*epoch, view);
}

void Meddler::learn(const Vote& vote, Known& known) const {
  if (known.votes.size() < 16 || known.votes.contains({vote.kind, vote.block}))
    known.votes[{vote.kind, vote.block}].emplace(vote.seat, vote.signature);
}

void Meddler::learn(const Message& message) {
  if (vices_.spams && heard_.size() < heard_max) {
    heard_.push_back(message);
  } else if (vices_.spams && rng_.one_in(8)) {
    heard_[rng_.below(heard_.size())] = message;
  }
  if (const auto* vote = std::get_if<Vote>(&message)) {
    if (vote->epoch == epoch_) learn(*vote, known_[vote->view]);
  } else if (const auto* proposal = std::get_if<ProposalPtr>(&message)) {
    if ((*proposal)->header.epoch != epoch_) return;
    auto& proposals = known_[(*proposal)->header.view].proposals;
    const bool seen = std::any_of(proposals.begin(), proposals.end(),
                                  [&](const ProposalPtr& p) { return p->digest == (*proposal)->digest; });
    if (!seen && proposals.size() < known_proposals_max) proposals.push_back(*proposal);
  } else if (const auto* certificate = std::get_if<CertificatePtr>(&message)) {
    const Certificate& c = **certificate;
    if (c.epoch != epoch_) return;
    last_true_ = *certificate;
    for (std::size_t i = 0; i < c.signers.size(); ++i)
      learn({c.epoch, c.view, c.kind, c.block, c.signers[i], c.signatures[i]}, known_[c.view]);
  }
  while (known_.size() > known_views_max) known_.erase(known_.begin());
}

Vote Meddler::signed_vote(const Epoch& epoch, Seat seat, VoteKind kind, View view,
                          const Digest& block) const {
  Vote vote{epoch.number, view, kind, kind == VoteKind::skip ? Digest{} : block, seat, {}};
  vote.signature =
      world_.signer(number_).sign(vote_signing_bytes(epoch.chain_id, epoch.number, view, kind, vote.block));
  return vote;
}

Digest Meddler::some_block(View view) {
  const auto known = known_.find(view);
  if (known == known_.end() || known->second.proposals.empty() || rng_.one_in(8))
    return sha256("nothing " + std::to_string(rng_.below(3)));
  return known->second.proposals[rng_.below(known->second.proposals.size())]->digest;
}

void Meddler::send_to_some(const Message& message) {
  for (std::size_t to = 0; to < world_.size(); ++to) {
    if (to != number_ && rng_.one_in(2)) send_(to, message);
  }
}

void Meddler::equivocate(const Epoch& epoch, Seat seat, View view) {
  const Digest first = some_block(view), second = some_block(view);
  send_to_some(signed_vote(epoch, seat, VoteKind::notarise, view, first));
  send_to_some(signed_vote(epoch, seat, VoteKind::notarise, view, second));
  if (rng_.one_in(2)) send_to_some(signed_vote(epoch, seat, VoteKind::skip, view, {}));
  if (rng_.one_in(2)) send_to_some(signed_vote(epoch, seat, VoteKind::finalise, view, first));
  if (rng_.one_in(4)) send_to_some(signed_vote(epoch, seat, VoteKind::finalise, view, second));
}

// On the finalised tip, on any block that it knows, notarised or not, over skipped views or not.
void Meddler::propose(const Epoch& epoch, const State& state) {
  for (int i = 0; i < 2; ++i) {
    BlockRef parent = state.tip;
    if (rng_.percent(70)) {
      std::vector<ProposalPtr> choice;
      for (const auto& [view, known] : known_) {
        for (const ProposalPtr& proposal : known.proposals) {
          if (view < state.view) choice.push_back(proposal);
        }
      }
      if (!choice.empty()) {
        const ProposalPtr& chosen = choice[rng_.below(choice.size())];
        parent = {chosen->header.view, chosen->header.height, chosen->digest};
      }
    }
    const ProposalPtr proposal = signed_block(epoch, state.view, parent);
    learn(Message(proposal));
    send_to_some(proposal);
  }
}

ProposalPtr Meddler::signed_block(const Epoch& epoch, View view, const BlockRef& parent) {
  Header header;
  header.chain_id = epoch.chain_id;
  header.epoch = epoch.number;
  header.view = view;
  header.seal = parent.height == epoch.last_height;
  header.height = header.seal ? parent.height : parent.height + 1;
  header.parent_view = parent.view;
  header.parent = parent.digest;
  Bytes payload;
  if (!header.seal) payload = {1, static_cast<std::uint8_t>(rng_.below(3))};
  return std::make_shared<const Proposal>(make_proposal(header, payload, world_.signer(number_)));
}

// Made of true signatures as far as there are any, and of garbage; too few, or under other seats' names.
void Meddler::forge(const Epoch& epoch, View view) {
  const VoteKind kinds[] = {VoteKind::notarise, VoteKind::skip, VoteKind::finalise};
  const VoteKind kind = kinds[rng_.below(3)];
  auto certificate = std::make_shared<Certificate>();
  certificate->epoch = epoch.number;
  certificate->view = view;
  certificate->kind = kind;
  certificate->block = kind == VoteKind::skip ? Digest{} : some_block(view);
  certificate->validators = static_cast<std::uint16_t>(epoch.validators.size());
  const auto known = known_.find(view);
  const bool garbage = rng_.one_in(2);
  for (std::size_t i = 0; i < epoch.validators.size(); ++i) {
    const Seat seat = static_cast<Seat>(i);
    Signature signature;
    bool has = epoch.validators[seat].key == world_.key(number_);
    if (has) signature = signed_vote(epoch, seat, kind, view, certificate->block).signature;
    if (!has && known != known_.end()) {
      const auto votes = known->second.votes.find({kind, certificate->block});
      if (votes != known->second.votes.end() && votes->second.contains(seat)) {
        signature = votes->second.at(seat);
        has = true;
      }
    }
    if (!has && !garbage) continue;
    if (!has) signature.bytes[rng_.below(64)] = static_cast<std::uint8_t>(rng_.below(256));
    certificate->signers.push_back(seat);
    certificate->signatures.push_back(signature);
  }
  ++counts_.forgeries;
  if (!certificate->signers.empty()) send_to_some(CertificatePtr(certificate));
  // A vote with its own true signature under a seat that another has now.
  const Seat other = static_cast<Seat>(rng_.below(epoch.validators.size()));
  if (epoch.validators[other].key != world_.key(number_))
    send_to_some(signed_vote(epoch, other, kind, view, some_block(view)));
}

void Meddler::flood(const Epoch& epoch, Seat seat, View view) {
  const View far = view + rng_.below(1000);
  for (int i = 0; i < 3; ++i) {
    const std::string name = "flood " + std::to_string(rng_.below(1000));
    send_to_some(signed_vote(epoch, seat, VoteKind::notarise, far, sha256(name)));
    send_to_some(BlockRequest{epoch.number, view, some_block(view)});
  }
}

// A true certificate under another label: kind, view, epoch, block, number of validators, or a signer less.
void Meddler::forge_from_true(const Epoch& epoch) {
  if (!last_true_ || last_true_->signers.size() < 2) return;
  auto forged = std::make_shared<Certificate>(*last_true_);
  const bool skips = forged->kind == VoteKind::skip;
  switch (rng_.below(6)) {
    case 0:
      forged->kind = forged->kind == VoteKind::finalise ? VoteKind::notarise : VoteKind::finalise;
      if (skips) forged->block = some_block(forged->view);
      break;
    case 1: forged->view += rng_.between(1, 3); break;
    case 2: ++forged->epoch; break;
    case 3:
      if (!skips) forged->block = sha256("another " + std::to_string(rng_.below(3)));
      if (skips) ++forged->view;
      break;
    case 4: forged->validators = static_cast<std::uint16_t>(epoch.validators.size() + 1); break;
    case 5:
      forged->signers.pop_back();
      forged->signatures.pop_back();
      std::swap(forged->signatures.front(), forged->signatures.back());
      break;
  }
  ++counts_.forgeries;
  send_to_some(CertificatePtr(forged));
}

// As the list of the epoch before has it: its own seat and turn to lead in that list, and a certificate by
// its validators for this epoch.
void Meddler::use_stale_list(const Epoch& epoch, const State& state, View view) {
  if (!previous_) return;
  ++counts_.stale_lists;
  if (const auto seat = previous_->validators.find(world_.key(number_))) {
    const VoteKind kinds[] = {VoteKind::notarise, VoteKind::skip, VoteKind::finalise};
    send_to_some(signed_vote(epoch, *seat, kinds[rng_.below(3)], view, some_block(view)));
    send_to_some(signed_vote(*previous_, *seat, kinds[rng_.below(3)], view, some_block(view)));
    if (previous_->leader(state.view) == *seat) send_to_some(signed_block(epoch, state.view, state.tip));
  }
  if (!previous_true_) return;
  auto relabelled = std::make_shared<Certificate>(*previous_true_);
  relabelled->epoch = epoch.number;
  relabelled->view = view;
  if (relabelled->validators > 0) send_to_some(CertificatePtr(relabelled));
  send_to_some(previous_true_);
}

void Meddler::spam(const Epoch& epoch, View view) {
  for (int i = 0; i < spam_burst; ++i) {
    ++counts_.spam;
    const std::size_t to = rng_.below(world_.size());
    const bool replay = !heard_.empty() && rng_.one_in(2);
    const Message message = replay ? heard_[rng_.below(heard_.size())] : random_message(epoch, view);
    if (to != number_) send_(to, message);
  }
}

// Well-formed, and nothing else. Some votes carry its own true signature.
Message Meddler::random_message(const Epoch& epoch, View view) {
  const std::uint64_t number = epoch.number - rng_.below(2) + rng_.below(2);
  const View where = rng_.one_in(2) ? view + rng_.below(4) : rng_.next() >> rng_.between(32, 60);
  const Digest block = sha256("spam " + std::to_string(rng_.next()));
  const auto kind = static_cast<VoteKind>(rng_.between(2, 4));
  Signature signature;
  for (std::uint8_t& byte : signature.bytes) byte = static_cast<std::uint8_t>(rng_.below(256));
  switch (rng_.below(4)) {
    case 0: return BlockRequest{number, where, block};
    case 1: {
      auto certificate = std::make_shared<Certificate>();
      certificate->epoch = number;
      certificate->view = where;
      certificate->kind = kind;
      if (kind != VoteKind::skip) certificate->block = block;
      certificate->validators = static_cast<std::uint16_t>(epoch.validators.size());
      for (std::size_t i = 0; i < epoch.validators.size(); ++i) {
        certificate->signers.push_back(static_cast<Seat>(i));
        certificate->signatures.push_back(signature);
      }
      return CertificatePtr(certificate);
    }
    case 2:
      if (const auto seat = epoch.validators.find(world_.key(number_)))
        return signed_vote(epoch, *seat, kind, where, block);
      break;
    default: break;
  }
  const auto seat = static_cast<Seat>(rng_.below(epoch.validators.size()));
  return Vote{number, where, kind, kind == VoteKind::skip ? Digest{} : block, seat, signature};
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
