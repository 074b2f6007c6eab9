// One simulated node: the production replica over a disk in memory that loses what was not synced, rots, or
// is full, and may die at any call of its ports. What a node does about its disk before the replica starts is
// as production does it: a block log is kept up to the damage (accounting/log/segment_log.h) and comes again
// from others; a vote log that is damaged is lost, and the key retired; one whose older votes were dropped
// waits for the blocks that they were about (jobs/node/vote_file.h). Now and
// then it syncs its blocks unasked, as a ledger's index does.
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

enum class DiskFile : std::uint8_t { ledger, votes };

class Node final : public ReplicaPorts {
 public:
  Node(std::size_t number, KeyPair key, std::vector<Bytes> log, const ReplicaOptions& options,
       std::uint64_t seed, Surroundings around);

  // It is not up afterwards if it is_behind().
  void start(std::uint64_t now_us);
  void crash();
  // Dies at its port's call that many calls from now.
  void crash_soon(std::uint64_t calls) { dies_in_ = calls; }
  // The whole disk is gone; it is given the log of another node, and must not vote.
  void lose_disk(std::vector<Bytes> log);
  // While it is down. A bit of one of its last blocks, or so many of them; a bit of what was synced of its
  // vote log. False: there is nothing to spoil.
  [[nodiscard]] bool spoil_block();
  [[nodiscard]] bool lose_blocks();
  [[nodiscard]] bool spoil_votes();
  void fill_disk(bool full) { full_ = full; }
  // The next write to that file lands elsewhere, within what is there of the one or the other file. Where it
  // belongs are zeros, and nobody is told.
  void misdirect_next(DiskFile file) { misdirect_ = file; }
  // A block would be missing after a restart.
  [[nodiscard]] bool hides_damage() const { return ledger_damaged_at_.has_value(); }
  // Writes that were misdirected, and restarts that found what they had done.
  [[nodiscard]] std::uint64_t misdirected() const { return misdirected_; }
  [[nodiscard]] std::uint64_t misdirected_found() const { return misdirected_found_; }
  [[nodiscard]] bool is_up() const { return replica_ != nullptr; }
  // It died in its last call, or its disk refused a write; the caller must crash() it.
  [[nodiscard]] bool is_dying() const { return dead_ || stopped_; }
  [[nodiscard]] bool is_stopped() const { return stopped_; }
  // Its ledger was cut below what its vote log has forgotten: it must not vote before it has those blocks.
  [[nodiscard]] bool is_behind() const { return chain_.head().height < votes_floor_; }
  // Takes what another node's log has beyond its own, while it is down.
  void catch_up(const std::vector<Bytes>& log);
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
  [[nodiscard]] Status refused();
  void store(const Bytes& block);
  [[nodiscard]] bool is_whole(std::size_t height) const;
  [[nodiscard]] Bytes written(DiskFile file, Bytes bytes);
  void overwrite(DiskFile file, const Bytes& bytes);
  void load_chain();
  void report(const Block& block);
  [[nodiscard]] std::optional<std::vector<consensus::VoteRecord>> load_votes();

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
  bool stopped_ = false;  // a write failed

  // Disk.
  std::vector<Bytes> log_;
  std::size_t log_synced_ = 0;  // blocks that a crash cannot take
  std::vector<Digest> checks_;  // of each block: over it and the check before
  std::size_t founding_ = 0;    // blocks that are never spoilt
  std::size_t reported_ = 0;    // blocks that on_final was called for
  std::optional<Bytes> votes_ = Bytes();
  std::size_t votes_synced_ = 0;
  // The first byte of the vote log and the first block of the ledger that are not what was written.
  std::optional<std::size_t> votes_damaged_at_, ledger_damaged_at_;
  std::uint64_t votes_floor_ = 0;  // height up to which votes were dropped
  bool full_ = false;
  std::optional<DiskFile> misdirect_;
  std::uint64_t misdirected_ = 0, misdirected_found_ = 0;
};

}  // namespace ufab::sim
