// Snapshots of a World's states, and replicas that go on from them.
#pragma once

#include "accounting/chain/chain.h"
#include "accounting/state/snapshot.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {

// What of the state after block `height` is not under its root, from the blocks.
inline SnapshotBase snapshot_base(const std::vector<Bytes>& blocks, std::uint64_t height) {
  const auto header = [&](std::uint64_t at) { return decode_block(blocks.at(at))->header; };
  SnapshotBase base;
  base.genesis = decode_block(blocks.at(0))->records.at(0);
  const BlockHeader head = header(height);
  base.context = {height, head.time_us, head.previous, head.view, head.producer};
  base.state_root = head.state_root;
  const Record genesis = *decode_record(base.genesis);
  const std::uint64_t window = std::get<Genesis>(genesis.body).params.enrolment.bench_window_blocks;
  for (std::uint64_t at = height - std::min(height, window); at < height; ++at) {
    const BlockHeader before = header(at);
    base.marks.push_back({at, block_hash(before), before.time_us});
  }
  return base;
}

// Chunks last to first: their order must not matter.
inline Result<State> restore(SnapshotBase base, const SnapshotIndex& index,
                             const std::vector<Bytes>& chunks) {
  UFAB_ASSIGN(StateSnapshot::Restore begun, StateSnapshot::Restore::begin(std::move(base), index));
  if (chunks.size() != begun.chunks()) return Error{ErrorCode::corrupt, "the number of chunks"};
  for (std::size_t i = chunks.size(); i-- > 0;) UFAB_TRY(begun.add(static_cast<std::uint32_t>(i), chunks[i]));
  return std::move(begun).finish();
}

// Applies a block to a state alone. What differs from what the block says: a refusal, a derived record, the
// root.
inline Status apply_block(State& state, const Block& block) {
  std::size_t next = 0;
  const auto derive = [&](const std::vector<Record>& derived) -> Status {
    for (const Record& record : derived) {
      if (next >= block.records.size() || block.records[next] != encode_record(record))
        return Error{ErrorCode::corrupt, "record " + std::to_string(next) + " is derived otherwise"};
      ++next;
    }
    return {};
  };
  const BlockHeader& header = block.header;
  UFAB_TRY(
      derive(state.begin_block({header.height, header.time_us, header.previous, header.view, header.producer})
                 .derived));
  while (next < block.records.size()) {
    UFAB_ASSIGN(const Record record, decode_record(block.records[next]));
    UFAB_TRY(state.admissible(record));
    auto applied = state.apply(record);
    if (!applied.ok()) applied = state.refuse(record, record_id(block.records[next]), applied.error());
    ++next;
    UFAB_TRY(derive(applied->derived));
  }
  if (state.end_block() != header.state_root) return Error{ErrorCode::corrupt, "the root differs"};
  return {};
}

inline Result<State> restored(const World& world, const State& state) {
  UFAB_ASSIGN(const Snapshot snapshot, StateSnapshot::take(state));
  return restore(snapshot_base(world.blocks(), state.height()), snapshot.index, snapshot.chunks);
}

// From the state after block `height` through `count` more.
inline Status follow(const World& world, const State& state, std::uint64_t count) {
  UFAB_ASSIGN(State copy, restored(world, state));
  const std::uint64_t height = state.height();
  for (std::uint64_t at = height + 1; at < world.blocks().size() && at <= height + count; ++at) {
    const Status same = apply_block(copy, *decode_block(world.blocks()[at]));
    if (!same.ok()) return same.error().within("block " + std::to_string(at));
  }
  return {};
}

}  // namespace ufab::test
