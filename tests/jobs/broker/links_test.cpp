// What a link counts as: the words of both ends together, and beside the owner's own measures.
#include "jobs/broker/links.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "jobs/broker/cost.h"

namespace ufab::jobs {
namespace {

bool operator_equal(const LinkMeasure& a, const LinkMeasure& b) {
  return a.bytes_per_s == b.bytes_per_s && a.round_trip_us == b.round_trip_us;
}

TEST(EffectiveLink, TheWorseOfBothFreshWordsCounts) {
  const LinkMeasure fast{100'000'000, 500, 1000};
  const LinkMeasure slow{2'000'000, 90, 1010};
  const auto both = effective_link(&fast, &slow, 1020);
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->bytes_per_s, 2'000'000U);
  EXPECT_EQ(both->round_trip_us, 500U);
  EXPECT_EQ(both->measured_s, 1000) << "no fresher than the older word";
}

TEST(EffectiveLink, AWordThatIsTooOldIsNone) {
  const LinkMeasure old{2'000'000, 90, 1000};
  const LinkMeasure fresh{100'000'000, 500, 2000};
  EXPECT_EQ(effective_link(&old, &fresh, 1000 + link_valid_s)->bytes_per_s, 2'000'000U);
  EXPECT_EQ(effective_link(&old, &fresh, 1001 + link_valid_s)->bytes_per_s, 100'000'000U);
  EXPECT_EQ(effective_link(nullptr, &fresh, 2000)->bytes_per_s, 100'000'000U);
  EXPECT_FALSE(effective_link(&old, nullptr, 1001 + link_valid_s).has_value());
  EXPECT_FALSE(effective_link(nullptr, nullptr, 0).has_value());
}

TEST(EffectiveLink, ALiarMakesALinkNoBetterThanTheOtherSideConfirms) {
  EXPECT_TRUE(rc::check("no better than the honest word", [] {
    const auto any = [] {
      return LinkMeasure{*rc::gen::inRange<std::uint64_t>(1, UINT64_MAX),
                         *rc::gen::arbitrary<std::uint64_t>(),
                         *rc::gen::inRange<std::int64_t>(0, 2 * link_valid_s)};
    };
    const std::int64_t now_s = 2 * link_valid_s;
    LinkMeasure honest = any();
    honest.measured_s = now_s - *rc::gen::inRange<std::int64_t>(0, link_valid_s + 1);
    const LinkMeasure lie = any();
    const auto counts = effective_link(&lie, &honest, now_s);
    RC_ASSERT(counts->bytes_per_s <= honest.bytes_per_s);
    RC_ASSERT(counts->round_trip_us >= honest.round_trip_us);
    RC_ASSERT(operator_equal(*counts, *effective_link(&honest, &lie, now_s)));
  }));
}

TEST(Links, AReportReplacesTheWholeOneBeforeIt) {
  Links links;
  links.report("a", {{"b", {1'000'000, 7, 1000}}, {"c", {2'000'000, 8, 1000}}});
  EXPECT_EQ(links.between("b", "a", 1000).bytes_per_s, 1'000'000U);
  EXPECT_EQ(links.between("a", "c", 1000).round_trip_us, 8U);
  links.report("a", {{"c", {3'000'000, 9, 1001}}});
  EXPECT_EQ(links.between("a", "b", 1001).bytes_per_s, link_plain.bytes_per_s);
  EXPECT_EQ(links.between("a", "b", 1001).measured_s, 0) << "nobody has measured it";
  EXPECT_EQ(links.between("c", "a", 1001).bytes_per_s, 3'000'000U);
  links.report("c", {{"a", {500'000, 1, 1001}}});
  EXPECT_EQ(links.between("c", "a", 1001).bytes_per_s, 500'000U);
  EXPECT_EQ(links.between("c", "a", 1001).round_trip_us, 9U);
}

TEST(Links, WhatTheOwnerMeasuredGoesBeforeWhatOthersSay) {
  Links links;
  links.report("home", {{"a", {1'000'000, 700, 1000}}});
  links.set("a", "home", {0, 50, 1000});  // a round trip alone
  EXPECT_EQ(links.between("home", "a", 1000).round_trip_us, 50U);
  EXPECT_EQ(links.between("home", "a", 1000).bytes_per_s, 1'000'000U);
  links.set("a", "home", {9'000'000, 60, 1001});
  EXPECT_EQ(links.between("home", "a", 1001).bytes_per_s, 9'000'000U);
  links.report("home", {{"a", {1'000'000, 700, 1001 + link_valid_s}}});
  EXPECT_EQ(links.between("home", "a", 1002 + link_valid_s).round_trip_us, 700U) << "its own is too old";
}

// `far` is cheaper, over a link that only it calls a good one.
TEST(Links, AGangIsPlacedByWhatBothEndsSay) {
  const auto provider = [](const char* name, std::uint64_t price) {
    ProviderCapacity capacity;
    capacity.organisation = name;
    capacity.speed_mflops = 1'000'000;
    capacity.slots = 1;
    capacity.price_micro_per_tflop = price;
    capacity.accepts_work = true;
    return capacity;
  };
  const std::vector<ProviderCapacity> all{provider("far", 4), provider("near", 5), provider("beside", 5)};
  BrokerRequest request;
  request.providers_min = request.providers_max = 2;
  request.steps = 100;
  request.micro_batches = 10;
  request.flop_per_micro_batch = 1'000'000'000'000;
  request.exchange_bytes = 400'000'000;
  request.now_s = 1000;
  const LinkMeasure good{1'250'000'000, 100, 1000};
  const LinkMeasure bad{1'250'000, 50'000, 1000};
  Links links;
  links.report("far", {{"near", good}, {"beside", good}});
  links.report("near", {{"far", bad}, {"beside", good}});
  links.report("beside", {{"far", bad}, {"near", good}});
  JobOffer offer = make_offer(request, all, links).value();
  ASSERT_EQ(offer.members.size(), 2U);
  EXPECT_EQ(offer.members[0].organisation, "beside");
  EXPECT_EQ(offer.members[1].organisation, "near");
  ASSERT_TRUE(offer.slowest_link.has_value());
  EXPECT_EQ(offer.slowest_link->link.bytes_per_s, good.bytes_per_s);
  links.report("near", {{"far", good}, {"beside", good}});
  offer = make_offer(request, all, links).value();
  EXPECT_EQ(offer.members[0].organisation, "far");
  EXPECT_EQ(offer.members[1].organisation, "near");
  request.providers_min = request.providers_max = 3;
  offer = make_offer(request, all, links).value();
  EXPECT_EQ(offer.slowest_link->link.bytes_per_s, bad.bytes_per_s) << "a step waits for the slowest";
  request.providers_min = request.providers_max = 1;
  EXPECT_FALSE(make_offer(request, all, links)->slowest_link.has_value());
}

}  // namespace
}  // namespace ufab::jobs
