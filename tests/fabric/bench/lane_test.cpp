// A lane of a benchmark is a pure function of seed and repeats, whoever computes it.
#include "fabric/bench/lane.h"

#include <gtest/gtest.h>

#include "fabric/bench/bench_run.h"

namespace ufab::test {
namespace {

std::unique_ptr<kernels::Backend> backend(kernels::BackendKind kind, int threads = 1) {
  return kernels::make_backend(kind, threads);
}

TEST(Lane, IsTheSameOnEveryBackendAndAnyNumberOfThreads) {
  // What the ledger holds stays checkable only as long as this digest does not change.
  const std::string golden = "sha256:6a7b15f1b9e74d25ab7273005c3503052bdcbe2c9b4b9687b52213dd61639dde";
  const Digest seed = sha256("lane");
  for (const auto kind :
       {kernels::BackendKind::cpu, kernels::BackendKind::cpu_avx2, kernels::BackendKind::cpu_avx512}) {
    if (!kernels::backend_available(kind)) continue;
    for (const int threads : {1, 3}) {
      EXPECT_EQ(run_lane(seed, 2, *backend(kind, threads)).str(), golden) << kernels::backend_name(kind);
    }
  }
}

TEST(Lane, EveryRepeatDependsOnTheSeedAndOnTheOnesBefore) {
  const auto cpu = backend(kernels::BackendKind::cpu);
  Lane one(sha256("one"), *cpu);
  Lane other(sha256("other"), *cpu);
  const Digest first = one.repeat();
  EXPECT_NE(first, other.repeat());
  const Digest second = one.repeat();
  EXPECT_NE(first, second);
  EXPECT_NE(run_lane(first, 1, *cpu), second) << "the parameters go on, not only the seed of the data";
  EXPECT_EQ(run_lane(sha256("one"), 2, *cpu), second);
}

TEST(BenchResult, IsReadAsItWasWrittenAndRubbishIsRefused) {
  const BenchResult result{3, 40, 1'234'567, {sha256("a"), sha256("b")}};
  const std::string text = bench_result_json(result);
  const auto read = parse_bench_result(text);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->semantics_version, 3U);
  EXPECT_EQ(read->repeats, 40U);
  EXPECT_EQ(read->elapsed_us, 1'234'567U);
  EXPECT_EQ(read->lanes, result.lanes);
  for (const char* rubbish :
       {"", "{}", "[]", R"({"schema":"ufab.benchmark/1"})",
        R"({"schema":"x","semantics_version":1,"repeats":1,"elapsed_us":1,"lanes":[]})",
        R"({"schema":"ufab.benchmark/1","semantics_version":-1,"repeats":1,"elapsed_us":1,"lanes":[]})",
        R"({"schema":"ufab.benchmark/1","semantics_version":1,"repeats":1,"elapsed_us":1,"lanes":[7]})"}) {
    EXPECT_FALSE(parse_bench_result(rubbish).ok()) << rubbish;
  }
}

}  // namespace
}  // namespace ufab::test
