// This node's copy of the chain: the validator produces it, every other node follows. Signs and submits this
// organisation's records. Thread-safe.
//
// Which key signs: the agent's of this home while the chain has it as the organisation's agent, and else the
// organisation's own. What only the owner may sign (record_needs_owner) needs the organisation's own, which
// may be elsewhere: then the owner signs there, and submit_signed() takes the record in.
//
// A follower trusts the validator only to hand out blocks: each is verified whole before it is taken in
// (accounting/ledger.h). A submitted record is acknowledged when the validator has it on disk and this node's
// own copy has reached its block, so that what the caller reads next contains it.
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
#include "jobs/node/home.h"
#include "jobs/rpc/client.h"

namespace ufab::jobs {

struct FiledRecord {
  RecordId id;
  std::uint64_t height = 0;
};

class Chain {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Chain>> open(const Home& home, const HomeConfig& config);
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Begins producing (validator) or following.
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
  [[nodiscard]] bool is_validator() const { return !config_.follow.has_value(); }
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
  // For a record to be signed elsewhere.
  [[nodiscard]] Result<std::uint64_t> next_sequence(const PublicKey& key);

  // What went wrong with following lately; empty when all is well.
  [[nodiscard]] std::string trouble() const;
  // How far the validator was ahead at the last contact is not asked: only whether it answers.
  [[nodiscard]] bool validator_reachable() const { return reachable_; }

 private:
  Chain(HomeConfig config, HomeKeys keys, KeyPair key, Credentials credentials,
        std::unique_ptr<Ledger> ledger);
  void produce();
  void follow();
  [[nodiscard]] Result<KeyPair> signing_key(RecordType type) const;
  // The agent's key of this home, if the chain knows it as the agent's.
  [[nodiscard]] std::optional<KeyPair> enrolled_agent() const;
  Result<FiledRecord> submit_remote(const KeyPair& key, RecordBody body);
  Result<FiledRecord> send_record(ByteView encoded);
  void pause(std::chrono::milliseconds duration);
  void set_trouble(std::string line);

  HomeConfig config_;
  const std::optional<KeyPair> owner_;
  mutable std::mutex agent_mutex_;
  std::optional<KeyPair> agent_;  // guarded by agent_mutex_
  const KeyPair key_;
  std::unique_ptr<Ledger> ledger_;
  PeerPool calls_;      // for records
  PeerPool following_;  // for blocks: its calls wait at the other end
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> reachable_{true};
  std::mutex submit_mutex_;
  std::map<PublicKey, std::uint64_t> acknowledged_;  // by key, its last sequence; guarded by submit_mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string trouble_;
};

// Founds a one-validator chain in this home (`ufab init --solo`): the genesis block, this organisation as
// number 1.
[[nodiscard]] Status found_chain(const Home& home, const HomeConfig& config, const std::string& chain_name,
                                 const ChainParams& params);
// Fetches block 0 from the validator, compares it with the ticket, and registers this organisation.
[[nodiscard]] Status join_chain(const Home& home, const HomeConfig& config);

}  // namespace ufab::jobs
