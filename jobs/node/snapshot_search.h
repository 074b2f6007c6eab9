// Looks for a snapshot of the chain's state (accounting/snapshot/manifest.h) among nodes of which any may
// lie, stall, go away or have none, for a node that knows nothing of the chain but its id.
//
// One node after the other is asked for a manifest, which is followed from the chain's id to the votes for
// its block. The chunks that it names come from the same node; one that is wrong or does not come is asked of
// the others, and each is held against the state root under the votes whoever sent it. So a node can keep
// back what only it has, and slow down; it cannot make anybody begin with another state.
//
// Bounds: a node that does not answer in time, or with pieces that make no whole, or whose chunks do not fit
// its own manifest, is asked for nothing more as long as this object lives: each costs one wait
// (SnapshotWaits). One that lacks a chunk, or whose chunk does not fit another node's manifest, is asked for
// nothing more of that snapshot. What was not checked yet is never larger than a manifest or a chunk may be.
// Not thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "accounting/snapshot/manifest.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// A node that may have snapshots: it answers "chain.snapshot" and "chain.chunk"
// (jobs/node/snapshot_keeper.h).
struct SnapshotPeer {
  std::string name;  // its endpoint: who it is in the log, and whether it was asked before
  std::function<Result<Answer>(const Request& request, std::chrono::milliseconds wait)> call;
};

struct SnapshotWaits {
  std::chrono::milliseconds piece = std::chrono::seconds(10);  // for one answer
  std::chrono::milliseconds whole = std::chrono::seconds(60);  // for all pieces of a manifest or of a chunk
};

struct FoundSnapshot {
  SnapshotManifest manifest;
  std::vector<Bytes> chunks;
  State state;
  std::set<std::string> senders;  // of the manifest and the chunks
};

class SnapshotSearch {
 public:
  using Log = std::function<void(const std::string&)>;
  // The log says of each node what it sent wrong. Looking ends soon after `stopping` is set.
  SnapshotSearch(const Digest& chain_id, Log log, const std::atomic<bool>& stopping,
                 const SnapshotWaits& waits = {});

  // The first snapshot of block `height_min` or a later one. Asks each peer for its own once, in all calls
  // together; empty when none of those that are left has one.
  [[nodiscard]] std::optional<FoundSnapshot> look(const std::vector<SnapshotPeer>& peers,
                                                  std::uint64_t height_min);

 private:
  [[nodiscard]] Result<FoundSnapshot> fetch(const SnapshotPeer& first, const std::vector<SnapshotPeer>& peers,
                                            std::uint64_t height_min);
  [[nodiscard]] Result<SnapshotManifest> fetch_manifest(const SnapshotPeer& peer, SnapshotBase& base);
  // The answers to `request` put together. They must all be of that height, or of one that it chooses.
  [[nodiscard]] Result<Bytes> fetch_whole(const SnapshotPeer& peer, Request request,
                                          std::optional<std::uint64_t> height, std::size_t size_max) const;
  void distrust(const SnapshotPeer& peer, const Error& why);

  const Digest chain_id_;
  const Log log_;
  const std::atomic<bool>& stopping_;
  const SnapshotWaits waits_;
  std::set<std::string> asked_;       // for a manifest
  std::set<std::string> distrusted_;  // asked for nothing more
};

}  // namespace ufab::jobs
