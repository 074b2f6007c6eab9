#include "kernels/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>

namespace ufab::kernels {
namespace {

TEST(ThreadPool, RunsEveryTaskExactlyOnceAndReturnsAfterTheLast) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    // Plain ints: a task that ran twice, or ran on after run() returned, would be a race and a wrong sum.
    std::vector<int> counts(97);
    for (int round = 1; round <= 200; ++round) {
      const int tasks = round % 98;
      pool.run(tasks, [&](int index, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, threads);
        ++counts[static_cast<std::size_t>(index)];
      });
    }
    for (int index = 0; index < 97; ++index) {
      int expected = 0;
      for (int round = 1; round <= 200; ++round) expected += index < round % 98 ? 1 : 0;
      EXPECT_EQ(counts[static_cast<std::size_t>(index)], expected) << index;
    }
  }
}

TEST(ThreadPool, AWorkerNeverRunsTwoTasksAtOnce) {
  constexpr int kThreads = 3;
  ThreadPool pool(kThreads);
  std::vector<std::int64_t> sums(kThreads);  // what Backend's scratch memory relies on
  pool.run(10000, [&](int index, int worker) { sums[static_cast<std::size_t>(worker)] += index; });
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), 10000LL * 9999 / 2);
}

}  // namespace
}  // namespace ufab::kernels
