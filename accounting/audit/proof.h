// A proof file: that one record is on a chain, checkable with nothing else.
//
// Layout (fabric/base/codec.h): "ufabproof1\n" (11 bytes), then
//   genesis: header blob, record blob. Block 0 holds only the genesis; its id is the chain id, and its signer
//     is the first validator key.
//   u32 count of key links (at most 256), each a placed record (below) that is a key_change signed by the
//     validator's key so far: it vouches for the next one.
//   the placed record that is proven.
//   flag; if set, the inclusion of the record after it in the same block: record blob, path. It shows whether
//     the record was refused. Not set only for the last record of a block.
// A placed record is: block header blob, u32 position, record blob, path (u32 count, digests of 32 bytes).
// Bound: proof_size_max bytes.
#pragma once

#include <vector>

#include "accounting/chain/block.h"

namespace ufab {

inline constexpr std::size_t proof_size_max = 8U << 20;

struct PlacedRecord {
  BlockHeader header;
  std::uint32_t position = 0;
  Bytes record;
  std::vector<Digest> path;
};

struct Proof {
  BlockHeader genesis_header;
  Bytes genesis;
  std::vector<PlacedRecord> key_links;
  PlacedRecord target;
  bool has_next = false;
  Bytes next;
  std::vector<Digest> next_path;
};

[[nodiscard]] Bytes encode_proof(const Proof& proof);
[[nodiscard]] Result<Proof> decode_proof(ByteView bytes);

}  // namespace ufab
