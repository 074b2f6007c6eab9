#include "accounting/replica/sim/cluster.h"

#include <gtest/gtest.h>

namespace ufab::sim {
namespace {

TEST(ReplicaCluster, WithoutFaultsRecordsBecomeFinalSoon) {
  ClusterOptions options;
  options.faults = false;
  options.chaos_s = 30;
  const ClusterReport report = Cluster(1, options).run();
  EXPECT_EQ(report.violation, "");
  EXPECT_GT(report.epochs, 3u);
  EXPECT_GT(report.final_records, report.submitted * 9 / 10);
  ASSERT_FALSE(report.finality_us.empty());
  EXPECT_LT(report.finality_us[report.finality_us.size() / 2], 400'000u);
  std::printf("height %lu, epochs %lu, submitted %lu, final %lu, p50 %lu us, p99 %lu us, messages %lu\n",
              report.height, report.epochs, report.submitted, report.final_records,
              report.finality_us[report.finality_us.size() / 2],
              report.finality_us[report.finality_us.size() * 99 / 100], report.messages);
}

TEST(ReplicaCluster, ChaosBreaksNothing) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    ClusterOptions options;
    options.validators = 4 + seed % 4;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    std::printf("seed %lu: height %lu, epochs %lu, submitted %lu, final %lu, crashes %lu, partitions %lu\n",
                seed, report.height, report.epochs, report.submitted, report.final_records, report.crashes,
                report.partitions);
  }
}

}  // namespace
}  // namespace ufab::sim
