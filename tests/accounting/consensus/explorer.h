// Every interleaving of a small cluster over the very step function: three honest validators and a
// dishonest one, a few views. One honest node's state changes by what it is given alone, so a global state
// is three local ones, and the network is the set of everything sent so far: any of it may come at any
// time, in any order, often or never. The dishonest validator's messages, all that a small alphabet allows,
// are in that set from the start.
//
// Votes come in groups (kind, view, block): between the first vote of a group and the one that completes a
// quorum nothing happens in a node, so a group is given at once, as far as it has been sent, and counts as a
// step only if it has a consequence. Bodies of blocks come as proposals, and chains as soon as all their
// blocks are in the network.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "accounting/consensus/sim/checks.h"
#include "tests/accounting/consensus/harness.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

struct ExploreOptions {
  std::vector<std::uint64_t> weights = {1, 1, 1, 1}, stakes = {1, 1, 1, 1};
  Seat dishonest = 3;
  std::vector<Seat> leaders;        // of views 1, 2, …: how many there are is how far it explores
  bool crashes = false;             // one crash and restart for each honest node, between any two actions
  bool standstill = true;           // ticks without a finalised block, which vote to skip older views
  std::size_t states_max = 100000;  // global states; then it stops incomplete
};

struct ExploreResult {
  std::size_t states = 0;     // global ones that were visited
  std::size_t locals = 0;     // different states of one node
  std::size_t finalised = 0;  // different blocks that some node delivered
  bool complete = false;      // everything was visited
  std::string violation;
};

class Explorer {
 public:
  explicit Explorer(ExploreOptions options);
  [[nodiscard]] ExploreResult run();

 private:
  using Soup = std::bitset<512>;  // by message
  struct Local {
    Seat seat = 0;
    State state;
    std::vector<VoteRecord> log;
    std::vector<ProposalPtr> delivered;
    Soup sent;
    bool crashed = false;
  };
  struct Input {  // what one step gives to a node
    std::vector<std::size_t> messages;
    bool time_out = false, chain = false, restart = false, standstill = false;
  };
  struct Outcome {
    Local local;
    std::size_t actions = 0;  // that were performed
    bool cut = false;         // the crash came
  };

  std::size_t intern(const Message& message);
  void intern_block(const ProposalPtr& block);
  [[nodiscard]] ProposalPtr dishonest_block(View view, const BlockRef& parent, const char* payload) const;
  [[nodiscard]] std::uint32_t intern(Local local);
  [[nodiscard]] std::string key_of(const Local& local) const;
  [[nodiscard]] Outcome give(const Local& before, const Input& input, std::size_t crash_after);
  void perform(Local& local, const Action& action, std::vector<Event>& next);
  void restart(Local& local, std::vector<Action>& actions) const;
  [[nodiscard]] Config config(Seat seat) const;
  [[nodiscard]] std::vector<Event> events_of(const Local& local, const Input& input) const;
  [[nodiscard]] const std::vector<std::uint32_t>& outcomes(std::uint32_t local, const Input& input);
  // Where a node can get to when all this has been sent.
  struct Reach {
    std::vector<std::uint32_t> speaking;    // states just after it has sent something new
    std::vector<std::uint32_t> delivering;  // states before that, in which it has delivered blocks
  };
  [[nodiscard]] const Reach& reach(std::uint32_t local, const Soup& soup);
  [[nodiscard]] std::vector<Input> inputs(const Soup& soup) const;
  void check_sent(const Local& local, const Message& message);
  void check_evidence(const Local& local);
  [[nodiscard]] bool agree(std::uint32_t a, std::uint32_t b) const;
  void violate(std::string what) {
    if (result_.violation.empty()) result_.violation = std::move(what);
  }

  ExploreOptions options_;
  EpochPtr epoch_;
  ExploreResult result_;
  std::vector<Message> messages_;
  std::vector<std::string> message_keys_;
  std::unordered_map<std::string, std::size_t> message_numbers_;
  std::map<Digest, ProposalPtr> blocks_;
  Soup dishonest_;
  std::vector<Local> locals_;
  std::unordered_map<std::string, std::uint32_t> local_numbers_;
  std::vector<std::unordered_map<Soup, Reach>> reach_;                              // by local
  std::vector<std::unordered_map<std::string, std::vector<std::uint32_t>>> steps_;  // by local and input
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
