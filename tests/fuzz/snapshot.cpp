// Fuzz target: a snapshot's index and chunk, and the entries under them. Its index is made anew from what the
// chunk holds, so that entries are looked at that no honest root covers. Whatever comes back must give the
// same chunk again.
#include "accounting/state/snapshot.h"

#include <cstdlib>

#include "tests/accounting/support/snapshot_index.h"

namespace {

using namespace ufab;

SnapshotBase read_base(Reader& reader) {
  SnapshotBase base;
  const ByteView genesis = reader.blob(record_size_max);
  base.genesis.assign(genesis.begin(), genesis.end());
  BlockContext& head = base.context;
  head.height = reader.u64();
  head.time_us = reader.u64();
  head.view = reader.u64();
  const auto digest = [&reader] {
    const ByteView bytes = reader.raw(32);
    return reader.failed() ? Digest() : Digest::from(bytes);
  };
  head.previous = digest();
  head.producer = reader.u32();
  for (std::uint32_t count = reader.count(65536, 48); count > 0 && !reader.failed(); --count) {
    BlockMark mark;
    mark.height = reader.u64();
    mark.hash = digest();
    mark.time_us = reader.u64();
    base.marks.push_back(mark);
  }
  return base;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader reader(ByteView(data, size));
  SnapshotBase base = read_base(reader);
  const ByteView index_bytes = reader.blob(1U << 18);
  const ByteView chunk = reader.blob(1U << 20);
  if (!reader.finish("").ok()) return 0;
  if (const auto index = decode_snapshot_index(index_bytes); index.ok()) {
    const Bytes again = encode_snapshot_index(*index);
    if (!std::equal(again.begin(), again.end(), index_bytes.begin(), index_bytes.end())) std::abort();
  }
  const auto index = test::index_of({Bytes(chunk.begin(), chunk.end())});
  if (!index) return 0;
  base.state_root = StateTree::root_of(index->buckets);
  auto begun = StateSnapshot::Restore::begin(base, *index);
  if (!begun.ok() || !begun->add(0, chunk).ok()) return 0;
  const auto state = std::move(*begun).finish();
  if (!state.ok()) return 0;
  const auto again = StateSnapshot::take(*state);
  if (!again.ok() || again->chunks.size() != 1) std::abort();
  if (!std::equal(chunk.begin(), chunk.end(), again->chunks[0].begin(), again->chunks[0].end())) std::abort();
  return 0;
}
