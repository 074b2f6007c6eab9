// The inside of Ledger (accounting/ledger.h). Private to ledger*.cpp: ledger.cpp opens and reads,
// ledger_produce.cpp makes blocks where one validator does, ledger_final.cpp takes in blocks that are final,
// ledger_history.cpp begins with a snapshot and fills in what was before it.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "accounting/block_store.h"
#include "accounting/ledger.h"

namespace ufab {

struct Ledger::Impl {
  // What became of a record.
  struct Fate {
    std::optional<Result<SubmitOutcome>> outcome;  // set when done
    bool on_chain = false;
  };
  struct Waiting {
    Record record;
    Bytes encoding;  // of the record; like its body, in the block once it stands on the chain
    RecordId id;
    Fate fate;  // under the queue lock
  };

  LedgerOptions options;
  std::optional<FileLock> lock;
  std::vector<KeyPair> keys;  // with which this node may be the producer; guarded by chain_mutex

  // Lock order: sign_mutex, then queue_mutex, then Past::mutex, then chain_mutex, then head_mutex or
  // expected_mutex; never the other way.
  std::mutex sign_mutex;
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  std::deque<std::shared_ptr<Waiting>> queue;
  std::vector<std::shared_ptr<Waiting>> making;  // in the block that is being made
  bool busy = false;                             // somebody makes a block

  // The blocks from 0 on, while `store` has those after a snapshot.
  struct Past {
    std::mutex mutex;
    std::unique_ptr<BlockStore> store;  // null once it has become the ledger's
    std::uint64_t base = 0;
  };
  mutable std::shared_mutex chain_mutex;
  std::unique_ptr<BlockStore> store;
  std::shared_ptr<Past> past;

  mutable std::mutex head_mutex;
  mutable std::condition_variable head_changed;
  Head head;
  std::vector<std::function<void(const Head&)>> listeners;

  std::mutex expected_mutex;
  std::multimap<RecordId, Expectation*> expected;  // no outcome yet

  [[nodiscard]] std::string path(const char* name) const { return options.folder + "/" + name; }

  // ---- chain_mutex held exclusively ----

  [[nodiscard]] Status open();
  // A snapshot that cannot be read any more goes aside.
  [[nodiscard]] Status open_recent();
  [[nodiscard]] Status remove_recent() const;
  [[nodiscard]] Status usable() const;
  [[nodiscard]] const Chain& chain() const { return store->chain(); }
  // That of the present epoch's only validator; an error when several vote, or this node does not have it.
  [[nodiscard]] Result<const KeyPair*> producer_key() const;

  // ---- no lock held ----

  [[nodiscard]] Status check_producer() const;

  void publish(const Head& fresh);
  // A record that is on the chain already, with the outcome it had.
  [[nodiscard]] std::optional<Result<SubmitOutcome>> known(const RecordId& id);
  // Tells those who expect a record, or one of that block.
  void tell(const RecordId& id, const Result<SubmitOutcome>& outcome);
  void fulfil(const AppliedBlock& applied);
  // Wherever it is.
  [[nodiscard]] Result<Bytes> block(std::uint64_t height) const;
  [[nodiscard]] std::shared_ptr<Past> get_past() const;
  // The past has come to the snapshot: takes in what the ledger has after it, and takes its place.
  [[nodiscard]] Status join_past(Past& done);
  // All of them, or the error of the first that is none.
  [[nodiscard]] static Result<std::vector<Block>> decode_blocks(const std::vector<Bytes>& encoded);
  // Blocks that follow the head one after another, whose finality was checked; then the world is told.
  // They are durable after sync(), or when the index has them.
  [[nodiscard]] Status advance(std::vector<PreparedBlock> blocks);
  [[nodiscard]] Status sync() const;
  // Those of `blocks` that are not here yet; an error when one is another block than that here.
  [[nodiscard]] Result<std::vector<Block>> news_of(std::vector<Block> blocks) const;

  // Makes one block from `batch`. The fates are returned apart, because those of the batch belong to the
  // queue lock, which is not held here. Precondition: the caller has set `busy`.
  [[nodiscard]] Status make_block(const std::vector<std::shared_ptr<Waiting>>& batch,
                                  std::vector<Fate>& fates);
  // Takes the queue and makes a block of it; what found no room goes back to its front. Needs the queue lock.
  Status lead(std::unique_lock<std::mutex>& guard);
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& signer);
  [[nodiscard]] Result<std::shared_ptr<Waiting>> enqueue(Record record, Bytes encoding, const RecordId& id);
  [[nodiscard]] Result<SubmitOutcome> wait_for(const std::shared_ptr<Waiting>& item);
};

}  // namespace ufab
