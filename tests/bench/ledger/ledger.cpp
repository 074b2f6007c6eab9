// The ledger against SQLite alone. Ours: receipts in signed batches of 1,000, through the whole of
// Ledger::submit, as encoded records, which is how a node gets them (decoding, signature, rules, Merkle root,
// state root, log, sync, index). Peer: the same receipts as the same rows into the same table, WAL,
// synchronous=FULL, one commit per 1,000. Rounds are interleaved. Then the resident memory of a process that
// holds the ledger of a million receipts, and the time to open it (replay of the log) and to audit it
// (everything checked and derived anew).
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "accounting/audit/audit.h"
#include "accounting/index/schema.h"
#include "accounting/ledger.h"
#include "tests/bench/kernels/support.h"
#include "tests/bench/ledger/audit.h"
#include "tests/bench/ledger/receipts.h"
#include "tests/bench/ledger/snapshot.h"
#include "tests/bench/ledger/support.h"
#include "tests/bench/ledger/validators.h"

namespace {

using namespace ufab;

using bench_ledger::fail;
using bench_ledger::key_of;
using bench_ledger::ReceiptSource;
using bench_ledger::windows_per_job;

// Two organisations: the validator, and a provider that runs its own jobs.
class Ours {
 public:
  explicit Ours(const std::string& folder) : validator_(key_of(1)) {
    LedgerOptions options;
    options.folder = folder;
    Genesis genesis{"bench", "chain", "", {}};
    genesis.params.job_retention_blocks = 1;
    auto ledger = Ledger::create(options, validator_, genesis);
    if (!ledger.ok()) fail(ledger.error().message);
    ledger_ = std::move(*ledger);
    const ReceiptSource::Chain chain{
        ledger_->chain_id(), [this](const KeyPair& key, RecordBody body) { must(key, std::move(body)); },
        [this](const PublicKey& key) { return ledger_->next_sequence(key); }};
    source_ = std::make_unique<ReceiptSource>(chain, key_of(2), 2);
    must(source_->provider(), Organisation{"provider", ""});
    must(validator_, Transfer{2, 1'000'000 * micro_per_unc, ""});
    source_->enrol();
  }

  // The provider's own work, outside the measured time.
  std::vector<Bytes> next_job(std::vector<std::vector<Receipt>>& batches) {
    return source_->next_job(batches);
  }
  // Returns when all of it is durable and indexed: a repeated record is looked up in the index, after all
  // that waits has been written there.
  void submit(const std::vector<Bytes>& records) {
    for (const Bytes& record : records) submit(record);
    submit(records.back());
  }
  void submit(const Bytes& record) {
    const auto outcome = ledger_->submit(record);
    if (!outcome.ok()) fail(outcome.error().message);
  }
  // A finished job waits for its one sampled window to be re-executed: the validator votes.
  void vote() {
    Vote vote;
    vote.job = source_->job();
    vote.attempt = 1;
    bool waits = false;
    ledger_->with_state([&](const State& state) {
      const JobEntry* job = state.job(source_->job());
      if (job == nullptr || job->phase != JobPhase::validating) return;
      for (const auto& [number, window] : job->windows) {
        if (window.check != WindowCheck::assigned) continue;
        waits = true;
        vote.window = number;
        vote.start_digest = window.receipts[0].receipt.start_digest;
        vote.end_digest = window.receipts[0].receipt.end_digest;
      }
    });
    if (!waits) return;
    vote.findings = {{2, false, 0, 0}};
    must(validator_, vote);
  }
  // Small signed records from one caller at a time, in one block each.
  void transfer() { must(source_->provider(), Transfer{1, 1, ""}); }

 private:
  void must(const KeyPair& key, RecordBody body) {
    const auto outcome = ledger_->sign_and_submit(key, std::move(body));
    if (!outcome.ok()) fail(outcome.error().message);
  }
  KeyPair validator_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<ReceiptSource> source_;
};

class SqliteAlone {
 public:
  explicit SqliteAlone(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) fail("sqlite cannot open its file");
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute(index_schema);
    sqlite3_prepare_v2(db_, "INSERT INTO receipt VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", -1, &insert_, nullptr);
  }
  ~SqliteAlone() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  SqliteAlone(const SqliteAlone&) = delete;
  SqliteAlone& operator=(const SqliteAlone&) = delete;

