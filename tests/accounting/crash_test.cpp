// kill -9 at every durable write loses nothing that was acknowledged.
#include <gtest/gtest.h>
#include <unistd.h>

#include "accounting/audit/audit.h"
#include "accounting/index/index.h"
#include "accounting/ledger.h"
#include "tests/accounting/support/crash.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

constexpr int records_count = 6;

LedgerOptions options_in(const std::string& folder) {
  LedgerOptions options;
  options.folder = folder;
  options.segment_size_max = 1000;  // several segments
  return options;
}

// Founds or opens, then submits; writes one byte to `pipe` for every record that was acknowledged.
void work(const std::string& folder, int pipe) {
  const KeyPair key = key_of(1);
  auto ledger = Ledger::create(options_in(folder), key, genesis_of());
  if (!ledger.ok()) ledger = Ledger::open(options_in(folder), &key);
  if (!ledger.ok()) return;
  for (int i = 0; i < records_count; ++i) {
    const auto outcome = (*ledger)->sign_and_submit(key_of(static_cast<std::uint8_t>(10 + i)),
                                                    Organisation{"org-" + std::to_string(i), ""});
    if (!outcome.ok()) return;
    const char acknowledged = 'a';
    if (::write(pipe, &acknowledged, 1) != 1) return;
  }
}

TEST(Crash, KillingTheLedgerAtAnyOfItsWritesLosesNothingAcknowledged) {
  bool finished = false;
  std::uint64_t deaths = 0;
  for (std::uint64_t at = 1; !finished && at < 500; ++at) {
    const Folder folder;
    const CrashRun run = crash_at(at, [&](int pipe) { work(folder.path("l"), pipe); });
    finished = run.finished;
    if (!finished) ++deaths;
    const std::size_t acknowledged = run.acknowledged.size();
    if (finished) {
      EXPECT_EQ(acknowledged, std::size_t{records_count});
    }
    // Whatever is left opens (or can be founded again), and holds all that was acknowledged.
    const KeyPair key = key_of(1);
    auto ledger = Ledger::open(options_in(folder.path("l")), &key);
    if (!ledger.ok()) {
      ASSERT_EQ(acknowledged, 0U) << ledger.error().message;
      ledger = Ledger::create(options_in(folder.path("l")), key, genesis_of());
    }
    ASSERT_TRUE(ledger.ok()) << "at write " << at << ": " << ledger.error().message;
    (*ledger)->with_state([&](const State& state) {
      EXPECT_GE(state.organisations().size(), 1 + acknowledged) << "at write " << at;
    });
    ASSERT_TRUE((*ledger)->sign_and_submit(key_of(99), Organisation{"later", ""}).ok());
    ledger->reset();
    const auto summary = audit_verify(folder.path("l"));
    EXPECT_TRUE(summary.ok()) << "at write " << at << ": " << summary.error().message;
  }
  EXPECT_TRUE(finished);
  EXPECT_GT(deaths, 20U);
}

std::string dump_of(const std::string& folder, const Digest& chain) {
  const auto index = Index::open(folder + "/index.sqlite", chain);
  EXPECT_TRUE(index.ok()) << index.error().message;
  const auto dump = (*index)->dump();
  EXPECT_TRUE(dump.ok());
  return *dump;
}

TEST(Index, ARebuiltIndexEqualsTheOneThatGrewWithTheLedger) {
  World world;
  world.add_organisations();
  const JobId job = world.start_job(alpha, {{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}});
  EXPECT_NE(world.refused(beta, Stake{UINT64_MAX}), "");
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  world.empty_blocks(60);
  const Folder folder;
  const std::string path = folder.path("l");
  Digest chain;
  {
    auto ledger = Ledger::join(options_in(path), world.blocks()[0]);
    ASSERT_TRUE(ledger.ok());
    for (std::size_t i = 1; i < world.blocks().size(); ++i) {
      const Status status = (*ledger)->import_block(world.blocks()[i]);
      ASSERT_TRUE(status.ok()) << status.error().message;
    }
    chain = (*ledger)->chain_id();
  }
  const std::string grown = dump_of(path, chain);
  for (const char* what : {"[settlement]\n1|done|1|5|", "[reward]\n1|2|", "conflict|stake of "}) {
    EXPECT_NE(grown.find(what), std::string::npos) << what;
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + "/index.sqlite" + suffix).c_str());
  ASSERT_TRUE(Ledger::open(options_in(path)).ok());
  EXPECT_EQ(dump_of(path, chain), grown);
}

}  // namespace
}  // namespace ufab::test
