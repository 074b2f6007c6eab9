#include "accounting/state/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "accounting/records/codec.h"

namespace ufab {

namespace {

constexpr std::string_view magic = "ufab snapshot 1\n";
constexpr std::size_t buckets_count = StateTree::buckets_count;
constexpr std::size_t entry_size_min = 1 + 8 + 8 + 4 + 4;

Digest empty_bucket() {
  static const Digest hash = StateTree::bucket_hash({});
  return hash;
}

Error corrupt(std::string why) {
  return {ErrorCode::corrupt, "snapshot: " + std::move(why)};
}

Error contradiction(std::string why) {
  return {ErrorCode::invalid, "snapshot: no state has such entries: " + std::move(why)};
}

std::size_t chunk_buckets(std::uint32_t chunks) {
  return buckets_count / chunks;
}

// Bytes of the largest of so many chunks.
std::size_t largest_chunk(const std::vector<Bytes>& buckets, std::uint32_t chunks) {
  std::size_t largest = 0;
  for (std::size_t first = 0; first < buckets_count; first += chunk_buckets(chunks)) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < chunk_buckets(chunks); ++i) size += buckets[first + i].size();
    largest = std::max(largest, size);
  }
  return largest;
}

void write_annex(Writer& writer, const OrgEntry& org) {
  if (!org.benchmark || !check_pending(*org.benchmark)) return;
  for (const Digest& lane : org.benchmark->lanes) writer.raw(lane.view());
}

void write_annex(Writer& writer, const WindowEntry& window) {
  for (const MemberReceipt& receipt : window.receipts) {
    if (receipt.filed) writer.raw(encode_fields(receipt.receipt));
  }
}

Status read_annex(Reader& annex, OrgEntry& org) {
  if (!org.benchmark || !check_pending(*org.benchmark)) return {};
  BenchmarkEntry& benchmark = *org.benchmark;
  if (benchmark.lanes_count > benchmark_lanes_max) return contradiction("too many lanes");
  for (std::uint32_t i = 0; i < benchmark.lanes_count; ++i) {
    const ByteView lane = annex.raw(32);
    if (annex.failed()) return {};
    benchmark.lanes.push_back(Digest::from(lane));
  }
  if (benchmark_lanes_digest(benchmark.lanes) != benchmark.lanes_digest)
    return corrupt("the lanes of a benchmark are not those of its digest");
  return {};
}

Status read_annex(Reader& annex, WindowEntry& window) {
  DecodeVisitor visitor(annex);
  for (MemberReceipt& receipt : window.receipts) {
    if (!receipt.filed) continue;
    Receipt::fields(visitor, receipt.receipt);
    if (annex.failed()) return {};
    if (receipt_digest(receipt.receipt) != receipt.digest)
      return corrupt("a receipt is not that of its digest");
  }
  return {};
}

Status check_marks(const SnapshotBase& base, std::uint64_t window_blocks) {
  const std::vector<BlockMark>& marks = base.marks;
  const auto wrong = [](const char* why) {
    return Error{ErrorCode::invalid, fmt::format("snapshot: the marks of its blocks are wrong: {}", why)};
  };
  if (marks.size() != std::min(base.context.height, window_blocks)) return wrong("their number");
  if (marks.empty()) return {};
  if (marks.back().height + 1 != base.context.height || marks.back().hash != base.context.previous)
    return wrong("the last is not that of the block before the head");
  std::uint64_t time_us = marks.front().time_us;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (marks[i].height != marks.front().height + i || marks[i].time_us < time_us)
      return wrong("their order");
    time_us = marks[i].time_us;
  }
  return time_us > base.context.time_us ? wrong("their order") : Status{};
}

}  // namespace

