// Ledgers that begin with a snapshot: they take part at once, are whole later, and believe nobody.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "accounting/audit/audit.h"
#include "accounting/index/index.h"
#include "fabric/base/file.h"
#include "tests/accounting/support/crash.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/golden.h"
#include "tests/accounting/support/history.h"
#include "tests/accounting/support/snapshot_offer.h"

namespace ufab::test {
namespace {

LedgerOptions options_in(const std::string& folder) {
  LedgerOptions options;
  options.folder = folder;
  options.segment_size_max = 16 << 10;
  return options;
}

// What a joining node does with an offer.
Status begin(Ledger& ledger, const Offer& offer) {
  UFAB_ASSIGN(const SnapshotManifest manifest, decode_manifest(encode_manifest(offer.manifest)));
  UFAB_ASSIGN(SnapshotBase base, check_manifest(manifest, ledger.chain_id()));
  UFAB_ASSIGN(StateSnapshot::Restore restore, StateSnapshot::Restore::begin(std::move(base), manifest.index));
  for (std::uint32_t i = 0; i < restore.chunks(); ++i) UFAB_TRY(restore.add(i, offer.chunks.at(i)));
  UFAB_ASSIGN(State state, std::move(restore).finish());
  return ledger.begin_at(manifest, offer.chunks, std::move(state));
}

// Blocks that become final together, from `from` on.
std::vector<Bytes> next_run(const std::vector<Bytes>& blocks, std::uint64_t from) {
  std::vector<Bytes> run;
  for (std::uint64_t at = from; at < blocks.size(); ++at) {
    run.push_back(blocks[at]);
    if (!wants_certificate(*decode_block(blocks[at]))) break;
  }
  return run;
}

Status follow(Ledger& ledger, const std::vector<Bytes>& blocks) {
  while (ledger.head().height + 1 < blocks.size()) {
    UFAB_TRY(ledger.import_blocks(next_run(blocks, ledger.head().height + 1)));
  }
  return {};
}

Status fill(Ledger& ledger, const std::vector<Bytes>& blocks) {
  while (const auto history = ledger.history()) {
    if (history->filled == history->base) {
      UFAB_TRY(ledger.fill_history({}));
    } else {
      UFAB_TRY(ledger.fill_history(next_run(blocks, history->filled + 1)));
    }
  }
  return {};
}

std::string dump_of(const std::string& folder, const Digest& chain) {
  const auto index = Index::open(folder + "/index.sqlite", chain);
  EXPECT_TRUE(index.ok()) << index.error().message;
  const auto dump = (*index)->dump();
  EXPECT_TRUE(dump.ok());
  return *dump;
}

struct Shared {
  World world = make_history();
  std::uint64_t epoch_blocks = world.state().params().epoch_blocks;
  // The last but one that begins an epoch.
  std::uint64_t base = (world.state().height() / epoch_blocks - 1) * epoch_blocks;
  Offer offer;

  Shared() {
    const Folder folder;
    offer = offer_of(*joined(options_in(folder.path("l")), world.blocks(), base + 1));
  }
  static const Shared& get() {
    static const Shared shared;
    return shared;
  }
};

TEST(LedgerSnapshot, ANewLedgerTakesPartAtOnceAndHasEveryBlockLater) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  const Folder folder;
  const std::string path = folder.path("l");
  {
    const auto ledger = joined(options_in(path), blocks, 1);
    const Status begun = begin(*ledger, shared.offer);
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    EXPECT_EQ(ledger->head().height, shared.base);
    EXPECT_EQ(begin(*ledger, shared.offer).error().code, ErrorCode::conflict);
    const Status followed = follow(*ledger, blocks);
    ASSERT_TRUE(followed.ok()) << followed.error().message;
    EXPECT_EQ(ledger->head().hash, shared.world.chain().head_hash());
    EXPECT_EQ(*ledger->block(blocks.size() - 1), blocks.back());
    EXPECT_EQ(*ledger->block(0), blocks[0]);
    const auto missing = ledger->block(shared.base);
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, ErrorCode::unavailable);
    EXPECT_NE(missing.error().message.find("is not here yet"), std::string::npos);
    const auto audited = audit_verify(path);
    ASSERT_FALSE(audited.ok());
    EXPECT_NE(audited.error().message.find("not here yet"), std::string::npos) << audited.error().message;
  }
  {
    // Half of it, by another process.
    const auto ledger = Ledger::open(options_in(path));
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    EXPECT_EQ((*ledger)->head().hash, shared.world.chain().head_hash());
    while ((*ledger)->history()->filled < shared.base / 2)
      ASSERT_TRUE((*ledger)->fill_history(next_run(blocks, (*ledger)->history()->filled + 1)).ok());
  }
  {
    const auto ledger = Ledger::open(options_in(path));
    ASSERT_TRUE(ledger.ok()) << ledger.error().message;
    EXPECT_GE((*ledger)->history()->filled, shared.base / 2);
    const Status filled = fill(**ledger, blocks);
    ASSERT_TRUE(filled.ok()) << filled.error().message;
    for (std::size_t at = 0; at < blocks.size(); ++at) ASSERT_EQ(*(*ledger)->block(at), blocks[at]);
  }
  const auto audited = audit_verify(path);
  ASSERT_TRUE(audited.ok()) << audited.error().message;
  EXPECT_EQ(audited->blocks, blocks.size());
  EXPECT_FALSE(std::filesystem::exists(path + "/recent"));
  const std::string other = folder.path("other");
  joined(options_in(other), blocks, blocks.size()).reset();
  const Digest chain_id = shared.world.state().chain_id();
  EXPECT_EQ(dump_of(path, chain_id), dump_of(other, chain_id));
}

