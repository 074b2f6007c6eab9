// Clusters of the production code: consensus, ledger, pool and vote log together.
#include "accounting/replica/sim/cluster.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace ufab::sim {
namespace {

TEST(ReplicaCluster, WithoutFaultsRecordsBecomeFinalSoon) {
  ClusterOptions options;
  options.faults = options.jobs = false;
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

// On a fast network.
TEST(ReplicaCluster, FewRecordsWaitForTheBlockBeforeAndShareOne) {
  const auto run = [](std::uint64_t gather_ms) {
    ClusterOptions options;
    options.faults = options.jobs = false;
    options.lies = Lies::never;
    options.chaos_s = 2;
    options.records_per_second = 300;
    options.delay_min_us = 2000;
    options.delay_max_us = 3000;
    options.gather_ms = gather_ms;
    return Cluster(3, options).run();
  };
  const ClusterReport gathered = run(ReplicaOptions().gather_ms), at_once = run(0);
  EXPECT_EQ(gathered.violation, "");
  EXPECT_EQ(at_once.violation, "");
  EXPECT_GT(gathered.final_records, gathered.submitted * 9 / 10);
  const auto in_a_block = [](const ClusterReport& report) {
    return static_cast<double>(report.final_records) / static_cast<double>(report.height);
  };
  EXPECT_GT(in_a_block(gathered), 1.3 * in_a_block(at_once)) << "against " << in_a_block(at_once);
  // Nobody waits longer than for the block before.
  const auto p99 = [](const ClusterReport& report) {
    return report.finality_us[report.finality_us.size() * 99 / 100];
  };
  EXPECT_LT(p99(gathered), p99(at_once) + ReplicaOptions().gather_ms * 1000);
}

TEST(ReplicaCluster, JobsAndAProviderThatSpamsDelayNobodysRecords) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    ClusterOptions options;
    options.faults = false;
    options.lies = Lies::never;
    options.chaos_s = 20;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "");
    EXPECT_GT(report.books.refusals, 64u) << "the cheat has spammed";
    ASSERT_GT(report.finality_us.size(), 300u);
    // Less than a view may last: none was skipped while a client waited.
    EXPECT_LT(report.finality_us[report.finality_us.size() * 99 / 100], 300'000u) << "seed " << seed;
  }
}

TEST(ReplicaCluster, TheSameSeedIsTheSameRun) {
  ClusterOptions options;
  options.chaos_s = 20;
  const ClusterReport one = Cluster(5, options).run(), other = Cluster(5, options).run();
  EXPECT_EQ(one.messages, other.messages);
  EXPECT_EQ(one.height, other.height);
  EXPECT_EQ(one.finality_us, other.finality_us);
}

// Whether somebody hears both of its votes is up to the network, so not in every run.
TEST(ReplicaCluster, WhoVotesTwiceIsConvicted) {
  std::uint64_t lies = 0, heard = 0, convicted = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    ClusterOptions options;
    options.faults = options.jobs = false;
    options.lies = Lies::always;
    options.chaos_s = 15;
    options.records_per_second = 2;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    lies += report.lies;
    heard += report.evidence > 0 ? 1U : 0U;
    convicted += report.convictions;
  }
  EXPECT_GT(lies, 0u);
  EXPECT_GE(convicted, 3u);
  EXPECT_EQ(convicted, heard) << "once for each key, and whenever it was heard";
}

// Too rare in a dozen runs of chaos, each of them, to be counted on there.
ClusterReport run_with(Misfortune misfortune, std::uint64_t seeds) {
  ClusterReport sum;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    ClusterOptions options;
    options.lies = Lies::never;
    options.misfortune = misfortune;
    options.jobs = false;
    options.chaos_s = 60;
    options.records_per_second = 10;
    const ClusterReport report = Cluster(seed, options).run();
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    sum.clocks_off += report.clocks_off;
    sum.votes_damaged += report.votes_damaged;
    sum.disks_lost += report.disks_lost;
    sum.misdirected += report.misdirected;
    sum.misdirected_found += report.misdirected_found;
  }
  return sum;
}

TEST(ReplicaCluster, AClockFarOffBreaksNothing) {
  EXPECT_GT(run_with(Misfortune::clock, 6).clocks_off, 0u);
}

TEST(ReplicaCluster, ADamagedVoteLogBreaksNothing) {
  EXPECT_GT(run_with(Misfortune::votes, 6).votes_damaged, 0u);
}

TEST(ReplicaCluster, ALostDiskBreaksNothing) {
  EXPECT_GT(run_with(Misfortune::disk, 6).disks_lost, 0u);
}

TEST(ReplicaCluster, WritesToTheWrongPlaceAreFound) {
  const ClusterReport sum = run_with(Misfortune::misdirected, 12);
  EXPECT_GE(sum.misdirected, 2u);
  EXPECT_GE(sum.misdirected_found, 1u);
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
    sum.votes_damaged += report.votes_damaged;
    sum.ledgers_damaged += report.ledgers_damaged;
    sum.disks_full += report.disks_full;
    sum.clocks_off += report.clocks_off;
    sum.misdirected += report.misdirected;
    sum.misdirected_found += report.misdirected_found;
    sum.lies += report.lies;
    sum.evidence += report.evidence;
    sum.convictions += report.convictions;
    sum.simulated_us += report.simulated_us;
    sum.books.add(report.books);
  }
  std::printf(
      "%lu seeds, %.1f hours: %lu blocks, %lu records final, %lu crashes, %lu partitions, %lu disks lost, "
      "%lu lies, %lu times evidence, %lu convictions\n",
      seeds, static_cast<double>(sum.simulated_us) / 3.6e9, sum.height, sum.final_records, sum.crashes,
      sum.partitions, sum.disks_lost, sum.lies, sum.evidence, sum.convictions);
  std::printf("%lu vote logs and %lu ledgers damaged, %lu stops by a full disk, %lu clocks far off\n",
              sum.votes_damaged, sum.ledgers_damaged, sum.disks_full, sum.clocks_off);
  std::printf("%lu writes misdirected, found %lu times\n", sum.misdirected, sum.misdirected_found);
  const BooksReport& books = sum.books;
  std::printf(
      "%lu jobs, %lu receipts, %lu windows paid, %lu of them false; %lu good verdicts, %lu bad, %lu slashes; "
      "%lu refusals, %lu rewards\n",
      books.settled, books.receipts, books.windows_paid, books.false_windows_paid, books.verdicts_good,
      books.verdicts_bad, books.slashes, books.refusals, books.rewards);
  for (const std::uint64_t happened :
       {sum.crashes, sum.partitions, sum.ledgers_damaged, sum.disks_full, sum.lies, sum.evidence,
        books.settled, books.windows_paid, books.verdicts_good, books.verdicts_bad, books.slashes,
        books.refusals, books.rewards})
    EXPECT_GT(happened, 0u) << "a fault that never happened shows nothing";
}

}  // namespace
}  // namespace ufab::sim
