// This node's copy of the chain, and its part in it. Signs and submits this organisation's records.
// Thread-safe.
//
// What the node does may change with every epoch (accounting/state/state.h, seats()):
//   produce  it is the only validator, and its signature makes a block;
//   vote     its validator is one of several in office (jobs/node/committee.h);
//   follow   neither: it asks a validator's node, or one of its ticket's, for new blocks, and another one
//   when
//            that does not answer.
//
// Which key signs: the agent's of this home while the chain has it as the organisation's agent, and else the
// organisation's own. What only the owner may sign (record_needs_owner) needs the organisation's own, which
// may be elsewhere: then the owner signs there, and submit_signed() takes the record in.
//
// A node that has only block 0 of a chain that is a hundred blocks or more ahead begins with a snapshot of
// the state (accounting/snapshot/manifest.h), unless its configuration says not to, and fills in the blocks
// before it while it takes part.
//
// A follower trusts nobody: each block is verified whole, with the votes for it, before it is taken in
// (accounting/ledger.h). A submitted record is acknowledged when it is final and this node's own copy has
// reached its block, so that what the caller reads next contains it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "accounting/ledger.h"
#include "jobs/node/block_feed.h"
#include "jobs/node/home.h"
#include "jobs/node/snapshot_keeper.h"
#include "jobs/node/snapshot_search.h"
#include "jobs/rpc/client.h"

namespace ufab {
class Link;
struct Frame;
}  // namespace ufab

namespace ufab::jobs {

class Committee;

struct FiledRecord {
  RecordId id;
  std::uint64_t height = 0;
};

class Chain {
 public:
  using Log = std::function<void(const std::string&)>;
  [[nodiscard]] static Result<std::unique_ptr<Chain>> open(const Home& home, const HomeConfig& config,
                                                           Log log = {});
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Begins its part.
  void start();

  [[nodiscard]] Ledger& ledger() { return *ledger_; }
  // The key that this node shows on its links: chosen when it was opened, by the rule above. Peers take both.
  [[nodiscard]] const KeyPair& key() const { return key_; }
  // Which key signs what the node does every day; empty when it has none that the chain knows.
  [[nodiscard]] std::optional<KeyRole> role() const;
  [[nodiscard]] bool has_owner_key() const { return owner_.has_value(); }
  // denied, with the line that submit() would give, when this node has no key that may sign such a record.
  [[nodiscard]] Status may_sign(RecordType type) const;
  // From now on this is the agent's key of this home (`ufab agent enroll` has just made it).
  void adopt_agent(KeyPair agent);
  // What is left of the allowance for orders; empty when they are not signed by an agent.
  [[nodiscard]] std::optional<MicroUnc> allowance() const;
  // Whether this node makes blocks now, alone or with others.
  [[nodiscard]] bool is_validator() const;
  // Null unless this node votes now.
  [[nodiscard]] std::shared_ptr<Committee> committee() const;
  // The key of this organisation's seat in office; empty if it has none, not_found if it is not in this home.
  [[nodiscard]] Result<std::optional<KeyPair>> seat_key() const;
  // What the committee has come upon since the last call.
  [[nodiscard]] std::vector<consensus::Evidence> take_evidence();
  // Links of other validators to this node (OtherProtocol of jobs/rpc/server.h).
  [[nodiscard]] bool expects_validator(const PublicKey& key) const;
  void serve_validator(Link& link, const Frame& first);
  // Reads under the ledger's lock; keep it short.
  template <typename Reader>
  auto read(Reader reader) const {
    std::optional<decltype(reader(std::declval<const State&>()))> value;
    ledger_->with_state([&](const State& state) { value.emplace(reader(state)); });
    return std::move(*value);
  }
  // This organisation's number, 0 before its registration is seen. A key that was revoked keeps it.
  [[nodiscard]] OrgId self() const;

  // Errors: the rule that the record broke; denied when this node has no key that may sign it; unavailable
  // when the validator cannot be reached.
  [[nodiscard]] Result<FiledRecord> submit(RecordBody body);
  // A record that was signed elsewhere. Errors as above.
  [[nodiscard]] Result<FiledRecord> submit_signed(ByteView encoded);
  // The same for another node's record. Where this node makes no blocks it goes on to one that does, unless
  // it was passed on already: then it is denied.
  [[nodiscard]] Result<FiledRecord> take_record(ByteView encoded, bool passed_on);
  // The next sequence number, for another node, likewise.
  [[nodiscard]] Result<std::uint64_t> next_sequence_for(const PublicKey& key, bool passed_on);
  // For a record to be signed elsewhere: as far as this node knows, or the node that it would be sent to.
  [[nodiscard]] Result<std::uint64_t> next_sequence(const PublicKey& key);

