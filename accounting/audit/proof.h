// A proof file: that one record is on a chain, checkable with nothing else but the chain's id.
//
// Layout (fabric/base/codec.h): "ufabproof2\n" (11 bytes), then
//   a checkpoint (accounting/audit/checkpoint.h) whose links prove the list that voted for the record's
//   block; the placed record that is proven; flag; if set, the inclusion of the record after it in the same
//   block: record blob, path. It shows whether
//     the record was refused. Not set only for the last record of a block.
// Bound: proof_size_max bytes.
#pragma once

#include "accounting/audit/checkpoint.h"

namespace ufab {

inline constexpr std::size_t proof_size_max = checkpoint_size_max + (8U << 20);

struct Proof {
  ChainCheckpoint checkpoint;
  PlacedRecord target;
  bool has_next = false;
  Bytes next;
  std::vector<Digest> next_path;
};

[[nodiscard]] Bytes encode_proof(const Proof& proof);
[[nodiscard]] Result<Proof> decode_proof(ByteView bytes);

}  // namespace ufab