Bytes encode_snapshot_index(const SnapshotIndex& index) {
  UFAB_ASSERT(index.buckets.size() == buckets_count);
  Writer writer;
  writer.raw(as_bytes(magic));
  writer.u32(index.chunks);
  std::array<std::uint8_t, buckets_count / 8> present{};
  for (std::size_t i = 0; i < buckets_count; ++i) {
    if (index.buckets[i] != empty_bucket()) present[i / 8] |= static_cast<std::uint8_t>(1U << (i % 8));
  }
  writer.raw(present);
  for (const Digest& bucket : index.buckets) {
    if (bucket != empty_bucket()) writer.raw(bucket.view());
  }
  return writer.take();
}

Result<SnapshotIndex> decode_snapshot_index(ByteView bytes) {
  SnapshotIndex index;
  Reader reader(bytes);
  const ByteView head = reader.raw(magic.size());
  if (!std::equal(head.begin(), head.end(), as_bytes(magic).begin())) reader.fail("it does not begin as one");
  index.chunks = reader.u32();
  if (!std::has_single_bit(index.chunks) || index.chunks > buckets_count)
    reader.fail("the number of chunks is no power of two up to 4096");
  const ByteView present = reader.raw(buckets_count / 8);
  index.buckets.assign(buckets_count, empty_bucket());
  for (std::size_t i = 0; i < buckets_count && !reader.failed(); ++i) {
    if ((present[i / 8] >> (i % 8) & 1) == 0) continue;
    const ByteView hash = reader.raw(32);
    if (reader.failed()) break;
    index.buckets[i] = Digest::from(hash);
    if (index.buckets[i] == empty_bucket()) reader.fail("a bucket that is empty is said not to be");
  }
  UFAB_TRY(reader.finish("a snapshot's index"));
  return index;
}

Result<Snapshot> StateSnapshot::take(const State& state) {
  UFAB_ASSERT(state.dirty_.empty());
  std::vector<Bytes> buckets;
  buckets.reserve(buckets_count);
  for (std::size_t i = 0; i < buckets_count; ++i) {
    UFAB_ASSIGN(Bytes bucket, encode_bucket(state, i));
    buckets.push_back(std::move(bucket));
  }
  Snapshot snapshot;
  const auto hashes = state.tree_.bucket_hashes();
  snapshot.index.buckets.assign(hashes.begin(), hashes.end());
  std::uint32_t& chunks = snapshot.index.chunks;
  while (chunks < buckets_count && largest_chunk(buckets, chunks) > chunk_size_aim) chunks *= 2;
  if (largest_chunk(buckets, chunks) > chunk_size_max) {
    return Error{ErrorCode::limit, fmt::format("snapshot: a chunk would be above {} bytes", chunk_size_max)};
  }
  for (std::size_t first = 0; first < buckets_count; first += chunk_buckets(chunks)) {
    Bytes& chunk = snapshot.chunks.emplace_back(std::move(buckets[first]));
    for (std::size_t i = 1; i < chunk_buckets(chunks); ++i) {
      chunk.insert(chunk.end(), buckets[first + i].begin(), buckets[first + i].end());
      buckets[first + i] = {};
    }
  }
  return snapshot;
}

Result<Bytes> StateSnapshot::encode_bucket(const State& state, std::size_t bucket) {
  const auto items = state.tree_.bucket(bucket);
  Writer writer, value, annex;
  State::WindowCursor cursor;
  writer.u32(static_cast<std::uint32_t>(items.size()));
  for (const StateTree::Item& item : items) {
    const StateKey& key = item.key;
    value.clear();
    annex.clear();
    if (!state.encode_slot(key, value, cursor) || sha256(value.bytes()) != item.value) {
      return Error{ErrorCode::corrupt, fmt::format("snapshot: entry {}/{}/{} is not that of the state root",
                                                   key.slot, key.a, key.b)};
    }
    const auto slot = static_cast<StateSlot>(key.slot);
    if (slot == StateSlot::organisation) write_annex(annex, *state.organisation(static_cast<OrgId>(key.a)));
    if (slot == StateSlot::window) write_annex(annex, state.job(key.a)->windows.at(key.b));
    writer.u8(key.slot);
    writer.u64(key.a);
    writer.u64(key.b);
    writer.blob(value.bytes());
    writer.blob(annex.bytes());
  }
  return writer.take();
}

