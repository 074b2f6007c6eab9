// A driver of the core for simulations: performs its actions in order, with a disk that takes time to sync,
// an application that takes time to build and to validate, and crashes that lose whatever was not synced.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <set>

#include "accounting/consensus/sim/checks.h"
#include "accounting/consensus/sim/world.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

// What a member needs of the cluster around it. Times in microseconds of simulated time.
struct Surroundings {
  std::function<void(std::size_t to, const Message& message)> send;  // to a member other than itself
  // Calls back with that token at the earliest after that time; callbacks of an earlier life are dropped.
  enum class Alarm : std::uint8_t { view_timer, standstill_timer, synced, built, validated };
  std::function<void(std::uint64_t after_us, Alarm alarm, std::uint64_t token)> wake;
  std::function<void(std::size_t to, std::uint64_t epoch, View after_view)> request_chain;
  std::function<void()> stopped;  // it has crashed by itself, because its disk is full
  Checks* checks = nullptr;       // null for a dishonest member
};

class Member {
 public:
  using Alarm = Surroundings::Alarm;
  struct Stored {
    ProposalPtr block;
    CertificatePtr certificate;  // of this block or a later one
  };

  Member(World& world, std::size_t number, std::uint64_t seed, Surroundings around);

  void start();  // at first, and after a crash
  void crash();
  // While it is down: the next start finds the disk so. Misdirected and lying are not for here.
  void spoil_disk(DiskFault fault);
  // While it is up, and its log has records: the next record is written over earlier ones.
  void misdirect_next_write() { misdirect_next_ = true; }
  void set_disk_full(bool full) { disk_full_ = full; }
  struct DiskCounts {
    std::uint64_t logs_damaged = 0, disks_lost = 0, disks_full = 0, syncs_denied = 0;
  };
  [[nodiscard]] const DiskCounts& disk_counts() const { return counts_; }
  void check_memory() const;
  [[nodiscard]] bool is_up() const { return state_.has_value(); }
  [[nodiscard]] bool is_observer() const { return state_ && state_->observer; }
  [[nodiscard]] const State& state() const { return *state_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] std::uint64_t height() const;  // of the last finalised block
  [[nodiscard]] std::uint64_t life() const { return life_; }

  // Ignored while it is down.
  void receive(std::size_t from, const Message& message);
  void receive_chain(std::size_t from, const std::vector<ProposalPtr>& blocks,
                     const CertificatePtr& certificate);
  void alarm(std::uint64_t life, Alarm alarm, std::uint64_t token);
  // The answer to another's request: empty if there is nothing.
  [[nodiscard]] std::pair<std::vector<ProposalPtr>, CertificatePtr> chain_after(std::uint64_t epoch,
                                                                                View view) const;
  void set_clock(std::uint64_t percent) { clock_percent_ = percent; }

 private:
  // Of this run of this member, among all of the cluster.
  [[nodiscard]] std::uint64_t life_key() const { return number_ << 32 | life_; }
  void take(const Event& event);
  void run();
  void note_heard(const Message& message);
  void note_sent(const Message& message);
  void perform(const PersistVote& action);
  void perform(const Broadcast& action);
  void perform(const Send& action);
  void perform(const SetTimer& action);
  void perform(const CancelTimer& action);
  void perform(const BuildPayload& action);
  void perform(const ValidateBlock& action);
  void perform(const Deliver& action);
  void perform(const EpochEnded& action);
  void perform(const ReportEvidence& action);
  void perform(const RequestChain& action);
  void perform(const Penalise& action);
  void perform(const RetireKey& action);
  void perform(const ReportFork& action);
  [[nodiscard]] Restored read_disk();
  void prune_log();
  void write_log(const Bytes& bytes);
  void flip_bit();
  void check_durable(const Vote& vote) const;

  World& world_;
  std::size_t number_;
  Rng rng_;
  Surroundings around_;
  std::uint64_t life_ = 0;
  std::uint64_t clock_percent_ = 100;

  // Memory: gone after a crash.
  std::optional<State> state_;
  std::deque<Action> queue_;
  bool syncing_ = false;
  std::array<std::uint64_t, 2> timers_{};  // the token of the timer that is set, by name
  View timer_view_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<std::uint64_t, Event> answers_;  // of the application, by token
  std::vector<VoteRecord> records_;         // what vote_file_ should hold
  std::size_t records_synced_ = 0;          // of these, those that the disk says it has
  VoteLogWriter writer_;
  std::set<Digest> valid_;

  // Disk.
  Bytes vote_file_;
  std::size_t vote_file_synced_ = 0;
  std::size_t vote_file_promised_ = 0;     // what it said it had synced
  std::optional<std::size_t> damaged_at_;  // the first byte of vote_file_ that is not as it was written
  bool log_lost_ = false;
  bool misdirect_next_ = false, disk_full_ = false;
  DiskCounts counts_;
  std::vector<Stored> chain_;
  std::size_t chain_synced_ = 0;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
