// The audit of a chain from zero, every signature checked and everything derived anew, against what its
// SHA-256 and its Ed25519 alone take on all processors, measured in the same run; then what a replica and a
// fresh node take for the same chain. UFAB_BENCH_RECORDS sets the chain's size (default a million records, in
// blocks of a thousand).
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "accounting/audit/audit.h"
#include "accounting/chain/chain.h"
#include "accounting/ledger.h"
#include "accounting/log/segment_log.h"
#include "jobs/node/block_feed.h"
#include "jobs/rpc/client.h"
#include "jobs/rpc/server.h"
#include "tests/bench/kernels/support.h"
#include "tests/bench/ledger/audit.h"
#include "tests/bench/ledger/support.h"

namespace ufab::bench_ledger {

namespace {

struct Size {
  std::uint64_t records = 0, bytes = 0, signatures = 0;
};

class Maker {
 public:
  explicit Maker(const std::string& folder) {
    if (!make_folders(folder).ok()) fail("no folder");
    auto log = SegmentLog::open(folder + "/log", 64U << 20, block_size_max,
                                [](std::uint64_t, ByteView) { return Status(); });
    if (!log.ok()) fail(log.error().message);
    log_.emplace(*std::move(log));
    for (std::size_t i = 0; i < organisations; ++i) keys_.push_back(key_of(i));
    sequence_.assign(organisations, 1);
    auto first = Chain::make_genesis(chain_, keys_[0], {"bench", "org0", "", {}}, 1);
    if (!first.ok()) fail(first.error().message);
    put(first->block);
    sequence_[0] = 2;
    std::vector<Record> records;
    for (std::size_t i = 1; i < organisations; ++i)
      records.push_back(sign(i, Organisation{"org" + std::to_string(i), ""}));
    for (std::size_t i = 1; i < organisations; ++i)
      records.push_back(sign(0, Transfer{static_cast<OrgId>(i + 1), 1000 * micro_per_unc, ""}));
    block(records);
  }
  Size run(std::uint64_t records_min) {
    while (size_.records < records_min) {
      std::vector<Record> records;
      for (std::size_t i = 0; i < block_records; ++i) {
        const std::size_t from = i % organisations;
        records.push_back(sign(from, Transfer{static_cast<OrgId>(1 + (from + 1) % organisations), 1, "pay"}));
      }
      block(records);
    }
    if (!log_->sync().ok()) fail("no sync");
    return size_;
  }

