// How a node that has only block 0 takes part at once: with a snapshot of the state, from strangers, and the
// blocks before it afterwards.
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

}  // namespace

bool Chain::begin_with_snapshot(std::uint64_t head_seen) {
  if (!config_.snapshot || !began_empty_ || ledger_->history()) return false;
  const std::uint64_t height_min = ledger_->head().height + snapshot_gain_min;
  if (head_seen < height_min) return false;
  std::vector<SnapshotPeer> peers;
  for (const Source& source : sources()) {
    peers.push_back(
        {source.endpoint.str(), [this, source](const Request& request, std::chrono::milliseconds wait) {
           return filling_.call(source.endpoint, source.keys, request, wait);
         }});
  }
  auto found = snapshot_search_.look(peers, height_min);
  if (!found) return false;
  const std::uint64_t height = found->state.height();
  if (const Status begun = ledger_->begin_at(found->manifest, found->chunks, std::move(found->state));
      !begun.ok()) {
    log_("the snapshot of block " + std::to_string(height) + " is of no use: " + begun.error().message);
    return false;
  }
  std::size_t size = 0;
  for (const Bytes& chunk : found->chunks) size += chunk.size();
  std::string senders;
  for (const std::string& sender : found->senders) senders += (senders.empty() ? "" : ", ") + sender;
  log_("this node begins with the state after block " + std::to_string(height) + " (" + std::to_string(size) +
       " bytes from " + senders + ", checked against the votes for that block); the blocks before it follow");
  filler_ = std::thread([this] { fill_history(); });
  return true;
}

// Takes half of one processor at most, and no lock that the present needs for longer than a few blocks take.
void Chain::fill_history() {
  BlockFeed feed([this](const Request& request) { return call_source(filling_, request, call_wait); });
  auto told = std::chrono::steady_clock::now();
  while (!stopping_) {
    const auto history = ledger_->history();
    if (!history) return;
    const auto began = std::chrono::steady_clock::now();
    if (began - told >= tell_every) {
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
      log_("every block of the chain is here now");
      return;
    }
    if (filled.ok()) {
      pause(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began));
      continue;
    }
    log_("a block from before the snapshot was refused: " + filled.error().message);
    ++source_;
    pause(fill_pause);
  }
}

}  // namespace ufab::jobs
