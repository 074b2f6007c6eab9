// The SQLite index beside the log: never the truth, always rebuildable, for look-ups and for auditors' SQL.
//
// Tables: amounts are micro-UNC, times microseconds since 1970, digests, keys and ids BLOBs of 32 bytes
// (hex(id) shows them); `height` and `position` name the record that a row comes from. A refused record has a
// row in `record` and one in `refusal` and no other. The CREATE statements are in accounting/index/schema.h.
// One writer; readers may open the file themselves (WAL). Writes are batched: flush() commits. After a crash
// the index is behind, and catches up from the log when the ledger opens. Numbers above 2^63 - 1 are stored
// as that. Not thread-safe.
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
  const Record* record = nullptr;
  RecordId id;
  OrgId signer = 0;  // 0 for a derived record
  const std::vector<Movement>* movements = nullptr;
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
  // Height of the last block in the index at `path`, without changing it; empty if there is none to read.
  [[nodiscard]] static std::optional<std::uint64_t> peek_height(const std::string& path);

  // Height of the last block in it; empty for a new index.
  [[nodiscard]] std::optional<std::uint64_t> height() const;
  // Rows written since the last flush.
  [[nodiscard]] std::size_t rows_waiting() const;
  // The next block. `start_movements` are those of begin_block.
  [[nodiscard]] Status add(const BlockHeader& header, const Digest& hash,
                           const std::vector<IndexedRecord>& records,
                           const std::vector<Movement>& start_movements);
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
