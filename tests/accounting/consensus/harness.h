// One node's step function under a test's hand, and votes and blocks by whoever is to have signed them.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <vector>

#include "accounting/consensus/sim/hash_scheme.h"
#include "accounting/consensus/simplex.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

using Seats = std::initializer_list<Seat>;

inline const HashScheme& cheap_scheme() {
  static const HashScheme scheme;
  return scheme;
}

inline const HashSigner& signer(std::uint64_t number) {
  static const std::vector<HashSigner> signers = [] {
    std::vector<HashSigner> made;
    for (std::uint64_t i = 0; i < 16; ++i) made.emplace_back(i);
    return made;
  }();
  return signers.at(number);
}

// Seat i has key i; the leader of view v is seat (v - 1) mod n.
inline std::shared_ptr<Epoch> make_epoch(const std::vector<std::uint64_t>& weights,
                                         const std::vector<std::uint64_t>& stakes = {}) {
  std::vector<Validator> validators;
  for (std::size_t i = 0; i < weights.size(); ++i)
    validators.push_back({signer(i).public_key(), weights[i], stakes.empty() ? weights[i] : stakes[i]});
  auto set = ValidatorSet::make(std::move(validators));
  UFAB_ASSERT(set.ok());
  const std::size_t count = weights.size();
  return std::make_shared<Epoch>(Epoch{sha256("a chain"), 3, std::move(*set),
                                       [count](View view) { return static_cast<Seat>((view - 1) % count); },
                                       BlockRef{0, 100, sha256("anchor")}, 1000});
}

inline Vote make_vote(const Epoch& epoch, Seat seat, VoteKind kind, View view, const Digest& block = {}) {
  Vote vote{epoch.number, view, kind, block, seat, {}};
  vote.signature = signer(seat).sign(vote_signing_bytes(epoch.chain_id, epoch.number, view, kind, block));
  return vote;
}

inline CertificatePtr make_certificate(const Epoch& epoch, const std::vector<Seat>& seats, VoteKind kind,
                                       View view, const Digest& block = {}) {
  auto certificate = std::make_shared<Certificate>();
  certificate->epoch = epoch.number;
  certificate->view = view;
  certificate->kind = kind;
  certificate->block = block;
  certificate->validators = static_cast<std::uint16_t>(epoch.validators.size());
  for (const Seat seat : seats) {
    certificate->signers.push_back(seat);
    certificate->signatures.push_back(make_vote(epoch, seat, kind, view, block).signature);
  }
  return certificate;
}

// By the view's leader.
inline ProposalPtr make_block(const Epoch& epoch, View view, const BlockRef& parent, const char* payload) {
  Header header;
  header.chain_id = epoch.chain_id;
  header.epoch = epoch.number;
  header.view = view;
  header.seal = parent.height == epoch.last_height;
  header.height = header.seal ? parent.height : parent.height + 1;
  header.parent_view = parent.view;
  header.parent = parent.digest;
  const ByteView bytes = as_bytes(payload);
  return std::make_shared<const Proposal>(
      make_proposal(header, Bytes(bytes.begin(), bytes.end()), signer(epoch.leader(view))));
}

inline BlockRef ref_of(const ProposalPtr& block) {
  return {block->header.view, block->header.height, block->digest};
}

struct TestNode {
  Config config;
  EpochPtr epoch;
  State state;
  Actions all;            // of its whole life
  Actions latest;         // of the last step
  bool validates = true;  // answers ValidateBlock itself, with yes

  TestNode(EpochPtr e, std::uint64_t number, std::optional<std::vector<VoteRecord>> log = {{}},
           Limits limits = {})
      : epoch(std::move(e)) {
    config.limits = limits;
    config.scheme = &cheap_scheme();
    config.signer = &signer(number);
    Started started = start(config, {epoch, epoch->anchor, epoch->anchor, nullptr, std::move(log)});
    state = std::move(started.state);
    latest = all = started.actions;
  }

  void give(const Event& event) {
    latest = step(state, event);
    all.insert(all.end(), latest.begin(), latest.end());
    if (!validates) return;
    const Actions done = latest;
    for (const Action& action : done) {
      if (const auto* validate = std::get_if<ValidateBlock>(&action)) {
        const Actions before = latest;
        give(BlockValidated{validate->block->header.view, validate->block->digest, true});
        latest.insert(latest.begin(), before.begin(), before.end());
      }
    }
  }
  void hear(Seat from, const Message& message) { give(MessageReceived{signer(from).public_key(), message}); }
  void hear_vote(Seat from, VoteKind kind, View view, const Digest& block = {}) {
    hear(from, make_vote(*epoch, from, kind, view, block));
  }
  void time_out() { give(TimerFired{Timer::view, state.view}); }
  void stand_still() { give(TimerFired{Timer::standstill, 0}); }

  template <typename A>
  [[nodiscard]] std::vector<A> of(const Actions& actions) const {
    std::vector<A> found;
    for (const Action& action : actions) {
      if (const auto* wanted = std::get_if<A>(&action)) found.push_back(*wanted);
    }
    return found;
  }
  template <typename A>
  [[nodiscard]] std::vector<A> latest_of() const {
    return of<A>(latest);
  }
  template <typename A>
  [[nodiscard]] std::vector<A> all_of() const {
    return of<A>(all);
  }

  // What was broadcast of one kind in the whole life.
  [[nodiscard]] std::vector<Vote> votes(VoteKind kind) const {
    std::vector<Vote> found;
    for (const Broadcast& broadcast : all_of<Broadcast>()) {
      const auto* vote = std::get_if<Vote>(&broadcast.message);
      if (vote != nullptr && vote->kind == kind &&
          std::find(found.begin(), found.end(), *vote) == found.end())
        found.push_back(*vote);
    }
    return found;
  }
  [[nodiscard]] std::vector<VoteRecord> log() const {
    std::vector<VoteRecord> records;
    for (const PersistVote& persist : all_of<PersistVote>()) records.push_back(persist.record);
    return records;
  }
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
