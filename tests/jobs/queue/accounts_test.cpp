// Quotas, fair share, predictions: what the order and the limits are made of.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "jobs/queue/fair_share.h"
#include "jobs/queue/predictor.h"
#include "jobs/queue/quota.h"

namespace ufab::jobs {
namespace {

TEST(Quota, AnAmountCannotBeTakenTwiceBeforeItIsOnTheLedger) {
  Quota quota;
  quota.limit = 100;
  ASSERT_TRUE(quota.take(60).ok());
  EXPECT_EQ(quota.take(60).error().message, "60 asked for, 40 left");
  quota.commit(60);
  EXPECT_FALSE(quota.allows(41));
  quota.settle(60, 25);  // less was used than committed
  EXPECT_EQ(quota.available(), 75U);
  EXPECT_EQ(quota.settled, 25U);
}

TEST(Quota, NoAmountIsLostOrMadeByAnyMoves) {
  EXPECT_TRUE(rc::check("conservation", [] {
    Quota quota;
    quota.limit = *rc::gen::inRange<std::uint64_t>(1, 1000);
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t free = quota.available();
      const auto amount = *rc::gen::inRange<std::uint64_t>(0, 300);
      switch (*rc::gen::inRange(0, 4)) {
        case 0: RC_ASSERT(quota.take(amount).ok() == (amount <= free)); break;
        case 1: quota.commit(std::min(amount, quota.in_flight)); break;
        case 2: quota.drop(std::min(amount, quota.in_flight)); break;
        default: {
          const std::uint64_t part = std::min(amount, quota.committed);
          quota.settle(part, part / 2);
        }
      }
      RC_ASSERT(quota.settled + quota.committed + quota.in_flight + quota.available() == quota.limit);
    }
  }));
}

TEST(Quota, WithoutALimitEverythingIsAllowedThatCanBeCounted) {
  Quota quota;
  EXPECT_TRUE(quota.take(UINT64_MAX).ok());
  EXPECT_FALSE(quota.allows(1));
}

TEST(FairShare, UsageIsHalvedEveryHalfLife) {
  EXPECT_EQ(decayed_usage(1'000'000, 0, 100), 1'000'000U);
  EXPECT_EQ(decayed_usage(1'000'000, 100, 100), 500'000U);
  EXPECT_EQ(decayed_usage(1'000'000, 300, 100), 125'000U);
  EXPECT_EQ(decayed_usage(UINT64_MAX, 6400, 100), 0U);
}

TEST(FairShare, TheDecayIsAPowerOfTwoToAMillionth) {
  EXPECT_TRUE(rc::check("decay", [] {
    const auto usage = *rc::gen::inRange<std::uint64_t>(1'000'000'000, 1'000'000'000'000);
    const auto elapsed = *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
    const double exact = static_cast<double>(usage) * std::exp2(-static_cast<double>(elapsed) / 604800.0);
    const auto ours = static_cast<double>(decayed_usage(usage, elapsed, 604800));
    // The fraction of a half-life is cut to 16 binary digits: 1.1e-5 of the usage.
    RC_ASSERT(std::abs(ours - exact) <= exact * 1.2e-5 + 20);
  }));
}

TEST(FairShare, WhoeverUsedLeastPerShareComesFirst) {
  const std::vector<ShareUse> all{{1, 100}, {2, 100}, {1, 100}, {1, 0}, {0, 0}};
  EXPECT_EQ(fair_share_factors(all),
            (std::vector<std::uint32_t>{600'000, 800'000, 600'000, 1'000'000, 200'000}));
  EXPECT_TRUE(fair_share_factors({}).empty());
}

TEST(Predictor, ThePredictionIsTheMeanOfTheLastTwoMostAlikeRuns) {
  Predictor predictor;
  EXPECT_FALSE(predictor.predict({1, 2, 3}).has_value());
  predictor.learn({1, 2, 3}, 100);
  EXPECT_EQ(predictor.predict({1, 2, 3}), 100);
  predictor.learn({1, 2, 3}, 300);
  EXPECT_EQ(predictor.predict({1, 2, 3}), 200);
  predictor.learn({1, 2, 8}, 1000);
  EXPECT_EQ(predictor.predict({1, 2, 3}), 200);  // same size
  EXPECT_EQ(predictor.predict({1, 2, 5}), 650);  // same program: 300 and 1000
  EXPECT_EQ(predictor.predict({1, 9, 9}), 650);  // same user
  EXPECT_FALSE(predictor.predict({2, 2, 3}).has_value());
}

}  // namespace
}  // namespace ufab::jobs
