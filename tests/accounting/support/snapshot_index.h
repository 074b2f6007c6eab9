// The index that a snapshot's chunks would have.
#pragma once

#include "accounting/state/snapshot.h"

namespace ufab::test {

// The index of chunks that were changed: the hashes of what they hold now. Empty if they cannot be read.
inline std::optional<SnapshotIndex> index_of(const std::vector<Bytes>& chunks) {
  SnapshotIndex index;
  index.chunks = static_cast<std::uint32_t>(chunks.size());
  for (const Bytes& chunk : chunks) {
    Reader reader(chunk);
    for (std::size_t bucket = 0; bucket < StateTree::buckets_count / chunks.size(); ++bucket) {
      std::vector<StateTree::Item> items;
      const std::uint32_t count = reader.count(chunk_size_max, 25);
      for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
        StateKey key;
        key.slot = reader.u8();
        key.a = reader.u64();
        key.b = reader.u64();
        items.push_back({key, sha256(reader.blob(chunk_size_max))});
        reader.blob(chunk_size_max);
      }
      index.buckets.push_back(StateTree::bucket_hash(items));
    }
    if (!reader.finish("").ok()) return std::nullopt;
  }
  return index;
}

}  // namespace ufab::test
