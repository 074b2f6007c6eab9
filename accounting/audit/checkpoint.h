// A checkpoint file: what somebody who knows a chain's id, and has nothing of the chain, needs to know its
// head and its validators.
//
// Layout (fabric/base/codec.h): "ufabcheckpoint1\n" (16 bytes), then
//   genesis: header blob, record blob. Block 0 holds only the genesis; its id is the chain id.
//   u32 count of links (at most checkpoint_links_max), each a placed record (below): a change of who makes
//     blocks. It is a key_change of the founder's key as long as no list of validators was formed, or an
//     epoch record.
//   u32 count of headers (at most trail_max), blobs: of the blocks just before the head, oldest first. For
//     witnesses.
//   the head: a final header (below).
//   u32 count of cosignatures (at most cosignatures_max), each a public key and its signature over
//     cosignature_digest(), by ascending key, no key twice.
// A final header is: u32 count (at least 1, at most run_max) and as many header blobs, the block's and those
// of
//   the blocks after it up to the first whose own votes are here, each naming the hash of the one before;
//   flag; if set, the last one's finality (accounting/chain/finality.h) as a blob, with its certificate, and
//   the hash of its payload without the header (accounting/consensus/messages.h: payload_hash()). Not set
//   where the signature of the only validator is enough; then the count is 1.
// A placed record is: final header, u32 position, record blob, path (u32 count, digests of 32 bytes).
//
// How a link is checked, `old` being what the links before it led to:
//   the block is final by `old`: signed with the only validator's key, or voted for in old's epoch, of which
//     an epoch record's block is the last. Such a link has one header.
//   or, with more headers than one, from a voting epoch to any later one: the last header is that of a block
//     of the epoch that the record opens, final by the record's own list, and those who signed that
//     certificate are a quorum of old's list too. Who votes in an epoch has seen the block that opens it
//     final. So one honest signer, and a quorum of `old` has one unless `old` itself was broken, makes that
//     block and its record true. A certificate names its epoch and cannot be taken for one of another epoch;
//     and the list of an epoch is always proven by its own record, never by being equal to an earlier one.
// So epochs need no link while a quorum of the last list goes on signing: a file has a link per change of a
// third of the list, about 1 kB and 160 bytes a validator each, and not 500,000 of them in a year of epochs
// of a minute. At worst, with a wholly new list each epoch, checkpoint_links_max is 45 days of those.
//
// What it promises: no more than a third (by weight, or by pledge) of each list in the file ever signed, or
// had its keys used for, another history. Whoever has the keys of a quorum of a list of long ago, or of the
// founder when it was alone, can make another history from there on that checks as well: against that stand
// witnesses' cosignatures, and comparing heads. A file may be old: it says what was so at its head. While one
// validator makes all blocks its word is all there is: it may leave out that a list was formed and sign
// blocks of its own after that; and a key_change that the ledger refused counts here, since the founder
// signed it. Bound: checkpoint_size_max bytes.
#pragma once

#include <vector>

#include "accounting/chain/block.h"

namespace ufab {

inline constexpr std::size_t checkpoint_size_max = 64U << 20;
inline constexpr std::size_t checkpoint_links_max = 65'536;
inline constexpr std::size_t trail_max = 100'000;
inline constexpr std::size_t run_max = 4096;
inline constexpr std::size_t cosignatures_max = 64;

struct FinalHeader {
  std::vector<BlockHeader> headers;
  std::optional<Finality> finality;
  Digest rest_hash;  // only with it

  [[nodiscard]] const BlockHeader& block() const { return headers.front(); }
};

struct PlacedRecord {
  FinalHeader block;
  std::uint32_t position = 0;
  Bytes record;
  std::vector<Digest> path;
};

struct Cosignature {
  PublicKey witness;
  Signature signature;
};

struct ChainCheckpoint {
  BlockHeader genesis_header;
  Bytes genesis;
  std::vector<PlacedRecord> links;
  std::vector<BlockHeader> trail;
  FinalHeader head;
  std::vector<Cosignature> cosignatures;
};

[[nodiscard]] Bytes encode_checkpoint(const ChainCheckpoint& checkpoint);
[[nodiscard]] Result<ChainCheckpoint> decode_checkpoint(ByteView bytes);
[[nodiscard]] bool is_checkpoint(ByteView bytes);  // it says that it is one
// SHA-256 of "ufab checkpoint cosignature 1\n", chain id, u64 height, block hash: what a witness signs.
[[nodiscard]] Digest cosignature_digest(const BlockHeader& head);

// The parts, for containers of them (accounting/audit/proof.h).
void write_checkpoint(Writer& writer, const ChainCheckpoint& checkpoint);
void write_placed(Writer& writer, const PlacedRecord& placed);
void write_path(Writer& writer, const std::vector<Digest>& path);
[[nodiscard]] ChainCheckpoint read_checkpoint(Reader& reader);
[[nodiscard]] PlacedRecord read_placed(Reader& reader);
[[nodiscard]] std::vector<Digest> read_path(Reader& reader);
[[nodiscard]] Bytes read_record(Reader& reader);

}  // namespace ufab
