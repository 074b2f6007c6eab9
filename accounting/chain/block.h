// A block: a header that the producer signs, the records under it in order, and why it is final.
//
// Header layout: u8 version = 2, chain id (32), u64 height, previous block's hash (32; zero for block 0),
// u64 time_us, u64 epoch, u64 view (of the consensus; 0 where the producer's signature is enough), u32 record
// count, record root (32; RFC 9162 root over the records' encodings), state root (32; after the last record),
// u32 producer (organisation), producer key (32), signature (64) over SHA-256("ufab block 2\n" || everything
// before the signature). The block's hash is SHA-256 of the header with its signature.
// Block layout: the header as a u32-prefixed blob, then each record as a u32-prefixed blob, then, in an epoch
// whose validators vote, the finality as a u32-prefixed blob (finality.h). What they vote for is the block
// without its finality.
// Bounds: block_size_max bytes, block_records_max records.
#pragma once

#include <optional>
#include <vector>

#include "accounting/chain/finality.h"
#include "accounting/records/record.h"

namespace ufab {

inline constexpr std::size_t block_size_max = 16U << 20;
inline constexpr std::size_t block_records_max = 65536;

struct BlockHeader {
  Digest chain_id;
  std::uint64_t height = 0;
  Digest previous;
  std::uint64_t time_us = 0;
  std::uint64_t epoch = 0;
  std::uint64_t view = 0;
  std::uint32_t record_count = 0;
  Digest record_root;
  Digest state_root;
  OrgId producer = 0;
  PublicKey producer_key;
  Signature signature;

  friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
};

struct Block {
  BlockHeader header;
  std::vector<Bytes> records;  // encodings
  std::optional<Finality> finality;
};

[[nodiscard]] Bytes encode_header(const BlockHeader& header);
[[nodiscard]] Result<BlockHeader> decode_header(ByteView bytes);
[[nodiscard]] Digest header_signing_digest(const BlockHeader& header);
[[nodiscard]] Digest block_hash(const BlockHeader& header);
// With the finality, if there is one.
[[nodiscard]] Bytes encode_block(const Block& block);
// Without it: what validators vote for.
[[nodiscard]] Bytes encode_payload(const Block& block);
[[nodiscard]] Result<Block> decode_block(ByteView bytes);
// It became final together with later blocks, of which one brings the certificate.
[[nodiscard]] bool wants_certificate(const Block& block);
// merkle::leaf_hash of each record, and their root.
[[nodiscard]] std::vector<Digest> record_leaves(const std::vector<Bytes>& records);

}  // namespace ufab
