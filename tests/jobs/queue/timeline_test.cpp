#include "jobs/queue/timeline.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ufab::jobs {
namespace {

TEST(Timeline, FreesWhatEndsWhenItEnds) {
  const Timeline timeline(100, {8, 1000, true}, {{300, 4, 100}, {200, 2, 0}, {200, 1, 500}});
  EXPECT_EQ(timeline.free_slots_now(), 1);
  EXPECT_TRUE(timeline.fits(1, 400, 100, 200));
  EXPECT_FALSE(timeline.fits(1, 401, 100, 200));
  EXPECT_FALSE(timeline.fits(2, 0, 199, 250));
  EXPECT_TRUE(timeline.fits(4, 900, 200, time_never));
  EXPECT_FALSE(timeline.fits(5, 0, 299, 300));
  EXPECT_TRUE(timeline.fits(8, 1000, 300, time_never));
}

TEST(Timeline, ARunThatIsPastItsEndHoldsWhatItHasForAnotherSecond) {
  const Timeline timeline(100, {8, 0, true}, {{50, 8, 0}});
  EXPECT_FALSE(timeline.fits(1, 0, 100, 101));
  EXPECT_TRUE(timeline.fits(8, 0, 101, 102));
}

TEST(Timeline, WhatNeverEndsIsNeverFree) {
  const Timeline timeline(0, {8, 0, true}, {{time_never, 3, 0}});
  EXPECT_FALSE(timeline.fits(6, 0, 1'000'000, 1'000'001));
}

TEST(Timeline, AProviderThatShrankBelowWhatItRunsHasNothingFree) {
  const Timeline timeline(0, {4, 0, true}, {{10, 4, 0}, {20, 3, 0}});
  EXPECT_EQ(timeline.free_slots_now(), 0);
  EXPECT_FALSE(timeline.fits(2, 0, 10, 11));
  EXPECT_TRUE(timeline.fits(1, 0, 10, 20));
  EXPECT_TRUE(timeline.fits(4, 0, 20, 21));
}

// Against an array with a cell for every second.
TEST(Timeline, IsWhatCountingSecondBySecondGives) {
  EXPECT_TRUE(rc::check("seconds", [] {
    constexpr Seconds horizon = 60;
    const std::int64_t slots = 10;
    std::vector<std::int64_t> free(horizon, slots);
    std::vector<Timeline::Occupied> running;
    for (std::int64_t left = slots; left > 0 && *rc::gen::inRange(0, 4) != 0;) {
      const auto size = *rc::gen::inRange<std::uint32_t>(1, static_cast<std::uint32_t>(left + 1));
      const auto end = *rc::gen::inRange<Seconds>(1, horizon);
      left -= size;
      running.push_back({end, size, 0});
      for (Seconds at = 0; at < end; ++at) free[static_cast<std::size_t>(at)] -= size;
    }
    Timeline timeline(0, {static_cast<std::uint32_t>(slots), 0, true}, running);
    for (int i = 0; i < 20; ++i) {
      const auto from = *rc::gen::inRange<Seconds>(0, horizon - 1);
      const auto until = *rc::gen::inRange<Seconds>(from + 1, horizon);
      const auto size = *rc::gen::inRange<std::int64_t>(1, slots + 1);
      bool room = true;
      for (Seconds at = from; at < until; ++at) room = room && free[static_cast<std::size_t>(at)] >= size;
      RC_ASSERT(timeline.fits(size, 0, from, until) == room);
      if (!room) continue;
      timeline.take(size, 0, from, until);
      for (Seconds at = from; at < until; ++at) free[static_cast<std::size_t>(at)] -= size;
    }
    for (std::size_t i = 1; i < timeline.steps().size(); ++i)
      RC_ASSERT(timeline.steps()[i - 1].at_s < timeline.steps()[i].at_s);
  }));
}

}  // namespace
}  // namespace ufab::jobs
