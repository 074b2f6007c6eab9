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
    UFAB_ASSIGN(const Bytes block, ledger.block(height));
    if (!writer.bytes().empty() && writer.bytes().size() + block.size() + 4 > piece_bytes) break;
    writer.blob(block);
  }
  return Answer{{{"head", head.height}}, writer.take()};
}

Request ask_for_blocks(const Ledger& ledger, std::uint64_t wait_ms) {
  return {"chain.blocks", {{"from", ledger.head().height + 1}, {"wait_ms", wait_ms}}, {}};
}

Result<std::size_t> take_blocks(Ledger& ledger, const Answer& answer) {
  Reader reader(answer.body);
  std::vector<Bytes> blocks;
  while (reader.remaining() > 0 && !reader.failed()) {
    const ByteView block = reader.blob(block_size_max);
    if (!reader.failed()) blocks.emplace_back(block.begin(), block.end());
  }
  const Status taken = ledger.import_blocks(blocks);
  if (!taken.ok() && taken.error().code != ErrorCode::unavailable) return taken.error();
  UFAB_TRY(reader.finish("the answer"));
  return blocks.size();
}

}  // namespace ufab::jobs