  // The snapshots that this node hands out.
  [[nodiscard]] const SnapshotKeeper& snapshots() const { return *snapshots_; }
  // While blocks before the snapshot that it began with are missing.
  [[nodiscard]] std::optional<History> history() const { return ledger_->history(); }

  // For who wants to join: the node that this home's own ticket begins with (this node, where it has none),
  // and those of the validators in office.
  [[nodiscard]] JoinTicket ticket() const;

  // What went wrong with following lately; empty when all is well.
  [[nodiscard]] std::string trouble() const;
  // How far the validator was ahead at the last contact is not asked: only whether it answers.
  [[nodiscard]] bool validator_reachable() const { return reachable_; }

 private:
  Chain(const Home& home, HomeConfig config, HomeKeys keys, KeyPair key, Credentials credentials,
        std::unique_ptr<Ledger> ledger, Log log);
  enum class Part { produce, vote, follow };
  [[nodiscard]] Part part();
  void run();
  void produce();
  void vote();
  void follow();
  // A node that may be asked for blocks and given records, and the keys that it may show.
  struct Source {
    Endpoint endpoint;
    std::vector<PublicKey> keys;
  };
  // No two of the same endpoint.
  [[nodiscard]] std::vector<Source> sources() const;
  // The nodes of the validators in office that say on the chain where they are.
  [[nodiscard]] std::vector<Source> validator_nodes(OrgId except) const;
  // Begins with one if this node had nothing when it started, some source's head is that far ahead, and a
  // source that was not asked before has one. Whoever the chain names as validators later is asked then.
  [[nodiscard]] bool begin_with_snapshot(std::uint64_t head_seen);
  void fill_history();
  Result<Answer> call_source(PeerPool& pool, const Request& request, std::chrono::milliseconds wait);
  [[nodiscard]] Result<KeyPair> signing_key(RecordType type) const;
  // The agent's key of this home, if the chain knows it as the agent's.
  [[nodiscard]] std::optional<KeyPair> enrolled_agent() const;
  [[nodiscard]] std::optional<Result<FiledRecord>> submit_here(const KeyPair& key, const RecordBody& body);
  Result<FiledRecord> submit_remote(const KeyPair& key, RecordBody body);
  [[nodiscard]] Result<FiledRecord> take_record_here(ByteView encoded);
  Result<FiledRecord> send_record(ByteView encoded, bool passed_on = false);
  void pause(std::chrono::milliseconds duration);
  void set_trouble(std::string line);

  const Home home_;
  HomeConfig config_;
  Log log_;
  const std::optional<KeyPair> owner_;
  mutable std::mutex agent_mutex_;
  std::optional<KeyPair> agent_;  // guarded by agent_mutex_
  const KeyPair key_;
  std::unique_ptr<Ledger> ledger_;
  PeerPool calls_;      // for records
  PeerPool following_;  // for blocks: its calls wait at the other end
  PeerPool filling_;    // for snapshots, and blocks from long ago
  std::unique_ptr<SnapshotKeeper> snapshots_;
  std::atomic<std::size_t> source_{0};  // whom to ask next, by its place in sources()
  mutable std::mutex committee_mutex_;
  std::shared_ptr<Committee> committee_;       // guarded by committee_mutex_
  std::vector<consensus::Evidence> evidence_;  // guarded by committee_mutex_
  std::optional<PublicKey> failed_;            // a key that cannot vote any more; only the thread looks at it
  std::thread thread_;
  std::thread filler_;      // started by thread_
  const bool began_empty_;  // with block 0 alone
  std::atomic<bool> stopping_{false};
  SnapshotSearch snapshot_search_;  // only the thread uses it
  std::atomic<bool> reachable_{true};
  std::mutex submit_mutex_;
  std::map<PublicKey, std::uint64_t> acknowledged_;  // by key, its last sequence; guarded by submit_mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string trouble_;
  BlockFeed feed_;  // only thread_ looks at it. The last: what it has under way uses the rest
};

// Where this home's chain is.
[[nodiscard]] LedgerOptions chain_options(const Home& home);
// Founds a one-validator chain in this home (`ufab init --solo`): the genesis block, this organisation as
// number 1.
[[nodiscard]] Status found_chain(const Home& home, const HomeConfig& config, const std::string& chain_name,
                                 const ChainParams& params);
// Fetches block 0 from a node of the ticket, compares it with the ticket, and registers this organisation,
// with whichever of the nodes answers.
[[nodiscard]] Status join_chain(const Home& home, const HomeConfig& config);

}  // namespace ufab::jobs
