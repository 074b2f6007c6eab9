// When a node runs its own benchmark; and the ledger's constant for the work of one.
#include "jobs/node/benchmarker.h"

#include <gtest/gtest.h>

#include "fabric/bench/lane.h"

namespace ufab::jobs {
namespace {

BenchmarkSituation idle(std::uint64_t epochs_left) {
  BenchmarkSituation s;
  s.wanted = true;
  s.epochs_left = epochs_left;
  s.epochs_valid = 40;
  return s;
}

TEST(Benchmarker, TheLedgersConstantIsTheLanesWork) {
  EXPECT_EQ(benchmark_flop_per_repeat, lane_flop_per_repeat());
}

TEST(Benchmarker, RenewsInTheLastQuarterAndOnlyWhileIdle) {
  EXPECT_EQ(benchmark_move(idle(0)), BenchmarkMove::start);
  EXPECT_EQ(benchmark_move(idle(10)), BenchmarkMove::start);
  EXPECT_EQ(benchmark_move(idle(11)), BenchmarkMove::nothing);
  BenchmarkSituation s = idle(5);
  s.busy = true;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::nothing);
  s = idle(1);
  s.epochs_valid = 1;
  s.filed = true;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::nothing) << "the ledger takes one an epoch";
  s = idle(0);
  s.wanted = false;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::nothing);
  s = idle(30);
  s.asked = true;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::start);
}

TEST(Benchmarker, GivesWayToAJobWhileThePresentOneCounts) {
  BenchmarkSituation s = idle(5);
  s.under_way = true;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::nothing);
  s.busy = true;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::stop);
  s.epochs_left = 0;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::nothing) << "without it there are no leases anyway";
  s.wanted = false;
  EXPECT_EQ(benchmark_move(s), BenchmarkMove::stop);
}

}  // namespace
}  // namespace ufab::jobs