 private:
  Record sign(std::size_t org, RecordBody body) {
    return sign_record(chain_.state().chain_id(), keys_[org], sequence_[org]++, 1, std::move(body));
  }
  void block(const std::vector<Record>& records) {
    const AppliedBlock made = chain_.make(records, keys_[0], 1, Signatures::checked);
    for (const RecordOutcome& outcome : made.outcomes)
      if (!outcome.status.ok()) fail(outcome.status.error().message);
    size_.signatures += records.size();
    put(made.block);
  }
  void put(const Block& block) {
    const Bytes bytes = encode_block(block);
    if (!log_->put(bytes).ok()) fail("the log is full");
    size_.bytes += bytes.size();
    size_.records += block.records.size();
    ++size_.signatures;
  }
  std::optional<SegmentLog> log_;
  Chain chain_;
  std::vector<KeyPair> keys_;
  std::vector<std::uint64_t> sequence_;
  Size size_;
};

// Seconds for `count` pieces of work on all processors.
template <class Work>
double on_all(std::uint64_t count, const Work& work) {
  return bench::time_once([&] {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      threads.emplace_back([&] {
        while (next.fetch_add(1) < count) work();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

// What no audit can do without: each byte once for the log's chain and once for the blocks' roots, each
// signature once. Seconds.
double limit(const Size& size) {
  constexpr std::uint64_t signatures = 20'000;
  constexpr std::size_t piece = 1U << 20;
  constexpr std::uint64_t pieces = 500;
  const KeyPair key = key_of(1);
  const Bytes message(32, 7), large(piece, 7);
  const Signature signature = key.sign(message);
  std::atomic<bool> good{true};
  const double ed25519 = on_all(signatures, [&] {
    if (!verify(key.public_key(), message, signature)) good = false;
  });
  std::atomic<std::uint64_t> sum{0};
  const double hashing = on_all(pieces, [&] { sum += sha256(ByteView(large)).bytes[0]; });
  if (!good || sum == 0) fail("a good signature is none");
  return ed25519 / signatures * static_cast<double>(size.signatures) +
         hashing / (pieces * piece) * 2 * static_cast<double>(size.bytes);
}

std::unique_ptr<Ledger> join(const std::string& folder, const Bytes& first_block, bool index = true) {
  LedgerOptions options;
  options.folder = folder;
  options.index = index;
  auto ledger = Ledger::join(options, first_block);
  if (!ledger.ok()) fail(ledger.error().message);
  return *std::move(ledger);
}

// What a replica does with blocks, a few megabytes at a time: checks every signature, executes, syncs; with
// the index, until that has all of them too.
double take_in(const std::string& folder, const std::vector<Bytes>& blocks, bool index) {
  std::unique_ptr<Ledger> ledger = join(folder, blocks[0], index);
  constexpr std::size_t at_a_time = 16;
  return bench::time_once([&] {
    for (std::size_t i = 1; i < blocks.size(); i += at_a_time) {
      const auto end = static_cast<std::ptrdiff_t>(std::min(i + at_a_time, blocks.size()));
      const std::vector<Bytes> some(blocks.begin() + static_cast<std::ptrdiff_t>(i), blocks.begin() + end);
      if (const Status status = ledger->import_blocks(some); !status.ok()) fail(status.error().message);
    }
    ledger.reset();
  });
}

// A fresh node follows one that has the chain, over TLS on loopback.
double catch_up(const std::string& folder, const std::string& source_folder, const Bytes& first_block) {
  LedgerOptions options;
  options.folder = source_folder;
  auto source = Ledger::open(options);
  if (!source.ok()) fail(source.error().message);
  const KeyPair server_key = key_of(1'000'001), client_key = key_of(1'000'002);
  auto credentials = Credentials::create(server_key);
  auto own = Credentials::create(client_key);
  auto listener = Listener::bind({"127.0.0.1", 0});
  if (!credentials.ok() || !own.ok() || !listener.ok()) fail("no server");
  const Endpoint endpoint = listener->endpoint();
  jobs::RpcServer server(
      *credentials, [](const PublicKey&) { return true; },
      [&](const jobs::Caller&, const jobs::Request& request) {
        return jobs::answer_blocks(**source, request);
      });
  server.serve(*std::move(listener));
  const std::unique_ptr<Ledger> ledger = join(folder, first_block);
  jobs::PeerPool pool(*std::move(own));
  const std::uint64_t head = (*source)->head().height;
  jobs::BlockFeed feed([&](const jobs::Request& request) {
    return pool.call(endpoint, server_key.public_key(), request, std::chrono::seconds(20));
  });
  return bench::time_once([&] {
    while (ledger->head().height < head) {
      const auto seen = feed.fetch(ledger->head().height + 1, 1000);
      if (!seen.ok()) fail(seen.error().message);
      const Status taken = feed.take([&](const auto& some) { return ledger->import_blocks(some); }, true);
      if (!taken.ok()) fail(taken.error().message);
    }
  });
}

std::vector<Bytes> blocks_of(const std::string& folder) {
  std::vector<Bytes> blocks;
  SegmentLog::Scan scan;
  const auto keep = [&](std::uint64_t, ByteView block) -> Status {
    blocks.emplace_back(block.begin(), block.end());
    return {};
  };
  if (!SegmentLog::scan(folder + "/log", block_size_max, keep, scan).ok()) fail("the chain cannot be read");
  return blocks;
}

}  // namespace

void audit_from_zero(const std::string& folder) {
  const char* wanted = std::getenv("UFAB_BENCH_RECORDS");
  const std::uint64_t records = wanted == nullptr ? 1'000'000 : std::strtoull(wanted, nullptr, 10);
  const Size size = Maker(folder).run(records);
  double best = 1e30, bound = 1e30;
  for (int round = 0; round < 3; ++round) {
    bound = std::min(bound, limit(size));
    best = std::min(best, bench::time_once([&] {
                      const auto summary = audit_verify(folder);
                      if (!summary.ok()) fail(summary.error().message);
                      if (summary->records != size.records) fail("other records than were written");
                    }));
  }
  const std::vector<Bytes> blocks = blocks_of(folder);
  const double replica = take_in(folder + "-replica", blocks, false);
  const double indexed = take_in(folder + "-indexed", blocks, true);
  const double catching_up = catch_up(folder + "-fresh", folder, blocks[0]);
  const auto count = static_cast<double>(size.records);
  const std::string name = "audit of a chain of " + std::to_string(size.records) + " records from zero";
  bench::print({"ledger", name.c_str(), "record/s", count / best, count / bound, bound / best, 0.7});
  bench::print({"ledger", "individually signed records, one replica: verified, executed, synced", "record/s",
                count / replica, count / bound, bound / replica, 0.85});
  bench::print(
      {"ledger", "the same, and indexed", "record/s", count / indexed, count / bound, bound / indexed, 0});
  bench::print({"ledger", "catch-up of a fresh node over TLS, against the audit", "s", catching_up, best,
                catching_up / best, 1.3, true});
}

}  // namespace ufab::bench_ledger