TEST(LedgerSnapshot, OneThatBeganWithASnapshotHandsOutTheNext) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  const std::uint64_t next = shared.base + shared.epoch_blocks;
  const Folder folder;
  const auto first = joined(options_in(folder.path("first")), blocks, 1);
  ASSERT_TRUE(begin(*first, shared.offer).ok());
  ASSERT_TRUE(follow(*first, {blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(next) + 1}).ok());
  const Offer offer = offer_of(*first);
  const auto whole = joined(options_in(folder.path("whole")), blocks, next + 1);
  const Offer honest = offer_of(*whole);
  EXPECT_EQ(offer.chunks, honest.chunks);
  EXPECT_EQ(offer.manifest.checkpoint.trail, honest.manifest.checkpoint.trail);
  const auto second = joined(options_in(folder.path("second")), blocks, 1);
  const Status begun = begin(*second, offer);
  ASSERT_TRUE(begun.ok()) << begun.error().message;
  const Status followed = follow(*second, blocks);
  ASSERT_TRUE(followed.ok()) << followed.error().message;
  EXPECT_EQ(second->head().hash, shared.world.chain().head_hash());
}

TEST(LedgerSnapshot, AreOfferedAtTheEndOfEveryEpochAndHold) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  const Folder folder(memory_folder());
  const auto ledger = joined(options_in(folder.path("l")), blocks, 1);
  EXPECT_EQ(ledger->draft_snapshot().error().code, ErrorCode::not_found);
  std::size_t offers = 0;
  for (std::uint64_t at = shared.epoch_blocks; at < blocks.size(); at += shared.epoch_blocks, ++offers) {
    ASSERT_TRUE(follow(*ledger, {blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(at) + 1}).ok());
    const auto checked = check_manifest(offer_of(*ledger).manifest, ledger->chain_id());
    ASSERT_TRUE(checked.ok()) << "block " << at << ": " << checked.error().message;
  }
  EXPECT_GT(offers, 5U);
}

TEST(LedgerSnapshot, AnyoneWhoOffersSomethingElseIsFoundOut) {
  const Shared& shared = Shared::get();
  const Folder folder(memory_folder());
  const auto ledger = joined(options_in(folder.path("l")), shared.world.blocks(), 1);
  const auto refused = [&](const char* what, const std::function<void(Offer&)>& lie) {
    Offer offer = shared.offer;
    lie(offer);
    const Status begun = begin(*ledger, offer);
    EXPECT_FALSE(begun.ok()) << what;
    EXPECT_EQ(ledger->head().height, 0U) << what;
  };
  refused("another state root",
          [](Offer& o) { o.manifest.checkpoint.head.headers[0].state_root = digest_of("x"); });
  refused("no votes", [](Offer& o) { o.manifest.checkpoint.head.finality.reset(); });
  refused("no links", [](Offer& o) { o.manifest.checkpoint.links.clear(); });
  refused("a mark is missing",
          [](Offer& o) { o.manifest.checkpoint.trail.erase(o.manifest.checkpoint.trail.begin()); });
  refused("another mark", [](Offer& o) { o.manifest.checkpoint.trail[0].time_us -= 1; });
  refused("another bucket", [](Offer& o) { o.manifest.index.buckets[7] = digest_of("x"); });
  refused("another number of chunks", [](Offer& o) { o.manifest.index.chunks = 4; });
  refused("another chunk", [](Offer& o) { o.chunks[0][100] ^= 1; });
  refused("another chain", [](Offer& o) {
    World other(World::small_params());
    o.manifest.checkpoint.genesis = decode_block(other.blocks()[0])->records[0];
  });
  ASSERT_TRUE(begin(*ledger, shared.offer).ok());
}

TEST(LedgerSnapshot, BlocksThatLeadElsewhereThanTheSnapshotAreNotTakenForItsPast) {
  // A founder alone signs two histories.
  World one, other;
  one.add_organisations();
  other.add_organisations();
  one.must(alpha, Transfer{beta, 1, ""});
  other.must(alpha, Transfer{gamma, 1, ""});
  one.next_epoch();
  other.next_epoch();
  const Folder folder;
  const auto source = joined(options_in(folder.path("source")), one.blocks(), one.blocks().size());
  const auto ledger = joined(options_in(folder.path("l")), one.blocks(), 1);
  ASSERT_TRUE(begin(*ledger, offer_of(*source)).ok());
  ASSERT_EQ(one.blocks().size(), other.blocks().size());
  Status filled;
  for (std::size_t at = 1; at < other.blocks().size(); ++at)
    filled = ledger->fill_history({other.blocks()[at]});
  ASSERT_FALSE(filled.ok());
  EXPECT_EQ(filled.error().code, ErrorCode::corrupt);
  EXPECT_NE(filled.error().message.find("one of the two was forged"), std::string::npos);
  EXPECT_TRUE(ledger->history().has_value());
}

