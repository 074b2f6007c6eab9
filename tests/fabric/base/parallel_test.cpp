#include "fabric/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace ufab {
namespace {

using namespace std::chrono_literals;

TEST(Parallel, WorksOnEachOnce) {
  for (const std::size_t count : {0U, 1U, 2U, 7U, 100U}) {
    std::vector<std::atomic<int>> done(count);
    in_parallel(count, [&](std::size_t i) { ++done[i]; });
    for (const auto& times : done) EXPECT_EQ(times, 1);
  }
}

TEST(Parallel, TakesInOrderWhatIsDone) {
  for (const std::size_t count : {0U, 1U, 2U, 7U, 100U}) {
    std::vector<std::atomic<int>> done(count);
    std::vector<std::size_t> taken;
    in_parallel_in_order(
        count,
        [&](std::size_t i) {
          if (i % 3 == 0) std::this_thread::sleep_for(1ms);
          ++done[i];
        },
        [&](std::size_t i) {
          EXPECT_EQ(done[i], 1);
          taken.push_back(i);
          return true;
        });
    ASSERT_EQ(taken.size(), count);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(taken[i], i);
  }
}

TEST(Parallel, NothingIsBegunOrTakenAfterFalse) {
  std::atomic<int> begun{0};
  std::size_t last = 0;
  in_parallel_in_order(
      100'000,
      [&](std::size_t) {
        ++begun;
        std::this_thread::sleep_for(100us);
      },
      [&](std::size_t i) {
        last = i;
        return i < 5;
      });
  EXPECT_EQ(last, 5u);
  EXPECT_LT(begun, 50'000);
}

TEST(Parallel, WorkGoesOnWhileOneIsTaken) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor";
  std::atomic<int> done{0};
  bool more = false;
  in_parallel_in_order(
      50,
      [&](std::size_t) {
        std::this_thread::sleep_for(1ms);
        ++done;
      },
      [&](std::size_t i) {
        if (i > 0) return true;
        const int before = done;
        for (int tries = 0; tries < 1000 && done == before; ++tries) std::this_thread::sleep_for(1ms);
        more = done > before;
        return true;
      });
  EXPECT_TRUE(more);
}

}  // namespace
}  // namespace ufab
