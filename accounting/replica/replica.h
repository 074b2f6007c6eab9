// One validator: the consensus (accounting/consensus/simplex.h), the ledger's state and the records that wait
// for a block, as one state machine. It has no clock, socket, file or thread of its own: the caller hands it
// what happens together with the time, then calls perform(), and everything that it does to the world goes
// through ReplicaPorts. The same code runs in a node (jobs/node/committee.h) and under simulated time,
// network and disks (accounting/replica/sim). Not thread-safe; but while perform() is in
// ReplicaPorts::sync_votes() somebody else may call admit() and what is const.
//
// Order. perform() first does what only counts (blocks are judged and made), then has all votes written and
// synced once, and only then sends anything; what is final goes into the ledger last. So a view costs one
// sync here, or two, and nobody waits for another's ledger. A port that fails (a full disk) stops the replica
// for good: nothing is sent that was not kept.
//
// A block's records were admitted one by one: their signatures are checked when they arrive, at any
// validator, and not again when they come in a proposal. Every validator gets every record from the node
// where it was submitted, which sends it again until it is final.
//
// A leader that has records proposes at once; but while they are few it waits for the block before to be
// final, gather_ms at most, and settle_ms more: whoever waited for that block sends the next record then.
// What a block costs (some six signature checks and two or three syncs at every validator, a certificate in
// the chain for ever) is shared by the records that come meanwhile.
//
// So while records wait nobody waits for a leader as long as for an idle one: a view is over (the core's view
// timer rings early) when it and the oldest record have lasted view_ms − fill_ms. Of a leader whose last view
// was skipped a quarter of that is expected: it is likely to be away still. Every fourth time it gets the
// whole, so that one that is merely slow is heard again. Where leaders that were not taken to be away are
// skipped, this network is slower than thought: with every second such view all of it doubles, until views
// succeed. When a view is over is each node's own guess; nothing but speed depends on it.
//
// Messages between replicas travel in channels, so that the network can let votes pass before bulk:
//   consensus  accounting/consensus/messages.h
//   chain      u8 1: a request {u64 epoch, u64 after_view}; u8 2: an answer, blocks as u32-prefixed blobs
//              (accounting/chain/block.h, with their finality), the last one with a certificate
//   records    records as u32-prefixed blobs
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "accounting/consensus/simplex.h"
#include "accounting/replica/mempool.h"
#include "accounting/replica/workbench.h"

namespace ufab {

enum class ReplicaChannel : std::uint8_t { consensus = 0, chain = 1, records = 2 };
enum class ReplicaAlarm : std::uint8_t { view, standstill, fill, gather, hurry, send_again };
inline constexpr std::size_t replica_alarms = 6;

using SharedBytes = std::shared_ptr<const Bytes>;

// The world as a replica sees it. A failure is final.
class ReplicaPorts : public FinalChain {
 public:
  // Appends to the vote log; durable only after sync_votes().
  [[nodiscard]] virtual Status keep_vote(const consensus::VoteRecord& record) = 0;
  [[nodiscard]] virtual Status sync_votes() = 0;
  // The log's records from now on: what was there before is needed no more. Durable when it returns.
  [[nodiscard]] virtual Status renew_votes(const std::vector<consensus::VoteRecord>& records) = 0;
  // Appends to the final chain; the last one has a certificate. When it returns, read() shows them; they are
  // durable when sync_chain() has returned, or before. Until then the votes for them are: no vote is dropped
  // before its block is durable, so that the quorum's logs can make it final once more.
  [[nodiscard]] virtual Status append(std::vector<Block> blocks) = 0;
  [[nodiscard]] virtual Status sync_chain() = 0;
  // A block of the final chain, encoded with its finality.
  [[nodiscard]] virtual Result<Bytes> block(std::uint64_t height) const = 0;

  virtual void send(const consensus::Peer& to, ReplicaChannel channel, SharedBytes message) = 0;
  virtual void send_all(ReplicaChannel channel, SharedBytes message) = 0;
  // Replaces one of the same name; none of it comes after cancel().
  virtual void set_alarm(ReplicaAlarm alarm, std::uint64_t after_ms) = 0;
  virtual void cancel_alarm(ReplicaAlarm alarm) = 0;
  virtual void penalise(const consensus::Peer& peer, const char* why) = 0;
  // Somebody has signed two votes that conflict: to be filed on the ledger.
  virtual void evidence(const consensus::Evidence& evidence) = 0;
  // A record that waited can never become part of the chain any more.
  virtual void turned_away(const RecordId& id, const Error& why) = 0;
  virtual void log(const std::string& line) = 0;
};

struct ReplicaOptions {
  consensus::Limits limits;
  consensus::Timing timing;
  MempoolLimits pool;
  Workbench::Limits blocks;
  std::uint64_t send_again_ms = 3000;  // own records that are not final
  std::uint64_t gather_ms = 10, settle_ms = 1;
  std::size_t gather_records = 16;  // fewer, and of fewer bytes, are few
  std::size_t gather_size = 16U << 10;
  std::size_t votes_size_max = 16U << 20;    // bytes of the vote log before it is renewed
  std::size_t chain_answer_size = 4U << 20;  // bytes of blocks in one answer, about
  const consensus::SignatureScheme* scheme = nullptr;
};

class Replica {
 public:
  // Where the final chain's epoch votes (Chain::epoch() is not null). `log` as consensus::Restored has it.
  // The ports and the scheme outlive it.
  Replica(ReplicaOptions options, KeyPair key, ReplicaPorts& ports);
  void start(std::optional<std::vector<consensus::VoteRecord>> log, std::uint64_t now_us);

