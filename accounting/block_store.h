// A chain, the log that it follows from and the index of it. Private to ledger*.cpp: a ledger has one, and a
// second one while it fills in the blocks before a snapshot (ledger_impl.h). Not thread-safe.
#pragma once

#include <deque>
#include <span>

#include "accounting/audit/collect.h"
#include "accounting/index/writer.h"
#include "accounting/ledger.h"
#include "accounting/log/segment_log.h"
#include "accounting/snapshot/manifest.h"

namespace ufab {

// When stored blocks are durable: when the call returns; or before the index has committed them, and where
// there is none after later_sync()->sync() alone.
enum class Durable : bool { now, soon };

class BlockStore {
 public:
  // `folder`: of its log. The log begins with block 0, or after the head of the snapshot in `snapshot`; then
  // it has no index.
  BlockStore(const LedgerOptions& options, std::string folder, std::string snapshot = {},
             Digest chain_id = {})
      : options_(options), folder_(std::move(folder)), snapshot_(std::move(snapshot)), chain_id_(chain_id) {}
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  // Replays the log into the state, and into the index what that has missed.
  [[nodiscard]] Status open();
  // What open() would find in the snapshot, from who has just put it there.
  void prepare(Chain chain, SnapshotManifest manifest) {
    prepared_.emplace(Prepared{std::move(chain), std::move(manifest)});
  }

  [[nodiscard]] const Chain& chain() const { return chain_; }
  // Height of the log's first block.
  [[nodiscard]] std::uint64_t first() const { return first_; }
  // not_found past the head. Precondition: not before first().
  [[nodiscard]] Result<Bytes> block(std::uint64_t height) const;
  // Null where there is none.
  [[nodiscard]] IndexWriter* index() const { return index_.get(); }
  // The error after which memory and disk may differ.
  [[nodiscard]] const std::optional<Error>& stopped() const { return stopped_; }

  // Of blocks that follow the head one after another, those at the front that belong to the present epoch
  // and would be final with the certificates among them: what is left to check of each.
  [[nodiscard]] Result<std::vector<FinalityCheck>> final_part(std::span<const Block> blocks) const;
  // Applies blocks that follow the head, whose finality was checked, and stores them: all, or none is left.
  [[nodiscard]] Status take_in(std::vector<PreparedBlock> blocks, Durable durable,
                               std::vector<IndexedBlock>& taken);
  // Makes durable what was taken in, from any thread, for as long as it is held.
  [[nodiscard]] std::shared_ptr<LogSync> later_sync() const { return log_->later_sync(); }
  // Makes the next block and stores it likewise.
  [[nodiscard]] Result<std::shared_ptr<AppliedBlock>> make(const std::vector<SubmittedRecord>& records,
                                                           const KeyPair& key);
  // The proof of the head, with the trail that a snapshot needs. not_found unless the head ends an epoch.
  [[nodiscard]] Result<ChainCheckpoint> prove_head() const;

 private:
  struct Prepared {
    Chain chain;
    SnapshotManifest manifest;
  };
  [[nodiscard]] Status begin();
  [[nodiscard]] Status replay(ByteView payload, AppliedBlock* applied);
  [[nodiscard]] Status rebuild();
  // Log first, index second: what the index misses it gets from the log.
  [[nodiscard]] Status store(const std::vector<IndexedBlock>& blocks, Durable durable);
  [[nodiscard]] Status repair(const Error& why);
  void note(const AppliedBlock& applied);
  [[nodiscard]] std::string path(const char* name) const { return options_.folder + "/" + name; }

  const LedgerOptions& options_;
  const std::string folder_;
  const std::string snapshot_;
  const Digest chain_id_;
  std::optional<Prepared> prepared_;
  Chain chain_;
  std::uint64_t first_ = 0;
  std::optional<SegmentLog> log_;
  std::unique_ptr<IndexWriter> index_;
  std::optional<Error> stopped_;
  std::optional<audit::Collector> proof_;  // none once a checkpoint would be too large
  std::deque<BlockHeader> trail_;          // the head's last
};

// Checks blocks that nobody has checked yet, on all processors, and meanwhile hands on those that are known
// to be final, up to a certificate each time. What follows the last certificate is left out; unavailable when
// there is none. After an error blocks before the wrong one may have been handed on.
[[nodiscard]] Status check_and_take(
    std::vector<Block> blocks,
    const std::function<Result<std::vector<FinalityCheck>>(std::span<const Block>)>& final_part,
    const std::function<Status(std::vector<PreparedBlock>)>& take);

}  // namespace ufab
