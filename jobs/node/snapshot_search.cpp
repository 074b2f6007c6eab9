#include "jobs/node/snapshot_search.h"

#include <algorithm>
#include <utility>

namespace ufab::jobs {

namespace {

using Clock = std::chrono::steady_clock;

Error wrong_pieces(const char* why) {
  return {ErrorCode::corrupt, std::string("its pieces do not make a whole: ") + why};
}

}  // namespace

SnapshotSearch::SnapshotSearch(const Digest& chain_id, Log log, const std::atomic<bool>& stopping,
                               const SnapshotWaits& waits)
    : chain_id_(chain_id), log_(std::move(log)), stopping_(stopping), waits_(waits) {}

Result<Bytes> SnapshotSearch::fetch_whole(const SnapshotPeer& peer, Request request,
                                          std::optional<std::uint64_t> height, std::size_t size_max) const {
  const Clock::time_point end = Clock::now() + waits_.whole;
  std::optional<std::uint64_t> size;
  Bytes whole;
  for (;;) {
    if (stopping_) return Error{ErrorCode::unavailable, "the node goes down"};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return Error{ErrorCode::timeout, "it takes too long"};
    request.params["offset"] = whole.size();
    if (height) request.params["height"] = *height;
    UFAB_ASSIGN(const Answer answer, peer.call(request, std::min(left, waits_.piece)));
    UFAB_ASSIGN(const std::uint64_t height_there, json_number(answer.result, "height"));
    UFAB_ASSIGN(const std::uint64_t size_there, json_number(answer.result, "size"));
    if (height_there != height.value_or(height_there)) return wrong_pieces("it is of another block");
    if (size_there > size_max) return wrong_pieces("it is larger than it may be");
    if (size_there != size.value_or(size_there)) return wrong_pieces("its size changes");
    if (answer.body.size() > size_there - whole.size()) return wrong_pieces("there is more than its size");
    if (answer.body.empty() && whole.size() < size_there) return wrong_pieces("there is less than its size");
    height = height_there;
    size = size_there;
    whole.insert(whole.end(), answer.body.begin(), answer.body.end());
    if (whole.size() == size_there) return whole;
  }
}

void SnapshotSearch::distrust(const SnapshotPeer& peer, const Error& why) {
  if (stopping_) return;
  distrusted_.insert(peer.name);
  log_(peer.name + ": " + why.message + "; it is asked for no snapshot any more");
}

Result<SnapshotManifest> SnapshotSearch::fetch_manifest(const SnapshotPeer& peer, SnapshotBase& base) {
  const auto checked = [&]() -> Result<SnapshotManifest> {
    UFAB_ASSIGN(const Bytes encoded,
                fetch_whole(peer, {"chain.snapshot", {}, {}}, std::nullopt, manifest_size_max));
    UFAB_ASSIGN(SnapshotManifest manifest, decode_manifest(encoded));
    UFAB_ASSIGN(base, check_manifest(manifest, chain_id_));
    return manifest;
  };
  auto manifest = checked();
  if (manifest.ok() || manifest.error().code == ErrorCode::not_found) return manifest;
  distrust(peer, manifest.error().within("manifest"));
  return Error{ErrorCode::corrupt, "its manifest is of no use"};
}

Result<FoundSnapshot> SnapshotSearch::fetch(const SnapshotPeer& first, const std::vector<SnapshotPeer>& peers,
                                            std::uint64_t height_min) {
  SnapshotBase base;
  UFAB_ASSIGN(SnapshotManifest manifest, fetch_manifest(first, base));
  const std::uint64_t height = base.context.height;
  if (height < height_min)
    return Error{ErrorCode::not_found, "it has none after block " + std::to_string(height)};
  UFAB_ASSIGN(StateSnapshot::Restore restore, StateSnapshot::Restore::begin(std::move(base), manifest.index));
  std::vector<const SnapshotPeer*> order{&first};
  for (const SnapshotPeer& peer : peers) {
    if (peer.name != first.name) order.push_back(&peer);
  }
  std::set<std::string> senders{first.name}, without;
  std::vector<Bytes> chunks;
  for (std::uint32_t i = 0; i < restore.chunks(); ++i) {
    for (const SnapshotPeer* peer : order) {
      if (restore.has(i)) break;
      if (distrusted_.contains(peer->name) || without.contains(peer->name)) continue;
      auto chunk = fetch_whole(*peer, {"chain.chunk", {{"chunk", i}}, {}}, height, chunk_size_max);
      const Status added = chunk.ok() ? restore.add(i, *chunk)
                                      : Status(chunk.error().within("snapshot: chunk " + std::to_string(i)));
      if (added.ok()) {
        chunks.push_back(*std::move(chunk));
        senders.insert(peer->name);
      } else if (chunk.ok() && added.error().code == ErrorCode::invalid) {
        return added.error();  // it is the chunk, whoever sends it
      } else if (added.error().code == ErrorCode::not_found) {
        without.insert(peer->name);
      } else if (chunk.ok() && peer != &first) {
        // How many chunks there are is the word of the first alone: this may be one of fewer, or of more.
        without.insert(peer->name);
        log_(peer->name + ": " + added.error().message + "; it does not fit the manifest of " + first.name);
      } else {
        distrust(*peer, added.error());
      }
    }
    if (!restore.has(i))
      return Error{ErrorCode::not_found,
                   "nobody has chunk " + std::to_string(i) + " of block " + std::to_string(height)};
  }
  UFAB_ASSIGN(State state, std::move(restore).finish());
  return FoundSnapshot{std::move(manifest), std::move(chunks), std::move(state), std::move(senders)};
}

std::optional<FoundSnapshot> SnapshotSearch::look(const std::vector<SnapshotPeer>& peers,
                                                  std::uint64_t height_min) {
  for (const SnapshotPeer& peer : peers) {
    if (stopping_) break;
    if (distrusted_.contains(peer.name) || !asked_.insert(peer.name).second) continue;
    auto found = fetch(peer, peers, height_min);
    if (found.ok()) return *std::move(found);
    if (!stopping_) log_("no snapshot from " + peer.name + ": " + found.error().message);
  }
  return std::nullopt;
}

}  // namespace ufab::jobs
