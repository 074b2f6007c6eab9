// The inside of Ledger (accounting/ledger.h). Private to ledger*.cpp: ledger.cpp opens and reads,
// ledger_produce.cpp makes blocks where one validator does, ledger_final.cpp takes in blocks that are final.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "accounting/chain/chain.h"
#include "accounting/index/writer.h"
#include "accounting/ledger.h"
#include "accounting/log/segment_log.h"

namespace ufab {

// It became final together with later blocks, of which one brings the certificate.
[[nodiscard]] inline bool wants_certificate(const Block& block) {
  return block.finality && !block.finality->certificate;
}

// When stored blocks are durable: when the call returns, or before the index has committed them.
enum class Durable : bool { now, soon };

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

  // Lock order: sign_mutex, then queue_mutex, then chain_mutex, then head_mutex or expected_mutex; never the
  // other way.
  std::mutex sign_mutex;
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  std::deque<std::shared_ptr<Waiting>> queue;
  std::vector<std::shared_ptr<Waiting>> making;  // in the block that is being made
  bool busy = false;                             // somebody makes a block

  mutable std::shared_mutex chain_mutex;
  Chain chain;
  std::optional<SegmentLog> log;
  std::unique_ptr<IndexWriter> index;  // none if options.index is false
  std::optional<Error> stopped;

  mutable std::mutex head_mutex;
  mutable std::condition_variable head_changed;
  Head head;
  std::vector<std::function<void(const Head&)>> listeners;

  std::mutex expected_mutex;
  std::multimap<RecordId, Expectation*> expected;  // no outcome yet

  [[nodiscard]] std::string path(const char* name) const { return options.folder + "/" + name; }

  // ---- chain_mutex held exclusively ----

  // Replays the log into the state, and into the index what that has missed.
  [[nodiscard]] Status open_log();
  // Log first, index second: what the index misses it gets from the log.
  [[nodiscard]] Status store(const std::vector<IndexedBlock>& blocks, Durable durable);
  [[nodiscard]] Status repair(const Error& why);
  [[nodiscard]] Status usable() const;
  // That of the present epoch's only validator; an error when several vote, or this node does not have it.
  [[nodiscard]] Result<const KeyPair*> producer_key() const;
  // After a block that turned out bad half way: the log has the state as it was.
  [[nodiscard]] Status rebuild_chain();
  // Applies blocks that follow the head one after another, whose finality was checked, and stores them.
  [[nodiscard]] Status take_in(std::vector<PreparedBlock> blocks, Durable durable,
                               std::vector<IndexedBlock>& taken);

  // ---- no lock held ----

  [[nodiscard]] Status check_producer() const;

  void publish(const Head& fresh);
  // A record that is on the chain already, with the outcome it had.
  [[nodiscard]] std::optional<Result<SubmitOutcome>> known(const RecordId& id);
  // Tells those who expect a record, or one of that block.
  void tell(const RecordId& id, const Result<SubmitOutcome>& outcome);
  void fulfil(const AppliedBlock& applied);
  // take_in(), then the world is told.
  [[nodiscard]] Status advance(std::vector<PreparedBlock> blocks, Durable durable);
  // Those of `blocks` that are not here yet; an error when one is another block than that here.
  [[nodiscard]] Result<std::vector<Block>> news_of(std::vector<Block> blocks) const;
  // The blocks at the front of `blocks` that belong to the present epoch and are final there: they leave it.
  // Empty when a certificate is missing.
  [[nodiscard]] Result<std::vector<PreparedBlock>> next_final(std::deque<PreparedBlock>& blocks) const;

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
