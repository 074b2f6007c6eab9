// The HPOS formulas at their edges, and their promises for any figures.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "accounting/hpos/hpos.h"
#include "accounting/hpos/sample.h"

namespace ufab::hpos {
namespace {

std::uint64_t any_figure() {
  return *rc::gen::weightedOneOf<std::uint64_t>({{1, rc::gen::just<std::uint64_t>(0)},
                                                 {1, rc::gen::just<std::uint64_t>(1)},
                                                 {2, rc::gen::inRange<std::uint64_t>(0, 1000)},
                                                 {2, rc::gen::arbitrary<std::uint64_t>()},
                                                 {2, rc::gen::just<std::uint64_t>(UINT64_MAX)}});
}

TEST(HposProperty, WeightsSumToAllAndKeepTheCapForAnyPowerAndStake) {
  const bool good = rc::check("weights", [] {
    const auto n =
        *rc::gen::weightedElement<std::size_t>({{4, 1}, {4, 2}, {4, 3}, {4, 7}, {2, 64}, {1, 512}});
    ChainParams params;
    params.alpha_ppm = *rc::gen::inRange<std::uint64_t>(0, ppm_one / 2 + 1);
    params.weight_cap_ppm = *rc::gen::inRange<std::uint64_t>(0, ppm_one + 1);
    std::vector<std::uint64_t> power(n), stake(n);
    for (std::size_t i = 0; i < n; ++i) power[i] = any_figure();
    for (std::size_t i = 0; i < n; ++i) stake[i] = any_figure();
    const std::vector<std::uint64_t> weight = weights(power, stake, params);
    RC_ASSERT(std::accumulate(weight.begin(), weight.end(), std::uint64_t{0}) == ppm_one);
    const std::uint64_t cap = std::max<std::uint64_t>(params.weight_cap_ppm, (ppm_one + n - 1) / n);
    for (const std::uint64_t part : weight) RC_ASSERT(part <= cap);
    // More of both never weighs less, but for the one that rounding may take.
    for (std::size_t i = 1; i < n; ++i) {
      if (power[i] >= power[0] && stake[i] >= stake[0]) RC_ASSERT(weight[i] + 1 >= weight[0]);
    }
  });
  EXPECT_TRUE(good);
}

TEST(HposProperty, SeatsAreInOrderEachWithItsRatioAndNobodyIsLeftOutWithMore) {
  const bool good = rc::check("seats", [] {
    ChainParams params;
    params.seats_max = *rc::gen::inRange<std::uint64_t>(1, 9);
    params.seat_ratio_min_ppm = *rc::gen::inRange<std::uint64_t>(0, ppm_one + 1);
    std::vector<Pledge> pledges;
    const auto n = *rc::gen::inRange<OrgId>(0, 20);
    for (OrgId id = 1; id <= n; ++id) pledges.push_back({id, any_figure()});
    const Seats formed = form_seats(pledges, params);
    RC_ASSERT(formed.seats.size() <= params.seats_max);
    Uint128 total = 0;
    for (std::size_t i = 0; i < formed.seats.size(); ++i) {
      const Pledge& seat = formed.seats[i];
      total += seat.amount;
      RC_ASSERT(seat.amount > 0);
      RC_ASSERT(static_cast<Uint128>(seat.amount) * ppm_one >= total * params.seat_ratio_min_ppm);
      if (i == 0) continue;
      const Pledge& before = formed.seats[i - 1];
      RC_ASSERT(before.amount > seat.amount ||
                (before.amount == seat.amount && before.organisation < seat.organisation));
    }
    RC_ASSERT(formed.price == (formed.seats.empty() ? 0 : formed.seats.back().amount));
    for (const Pledge& pledge : pledges) {
      const bool seated = std::any_of(formed.seats.begin(), formed.seats.end(), [&](const Pledge& seat) {
        return seat.organisation == pledge.organisation;
      });
      RC_ASSERT(seated || pledge.amount <= formed.price || formed.seats.empty());
    }
  });
  EXPECT_TRUE(good);
}

TEST(HposProperty, KickoutTakesLessThanAThirdLeavesTheLeastAndNobodyAtTheLimit) {
  const bool good = rc::check("kickout", [] {
    ChainParams params;
    params.kickout_median_ppm = *rc::gen::inRange<std::uint64_t>(0, ppm_one + 1);
    params.validators_min = *rc::gen::inRange<std::uint64_t>(1, 6);
    const auto n = *rc::gen::inRange<std::size_t>(1, 12);
    std::vector<Seat> seats(n);
    std::vector<std::uint64_t> scores(n);
    for (std::size_t i = 0; i < n; ++i) {
      seats[i].organisation = static_cast<OrgId>(i + 1);
      seats[i].pledge = *rc::gen::inRange<std::uint64_t>(1, 1000);
      scores[i] = *rc::gen::inRange<std::uint64_t>(0, 100);
    }
    set_weights(seats, params);
    const std::vector<OrgId> out = kickout(seats, scores, params);
    std::vector<std::uint64_t> sorted = scores;
    std::sort(sorted.begin(), sorted.end());
    const std::uint64_t limit = part_ppm(sorted[(n - 1) / 2], params.kickout_median_ppm);
    std::uint64_t removed = 0;
    for (const OrgId id : out) {
      removed += seats[id - 1].weight_ppm;
      RC_ASSERT(scores[id - 1] < limit);
    }
    RC_ASSERT(removed * 3 < ppm_one);
    RC_ASSERT(out.empty() || n - out.size() >= params.validators_min);
    RC_ASSERT(out.size() < n);
  });
  EXPECT_TRUE(good);
}

TEST(HposProperty, EmissionNeverPassesTheMaximumAndReachesItExactly) {
  const bool good = rc::check("emission", [] {
    ChainParams params;
    params.emission_per_epoch = *rc::gen::inRange<std::uint64_t>(1, 1000);
    params.halving_epochs = *rc::gen::inRange<std::uint64_t>(1, 20);
    params.supply_initial = *rc::gen::inRange<std::uint64_t>(0, 3000);
    params.supply_max = params.supply_initial + *rc::gen::inRange<std::uint64_t>(0, 9000);
    std::uint64_t minted = params.supply_initial;
    std::uint64_t before = UINT64_MAX;
    for (std::uint64_t epoch = 0; epoch < 64 * params.halving_epochs + 2; ++epoch) {
      const MicroUnc now = emission(epoch, minted, params);
      RC_ASSERT(now <= before);
      before = now;
      minted += now;
      RC_ASSERT(minted <= params.supply_max);
      // An epoch pays its halved part, or all that is left.
      const std::uint64_t halvings = epoch / params.halving_epochs;
      const MicroUnc planned = halvings >= 64 ? 0 : params.emission_per_epoch >> halvings;
      RC_ASSERT(now == planned || minted == params.supply_max);
    }
  });
  EXPECT_TRUE(good);
}

TEST(HposProperty, PowerGrowsNoFasterThanItsCapAndIsGoneWhenItExpires) {
  const bool good = rc::check("power", [] {
    ChainParams params;
    params.power_growth_ppm = *rc::gen::inRange<std::uint64_t>(0, ppm_one + 1);
    params.power_growth_floor_mflop = *rc::gen::inRange<std::uint64_t>(0, 1000);
    params.power_expiry_epochs = *rc::gen::inRange<std::uint64_t>(1, 5);
    std::vector<EpochAmount> power;
    std::uint64_t idle = 0;
    for (std::uint64_t epoch = 0; epoch < 30; ++epoch) {
      const std::uint64_t before = power_total(power);
      const std::uint64_t work = *rc::gen::inRange(0, 3) == 0 ? 0 : any_figure();
      grow_power(power, epoch, work, params);
      const std::uint64_t most =
          std::max(part_ppm(before, params.power_growth_ppm), params.power_growth_floor_mflop);
      const std::uint64_t after = power_total(power);
      RC_ASSERT(after <= checked_add(before, std::min(work, most)).value_or(UINT64_MAX));
      idle = work == 0 ? idle + 1 : 0;
      if (idle >= params.power_expiry_epochs) RC_ASSERT(after == 0U);
      RC_ASSERT(power.size() <= params.power_expiry_epochs);
    }
  });
  EXPECT_TRUE(good);
}

TEST(HposEdge, StakesNearAllOfSixtyFourBitsWeighWhatTheyShould) {
  ChainParams params;
  params.weight_cap_ppm = ppm_one;
  const std::uint64_t half = UINT64_MAX / 2;
  EXPECT_EQ(weights(std::vector<std::uint64_t>{0, 0}, std::vector<std::uint64_t>{half, half}, params),
            (std::vector<std::uint64_t>{500'000, 500'000}));
  // A stake that is nothing beside another keeps its vote in the count of stake, and gets what the cap frees.
  params.weight_cap_ppm = 333'333;
  EXPECT_EQ(weights(std::vector<std::uint64_t>{0, 0, 0, 0}, std::vector<std::uint64_t>{UINT64_MAX, 1, 1, 1},
                    params),
            (std::vector<std::uint64_t>{333'333, 222'223, 222'222, 222'222}));
}

TEST(HposEdge, UptimeIsTheWorseOneOfVerificationsAndSlots) {
  OrgEntry org;
  org.verified_mflop = 1'000'000;
  org.blocks_produced = 900;
  org.slots_missed = 100;
  EXPECT_EQ(merit_of(org).uptime_ppm, 900'000U);
  org.duties_done = 1;
  org.duties_missed = 1;
  EXPECT_EQ(merit_of(org).uptime_ppm, 500'000U) << "nine hundred blocks do not hide the missed verification";
  EXPECT_EQ(merit_of(org).merit, 500'000U);
}

}  // namespace
}  // namespace ufab::hpos