Result<StateSnapshot::Restore> StateSnapshot::Restore::begin(SnapshotBase base, SnapshotIndex index) {
  UFAB_ASSERT(index.buckets.size() == buckets_count);
  if (StateTree::root_of(index.buckets) != base.state_root)
    return corrupt("its index is not of the state root that the head names");
  UFAB_ASSIGN(const Record record, decode_record(base.genesis));
  const auto* genesis = std::get_if<Genesis>(&record.body);
  if (genesis == nullptr) return Error{ErrorCode::invalid, "snapshot: its first record is no genesis"};
  UFAB_TRY(check_params(genesis->params));
  UFAB_TRY(check_marks(base, genesis->params.enrolment.bench_window_blocks));
  Restore restore;
  State& state = restore.state_;
  state.chain_id_ = record_id(base.genesis);
  state.chain_name_ = genesis->chain_name;
  state.params_ = genesis->params;
  state.context_ = base.context;
  state.marks_.assign(base.marks.begin(), base.marks.end());
  restore.base_ = std::move(base);
  restore.index_ = std::move(index);
  return restore;
}

Status StateSnapshot::Restore::add(std::uint32_t number, ByteView chunk) {
  UFAB_ASSERT(number < index_.chunks && !added_.test(number));
  const auto wrong = [number](const std::string& why) {
    return corrupt(fmt::format("chunk {}: {}", number, why));
  };
  Reader reader(chunk);
  std::vector<Entry> entries;
  std::vector<StateTree::Item> items;
  const std::size_t first = number * chunk_buckets(index_.chunks);
  struct Place {
    StateKey key;
    ByteView value, annex;
  };
  std::vector<Place> places;
  for (std::size_t bucket = first; bucket < first + chunk_buckets(index_.chunks); ++bucket) {
    items.clear();
    const std::uint32_t count = reader.count(chunk_size_max, entry_size_min);
    for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
      Place place;
      place.key = {reader.u8(), reader.u64(), reader.u64()};
      place.value = reader.blob(chunk_size_max);
      place.annex = reader.blob(chunk_size_max);
      items.push_back({place.key, sha256(place.value)});
      places.push_back(place);
    }
    if (reader.failed()) break;
    if (StateTree::bucket_hash(items) != index_.buckets[bucket])
      return wrong(fmt::format("bucket {} has not the hash that the index names", bucket));
  }
  if (const Status end = reader.finish("the chunk"); !end.ok()) return wrong(end.error().message);
  for (const Place& place : places) {
    UFAB_ASSIGN(Entry entry, decode(place.key, place.value, place.annex));
    entries.push_back(std::move(entry));
  }
  added_.set(number);
  for (Entry& entry : entries) UFAB_TRY(take(std::move(entry)));
  return {};
}