  // What happens. Each only takes note of it, perform() acts. `from` by the link's authentication. Records go
  // through decode_records() and admit() instead.
  void receive(const consensus::Peer& from, ReplicaChannel channel, ByteView message, std::uint64_t now_us);
  void ring(ReplicaAlarm alarm, std::uint64_t now_us);
  // A record submitted at this node (own) or come from another. Precondition: its signature was checked.
  // Errors are those of Mempool::add().
  [[nodiscard]] Status admit(PooledRecord record, std::uint64_t now_us);
  // An error is final: the replica is stopped, and every later call returns it.
  [[nodiscard]] Status perform(std::uint64_t now_us);

  // With what waits here.
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key) const;
  // The present epoch does not vote any more, or has no seat for this node: the caller ends the replica.
  [[nodiscard]] bool out_of_office() const { return out_of_office_; }
  [[nodiscard]] const consensus::State& consensus() const { return *core_; }
  [[nodiscard]] std::size_t waiting() const { return pool_.size(); }

 private:
  void take(const consensus::Event& event);
  [[nodiscard]] Status run(std::uint64_t now_us);
  [[nodiscard]] Status keep_votes();
  [[nodiscard]] Status renew_votes();
  [[nodiscard]] Status make_final(std::uint64_t now_us);
  [[nodiscard]] std::optional<Workbench::Line> line_to(consensus::View view, const Digest& digest) const;
  [[nodiscard]] bool has_records_for(const consensus::BuildPayload& wanted);
  [[nodiscard]] bool may_gather() const;
  void build(std::uint64_t now_us);
  void judge(const consensus::ProposalPtr& block, std::uint64_t now_us);
  void begin_epoch();
  void keep_early(const consensus::Peer& from, const consensus::Message& message, std::size_t size);
  void hurry(std::uint64_t now_us);
  void send_again(std::uint64_t now_us);
  void answer_chain(const consensus::Peer& to, std::uint64_t epoch, consensus::View after_view,
                    std::uint64_t now_us);
  [[nodiscard]] bool is_away(consensus::Seat leader) const;
  [[nodiscard]] std::uint64_t patience_us() const;
  // A view begins: what became of the one before says how its leader fares.
  void enter_view(consensus::View view, std::uint64_t now_us);

  // Actions of the core but votes and final blocks, which have queues of their own.
  [[nodiscard]] Status act(const consensus::Action& action, std::uint64_t now_us);

  const ReplicaOptions options_;
  const KeyPair key_;
  const consensus::Ed25519Signer signer_;
  ReplicaPorts& ports_;
  Workbench bench_;
  Mempool pool_;
  std::optional<consensus::State> core_;
  std::vector<consensus::VoteRecord> to_keep_;
  std::vector<consensus::Deliver> to_deliver_;
  std::deque<consensus::Action> due_;
  std::vector<consensus::Action> to_say_;            // once the votes are kept
  std::optional<consensus::BuildPayload> building_;  // waits for records, or for the alarm
  bool fill_over_ = false, gather_over_ = false;     // the alarms have rung
  consensus::View view_ = 0;                         // of the view timer, and when it was set
  std::uint64_t view_since_us_ = 0;
  std::map<consensus::Seat, std::uint32_t> absences_;  // of leaders in this epoch: skipped views in a row
  std::uint32_t slowness_ = 0;                         // up with an unexpected absence, down with a success
  std::uint64_t records_since_us_ = 0;       // when the oldest record came, or the last block was final
  std::vector<consensus::VoteRecord> kept_;  // in the vote log and still needed
  std::size_t kept_size_ = 0;                // bytes of the vote log since it was renewed
  std::map<consensus::Peer, std::uint64_t> answered_us_;  // chain requests, in this epoch
  // Of the next epoch, which others may have begun already: by sender, a few of each.
  std::map<consensus::Peer, std::vector<consensus::Message>> early_;
  std::size_t early_size_ = 0;  // bytes
  bool out_of_office_ = false;
  std::optional<Error> stopped_;
};

// A message of the records channel, decoded and every signature checked. Thread-safe.
[[nodiscard]] Result<std::vector<PooledRecord>> decode_records(ByteView message, const Digest& chain_id,
                                                               std::uint64_t now_us);

}  // namespace ufab
