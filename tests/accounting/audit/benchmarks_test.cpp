// What an auditor reads of benchmarks, and that the ladder is derived anew.
#include <gtest/gtest.h>

#include "accounting/audit/audit.h"
#include "accounting/log/segment_log.h"
#include "fabric/base/merkle.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

void write_log(const std::string& folder, const std::vector<Bytes>& blocks) {
  ASSERT_TRUE(make_folders(folder + "/log").ok());
  auto log = SegmentLog::open(folder + "/log", 1 << 20, block_size_max,
                              [](std::uint64_t, ByteView) { return Status{}; });
  ASSERT_TRUE(log.ok());
  for (const Bytes& block : blocks) ASSERT_TRUE(log->append(block).ok());
}

// beta files two benchmarks; the verifier of the second says that it is false.
World world_with_benchmarks() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 10;
  params.enrolment.bench_epochs = 5;
  params.enrolment.bench_ms_min = 5000;
  World world(params);
  world.add_organisations();
  for (const bool good : {true, false}) {
    do world.empty_blocks(1);
    while (world.state().height() % 10 != 0);
    const std::uint64_t height = world.state().height();
    world.empty_blocks(5);
    world.must(beta, ProviderBenchmark{height, 3, 100, {digest_of("lane 0"), digest_of("lane 1")}});
    world.empty_blocks(1);
    const BenchmarkEntry entry = *world.state().organisation(beta)->benchmark;
    world.must(entry.verifier,
               BenchmarkCheck{beta, height, good ? entry.lanes[entry.lane] : digest_of("recomputed")});
  }
  world.empty_blocks(1);
  EXPECT_EQ(world.state().organisation(beta)->standing.status, StandingStatus::suspended);
  return world;
}

TEST(AuditBenchmarks, AreListedWithTheirChallengeDerivedAnewAndWhatTheVerifierSaid) {
  const World world = world_with_benchmarks();
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const auto all = audit_benchmarks(folder.path("l"));
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_EQ(all->size(), 2U);
  const BenchmarkAudit& last = all->back();
  EXPECT_EQ(last.name, "beta");
  EXPECT_EQ(last.repeats, 100U);
  const auto challenged = decode_block(world.blocks()[last.challenge_height]);
  ASSERT_TRUE(challenged.ok());
  EXPECT_EQ(last.challenge, benchmark_challenge(block_hash(challenged->header), beta));
  EXPECT_EQ(last.mflops, world.all<BenchmarkCredit>().back().mflops);
  EXPECT_EQ(last.lanes, (std::vector<Digest>{digest_of("lane 0"), digest_of("lane 1")}));
  ASSERT_TRUE(last.check.has_value());
  EXPECT_EQ(last.check->digest, digest_of("recomputed"));
  EXPECT_EQ(last.lane, world.all<BenchmarkDuty>().back().lane);
  ASSERT_TRUE(all->front().check.has_value());
  EXPECT_EQ(all->front().check->digest, all->front().lanes[all->front().lane]);
  EXPECT_EQ(audit_benchmarks(folder.path("l"), "gamma")->size(), 0U);
  EXPECT_EQ(audit_benchmarks(folder.path("l"), "nobody").error().message,
            "no organisation 'nobody' on this chain");
}

TEST(AuditBenchmarks, AFaultOrSuspensionThatTheValidatorLeavesOutIsNamed) {
  const World world = world_with_benchmarks();
  for (const RecordType hidden : {RecordType::fault, RecordType::standing, RecordType::benchmark_duty}) {
    std::vector<Bytes> blocks = world.blocks();
    std::string place;
    for (std::size_t height = 0; height < blocks.size() && place.empty(); ++height) {
      auto block = decode_block(blocks[height]);
      ASSERT_TRUE(block.ok());
      for (std::size_t i = 0; i < block->records.size(); ++i) {
        if (decode_record(block->records[i])->type() != hidden) continue;
        block->records.erase(block->records.begin() + static_cast<std::ptrdiff_t>(i));
        block->header.record_count = static_cast<std::uint32_t>(block->records.size());
        block->header.record_root = merkle::root(record_leaves(block->records));
        block->header.signature = key_of(1).sign(header_signing_digest(block->header).view());
        blocks[height] = encode_block(*block);
        place = "block " + std::to_string(height) + " record " + std::to_string(i);
        break;
      }
    }
    ASSERT_FALSE(place.empty());
    const Folder folder;
    write_log(folder.path("l"), blocks);
    const auto result = audit_verify(folder.path("l"));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message.rfind(place, 0), 0U) << result.error().message;
  }
}

}  // namespace
}  // namespace ufab::test
