#include "tests/bench/ledger/snapshot.h"

#include <cstdlib>

#include "accounting/chain/chain.h"
#include "accounting/state/snapshot.h"
#include "tests/bench/kernels/support.h"
#include "tests/bench/ledger/support.h"

namespace ufab::bench_ledger {

namespace {

class Maker {
 public:
  Maker() {
    for (std::size_t i = 0; i < organisations; ++i) keys_.push_back(key_of(i));
    sequence_.assign(organisations, 1);
    ChainParams params;
    params.epoch_blocks = block_count(1'000'000);  // its seats and scores are not what is measured
    auto first = Chain::make_genesis(chain_, keys_[0], {"bench", "org0", "", params}, 1);
    if (!first.ok()) fail(first.error().message);
    blocks_.push_back(std::move(first->block));
    sequence_[0] = 2;
    std::vector<Record> records;
    for (std::size_t i = 1; i < organisations; ++i)
      records.push_back(sign(i, Organisation{"org" + std::to_string(i), ""}));
    for (std::size_t i = 1; i < organisations; ++i)
      records.push_back(sign(0, Transfer{static_cast<OrgId>(i + 1), 100'000 * micro_per_unc, ""}));
    block(records);
  }
  void run(std::uint64_t count) {
    std::uint64_t done = 0;
    while (done < count) {
      std::vector<Record> records;
      for (std::size_t i = 0; i < block_records; ++i, ++done) {
        const std::size_t from = i % organisations;
        if (i < block_records / 10) {
          records.push_back(sign(from, order(done)));
        } else {
          records.push_back(
              sign(from, Transfer{static_cast<OrgId>(1 + (from + 1) % organisations), 1, "pay"}));
        }
      }
      block(records);
    }
  }
  [[nodiscard]] const Chain& chain() const { return chain_; }
  [[nodiscard]] const std::vector<Block>& blocks() const { return blocks_; }

 private:
  static std::uint64_t block_count(std::uint64_t records) { return records / block_records; }
  static JobOrder order(std::uint64_t number) {
    JobOrder order;
    order.kind = JobKind::batch;
    order.name = "job";
    order.idempotency_key = "bench-" + std::to_string(number);
    order.script_digest = sha256(order.idempotency_key);
    order.price_max_per_cpu_hour = 100'000;
    order.budget = 1000;
    order.providers_min = order.providers_max = 1;
    order.time_limit_s = 3600;
    return order;
  }
  Record sign(std::size_t org, RecordBody body) {
    return sign_record(chain_.state().chain_id(), keys_[org], sequence_[org]++, 1, std::move(body));
  }
  void block(const std::vector<Record>& records) {
    AppliedBlock made = chain_.make(records, keys_[0], 1, Signatures::checked);
    for (const RecordOutcome& outcome : made.outcomes)
      if (!outcome.status.ok()) fail(outcome.status.error().message);
    blocks_.push_back(std::move(made.block));
  }
  Chain chain_;
  std::vector<Block> blocks_;
  std::vector<KeyPair> keys_;
  std::vector<std::uint64_t> sequence_;
};

SnapshotBase base_of(const std::vector<Block>& blocks, const ChainParams& params) {
  const BlockHeader& head = blocks.back().header;
  SnapshotBase base;
  base.genesis = blocks.front().records.front();
  base.context = {head.height, head.time_us, head.previous, head.view, head.producer};
  base.state_root = head.state_root;
  const std::uint64_t count = std::min(head.height, params.enrolment.bench_window_blocks);
  for (std::uint64_t at = head.height - count; at < head.height; ++at) {
    const BlockHeader& header = blocks[at].header;
    base.marks.push_back({at, block_hash(header), header.time_us});
  }
  return base;
}

}  // namespace

void catch_up() {
  const char* wanted = std::getenv("UFAB_BENCH_RECORDS");
  const std::uint64_t records = wanted == nullptr ? 1'000'000 : std::strtoull(wanted, nullptr, 10);
  Maker maker;
  maker.run(records);
  const State& state = maker.chain().state();
  const SnapshotBase base = base_of(maker.blocks(), state.params());
  std::optional<Snapshot> snapshot;
  const double take_seconds = bench::time_once([&] {
    auto taken = StateSnapshot::take(state);
    if (!taken.ok()) fail(taken.error().message);
    snapshot.emplace(*std::move(taken));
  });
  std::size_t size = encode_snapshot_index(snapshot->index).size();
  for (const Bytes& chunk : snapshot->chunks) size += chunk.size();
  double restore_seconds = 1e30;
  for (int round = 0; round < 3; ++round) {
    restore_seconds = std::min(restore_seconds, bench::time_once([&] {
                                 auto restore = StateSnapshot::Restore::begin(base, snapshot->index);
                                 if (!restore.ok()) fail(restore.error().message);
                                 for (std::uint32_t i = 0; i < restore->chunks(); ++i) {
                                   if (!restore->add(i, snapshot->chunks[i]).ok()) fail("a chunk is wrong");
                                 }
                                 const auto back = std::move(*restore).finish();
                                 if (!back.ok()) fail(back.error().message);
                               }));
  }
  const double replay_seconds = bench::time_once([&] {
    Chain replica;
    for (const Block& block : maker.blocks()) {
      const auto imported = replica.import(block);
      if (!imported.ok()) fail(imported.error().message);
    }
  });
  const std::string of =
      std::to_string(records) + " records, " + std::to_string(records / 10) + " jobs waiting: ";
  const auto line = [&](const char* name, const char* unit, double value) {
    bench::print({"ledger", (of + name).c_str(), unit, value, -1, 0, 0});
  };
  line("snapshot of the state", "MiB", static_cast<double>(size) / (1 << 20));
  line("taking it", "s", take_seconds);
  bench::print({"ledger", (of + "state from a snapshot vs from all blocks").c_str(), "1/s",
                1 / restore_seconds, 1 / replay_seconds, replay_seconds / restore_seconds, 0});
  line("state from a snapshot", "s", restore_seconds);
  line("state from all blocks", "s", replay_seconds);
}

}  // namespace ufab::bench_ledger
