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
  bool forges = false;          // certificates of too few, signatures of others, seats of an old list
  bool floods = false;          // votes of far views, requests without end
  std::uint64_t withheld = 0;   // percent of its messages that it keeps to itself
};

[[nodiscard]] Vices draw_vices(Rng& rng);

class Meddler {
 public:
  using SendTo = std::function<void(std::size_t to, const Message& message)>;
  Meddler(World& world, std::size_t number, std::uint64_t seed, const Vices& vices, SendTo send)
      : world_(world), number_(number), rng_(seed), vices_(vices), send_(std::move(send)) {}

  // Everything that it receives, with the state of its ordinary self.
  void on_message(const Message& message, const State& state);

 private:
  struct Known {
    std::vector<ProposalPtr> proposals;
    std::map<std::pair<VoteKind, Digest>, std::map<Seat, Signature>> votes;
  };
  void learn(const Message& message);
  void learn(const Vote& vote, Known& known) const;
  void equivocate(const Epoch& epoch, Seat seat, View view);
  void propose(const Epoch& epoch, const State& state);
  void forge(const Epoch& epoch, View view);
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
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
