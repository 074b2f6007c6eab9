// What a dishonest member does besides taking part: it signs what it must not, forges what it can, and
// floods.
#pragma once

#include <functional>

#include "accounting/consensus/sim/member.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

struct Vices {
  bool second_self = false;     // two nodes with one key, each talking to some of the others
  bool equivocates = false;     // votes for several blocks, finalises and skips
  bool proposes_twice = false;  // as leader: several blocks, on parents of its liking
  bool forges = false;          // certificates of too few or made of true ones, signatures of others
  bool stale_list = false;      // votes, proposes and certifies as if the epoch before were not over
  bool floods = false;          // votes of far views, requests without end
  bool spams = false;           // bursts of replays and of random messages
  std::uint64_t withheld = 0;   // percent of its messages that it keeps to itself
  bool late = false;            // … for some time
};

[[nodiscard]] Vices draw_vices(Rng& rng);

class Meddler {
 public:
  using SendTo = std::function<void(std::size_t to, const Message& message)>;
  Meddler(World& world, std::size_t number, std::uint64_t seed, const Vices& vices, SendTo send)
      : world_(world), number_(number), rng_(seed), vices_(vices), send_(std::move(send)) {}

  // Everything that it receives, with the state of its ordinary self.
  void on_message(const Message& message, const State& state);

  struct Counts {
    std::uint64_t stale_lists = 0, forgeries = 0, spam = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Known {
    std::vector<ProposalPtr> proposals;
    std::map<std::pair<VoteKind, Digest>, std::map<Seat, Signature>> votes;
  };
  void learn(const Message& message);
  void learn(const Vote& vote, Known& known) const;
  void equivocate(const Epoch& epoch, Seat seat, View view);
  void propose(const Epoch& epoch, const State& state);
  [[nodiscard]] ProposalPtr signed_block(const Epoch& epoch, View view, const BlockRef& parent);
  void forge(const Epoch& epoch, View view);
  void forge_from_true(const Epoch& epoch);
  void use_stale_list(const Epoch& epoch, const State& state, View view);
  void spam(const Epoch& epoch, View view);
  [[nodiscard]] Message random_message(const Epoch& epoch, View view);
  void flood(const Epoch& epoch, Seat seat, View view);
  [[nodiscard]] Vote signed_vote(const Epoch& epoch, Seat seat, VoteKind kind, View view,
                                 const Digest& block) const;
  [[nodiscard]] Digest some_block(View view);
  void send_to_some(const Message& message);

  World& world_;
  std::size_t number_;
  Rng rng_;
  Vices vices_;
  SendTo send_;
  std::uint64_t epoch_ = 0;
  std::map<View, Known> known_;  // of that epoch, the newest views
  EpochPtr current_, previous_;
  CertificatePtr last_true_,
      previous_true_;           // a certificate that it has seen, of that epoch and the one before
  std::vector<Message> heard_;  // some, for replays
  Counts counts_;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