  void insert(const std::vector<Receipt>& receipts) {
    execute("BEGIN");
    for (const Receipt& r : receipts) {
      int column = 1;
      const auto number = [&](std::uint64_t value) {
        sqlite3_bind_int64(insert_, column++, static_cast<sqlite3_int64>(value));
      };
      const auto blob = [&](const Digest& d) {
        sqlite3_bind_blob(insert_, column++, d.bytes.data(), 32, SQLITE_STATIC);
      };
      for (const std::uint64_t value :
           {r.job, std::uint64_t{r.attempt}, r.window, std::uint64_t{r.provider}}) {
        number(value);
      }
      for (const Digest& digest : {r.start_digest, r.end_digest, r.contribution_root}) blob(digest);
      for (const std::uint64_t value : {r.work_flop, r.cpu_us, r.wall_us, r.memory_peak_bytes}) number(value);
      number(1);
      number(0);
      if (sqlite3_step(insert_) != SQLITE_DONE) fail("sqlite cannot insert");
      sqlite3_reset(insert_);
    }
    execute("COMMIT");
  }

 private:
  void execute(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(db_));
  }
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

double resident_mib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  double kib = 0;
  while (status >> word) {
    if (word == "VmRSS:") status >> kib;
  }
  return kib / 1024;
}

void receipts(const std::string& folder) {
  {
    Ours ours(folder + "/ledger");
    std::vector<std::vector<Receipt>> batches;
    double our_seconds = 0, peer_seconds = 0;
    constexpr std::uint64_t rounds = 30;
    {
      SqliteAlone peer(folder + "/peer.sqlite");
      for (std::uint64_t i = 0; i < rounds; ++i) {
        const std::vector<Bytes> records = ours.next_job(batches);
        our_seconds += bench::time_once([&] { ours.submit(records); });
        ours.vote();
        peer_seconds += bench::time_once([&] {
          for (const std::vector<Receipt>& receipts : batches) peer.insert(receipts);
        });
      }
    }
    const auto receipts_timed = static_cast<double>(rounds * windows_per_job);
    bench::print({"ledger", "receipts verified, synced per 1000, indexed vs SQLite", "receipt/s",
                  receipts_timed / our_seconds, receipts_timed / peer_seconds, peer_seconds / our_seconds,
                  1.0});
    const double single = bench::time_once([&] {
      for (int i = 0; i < 500; ++i) ours.transfer();
    });
    bench::print({"ledger", "signed records, one caller, one block and sync each", "record/s", 500 / single,
                  -1, 0, 0});
    for (std::uint64_t done = rounds * windows_per_job; done < 1'000'000; done += windows_per_job) {
      ours.submit(ours.next_job(batches));
      ours.vote();
    }
    bench::print(
        {"ledger", "resident memory with a million receipts", "MiB", resident_mib(), -1, 0, 150, true});
  }
  const double open_seconds = bench::time_once([&] {
    LedgerOptions options;
    options.folder = folder + "/ledger";
    const auto opened = Ledger::open(options);
    if (!opened.ok()) fail(opened.error().message);
  });
  bench::print({"ledger", "opening a ledger of a million receipts", "s", open_seconds, -1, 0, 0});
  const double audit_seconds = bench::time_once([&] {
    const auto summary = audit_verify(folder + "/ledger", std::nullopt);
    if (!summary.ok()) fail(summary.error().message);
  });
  bench::print({"ledger", "audit of a million receipts", "s", audit_seconds, -1, 0, 0});
}

}  // namespace

// With arguments only those parts: receipts, validators, chain, snapshot.
int main(int count, char** arguments) {
  const std::vector<std::string> parts(arguments + 1, arguments + count);
  for (const std::string& part : parts) {
    if (part != "receipts" && part != "validators" && part != "chain" && part != "snapshot")
      fail("no part " + part);
  }
  const auto wanted = [&](const char* part) {
    return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  std::string folder = (std::filesystem::temp_directory_path() / "ufab-bench-ledger-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) fail("no temporary folder");
  if (wanted("receipts")) receipts(folder);  // first: it measures the process's memory
  if (wanted("validators")) bench::validators(folder + "/validators");
  if (wanted("chain")) bench_ledger::audit_from_zero(folder + "/chain");
  if (wanted("snapshot")) bench_ledger::catch_up();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}
