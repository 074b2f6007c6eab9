// Clusters of the production code: consensus, ledger, pool and vote log together.
#include "accounting/replica/sim/cluster.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace ufab::sim {
namespace {

TEST(ReplicaCluster, WithoutFaultsRecordsBecomeFinalSoon) {
  ClusterOptions options;
  options.faults = false;
  options.lies = Lies::never;
  options.chaos_s = 30;
  const ClusterReport report = Cluster(1, options).run();
  EXPECT_EQ(report.violation, "");
  EXPECT_GT(report.epochs, 20u);
  EXPECT_GT(report.seed_shares, 40u);
  EXPECT_EQ(report.evidence, 0u);
  EXPECT_GT(report.final_records, report.submitted * 9 / 10);
  // Delays are 1 to 50 ms, and a record waits for the block before it: some ten of them. Nothing may wait for
  // a time-out, at the turn of an epoch neither.
  ASSERT_FALSE(report.finality_us.empty());
  EXPECT_LT(report.finality_us[report.finality_us.size() / 2], 250'000u);
  EXPECT_LT(report.finality_us[report.finality_us.size() * 99 / 100], 500'000u);
}

TEST(ReplicaCluster, TheSameSeedIsTheSameRun) {
  ClusterOptions options;
  options.chaos_s = 20;
  const ClusterReport one = Cluster(5, options).run(), other = Cluster(5, options).run();
  EXPECT_EQ(one.messages, other.messages);
  EXPECT_EQ(one.height, other.height);
  EXPECT_EQ(one.finality_us, other.finality_us);
}

TEST(ReplicaCluster, WhoVotesTwiceIsConvicted) {
  std::uint64_t convicted = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    ClusterOptions options;
    options.faults = false;
    options.lies = Lies::always;
    options.chaos_s = 40;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    EXPECT_GT(report.lies, 0u) << "seed " << seed;
    // Once at the most; and whenever an honest node came upon it, which not every seed lets happen.
    EXPECT_EQ(report.convictions, report.evidence > 0 ? 1u : 0u) << "seed " << seed;
    convicted += report.convictions;
  }
  EXPECT_GT(convicted, 1u);
}

// UFAB_CLUSTER_SEEDS=N runs seeds 1 to N.
TEST(ReplicaCluster, ChaosBreaksNothing) {
  const char* asked = std::getenv("UFAB_CLUSTER_SEEDS");
  const std::uint64_t seeds = asked == nullptr ? 16 : std::strtoull(asked, nullptr, 10);
  ClusterReport sum;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    ClusterOptions options;
    options.validators = 4 + seed % 4;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    sum.height += report.height;
    sum.final_records += report.final_records;
    sum.crashes += report.crashes;
    sum.partitions += report.partitions;
    sum.disks_lost += report.disks_lost;
    sum.lies += report.lies;
    sum.evidence += report.evidence;
    sum.convictions += report.convictions;
    sum.simulated_us += report.simulated_us;
  }
  std::printf(
      "%lu seeds, %.1f hours: %lu blocks, %lu records final, %lu crashes, %lu partitions, %lu disks lost, "
      "%lu lies, %lu times evidence, %lu convictions\n",
      seeds, static_cast<double>(sum.simulated_us) / 3.6e9, sum.height, sum.final_records, sum.crashes,
      sum.partitions, sum.disks_lost, sum.lies, sum.evidence, sum.convictions);
  for (const std::uint64_t happened :
       {sum.crashes, sum.partitions, sum.disks_lost, sum.lies, sum.evidence})
    EXPECT_GT(happened, 0u) << "a fault that never happened shows nothing";
}

}  // namespace
}  // namespace ufab::sim
