// The HPOS formulas against figures worked out by hand.
#include "accounting/hpos/hpos.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "accounting/hpos/sample.h"
#include "fabric/base/file.h"

namespace ufab::hpos {
namespace {

TEST(Hpos, SeatsAreTheLargestPledgesWhileEachHoldsItsRatio) {
  ChainParams params;
  params.seats_max = 3;
  params.seat_ratio_min_ppm = 100'000;  // a tenth of the running total
  const Seats seats = form_seats({{1, 500}, {2, 1000}, {3, 500}, {4, 300}, {5, 0}}, params);
  ASSERT_EQ(seats.seats.size(), 3U);
  EXPECT_EQ(seats.seats[0].organisation, 2U);
  EXPECT_EQ(seats.seats[1].organisation, 1U);  // the tie goes to the lower number
  EXPECT_EQ(seats.seats[2].organisation, 3U);
  EXPECT_EQ(seats.price, 500U);
  params.seats_max = 8;
  // 1000, then 100: 100 / 1100 is below a tenth.
  EXPECT_EQ(form_seats({{1, 1000}, {2, 100}}, params).seats.size(), 1U);
  EXPECT_EQ(form_seats({{1, 900}, {2, 100}}, params).seats.size(), 2U);
}

TEST(Hpos, PowerGrowsByAtMostHalfOrTheFloorAndExpires) {
  ChainParams params;
  params.power_growth_ppm = 500'000;
  params.power_growth_floor_mflop = 100;
  params.power_expiry_epochs = 2;
  std::vector<EpochAmount> power;
  grow_power(power, 1, 1000, params);  // the floor: 100
  EXPECT_EQ(power_total(power), 100U);
  grow_power(power, 2, 1000, params);  // half of 100 is below the floor: 100 more
  EXPECT_EQ(power_total(power), 200U);
  grow_power(power, 3, 1000, params);  // epoch 1's work expired, 100 more
  EXPECT_EQ(power_total(power), 200U);
  grow_power(power, 4, 0, params);
  EXPECT_EQ(power_total(power), 100U);
  grow_power(power, 5, 0, params);
  EXPECT_EQ(power_total(power), 0U);
  params.power_growth_floor_mflop = 1;
  power = {{5, 1000}};
  grow_power(power, 6, 9999, params);
  EXPECT_EQ(power_total(power), 1500U);
}

TEST(Hpos, WeightMixesPowerAndStakeAndSumsToAll) {
  ChainParams params;
  params.alpha_ppm = 500'000;
  params.weight_cap_ppm = 1'000'000;
  // Power 3:1, stake 1:1 → (0.75 + 0.5) / 2 = 0.625.
  EXPECT_EQ(weights(std::vector<std::uint64_t>{30, 10}, std::vector<std::uint64_t>{7, 7}, params),
            (std::vector<std::uint64_t>{625'000, 375'000}));
  // No power: stake alone, thirds by largest remainder.
  EXPECT_EQ(weights(std::vector<std::uint64_t>{0, 0, 0}, std::vector<std::uint64_t>{5, 5, 5}, params),
            (std::vector<std::uint64_t>{333'334, 333'333, 333'333}));
}

TEST(Hpos, WeightAboveTheCapGoesToTheOthersInProportion) {
  ChainParams params;
  params.alpha_ppm = 0;
  params.weight_cap_ppm = 400'000;
  // 70 : 20 : 10 → 40 % capped, the other 60 % as 2 : 1 gives 40 and 20.
  EXPECT_EQ(weights(std::vector<std::uint64_t>{0, 0, 0}, std::vector<std::uint64_t>{70, 20, 10}, params),
            (std::vector<std::uint64_t>{400'000, 400'000, 200'000}));
  // Two seats cannot both stay below 40 %: the cap becomes one half.
  EXPECT_EQ(weights(std::vector<std::uint64_t>{0, 0}, std::vector<std::uint64_t>{99, 1}, params),
            (std::vector<std::uint64_t>{500'000, 500'000}));
}

TEST(Hpos, EmissionHalvesAndNeverPassesTheMaximum) {
  ChainParams params;
  params.emission_per_epoch = 1000;
  params.halving_epochs = 10;
  params.supply_max = 1'000'000;
  EXPECT_EQ(emission(0, 0, params), 1000U);
  EXPECT_EQ(emission(9, 0, params), 1000U);
  EXPECT_EQ(emission(10, 0, params), 500U);
  EXPECT_EQ(emission(25, 0, params), 250U);
  EXPECT_EQ(emission(1000, 0, params), 0U);
  EXPECT_EQ(emission(0, 999'600, params), 400U);
  EXPECT_EQ(emission(0, 1'000'000, params), 0U);
}

TEST(Hpos, MeritIsWorkTimesUptimeTimesQuality) {
  OrgEntry org;
  org.verified_mflop = 1000;
  EXPECT_EQ(merit_of(org).merit, 1000U);
  org.duties_done = 3;
  org.duties_missed = 1;
  org.receipts_good = 1;
  org.receipts_bad = 1;
  const Merit merit = merit_of(org);
  EXPECT_EQ(merit.uptime_ppm, 750'000U);
  EXPECT_EQ(merit.quality_ppm, 500'000U);
  EXPECT_EQ(merit.merit, 375U);
}

TEST(Hpos, KickoutTakesTheWeakestButLessThanAThirdAndNeverTheLast) {
  ChainParams params;
  params.kickout_median_ppm = 500'000;
  params.validators_min = 1;
  const auto seat = [](OrgId id, std::uint64_t weight) { return Seat{id, {}, {}, true, 1, 0, weight}; };
  const std::vector<Seat> seats{seat(1, 300'000), seat(2, 300'000), seat(3, 200'000), seat(4, 200'000)};
  // Median 90 (the lower one), limit 45: seats 3 and 4 are below, together 40 % of the weight.
  EXPECT_EQ(kickout(seats, std::vector<std::uint64_t>{100, 90, 10, 20}, params), (std::vector<OrgId>{}));
  EXPECT_EQ(kickout(seats, std::vector<std::uint64_t>{100, 100, 90, 20}, params), (std::vector<OrgId>{4}));
  const std::vector<Seat> one{seat(1, 1'000'000)};
  EXPECT_TRUE(kickout(one, std::vector<std::uint64_t>{0}, params).empty());
}

// The names of all parameters, at whatever depth.
class NameVisitor {
 public:
  template <class T>
  void operator()(const char* name, const T& field) {
    if constexpr (std::is_same_v<T, std::uint64_t>) {
      names.emplace_back(name);
    } else {
      T::fields(*this, field);
    }
  }
  std::vector<std::string> names;
};

TEST(Hpos, TheReadmesTableNamesEveryGenesisParameter) {
  const auto readme = read_text_file(UFAB_README, 1 << 20);
  ASSERT_TRUE(readme.ok());
  const std::size_t begin = readme->find("## HPOS in one table\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string table = readme->substr(begin, readme->find("\n## ", begin) - begin);
  NameVisitor visitor;
  const ChainParams params;
  ChainParams::fields(visitor, params);
  EXPECT_GT(visitor.names.size(), 45U);
  for (const std::string& name : visitor.names)
    EXPECT_NE(table.find("`" + name + "`"), std::string::npos) << name << " is missing";
}

TEST(Hpos, ApportionGivesEverythingToTheLargestRemainders) {
  EXPECT_EQ(apportion(10, std::vector<std::uint64_t>{1, 1, 1}), (std::vector<std::uint64_t>{4, 3, 3}));
  EXPECT_EQ(apportion(7, std::vector<std::uint64_t>{5, 3, 2}), (std::vector<std::uint64_t>{4, 2, 1}));
  EXPECT_EQ(apportion(7, std::vector<std::uint64_t>{0, 0}), (std::vector<std::uint64_t>{0, 0}));
  const std::vector<std::uint64_t> large{UINT64_MAX, UINT64_MAX, 1};
  const auto parts = apportion(UINT64_MAX, large);
  EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::uint64_t{0}), UINT64_MAX);
}

TEST(Hpos, SampledWindowsAreAtLeastOneAndFollowFromTheSeed) {
  std::vector<std::uint64_t> candidates(100);
  std::iota(candidates.begin(), candidates.end(), std::uint64_t{0});
  const Digest seed = sha256("seed");
  EXPECT_EQ(sampled_windows(seed, candidates, 0, 1000).size(), 1U);
  EXPECT_EQ(sampled_windows(seed, candidates, 50'000, 1000).size(), 5U);
  EXPECT_EQ(sampled_windows(seed, candidates, 50'001, 1000).size(), 6U);
  EXPECT_EQ(sampled_windows(seed, candidates, 1'000'000, 1000), candidates);
  EXPECT_EQ(sampled_windows(seed, candidates, 1'000'000, 7).size(), 7U);
  EXPECT_EQ(sampled_windows(seed, candidates, 50'000, 1000), sampled_windows(seed, candidates, 50'000, 1000));
  EXPECT_NE(sampled_windows(seed, candidates, 50'000, 1000),
            sampled_windows(sha256("x"), candidates, 50'000, 1000));
  EXPECT_TRUE(sampled_windows(seed, {}, 1'000'000, 7).empty());
}

TEST(Hpos, AWeightedPickFollowsTheWeights) {
  const std::vector<std::uint64_t> weights{1, 0, 3};
  std::vector<int> hits(3);
  for (std::uint64_t i = 0; i < 4000; ++i) ++hits[weighted_pick(sha256("seed"), i, weights)];
  EXPECT_EQ(hits[1], 0);
  EXPECT_NEAR(hits[0], 1000, 120);
}

}  // namespace
}  // namespace ufab::hpos
