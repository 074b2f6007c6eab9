// This node among the validators that vote: drives the replica (accounting/replica/replica.h) with the real
// clock, the mesh (fabric/net/mesh.h), the vote log (vote_file.h) and the ledger. Thread-safe.
//
// One thread runs it, from when the node's validator is in office until it is no more. What arrives meanwhile
// is noted by the threads of the mesh, which check the signatures of records; the thread takes all that is
// there at once, so that many messages share one sync of the vote log. The mesh's threads wait while more
// than inbox_bytes_max are noted: a validator that is behind slows its peers' links, not its memory.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "accounting/ledger.h"
#include "accounting/replica/replica.h"
#include "fabric/net/mesh.h"
#include "jobs/node/vote_file.h"

namespace ufab::jobs {

struct CommitteeOptions {
  std::string votes;  // path of the vote log
  std::function<void(const std::string&)> log;
  std::function<void(const consensus::Evidence&)> evidence;
};

class Committee final : public ReplicaPorts {
 public:
  static constexpr std::size_t inbox_bytes_max = 128U << 20;

  // Precondition: the ledger's epoch votes. The ledger outlives it.
  [[nodiscard]] static Result<std::unique_ptr<Committee>> open(Ledger& ledger, KeyPair key,
                                                               CommitteeOptions options);
  ~Committee() override;

  // Votes until it is out of office, `stopping` is set and wake() called, or something fails for good.
  [[nodiscard]] Status run(const std::atomic<bool>& stopping);
  void wake();
  // After run(): links to and from the others end, and what arrives is dropped.
  void close();

  // A record whose signature was checked. Waits until it is final: its outcome, or ErrorCode::timeout.
  [[nodiscard]] Result<SubmitOutcome> submit(Record record, Bytes encoding, std::uint64_t timeout_ms);
  [[nodiscard]] Result<SubmitOutcome> sign_and_submit(const KeyPair& key, RecordBody body,
                                                      std::uint64_t timeout_ms);
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key);

  [[nodiscard]] Mesh& mesh() { return *mesh_; }
  struct Standing {
    std::uint64_t epoch = 0, view = 0, height = 0;
    bool observer = false;    // the vote log is lost: follows, and never votes
    std::size_t waiting = 0;  // records
    std::string why_observer;
  };
  [[nodiscard]] Standing standing();

 private:
  Committee(Ledger& ledger, KeyPair key, CommitteeOptions options, VoteFile votes);
  struct Arrived {
    PublicKey from;
    ReplicaChannel channel = ReplicaChannel::consensus;
    Bytes message;
    std::vector<PooledRecord> records;
  };
  void arrive(const PublicKey& from, MeshChannel channel, Bytes message);
  void handle(Arrived& arrived);
  void ring_due();
  void meet_peers();
  [[nodiscard]] Result<SubmitOutcome> admit(PooledRecord record, std::uint64_t timeout_ms,
                                            std::unique_lock<std::mutex>& guard);

  // ReplicaPorts; the replica's lock is held.
  void read(const std::function<void(const ufab::Chain&)>& reader) const override;
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
  void turned_away(const RecordId& id, const Error& why) override;
  void log(const std::string& line) override;

  using Clock = std::chrono::steady_clock;
  Ledger& ledger_;
  const KeyPair key_;
  const CommitteeOptions options_;
  const consensus::Ed25519Scheme scheme_;

  std::mutex replica_mutex_;  // the replica and its ports' state; taken before inbox_mutex_
  std::unique_lock<std::mutex>* performing_ = nullptr;  // by which the thread that performs holds it
  VoteFile votes_;
  std::unique_ptr<Replica> replica_;
  bool started_ = false;
  std::array<std::optional<Clock::time_point>, replica_alarms> alarms_;
  std::uint64_t peers_epoch_ = UINT64_MAX;  // whose validators the mesh knows

  std::mutex inbox_mutex_;
  std::condition_variable inbox_changed_;  // something came, or there is room again
  std::deque<Arrived> inbox_;
  std::size_t inbox_bytes_ = 0;
  bool woken_ = false;
  bool closed_ = false;

  std::unique_ptr<Mesh> mesh_;  // last: its threads use the inbox
};

}  // namespace ufab::jobs
