// Blocks on their way from one node's ledger into another's: the method chain.blocks, from both ends.
//
// Request {from, wait_ms}; the answer's body is the blocks from that height on as u32-prefixed blobs
// (Ledger::block()), a few megabytes at a time, its result {head}: how far the chain goes there.
#pragma once

#include <functional>
#include <future>
#include <optional>

#include "accounting/ledger.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// Waits up to wait_ms, five seconds at most, for a block of that height. Thread-safe.
[[nodiscard]] Result<Answer> answer_blocks(const Ledger& ledger, const Request& request);
[[nodiscard]] Request ask_for_blocks(std::uint64_t from, std::uint64_t wait_ms);

// Asks a node for blocks, and while the caller takes them in, for those after them, so that neither waits for
// the other. Holds two answers, and blocks whose certificate has not come, 64 MiB of them. Not thread-safe;
// calls `ask` from one thread at a time, not always the caller's.
class BlockFeed {
 public:
  using Ask = std::function<Result<Answer>(const Request&)>;
  using Take = std::function<Status(const std::vector<Bytes>&)>;
  explicit BlockFeed(Ask ask) : ask_(std::move(ask)) {}
  ~BlockFeed() { forget(); }
  BlockFeed(const BlockFeed&) = delete;
  BlockFeed& operator=(const BlockFeed&) = delete;

  // Gets blocks from that height on; if there is none yet after wait_ms at the other end, none. How far the
  // chain goes there.
  [[nodiscard]] Result<std::uint64_t> fetch(std::uint64_t from, std::uint64_t wait_ms);
  // Hands the fetched blocks on, to Ledger::import_blocks() or fill_history(). If `ahead`, and the other end
  // has more, asks for it meanwhile. Blocks after the last certificate are no error: the next fetch() from
  // there gets what follows them and has them in front.
  [[nodiscard]] Status take(const Take& take, bool ahead);

 private:
  struct Blocks {
    std::uint64_t from = 0, head = 0;
    std::vector<Bytes> blocks;
    Status whole;  // an answer that breaks off gives what it had
    [[nodiscard]] std::uint64_t end() const { return from + blocks.size(); }
    [[nodiscard]] std::size_t size() const;
  };
  [[nodiscard]] Result<Blocks> ask(std::uint64_t from, std::uint64_t wait_ms) const;
  void forget();  // waits for the answer

  const Ask ask_;
  Blocks present_;
  std::future<Result<Blocks>> ahead_;
};

}  // namespace ufab::jobs
