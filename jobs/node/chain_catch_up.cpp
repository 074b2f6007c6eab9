// How a node that has only block 0 takes part at once: with a snapshot of the state, from strangers, and the
// blocks before it afterwards.
#include "accounting/snapshot/manifest.h"
#include "jobs/node/block_feed.h"
#include "jobs/node/chain.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto call_wait = 10s;
// Closer than that to the head the blocks themselves are there as soon.
constexpr std::uint64_t snapshot_gain_min = 100;
constexpr auto fill_pause = 2s;  // after something that did not work
constexpr auto tell_every = 10s;

// Of the answers to `request` put together: whatever one source has of it, at most `size_max` bytes.
template <class Call>
Result<Bytes> fetch_whole(const Call& call, Request request, std::size_t size_max, std::uint64_t& height) {
  Bytes whole;
  for (;;) {
    request.params["offset"] = whole.size();
    UFAB_ASSIGN(const Answer answer, call(request));
    UFAB_ASSIGN(height, json_number(answer.result, "height"));
    UFAB_ASSIGN(const std::uint64_t size, json_number(answer.result, "size"));
    request.params["height"] = height;
    if (size > size_max || answer.body.size() > size - whole.size() || (answer.body.empty() && size > 0))
      return Error{ErrorCode::corrupt, "its pieces do not make a whole"};
    whole.insert(whole.end(), answer.body.begin(), answer.body.end());
    if (whole.size() == size) return whole;
  }
}

}  // namespace

Status Chain::begin_with_snapshot(const Source& first, const std::vector<Source>& all) {
  const auto call_at = [this](const Source& source) {
    return [this, &source](const Request& request) {
      if (stopping_) return Result<Answer>(Error{ErrorCode::unavailable, "the node goes down"});
      return filling_.call(source.endpoint, source.keys, request, call_wait);
    };
  };
  std::uint64_t height = 0;
  UFAB_ASSIGN(const Bytes encoded,
              fetch_whole(call_at(first), {"chain.snapshot", {}, {}}, manifest_size_max, height));
  UFAB_ASSIGN(const SnapshotManifest manifest, decode_manifest(encoded));
  UFAB_ASSIGN(SnapshotBase base, check_manifest(manifest, ledger_->chain_id()));
  if (base.context.height < ledger_->head().height + snapshot_gain_min) return {};
  UFAB_ASSIGN(StateSnapshot::Restore restore, StateSnapshot::Restore::begin(std::move(base), manifest.index));
  std::vector<Bytes> chunks;
  std::size_t size = 0;
  for (std::uint32_t i = 0; i < restore.chunks(); ++i) {
    Status added = Error{ErrorCode::not_found, "nobody has the chunk"};
    // From the one that named it, and if what it sends is wrong from any other that has the same snapshot.
    for (std::size_t at = 0; !added.ok() && at <= all.size(); ++at) {
      const Source& source = at == 0 ? first : all[at - 1];
      if (at > 0 && source.endpoint.str() == first.endpoint.str()) continue;
      std::uint64_t of = height;
      auto chunk = fetch_whole(call_at(source), {"chain.chunk", {{"height", height}, {"chunk", i}}, {}},
                               chunk_size_max, of);
      added = chunk.ok() ? restore.add(i, *chunk) : Status(chunk.error());
      if (added.ok()) {
        size += chunk->size();
        chunks.push_back(*std::move(chunk));
      } else if (log_) {
        log_("snapshot of block " + std::to_string(height) + ": " + source.endpoint.str() + ": " +
             added.error().message);
      }
      if (!added.ok() && added.error().code == ErrorCode::invalid) return added;
    }
    UFAB_TRY(added);
  }
  UFAB_ASSIGN(State state, std::move(restore).finish());
  UFAB_TRY(ledger_->begin_at(manifest, chunks, std::move(state)));
  if (log_) {
    log_("this node begins with the state after block " + std::to_string(height) + " (" +
         std::to_string(size) + " bytes from " + first.endpoint.str() +
         ", checked against the votes for that block); the blocks before it follow");
  }
  return {};
}

bool Chain::look_for_snapshot(std::uint64_t head_seen) {
  if (!config_.snapshot || !began_empty_ || ledger_->history()) return false;
  if (head_seen < ledger_->head().height + snapshot_gain_min) return false;
  const std::vector<Source> all = sources();
  for (const Source& source : all) {
    if (stopping_ || !snapshot_asked_.insert(source.endpoint.str()).second) continue;
    const Status begun = begin_with_snapshot(source, all);
    if (begun.ok() && ledger_->history()) {
      filler_ = std::thread([this] { fill_history(); });
      return true;
    }
    if (!begun.ok() && log_) log_("no snapshot from " + source.endpoint.str() + ": " + begun.error().message);
  }
  return false;
}

// Takes half of one processor at most, and no lock that the present needs for longer than a few blocks take.
void Chain::fill_history() {
  BlockFeed feed([this](const Request& request) { return call_source(filling_, request, call_wait); });
  auto told = std::chrono::steady_clock::now();
  while (!stopping_) {
    const auto history = ledger_->history();
    if (!history) return;
    const auto began = std::chrono::steady_clock::now();
    if (log_ && began - told >= tell_every) {
      told = began;
      log_("blocks 0 to " + std::to_string(history->filled) + " of the " + std::to_string(history->base) +
           " before the snapshot are here");
    }
    Status filled;
    if (history->filled >= history->base) {
      filled = ledger_->fill_history({});
    } else {
      if (!feed.fetch(history->filled + 1, 0).ok()) {
        pause(fill_pause);
        continue;
      }
      filled = feed.take([this](const auto& blocks) { return ledger_->fill_history(blocks); }, false);
    }
    if (!ledger_->history()) {
      if (log_) log_("every block of the chain is here now");
      return;
    }
    if (filled.ok()) {
      pause(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began));
      continue;
    }
    if (log_) log_("a block from before the snapshot was refused: " + filled.error().message);
    ++source_;
    pause(fill_pause);
  }
}

}  // namespace ufab::jobs