TEST(LedgerSnapshot, ADamagedSnapshotGoesAsideAndTheBlocksComeInstead) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  const Folder folder;
  LedgerOptions options = options_in(folder.path("l"));
  ASSERT_TRUE(begin(*joined(options, blocks, 1), shared.offer).ok());
  {
    std::fstream file(options.folder + "/recent/0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(200);
    file.put('\x55');
    file.put('\x66');
  }
  EXPECT_FALSE(Ledger::open(options).ok());
  options.repair = true;
  std::string said;
  options.repaired = [&said](const std::string& line) { said = line; };
  const auto ledger = Ledger::open(options);
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  EXPECT_NE(said.find("damaged"), std::string::npos);
  EXPECT_EQ((*ledger)->head().height, 0U);
  const Status followed = follow(**ledger, blocks);
  EXPECT_TRUE(followed.ok()) << followed.error().message;
}

TEST(LedgerSnapshot, AManifestHasItsGoldenBytes) {
  ChainParams params = committee_params();
  params.enrolment.bench_window_blocks = 4;
  World world(params);
  seat_four(world);
  world.next_epoch();
  const Folder folder;
  const auto ledger = joined(options_in(folder.path("l")), world.blocks(), world.blocks().size());
  expect_golden(UFAB_GOLDEN "/manifest/four_validators.hex", encode_manifest(offer_of(*ledger).manifest));
}

// Begins, follows, fills; one byte to `pipe` for each block that was taken in after the snapshot.
void work(const std::string& path, int pipe) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  auto opened = Ledger::open(options_in(path));
  if (!opened.ok()) opened = Ledger::join(options_in(path), blocks[0]);
  if (!opened.ok()) return;
  Ledger& ledger = **opened;
  if (ledger.head().height == 0 && !begin(ledger, shared.offer).ok()) return;
  const auto follow_some = [&](std::uint64_t last) {
    while (ledger.head().height < last) {
      if (!ledger.import_blocks(next_run(blocks, ledger.head().height + 1)).ok()) return false;
      const char taken = 't';
      if (::write(pipe, &taken, 1) != 1) return false;
    }
    return true;
  };
  if (!follow_some(shared.base + 3) || !fill(ledger, blocks).ok()) return;
  static_cast<void>(follow_some(shared.base + 5));
}

TEST(LedgerSnapshot, KillingItAtAnyOfItsWritesLosesNoBlockThatItHadTaken) {
  const Shared& shared = Shared::get();
  const std::vector<Bytes>& blocks = shared.world.blocks();
  bool finished = false;
  std::uint64_t deaths = 0;
  // Most writes are those of one filled block after the other: of these one of 23.
  for (std::uint64_t at = 1; !finished; at += at < 40 ? 1 : 23) {
    const Folder folder(memory_folder());
    const CrashRun run = crash_at(at, [&](int pipe) { work(folder.path("l"), pipe); });
    finished = run.finished;
    if (!finished) ++deaths;
    const std::uint64_t taken = run.acknowledged.size();
    auto opened = Ledger::open(options_in(folder.path("l")));
    if (!opened.ok()) {
      ASSERT_EQ(taken, 0U) << opened.error().message;
      opened = Ledger::join(options_in(folder.path("l")), blocks[0]);
    }
    ASSERT_TRUE(opened.ok()) << "at write " << at << ": " << opened.error().message;
    Ledger& ledger = **opened;
    if (taken > 0) {
      EXPECT_GE(ledger.head().height, shared.base + taken) << "at write " << at;
    }
    if (finished) {
      EXPECT_GE(ledger.head().height, shared.base + 5);
    }
    if (ledger.head().height == 0) {
      ASSERT_TRUE(begin(ledger, shared.offer).ok()) << "at write " << at;
    }
    ASSERT_TRUE(follow(ledger, blocks).ok()) << "at write " << at;
    const Status filled = fill(ledger, blocks);
    ASSERT_TRUE(filled.ok()) << "at write " << at << ": " << filled.error().message;
    EXPECT_EQ(ledger.head().hash, shared.world.chain().head_hash());
    opened->reset();
    const auto audited = audit_verify(folder.path("l"));
    ASSERT_TRUE(audited.ok()) << "at write " << at << ": " << audited.error().message;
    EXPECT_EQ(audited->blocks, blocks.size());
  }
  EXPECT_GT(deaths, 40U);
}

}  // namespace
}  // namespace ufab::test
