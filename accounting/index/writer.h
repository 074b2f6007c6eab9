// Writes the index on a thread of its own, so that submitting does not wait for SQLite: the log is the truth,
// and what a crash takes from the index comes back from it. So the index must not know a block that the log
// may still lose: `make_durable` is called before each commit, from that thread. Thread-safe. At most
// queue_max blocks wait; add() blocks beyond that. Commits every batch_rows rows, and batch_time after the
// first row that waits at the latest.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "accounting/chain/chain.h"
#include "accounting/index/index.h"

namespace ufab {

// A block and, for each of its records, the signer's organisation (0: derived).
struct IndexedBlock {
  std::shared_ptr<const AppliedBlock> block;
  std::vector<OrgId> signers;
};

// The index of `state` after the block, whose signers it looks up.
[[nodiscard]] IndexedBlock indexed_block(std::shared_ptr<const AppliedBlock> block, const State& state);
[[nodiscard]] Status add_to_index(Index& index, const IndexedBlock& item);

class IndexWriter {
 public:
  IndexWriter(std::unique_ptr<Index> index, std::function<Status()> make_durable);
  ~IndexWriter();  // writes what waits
  IndexWriter(const IndexWriter&) = delete;
  IndexWriter& operator=(const IndexWriter&) = delete;

  // The error of an earlier block, if one could not be written; nothing is written any more then.
  [[nodiscard]] Status add(IndexedBlock item);
  // Sees every block added before.
  [[nodiscard]] Result<std::optional<RecordPlace>> find_record(const RecordId& id);

 private:
  void run();
  [[nodiscard]] Status commit();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<IndexedBlock> queue_;
  bool writing_ = false;  // the thread has the index; otherwise whoever holds the mutex has it
  bool stopping_ = false;
  std::optional<Error> failed_;
  std::unique_ptr<Index> index_;
  const std::function<Status()> make_durable_;
  std::thread thread_;
};

}  // namespace ufab
