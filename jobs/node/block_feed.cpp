#include "jobs/node/block_feed.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <utility>

#include "fabric/base/codec.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t wait_ms_max = 5000;
constexpr std::size_t rest_size_max = std::size_t{64} << 20;  // of blocks whose certificate has not come

}  // namespace

Result<Answer> answer_blocks(const Ledger& ledger, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t from, json_number(request.params, "from"));
  UFAB_ASSIGN(const std::uint64_t wait_ms, json_number(request.params, "wait_ms"));
  const Head head =
      from == 0 ? ledger.head() : ledger.wait_for_block(from - 1, std::min(wait_ms, wait_ms_max));
  Writer writer;
  for (std::uint64_t height = from; height <= head.height; ++height) {
    const auto block = ledger.block(height);
    const bool some = !writer.bytes().empty();
    // Not here yet: it began with a snapshot.
    if (some && !block.ok() && block.error().code == ErrorCode::unavailable) break;
    UFAB_TRY(block);
    if (some && writer.bytes().size() + block->size() + 4 > piece_bytes) break;
    writer.blob(*block);
  }
  return Answer{{{"head", head.height}}, writer.take()};
}

Request ask_for_blocks(std::uint64_t from, std::uint64_t wait_ms) {
  return {"chain.blocks", {{"from", from}, {"wait_ms", wait_ms}}, {}};
}

std::size_t BlockFeed::Blocks::size() const {
  std::size_t sum = 0;
  for (const Bytes& block : blocks) sum += block.size();
  return sum;
}

Result<BlockFeed::Blocks> BlockFeed::ask(std::uint64_t from, std::uint64_t wait_ms) const {
  UFAB_ASSIGN(const Answer answer, ask_(ask_for_blocks(from, wait_ms)));
  Blocks got;
  got.from = from;
  UFAB_ASSIGN(got.head, json_number(answer.result, "head"));
  Reader reader(answer.body);
  while (reader.remaining() > 0 && !reader.failed()) {
    const ByteView block = reader.blob(block_size_max);
    if (!reader.failed()) got.blocks.emplace_back(block.begin(), block.end());
  }
  got.whole = reader.finish("the answer");
  return got;
}

void BlockFeed::forget() {
  if (ahead_.valid()) ahead_.wait();
  ahead_ = {};
  present_ = {};
}

Result<std::uint64_t> BlockFeed::fetch(std::uint64_t from, std::uint64_t wait_ms) {
  Blocks rest = std::exchange(present_, {});
  if (from < rest.from || from > rest.end() || rest.size() > rest_size_max) {
    forget();
    rest = {};
    rest.from = from;
  }
  rest.blocks.erase(rest.blocks.begin(), rest.blocks.begin() + static_cast<std::ptrdiff_t>(from - rest.from));
  rest.from = from;
  auto more = Result<Blocks>(Blocks());
  if (ahead_.valid()) more = ahead_.get();
  // Nothing was fetched ahead, or in vain.
  if (!more.ok() || more->blocks.empty()) more = ask(rest.end(), wait_ms);
  UFAB_TRY(more);
  std::move(more->blocks.begin(), more->blocks.end(), std::back_inserter(rest.blocks));
  present_ = {from, more->head, std::move(rest.blocks), more->whole};
  return present_.head;
}

Status BlockFeed::take(const Take& take, bool ahead) {
  if (ahead && present_.whole.ok() && !present_.blocks.empty() && present_.end() <= present_.head)
    ahead_ = std::async(std::launch::async, [this, from = present_.end()] { return ask(from, 0); });
  const Status taken = take(present_.blocks);
  if (taken.ok() || taken.error().code == ErrorCode::unavailable) return present_.whole;
  forget();
  return taken;
}

}  // namespace ufab::jobs
