// One simulated node: the production replica over a disk in memory that loses what was not synced, and may
// die at any call of its ports. Now and then it syncs its blocks unasked, as a ledger's index does.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "accounting/consensus/sim/rng.h"
#include "accounting/replica/replica.h"

namespace ufab::sim {

// What a node needs of the world around it. Times in microseconds.
struct Surroundings {
  std::function<void(std::size_t from, const consensus::Peer& to, ReplicaChannel channel,
                     SharedBytes message)>
      send;
  std::function<void(std::size_t from, ReplicaChannel channel, SharedBytes message)> send_all;
  // Calls ring() of that life with that token, unless a later one of the same alarm was set.
  std::function<void(std::size_t node, std::uint64_t life, ReplicaAlarm alarm, std::uint64_t token,
                     std::uint64_t after_ms)>
      set_alarm;
  std::function<void(std::size_t node, const Block& block, const Chain& chain)> on_final;
  std::function<void(std::size_t node, const std::string& violation)> violated;
  std::function<void(std::size_t node, const consensus::Peer& peer, const char* why)> on_penalty;
  std::function<void(std::size_t node, const consensus::Evidence& evidence)> on_evidence;
};

class Node final : public ReplicaPorts {
 public:
  Node(std::size_t number, KeyPair key, std::vector<Bytes> log, const ReplicaOptions& options,
       std::uint64_t seed, Surroundings around);

  void start(std::uint64_t now_us);
  void crash();
  // Dies at its port's call that many calls from now.
  void crash_soon(std::uint64_t calls) { dies_in_ = calls; }
  // The whole disk is gone; it is given the log of another node, and must not vote.
  void lose_disk(std::vector<Bytes> log);
  [[nodiscard]] bool is_up() const { return replica_ != nullptr; }
  // It died in its last call; the caller must crash() it.
  [[nodiscard]] bool is_dying() const { return dead_; }
  [[nodiscard]] std::uint64_t life() const { return life_; }
  [[nodiscard]] Replica& replica() { return *replica_; }
  [[nodiscard]] const Chain& chain() const { return chain_; }
  [[nodiscard]] const std::vector<Bytes>& log() const { return log_; }
  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // An alarm that has gone off is for the replica only if it was not set again.
  [[nodiscard]] bool is_current(ReplicaAlarm alarm, std::uint64_t token) const {
    return tokens_[static_cast<std::size_t>(alarm)] == token;
  }
  // The replica must have been performed after each call of it.
  void perform(std::uint64_t now_us);

  void read(const std::function<void(const Chain&)>& reader) const override { reader(chain_); }
  Status keep_vote(const consensus::VoteRecord& record) override;
  Status sync_votes() override;
  Status renew_votes(const std::vector<consensus::VoteRecord>& records) override;
  Status append(std::vector<Block> blocks) override;
  Status sync_chain() override;
  Result<Bytes> block(std::uint64_t height) const override;
  void send(const consensus::Peer& to, ReplicaChannel channel, SharedBytes message) override;
  void send_all(ReplicaChannel channel, SharedBytes message) override;
  void set_alarm(ReplicaAlarm alarm, std::uint64_t after_ms) override;
  void cancel_alarm(ReplicaAlarm alarm) override;
  void penalise(const consensus::Peer& peer, const char* why) override;
  void evidence(const consensus::Evidence& evidence) override;
  void turned_away(const RecordId&, const Error&) override {}
  void log(const std::string&) override {}

 private:
  [[nodiscard]] bool dies();
  void load_chain();

  const std::size_t number_;
  const KeyPair key_;
  const PublicKey public_key_;
  const ReplicaOptions options_;
  consensus::Rng rng_;
  Surroundings around_;

  // Memory.
  std::unique_ptr<Replica> replica_;
  Chain chain_;
  consensus::VoteLogWriter writer_;
  std::array<std::uint64_t, replica_alarms> tokens_{};
  std::uint64_t token_ = 0, life_ = 0;
  std::optional<std::uint64_t> dies_in_;
  bool dead_ = false;

  // Disk.
  std::vector<Bytes> log_;
  std::size_t log_synced_ = 0;  // blocks that a crash cannot take
  std::optional<Bytes> votes_ = Bytes();
  std::size_t votes_synced_ = 0;
};

}  // namespace ufab::sim
