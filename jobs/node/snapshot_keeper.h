// Snapshots of the chain's state (accounting/snapshot/manifest.h) that this node hands out to nodes that
// join. Thread-safe.
//
// One is made after an epoch's end, in chain/snapshots/HEIGHT; the last two stay, so that whoever has begun
// with one can finish. The copy of the state is taken by the thread that made the block, everything else by a
// thread of its own, and a new one is begun only when the last took no more than a twentieth of the time
// since.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "accounting/ledger.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

class SnapshotKeeper {
 public:
  // The ledger outlives it, and makes no blocks any more when it ends.
  SnapshotKeeper(Ledger& ledger, std::string folder, std::function<void(const std::string&)> log);
  ~SnapshotKeeper();
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  // "chain.snapshot" {offset} and, to go on with one that was begun, {height}: its manifest from there on, at
  // most piece_bytes, with {height, size}. not_found while there is none, or none of that height any more.
  [[nodiscard]] Result<Answer> manifest(const Request& request) const;
  // "chain.chunk" {height, chunk, offset}: likewise.
  [[nodiscard]] Result<Answer> chunk(const Request& request) const;

 private:
  void block_came(const Head& head);
  void run();
  void make(const SnapshotDraft& draft);
  [[nodiscard]] std::string path(std::uint64_t height) const;
  // Those that are there, ascending.
  [[nodiscard]] std::vector<std::uint64_t> heights() const;

  using Clock = std::chrono::steady_clock;
  Ledger& ledger_;
  const std::string folder_;
  const std::function<void(const std::string&)> log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<const SnapshotDraft> draft_;
  bool busy_ = false;
  bool stopping_ = false;
  Clock::time_point next_;  // when the next one may be begun
  std::thread thread_;
};

}  // namespace ufab::jobs
