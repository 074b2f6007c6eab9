// What a node that knows nothing of a chain but its id needs to take over a state from strangers: the proof
// of the block that it is the state after, and the index of the state.
//
// Layout (fabric/base/codec.h): the checkpoint (accounting/audit/checkpoint.h) and the index
// (accounting/state/snapshot.h), each as a blob. The checkpoint's head is the last block of a consensus
// epoch, which always has its own votes where there are any; its trail are the headers of the
// params.bench_window_blocks blocks before, or of all.
// Bound: manifest_size_max bytes.
#pragma once

#include "accounting/audit/checkpoint.h"
#include "accounting/chain/chain.h"
#include "accounting/state/snapshot.h"

namespace ufab {

inline constexpr std::size_t manifest_size_max = checkpoint_size_max + (1U << 20);

struct SnapshotManifest {
  ChainCheckpoint checkpoint;
  SnapshotIndex index;
};
// What one is made of: the state at the checkpoint's head, a copy.
struct SnapshotDraft {
  ChainCheckpoint checkpoint;
  State state;
};
[[nodiscard]] Bytes encode_manifest(const SnapshotManifest& manifest);
[[nodiscard]] Result<SnapshotManifest> decode_manifest(ByteView bytes);

// Follows the checkpoint from that chain's id to its head, and holds the index against the state root there.
// An error means that whoever sent the manifest lied: nothing in it needs anybody else.
[[nodiscard]] Result<SnapshotBase> check_manifest(const SnapshotManifest& manifest, const Digest& chain_id);
// The chain after the head. Precondition: check_manifest() gave the base of which `state` came back.
[[nodiscard]] Chain resume_chain(const SnapshotManifest& manifest, State state);

// A snapshot in a folder, each piece in a file of its own: manifest, 0, 1, 2, …
//
// Writes it under another name first and renames it when all is durable: it is there whole or not at all.
[[nodiscard]] Status write_snapshot(const std::string& folder, ByteView manifest,
                                    const std::vector<Bytes>& chunks);
[[nodiscard]] Result<Bytes> read_manifest(const std::string& folder);
[[nodiscard]] Result<Bytes> read_chunk(const std::string& folder, std::uint32_t number);
// The state in such a folder, checked whole.
[[nodiscard]] Result<Chain> open_snapshot(const std::string& folder, const Digest& chain_id,
                                          SnapshotManifest& manifest);

// unavailable while the ledger in that folder (accounting/ledger.h) lacks blocks before the snapshot that it
// began with.
[[nodiscard]] Status check_whole(const std::string& ledger_folder);

}  // namespace ufab