Result<StateSnapshot::Restore::Entry> StateSnapshot::Restore::decode(const StateKey& key, ByteView value,
                                                                     ByteView annex) {
  Entry entry{key, {}};
  Status status;
  Reader rest(annex);
  const auto as = [&]<class T>(T*) {
    auto decoded = decode_entry<T>(value);
    if (!decoded.ok()) {
      status = contradiction(decoded.error().message);
      return;
    }
    if constexpr (std::is_same_v<T, OrgEntry> || std::is_same_v<T, WindowEntry>)
      status = read_annex(rest, *decoded);
    entry.value = *std::move(decoded);
  };
  Reader plain(value);  // of what has no decoder of its own
  switch (static_cast<StateSlot>(key.slot)) {
    case StateSlot::global: as(static_cast<GlobalEntry*>(nullptr)); break;
    case StateSlot::account: entry.value = plain.u64(); break;
    case StateSlot::organisation: as(static_cast<OrgEntry*>(nullptr)); break;
    case StateSlot::job: as(static_cast<JobEntry*>(nullptr)); break;
    case StateSlot::window: as(static_cast<WindowEntry*>(nullptr)); break;
    case StateSlot::usage_import: as(static_cast<UsageImportEntry*>(nullptr)); break;
    case StateSlot::committee: as(static_cast<Committee*>(nullptr)); break;
    case StateSlot::seed_share: {
      vrf::Output output;
      const ByteView bytes = plain.raw(output.bytes.size());
      std::copy(bytes.begin(), bytes.end(), output.bytes.begin());
      entry.value = output;
      break;
    }
    case StateSlot::key: as(static_cast<TakenKey*>(nullptr)); break;
    case StateSlot::past_job: as(static_cast<PastJob*>(nullptr)); break;
    default: return contradiction(fmt::format("slot {}", key.slot));
  }
  UFAB_TRY(status);
  if (const Status end = rest.finish("an annex"); !end.ok()) return corrupt(end.error().message);
  const bool is_plain =
      std::holds_alternative<MicroUnc>(entry.value) || std::holds_alternative<vrf::Output>(entry.value);
  if (is_plain && !plain.finish("a value").ok()) return contradiction("a value of a wrong size");
  return entry;
}

Result<State> StateSnapshot::Restore::finish() && {
  for (std::uint32_t i = 0; i < index_.chunks; ++i) UFAB_ASSERT(added_.test(i));
  if (const Status settled = settle(); !settled.ok()) return contradiction(settled.error().message);
  return std::move(state_);
}

Status StateSnapshot::Restore::take(Entry entry) {
  const StateKey key = entry.key;
  const bool alone = key.b == 0;  // keys of most slots have one number
  const bool fresh = std::visit(
      [&]<class T>(T& value) {
        if constexpr (std::is_same_v<T, GlobalEntry>) {
          if (global_ || key.a != 0) return false;
          global_ = std::move(value);
          return alone;
        } else if constexpr (std::is_same_v<T, MicroUnc>) {
          const auto kind = static_cast<AccountKind>(key.a);
          const bool known = key.a > static_cast<std::uint64_t>(AccountKind::burn) &&
                             key.a <= static_cast<std::uint64_t>(AccountKind::escrow);
          return known && balances_.emplace(AccountId{kind, key.b}, value).second;
        } else if constexpr (std::is_same_v<T, OrgEntry>) {
          const OrgId id = value.id;
          return alone && id == key.a && state_.organisations_.emplace(id, std::move(value)).second;
        } else if constexpr (std::is_same_v<T, JobEntry>) {
          const JobId id = value.id;
          return alone && id == key.a && state_.jobs_.emplace(id, std::move(value)).second;
        } else if constexpr (std::is_same_v<T, WindowEntry>) {
          return value.window == key.b && windows_.emplace(std::pair{key.a, key.b}, std::move(value)).second;
        } else if constexpr (std::is_same_v<T, UsageImportEntry>) {
          const UsageSlot slot{key.a, static_cast<std::uint32_t>(key.b >> 32), static_cast<OrgId>(key.b)};
          return imports_.emplace(slot, std::move(value)).second;
        } else if constexpr (std::is_same_v<T, Committee>) {
          return alone && state_.committees_.emplace(key.a, std::move(value)).second;
        } else if constexpr (std::is_same_v<T, vrf::Output>) {
          return alone && state_.seed_shares_.emplace(static_cast<OrgId>(key.a), value).second;
        } else if constexpr (std::is_same_v<T, TakenKey>) {
          return alone && keys_.emplace(key.a, value).second;
        } else {
          return alone && past_.emplace(key.a, std::move(value)).second;
        }
      },
      entry.value);
  if (fresh) return {};
  return contradiction(fmt::format("entry {}/{}/{}", key.slot, key.a, key.b));
}

}  // namespace ufab
