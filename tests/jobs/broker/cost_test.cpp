#include "jobs/broker/cost.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ufab::jobs {
namespace {

ProviderCapacity provider(const std::string& name, std::uint64_t mflops, std::uint64_t price) {
  ProviderCapacity capacity;
  capacity.organisation = name;
  capacity.speed_mflops = mflops;
  capacity.slots = 8;
  capacity.memory_mib = 4096;
  capacity.price_micro_per_tflop = price;
  capacity.price_micro_per_cpu_hour = price;
  capacity.accepts_work = true;
  return capacity;
}

Digest corpus() {
  Digest digest;
  digest.bytes[0] = 7;
  return digest;
}

// 1000 TFLOP of training with a corpus of 1.25 GB.
BrokerRequest training(std::uint32_t min, std::uint32_t max) {
  BrokerRequest request;
  request.providers_min = min;
  request.providers_max = max;
  request.steps = 100;
  request.micro_batches = 10;
  request.flop_per_micro_batch = 1'000'000'000'000;
  request.owner = "home";
  request.data = {{corpus(), 1'250'000'000}};
  request.now_s = 1000;
  return request;
}

std::vector<std::string> names(const JobOffer& offer) {
  std::vector<std::string> all;
  for (const OfferMember& member : offer.members) all.push_back(member.organisation);
  return all;
}

TEST(Cost, StagingIsPricedAsTheProcessorsThatWaitForIt) {
  // 1 TFLOP/s at 5 micro-UNC a TFLOP: 5 a second. 1.25 GB at 12.5 MB/s: 100 s and a round trip, 20 ms.
  const std::vector<ProviderCapacity> all{provider("a", 1'000'000, 5)};
  const BrokerRequest request = training(1, 1);
  EXPECT_EQ(work_price_micro(request, all[0]), 5'000U);
  EXPECT_EQ(rate_micro_per_s(request, all[0]), 5U);
  EXPECT_EQ(staging_us(request, all[0], all, {}), 100'020'000U);
  EXPECT_EQ(joint_cost_micro(request, all[0], all, {}), 5'501U);
}

TEST(Cost, WhoeverHoldsTheDataIsCheaperThanAnEqualAndThanASlightlyCheaperOne) {
  ProviderCapacity near = provider("near", 1'000'000, 5);
  near.data = {corpus()};
  EXPECT_EQ(names(make_offer(training(1, 1), {provider("a", 1'000'000, 5), near}).value()),
            (std::vector<std::string>{"near"}));
  // 4 a TFLOP: 4,000 for the work and 401 for the time of staging; still cheaper than 5,000.
  EXPECT_EQ(names(make_offer(training(1, 1), {provider("a", 1'000'000, 4), near}).value()),
            (std::vector<std::string>{"a"}));
  // Over a link of 1 MB/s the staging alone is 5,000.
  Links links;
  links.set("home", "a", {1'000'000, 0, 1000});
  links.set("near", "a", {1'000'000, 0, 1000});
  EXPECT_EQ(names(make_offer(training(1, 1), {provider("a", 1'000'000, 4), near}, links).value()),
            (std::vector<std::string>{"near"}));
}

TEST(Cost, DataComesFromWhoeverHasTheFastestLink) {
  ProviderCapacity holder = provider("holder", 1'000'000, 5);
  holder.data = {corpus()};
  const std::vector<ProviderCapacity> all{provider("a", 1'000'000, 5), holder};
  Links links;
  links.set("a", "holder", {125'000'000, 0, 1000});
  EXPECT_EQ(staging_us(training(1, 1), all[0], all, links), 10'000'000U);
  EXPECT_EQ(staging_us(training(1, 1), all[1], all, links), 0U);
}

TEST(Cost, AMemberThatMakesAStepSlowerIsLeftOutUnlessItIsNeeded) {
  // A step is 10 TFLOP: 10 s on one of these, 5 s on two.
  const std::vector<ProviderCapacity> all{provider("a", 1'000'000, 5), provider("b", 1'000'000, 6)};
  BrokerRequest request = training(1, 2);
  request.exchange_bytes = 100'000'000;  // 8 s over a plain link
  EXPECT_EQ(names(make_offer(request, all).value()), (std::vector<std::string>{"a"}));
  Links links;
  links.set("a", "b", {100'000'000, 0, 1000});  // 1 s
  const JobOffer offer = make_offer(request, all, links).value();
  EXPECT_EQ(names(offer), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(offer.expected_s, 100U * (5 + 1));
  request.providers_min = 2;
  EXPECT_EQ(make_offer(request, all)->members.size(), 2U);
}

// `far` is the cheapest, over a slow link; `near` and `beside` are on one campus.
TEST(Cost, ASlowLinkedProviderLosesWhereTheExchangeDominatesAndWinsWhereComputeDoes) {
  const std::vector<ProviderCapacity> all{provider("far", 1'000'000, 4), provider("near", 1'000'000, 5),
                                          provider("beside", 1'000'000, 5)};
  Links links;
  links.set("near", "beside", {1'250'000'000, 100, 1000});
  links.set("near", "far", {1'250'000, 50'000, 1000});
  links.set("beside", "far", {1'250'000, 50'000, 1000});
  // A step is 10 TFLOP, 5 s on two. 400 MB take 0.3 s on the campus and 320 s to `far`.
  BrokerRequest request = training(2, 2);
  request.exchange_bytes = 400'000'000;
  EXPECT_EQ(names(make_offer(request, all, links).value()), (std::vector<std::string>{"beside", "near"}));
  // 100 kB take 0.13 s: the cheaper processors are worth that.
  request.exchange_bytes = 100'000;
  EXPECT_EQ(names(make_offer(request, all, links).value()), (std::vector<std::string>{"far", "beside"}));
  // Where the owner says whom she prefers, that goes first.
  request.exchange_bytes = 400'000'000;
  request.prefer = {"far"};
  EXPECT_EQ(names(make_offer(request, all, links).value())[0], "far");
  // The third member is the one whose link costs least.
  request.prefer.clear();
  request.providers_max = 3;
  const auto ranked = rank_providers(request, all, links);
  ASSERT_EQ(ranked.size(), 3U);
  EXPECT_EQ(all[ranked[2].index].organisation, "far");
  // Who takes part is one thing, whose share comes first another: no measure of a link turns that over.
  request.providers_min = 3;
  EXPECT_EQ(names(make_offer(request, all, links).value()),
            (std::vector<std::string>{"far", "beside", "near"}));
}

TEST(Cost, RankingByLinksLosesAndRepeatsNobody) {
  EXPECT_TRUE(rc::check("ranking", [] {
    BrokerRequest request = training(*rc::gen::inRange<std::uint32_t>(1, 4), 4);
    request.exchange_bytes = *rc::gen::arbitrary<std::uint64_t>();
    std::vector<ProviderCapacity> all;
    Links links;
    const int count = *rc::gen::inRange(0, 8);
    for (int i = 0; i < count; ++i) {
      all.push_back(provider("p" + std::to_string(i), *rc::gen::inRange<std::uint64_t>(1, 1'000'000'000),
                             *rc::gen::arbitrary<std::uint64_t>()));
      for (int j = 0; j < i; ++j)
        links.set("p" + std::to_string(i), "p" + std::to_string(j),
                  {*rc::gen::inRange<std::uint64_t>(1, 1'000'000'000), 0, 1000});
    }
    std::vector<std::size_t> seen;
    for (const RankedProvider& ranked : rank_providers(request, all, links)) seen.push_back(ranked.index);
    std::sort(seen.begin(), seen.end());
    RC_ASSERT(seen.size() == all.size());
    for (std::size_t i = 0; i < seen.size(); ++i) RC_ASSERT(seen[i] == i);
  }));
}

TEST(Cost, WithoutAKnownExchangeTheGangIsAsLargeAsItMayBe) {
  const std::vector<ProviderCapacity> all{provider("a", 1'000'000, 5), provider("b", 1'000, 6)};
  EXPECT_EQ(make_offer(training(1, 2), all)->members.size(), 2U);
}

TEST(Cost, AnOldMeasureIsNoMeasureAndANewerOneWins) {
  Links links;
  links.set("b", "a", {1'000, 5, 1000});
  EXPECT_EQ(links.between("a", "b", 1000 + link_valid_s).bytes_per_s, 1'000U);
  EXPECT_EQ(links.between("a", "b", 1001 + link_valid_s).bytes_per_s, link_plain.bytes_per_s);
  links.set("a", "b", {2'000, 5, 999});
  EXPECT_EQ(links.between("a", "b", 1000).bytes_per_s, 1'000U);
  links.set("a", "b", {0, 7, 1001});  // a round trip alone
  EXPECT_EQ(links.between("a", "b", 1001).bytes_per_s, 1'000U);
  EXPECT_EQ(links.between("a", "b", 1001).round_trip_us, 7U);
}

TEST(Cost, AnExpiredPriceDoesNotQualifyAndAnOfferEndsWithItsFirstMember) {
  ProviderCapacity a = provider("a", 1'000'000, 5);
  ProviderCapacity b = provider("b", 1'000'000, 6);
  a.price_valid_until_s = 1500;
  b.price_valid_until_s = 1200;
  EXPECT_EQ(make_offer(training(2, 2), {a, b})->valid_until_s, 1200);
  b.price_valid_until_s = 1000;
  EXPECT_EQ(make_offer(training(2, 2), {a, b}).error().message,
            "the job needs 2 providers and 1 can take it; b has no valid price");
}

TEST(Cost, NoAmountOverflowsAndMoreDataNeverCostsLess) {
  EXPECT_TRUE(rc::check("saturation", [] {
    BrokerRequest request = training(1, 1);
    request.steps = *rc::gen::arbitrary<std::uint64_t>();
    request.flop_per_micro_batch = *rc::gen::arbitrary<std::uint64_t>();
    request.micro_batches = *rc::gen::inRange<std::uint32_t>(0, 1000);
    request.time_limit_s = *rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 40);
    request.data[0].bytes = *rc::gen::arbitrary<std::uint64_t>();
    const std::vector<ProviderCapacity> all{
        provider("a", *rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::uint64_t>())};
    const std::uint64_t cost = joint_cost_micro(request, all[0], all, {});
    RC_ASSERT(cost >= work_price_micro(request, all[0]));
    request.data[0].bytes /= 2;
    RC_ASSERT(joint_cost_micro(request, all[0], all, {}) <= cost);
  }));
}

}  // namespace
}  // namespace ufab::jobs
