// The SQLite index beside the log: never the truth, always rebuildable, for look-ups and for auditors' SQL.
//
// Tables (all amounts micro-UNC, times microseconds, digests lower-case hex without prefix):
//   block(height, hash, time_us, epoch, records)     record(height, position, id, type, signer, sequence,
//   time_us) organisation(id, name, key)   account(name, balance)   movement(height, position, debit, credit,
//   amount) job(id, owner, kind, name, budget, ordered, settled, result, verified)   lease(…)   receipt(…)
//   vote(…)   verdict(…)   settlement(…)   reward(…)   refusal(…)   meta(key, value)
// The exact columns are the CREATE statements in index.cpp. One writer; readers may open the file themselves.
// Writes are batched: flush() commits. After a crash the index is behind and catches up from the log.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "accounting/chain/block.h"
#include "accounting/state/state.h"

namespace ufab {

// One record of a block with what followed from it.
struct IndexedRecord {
  Record record;
  RecordId id;
  std::vector<Movement> movements;  // of a signed record or of the block's start (on its first record)
};

struct RecordPlace {
  std::uint64_t height = 0;
  std::uint32_t position = 0;
};

class Index {
 public:
  // Creates the file if it does not exist. An index of another version or chain is ErrorCode::conflict.
  [[nodiscard]] static Result<std::unique_ptr<Index>> open(const std::string& path, const Digest& chain_id);
  ~Index();

  // Height of the last block in it; empty for a new index.
  [[nodiscard]] std::optional<std::uint64_t> height() const;
  // The next block. `block_movements` are those of begin_block.
  [[nodiscard]] Status add(const BlockHeader& header, const std::vector<IndexedRecord>& records,
                           const std::vector<Movement>& block_movements);
  [[nodiscard]] Status flush();
  [[nodiscard]] Result<std::optional<RecordPlace>> find_record(const RecordId& id) const;
  // Every table as text in key order: two indices are equal if and only if their dumps are.
  [[nodiscard]] Result<std::string> dump() const;

 private:
  struct Impl;
  explicit Index(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ufab
