#include "fabric/net/peer_score.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace ufab {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Time = PeerScore::Time;

const Time begin{};

TEST(PeerScore, PointsAddUpToABanAndAreForgivenOneByOne) {
  PeerScore score({}, begin);
  EXPECT_FALSE(score.penalise(60, begin));
  EXPECT_EQ(score.points(begin + 1999ms), 59U);
  EXPECT_FALSE(score.penalise(60, begin + 30s));  // 30 + 60
  EXPECT_EQ(score.points(begin + 30s), 90U);
  EXPECT_TRUE(score.penalise(10, begin + 30s));
  EXPECT_EQ(score.ban_left(begin + 30s), 10s);
  EXPECT_TRUE(score.is_banned(begin + 39'999ms));
  EXPECT_FALSE(score.is_banned(begin + 40s));
  EXPECT_EQ(score.points(begin + 40s), 0U);
}

TEST(PeerScore, EachBanIsTwiceAsLongUpToAnHourAndGoodBehaviourHalvesTheNext) {
  PeerScore score({}, begin);
  Time now = begin;
  const auto ban = [&] {
    EXPECT_TRUE(score.penalise(100, now));
    const milliseconds length = score.ban_left(now);
    now += length;
    return length;
  };
  for (const milliseconds expected : {10s, 20s, 40s, 80s, 160s, 320s, 640s, 1280s, 2560s, 3600s, 3600s}) {
    EXPECT_EQ(ban(), expected);
  }
  now += 20min;  // two are forgotten
  EXPECT_EQ(ban(), 1280s);
  now += 24h;
  EXPECT_EQ(ban(), 10s);
}

TEST(PeerScore, PenaltiesDuringABanDoNotProlongIt) {
  PeerScore score({}, begin);
  ASSERT_TRUE(score.penalise(1000, begin));
  EXPECT_FALSE(score.penalise(1000, begin + 9s));
  EXPECT_FALSE(score.is_banned(begin + 10s));
  EXPECT_EQ(score.points(begin + 10s), 0U);
}

TEST(PeerScore, ABurstIsFreeAndWhoGoesOnIsHeldToTheRateAndBannedInTheEnd) {
  PeerScoreLimits limits;
  limits.messages_per_s = 100;
  limits.burst = 2s;
  PeerScore score(limits, begin);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(score.received(1, begin), 0ms) << i;
  // The next one is over: half of the burst, and what is owed, is to be waited for.
  EXPECT_EQ(score.received(1, begin), 1011ms);
  EXPECT_EQ(score.points(begin), limits.flood_points);
  Time now = begin;
  std::uint64_t received = 201;
  while (!score.is_banned(now)) {
    now += score.received(1, now);
    ++received;
    ASSERT_LT(now - begin, 60s);
  }
  EXPECT_GT(now - begin, 9s);
  EXPECT_LE(received, 200U + 100U * static_cast<std::uint64_t>((now - begin) / 1s + 1));
}

TEST(PeerScore, BytesAreLimitedToo) {
  PeerScoreLimits limits;
  limits.bytes_per_s = 1000;
  PeerScore score(limits, begin);
  EXPECT_EQ(score.received(2000, begin), 0ms);
  EXPECT_EQ(score.received(3000, begin), 4001ms);
  EXPECT_EQ(score.received(4000, begin + 5s), 3001ms);  // it was full again, and no fuller
}

struct Call {
  bool penalty = false;
  std::uint32_t amount = 0;
  milliseconds later{0};
};

RC_GTEST_PROP(PeerScoreProperty, NoBanIsForEverAndNothingIsHeldAgainstAPeerForEver, ()) {
  PeerScoreLimits limits;
  limits.messages_per_s = *rc::gen::inRange<std::uint64_t>(1, 1000);
  limits.bytes_per_s = *rc::gen::inRange<std::uint64_t>(1, 100'000);
  PeerScore score(limits, begin);
  const auto size = *rc::gen::inRange<std::size_t>(0, 200);
  const auto calls = *rc::gen::container<std::vector<Call>>(
      size,
      rc::gen::build<Call>(rc::gen::set(&Call::penalty),
                           rc::gen::set(&Call::amount, rc::gen::inRange<std::uint32_t>(0, 200'000)),
                           rc::gen::set(&Call::later, rc::gen::map(rc::gen::inRange(0, 700'000), [](int ms) {
                             return milliseconds(ms);
                           }))));
  Time now = begin;
  std::uint64_t points = 0;
  for (const Call& call : calls) {
    now += call.later;
    const bool banned = score.is_banned(now);
    if (call.penalty) {
      points += call.amount;
      const bool begins = score.penalise(call.amount, now);
      RC_ASSERT(!(begins && banned));
      RC_ASSERT(!begins || score.is_banned(now));
    } else {
      if (score.received(call.amount, now) > 0ms) points += limits.flood_points;
    }
    if (score.is_banned(now)) RC_ASSERT(points >= limits.points_max);
    RC_ASSERT(score.ban_left(now) <= limits.ban_max);
    RC_ASSERT(score.points(now) < limits.points_max);
  }
  // An hour later no ban is left, and after another few hours it is as if nothing had been.
  now += limits.ban_max;
  RC_ASSERT(!score.is_banned(now));
  now += 3h;
  RC_ASSERT(score.points(now) == 0U);
  RC_ASSERT(score.penalise(limits.points_max, now));
  RC_ASSERT(score.ban_left(now) == limits.ban_first);
}

RC_GTEST_PROP(PeerScoreProperty, WhoObeysThePausesNeverGetsMoreThroughThanRateAndBurst, ()) {
  PeerScoreLimits limits;
  limits.bytes_per_s = *rc::gen::inRange<std::uint64_t>(100, 100'000);
  limits.flood_points = 0;
  PeerScore score(limits, begin);
  Time now = begin;
  std::uint64_t total = 0;
  for (int i = 0; i < 100; ++i) {
    now += milliseconds(*rc::gen::inRange(0, 50));
    const auto bytes = *rc::gen::inRange<std::size_t>(0, 20'000);
    const auto elapsed = std::chrono::duration_cast<milliseconds>(now - begin + limits.burst).count();
    // Before the last message no more than the rate was through: it alone may go over.
    RC_ASSERT(total * 1000 <= limits.bytes_per_s * static_cast<std::uint64_t>(elapsed + 1));
    total += bytes;
    now += score.received(bytes, now);
  }
}

}  // namespace
}  // namespace ufab
