#include "jobs/broker/broker.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <numeric>

namespace ufab::jobs {
namespace {

ProviderCapacity provider(const std::string& name, std::uint64_t speed, std::uint64_t price) {
  ProviderCapacity capacity;
  capacity.organisation = name;
  capacity.speed_mflops = speed;
  capacity.slots = 2;
  capacity.memory_mib = 4096;
  capacity.price_micro_per_tflop = price;
  capacity.price_micro_per_cpu_hour = 100'000;
  capacity.accepts_work = true;
  return capacity;
}

BrokerRequest training(std::uint32_t min, std::uint32_t max) {
  BrokerRequest request;
  request.providers_min = min;
  request.providers_max = max;
  request.slots = 2;
  request.steps = 100;
  request.micro_batches = 8;
  request.flop_per_micro_batch = 1'000'000'000;
  return request;
}

TEST(Broker, SharesFollowMeasuredSpeed) {
  const auto offer =
      make_offer(training(3, 3), {provider("a", 100, 5), provider("b", 500, 5), provider("c", 200, 5)});
  ASSERT_TRUE(offer.ok()) << offer.error().message;
  ASSERT_EQ(offer->members.size(), 3U);
  EXPECT_EQ(offer->members[0].organisation, "b");
  EXPECT_EQ(offer->members[0].micro_batches, 5U);
  EXPECT_EQ(offer->members[1].organisation, "c");
  EXPECT_EQ(offer->members[1].micro_batches, 2U);
  EXPECT_EQ(offer->members[2].first_micro_batch, 7U);
  EXPECT_EQ(offer->members[2].micro_batches, 1U);
}

TEST(Broker, GivenSharesLimitTheGang) {
  BrokerRequest request = training(1, 3);
  request.shares = {3, 1};
  const auto offer = make_offer(request, {provider("a", 100, 5), provider("b", 100, 5), provider("c", 1, 5)});
  ASSERT_TRUE(offer.ok()) << offer.error().message;
  ASSERT_EQ(offer->members.size(), 2U);
  EXPECT_EQ(offer->members[0].micro_batches, 6U);
  EXPECT_EQ(offer->members[1].micro_batches, 2U);
  request.providers_min = 3;
  const auto too_few = make_offer(request, {provider("a", 1, 5), provider("b", 1, 5), provider("c", 1, 5)});
  ASSERT_FALSE(too_few.ok());
  EXPECT_EQ(too_few.error().message, "2 shares for at least 3 providers");
}

TEST(Broker, TheCheapestAreChosenAndPreferenceComesFirst) {
  const std::vector<ProviderCapacity> all{provider("a", 100, 9), provider("b", 100, 1),
                                          provider("c", 100, 5)};
  const auto cheapest = make_offer(training(1, 1), all).value();
  EXPECT_EQ(cheapest.members[0].organisation, "b");
  BrokerRequest request = training(1, 1);
  request.prefer = {"a"};
  EXPECT_EQ(make_offer(request, all)->members[0].organisation, "a");
}

TEST(Broker, TheCostIsWorkTimesPriceRoundedUp) {
  // 8 micro-batches × 100 steps × 1 GFLOP = 0.8 TFLOP at 3 micro-UNC: 2.4, rounded up.
  const auto offer = make_offer(training(1, 1), {provider("a", 100, 3)}).value();
  EXPECT_EQ(offer.cost_micro, 3U);
  EXPECT_EQ(offer.expected_s, 8000U);
}

TEST(Broker, ARefusalNamesEveryProviderAndWhy) {
  ProviderCapacity slow = provider("b", 100, 5);
  slow.accepts_work = false;
  const auto offer = make_offer(training(2, 2), {provider("a", 100, 5), slow});
  ASSERT_FALSE(offer.ok());
  EXPECT_EQ(offer.error().message, "the job needs 2 providers and 1 can take it; b accepts no work now");
}

TEST(Broker, AnOrdinaryScriptIsPricedByItsTimeLimit) {
  BrokerRequest request;
  request.slots = 2;
  request.time_limit_s = 1800;
  const auto offer = make_offer(request, {provider("a", 100, 5)}).value();
  EXPECT_EQ(offer.cost_micro, 100'000U);
}

TEST(Broker, SharesAddUpAndLeaveNobodyOut) {
  EXPECT_TRUE(rc::check("shares", [] {
    const auto weights = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(1, 1'000'000)));
    const auto total = static_cast<std::uint32_t>(weights.size()) + *rc::gen::inRange<std::uint32_t>(0, 1000);
    const auto shares = cut_shares(total, weights);
    RC_ASSERT(std::accumulate(shares.begin(), shares.end(), 0U) == total);
    for (const std::uint32_t share : shares) RC_ASSERT(share >= 1U);
  }));
}

}  // namespace
}  // namespace ufab::jobs
