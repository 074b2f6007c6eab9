// A whole state as bytes, and back: every entry under the state root, in pieces that come from anybody and
// are each checked against that root alone.
//
// Index layout (fabric/base/codec.h): "ufab snapshot 1\n" (16 bytes), u32 count of chunks (a power of two, at
//   most 4,096), 512 bytes that say which buckets of the state tree are not empty (bucket i: bit i mod 8 of
//   byte i / 8), and the hashes of those buckets, in their order. Together the hashes make the state root
//   (accounting/state/state_tree.h): a wrong index is known at once.
// Chunk layout: chunk c of n holds the buckets c · 4096 / n up to the next chunk's, of each u32 count of
// entries
//   and the entries in key order: u8 slot, u64 a, u64 b, value blob, annex blob. The value is what the tree
//   hashes (entry_codec.h). The annex is what the value binds by digests: of a window the receipts that were
//   filed, of an organisation the lanes of a benchmark that waits for its check; else it is empty. So a wrong
//   chunk is known by itself, and so is whoever sent it.
// The number of chunks is the least with which none is above chunk_size_aim bytes. Equal states have equal
// snapshots. Bound: chunk_size_max bytes a chunk.
//
// What of a state is not under its root, and where it comes from:
//   genesis      the chain's name and parameters; the chain id is the genesis record's hash
//   the head     time, view, producer and predecessor of the last block: its header, which names the root
//   marks        hashes and times of the blocks before it: their headers, each named by the next one's hash
//   the rest     follows from the entries: names, timers, idempotency keys, jobs in progress, benchmarks
//   whose
//                check is to be drawn, faults that are to be judged
// The caller proves the head's header (accounting/audit/light.h) and the chain of headers under it.
//
// What it promises: the root that the head's header names is that of these entries. That the entries follow
// from the chain's records by its rules is the word of those who made the head final; only whoever replays
// all blocks finds out for himself.
#pragma once

#include <bitset>
#include <variant>

#include "accounting/state/entry_codec.h"
#include "accounting/state/state.h"

namespace ufab {

inline constexpr std::size_t chunk_size_aim = 1U << 20;
inline constexpr std::size_t chunk_size_max = 64U << 20;

struct SnapshotIndex {
  std::uint32_t chunks = 1;
  std::vector<Digest> buckets;  // StateTree::buckets_count hashes
};
[[nodiscard]] Bytes encode_snapshot_index(const SnapshotIndex& index);
[[nodiscard]] Result<SnapshotIndex> decode_snapshot_index(ByteView bytes);

struct Snapshot {
  SnapshotIndex index;
  std::vector<Bytes> chunks;
};

// What is not under the root.
struct SnapshotBase {
  Bytes genesis;                 // the record
  BlockContext context;          // of the head
  Digest state_root;             // in the head's header
  std::vector<BlockMark> marks;  // of the blocks before it, the last params.bench_window_blocks, oldest first
};

class StateSnapshot {
 public:
  // Of a state after end_block(). limit if a chunk would be above chunk_size_max.
  [[nodiscard]] static Result<Snapshot> take(const State& state);

  // A state that comes back piece by piece. Not thread-safe.
  class Restore {
   public:
    // corrupt if the index is not of this root; invalid if genesis or marks are wrong.
    [[nodiscard]] static Result<Restore> begin(SnapshotBase base, SnapshotIndex index);
    // In any order, each once. corrupt: this is not the chunk, and nothing of it was taken. invalid: it is,
    // but no state has such entries.
    [[nodiscard]] Status add(std::uint32_t number, ByteView chunk);
    [[nodiscard]] std::uint32_t chunks() const { return index_.chunks; }
    [[nodiscard]] bool has(std::uint32_t number) const { return added_.test(number); }
    // The state, with its root derived anew. invalid: see add(). Precondition: every chunk was added.
    [[nodiscard]] Result<State> finish() &&;

   private:
    struct Entry {
      StateKey key;
      std::variant<GlobalEntry, MicroUnc, OrgEntry, JobEntry, WindowEntry, UsageImportEntry, Committee,
                   vrf::Output, TakenKey, PastJob>
          value;
    };
    Restore() = default;
    [[nodiscard]] static Result<Entry> decode(const StateKey& key, ByteView value, ByteView annex);
    [[nodiscard]] Status take(Entry entry);
    // Puts together what belongs together, derives what follows, refuses what contradicts itself.
    [[nodiscard]] Status settle();
    [[nodiscard]] Status settle_once();
    [[nodiscard]] Status settle_organisations();
    [[nodiscard]] Status settle_keys();
    [[nodiscard]] Status settle_committees();
    [[nodiscard]] Status settle_jobs();
    [[nodiscard]] Status settle_windows();
    [[nodiscard]] Status settle_money();
    [[nodiscard]] Digest root();
    [[nodiscard]] bool known(OrgId id) const { return state_.organisations_.contains(id); }

    SnapshotBase base_;
    SnapshotIndex index_;
    std::bitset<StateTree::buckets_count> added_;
    State state_;
    std::optional<GlobalEntry> global_;
    std::map<AccountId, MicroUnc> balances_;
    std::map<std::uint64_t, TakenKey> keys_;
    std::map<std::pair<JobId, std::uint64_t>, WindowEntry> windows_;
    std::map<UsageSlot, UsageImportEntry> imports_;
    std::map<JobId, PastJob> past_;
  };

 private:
  [[nodiscard]] static Result<Bytes> encode_bucket(const State& state, std::size_t bucket);
};

}  // namespace ufab
