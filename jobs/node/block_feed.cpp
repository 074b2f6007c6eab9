#include "jobs/node/block_feed.h"

#include <algorithm>
#include <boost/json.hpp>

#include "fabric/base/codec.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t wait_ms_max = 5000;

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

Status take_blocks(const Answer& answer, const std::function<Status(const std::vector<Bytes>&)>& take) {
  Reader reader(answer.body);
  std::vector<Bytes> blocks;
  while (reader.remaining() > 0 && !reader.failed()) {
    const ByteView block = reader.blob(block_size_max);
    if (!reader.failed()) blocks.emplace_back(block.begin(), block.end());
  }
  const Status taken = take(blocks);
  if (!taken.ok() && taken.error().code != ErrorCode::unavailable) return taken;
  return reader.finish("the answer");
}

}  // namespace ufab::jobs
