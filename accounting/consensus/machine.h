// The inside of step(): one object per call, over the caller's state. Handlers note facts (a vote, a
// certificate, a body); settle() then draws every conclusion from the facts until nothing changes. No handler
// concludes anything itself, so that the order in which facts arrive cannot leave a conclusion undrawn.
#pragma once

#include "accounting/consensus/simplex.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

class Machine {
 public:
  Machine(State& state, Actions& actions) : s_(state), out_(actions) {}

  void restore(const Restored& restored);
  void operator()(const MessageReceived& event);
  void operator()(const TimerFired& event);
  void operator()(const PayloadReady& event);
  void operator()(const BlockValidated& event);
  void operator()(const ChainReceived& event);
  void operator()(const EpochBegins& event);
  void settle();

 private:
  // simplex.cpp: views, timers, repair
  void begin_epoch(const EpochPtr& epoch);
  void remember(const std::vector<VoteRecord>& records);
  void on_message(const Peer& from, const Vote& vote);
  void on_message(const Peer& from, const CertificatePtr& certificate);
  void on_message(const Peer& from, const ProposalPtr& proposal);
  void on_message(const Peer& from, const BlockRequest& request);
  [[nodiscard]] bool of_this_epoch(const Peer& from, const Message& message);
  void help(const Peer& from, View view);
  void on_hint(const Peer& from);
  [[nodiscard]] State::Courtesy* courtesy_for(const Peer& peer);
  void rebroadcast();
  void rebroadcast_slot(View view, const Slot& slot);
  void advance();
  void enter(View view);
  void trim(View from, View to);
  [[nodiscard]] bool keeps_votes_of(View view);
  [[nodiscard]] Slot* newest_open_beyond(std::size_t count);
  void open_ballots(Slot& slot);
  void request_chain(const Peer& from);
  [[nodiscard]] std::optional<Peer> signer_of(const Certificate& certificate) const;
  [[nodiscard]] std::uint64_t view_ms() const;

  // votes.cpp
  void cast(VoteKind kind, View view, const Digest& block, ProposalPtr proposal, CertificatePtr certificate);
  void persist_and_broadcast(VoteRecord record, Message message);
  [[nodiscard]] bool is_good(const Vote& vote) const;
  void hear(const Vote& vote);
  [[nodiscard]] bool hear_unchecked(const Peer& from, const Vote& vote);
  void check(View view, Seat seat, VoteKind kind);
  [[nodiscard]] bool is_known(const Certificate& certificate, std::size_t signer) const;
  void report(Ballot& ballot, const Vote& vote);
  void tally(View view, VoteKind kind, const Digest& block);
  void accept(const CertificatePtr& certificate);
  void vote_to_skip(View view);

  // blocks.cpp
  void add_candidate(View view, ProposalPtr proposal, Validity validity);
  void drop_candidate(Slot& slot, std::size_t index);
  [[nodiscard]] static Candidate* find(Slot& slot, const Digest& block);
  [[nodiscard]] bool follows(const Header& header, std::uint64_t parent_height) const;
  [[nodiscard]] bool extends(const Header& header) const;
  [[nodiscard]] bool make_valid(View view, const Digest& block);
  void request_block(View view, const Digest& block, const Certificate& vouching);
  [[nodiscard]] bool is_needed(View view, const Digest& block) const;
  void propose();
  void publish(const BlockRef& parent, Bytes payload);
  void vote();
  void finalise();
  void deliver(const std::vector<ProposalPtr>& blocks, const CertificatePtr& certificate);

  [[nodiscard]] bool can_vote() const { return s_.seat && !s_.observer && !s_.ended && !s_.halted; }
  [[nodiscard]] Seat leader(View view) const { return s_.epoch->leader(view); }
  [[nodiscard]] const Validator& validator(Seat seat) const { return s_.epoch->validators[seat]; }
  [[nodiscard]] bool in_window(View view) const {
    return view > s_.tip.view && view - s_.tip.view <= s_.config.limits.window;
  }
  [[nodiscard]] Vote propose_vote(const Proposal& proposal) const;
  Slot& slot_of(View view);
  [[nodiscard]] const Slot* find_slot(View view) const;
  [[nodiscard]] static std::size_t index(VoteKind kind) { return static_cast<std::size_t>(kind) - 1; }

  struct ToTally {
    View view;
    VoteKind kind;
    Digest block;
  };
  State& s_;
  Actions& out_;
  std::vector<ToTally> to_tally_;
  bool changed_ = false;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
