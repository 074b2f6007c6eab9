// The cluster behind run_scale(): as lean as it can be, for a hundred validators send twenty thousand
// messages for one block. No faults, no checks: those are Cluster's (accounting/consensus/sim/cluster.h).
#pragma once

#include <deque>
#include <memory>
#include <queue>

#include "accounting/consensus/sim/hash_scheme.h"
#include "accounting/consensus/sim/rng.h"
#include "accounting/consensus/sim/scale.h"

namespace ufab::consensus {

// Counts what is checked.
class CountingScheme final : public SignatureScheme {
 public:
  [[nodiscard]] bool verify(const PublicKey& key, ByteView message,
                            const Signature& signature) const override {
    ++count_;
    return scheme_.verify(key, message, signature);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  HashScheme scheme_;
  mutable std::uint64_t count_ = 0;
};

}  // namespace ufab::consensus

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

class ScaleCluster {
 public:
  explicit ScaleCluster(const ScaleOptions& options);
  [[nodiscard]] ScaleReport run();

 private:
  using MessagePtr = std::shared_ptr<const Message>;  // one for all copies of a broadcast
  enum class What : std::uint8_t { message, view_timer, standstill_timer, synced, built, validated, awake };
  struct Event {
    std::uint64_t time_ns = 0, order = 0;
    Seat to = 0, from = 0;
    What what = What::message;
    View view = 0;                 // of the timer, built, validated
    std::uint64_t token = 0;       // timers
    MessagePtr message = nullptr;  // message, and the block of validated
    bool operator>(const Event& other) const {
      return time_ns != other.time_ns ? time_ns > other.time_ns : order > other.order;
    }
  };
  struct Node {
    State state;
    std::deque<Action> queue;
    std::deque<Event> inbox;  // while it is busy
    bool syncing = false;
    std::uint64_t busy_until_ns = 0, upload_free_ns = 0;
    std::uint64_t tokens = 0;
    std::array<std::uint64_t, 2> timers{};
    std::uint64_t blocks = 0;
    std::vector<std::uint64_t> arrived_ns;  // the last message to each other node
  };
  // The records in a block: those that came to the validators in this time.
  struct Coverage {
    std::uint64_t from_ns = 0, to_ns = 0, proposed_ns = 0;
  };

  void schedule(std::uint64_t time_ns, Event event);
  void handle(const Event& event);
  void dispatch(const Event& event);
  void take(Seat self, const consensus::Event& event);
  void run_queue(Seat self);
  void perform(Seat self, const Action& action);
  void broadcast(Seat self, std::uint64_t time_ns, const Message& message);
  void transmit(Seat from, Seat to, std::uint64_t time_ns, const MessagePtr& message, std::size_t size);
  [[nodiscard]] std::uint64_t room(std::size_t bytes_max) const;
  [[nodiscard]] std::uint64_t built_at(const BuildPayload& action, std::uint64_t time_ns);
  [[nodiscard]] Bytes payload_of(View view, std::size_t bytes_max);
  void delivered(Seat self, std::uint64_t time_ns, const Deliver& action);
  [[nodiscard]] std::size_t size_of(const Message& message) const;
  [[nodiscard]] bool done() const;

  ScaleOptions options_;
  Rng rng_;
  CountingScheme scheme_;
  std::vector<HashSigner> signers_;
  std::vector<Node> nodes_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> due_;
  std::uint64_t now_ns_ = 0, order_ = 0, upload_bit_per_s_ = 0;
  std::uint64_t final_until_ns_ = 0;  // records that came before are in final blocks, at the first validator
  std::map<View, Coverage> coverage_;  // of the views that have a proposal, or are about to
  std::size_t vote_size_ = 0, certificate_size_ = 0, proposal_size_ = 0, request_size_ = 0;
  std::size_t signature_size_ = 0;  // of each signer in a certificate
  ScaleReport report_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> proposal_to_final_us_,
      arrival_to_final_us_;  // weighted
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
