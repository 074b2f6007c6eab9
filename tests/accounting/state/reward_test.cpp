// What an epoch mints and burns, at the ends of the emission and of burning to earn.
#include <gtest/gtest.h>

#include "tests/accounting/support/committee.h"

namespace ufab::test {
namespace {

ChainParams reward_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 40;
  return params;
}

// Beta computes a small job for alpha, verified by whoever is drawn, within the present epoch.
void work_once(World& world) {
  const JobId job = world.start_job(alpha, {{beta, 0, 6}});
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
}

TEST(Reward, TheLastEpochOfTheEmissionMintsWhatIsLeftAndThenNothing) {
  ChainParams params = reward_params();
  params.supply_max = params.supply_initial + 150 * unc;
  World world(params);
  world.add_organisations();
  std::vector<MicroUnc> emissions;
  for (int i = 0; i < 3; ++i) {
    work_once(world);
    world.next_epoch();
    emissions.push_back(world.all<Epoch>().back().emission);
  }
  EXPECT_EQ(emissions, (std::vector<MicroUnc>{100 * unc, 50 * unc, 0}));
  EXPECT_EQ(world.state().accounts().minted(), params.supply_max);
  EXPECT_EQ(world.all<Reward>().size(), 3U) << "the third says that it paid nothing";
  EXPECT_EQ(world.all<Reward>().back().amount, 0U);
  EXPECT_TRUE(world.replica().state().accounts().recount());
}

TEST(Reward, WithoutVerifiedWorkNothingIsMinted) {
  World world(reward_params());
  world.add_organisations();
  const MicroUnc minted = world.state().accounts().minted();
  world.next_epoch();
  EXPECT_EQ(world.state().accounts().minted(), minted);
}

TEST(Reward, BurnToEarnIsAskedUntilItsSunsetAndOfThoseWhoCanPay) {
  ChainParams params = reward_params();
  params.burn_to_earn = 3 * unc;
  params.burn_sunset_epoch = 2;
  World world(params);
  world.add_organisations();
  work_once(world);
  world.next_epoch();
  ASSERT_EQ(world.all<Burn>().size(), 1U);
  EXPECT_EQ(world.all<Burn>()[0].amount, 3 * unc);
  EXPECT_EQ(world.all<Reward>().size(), 1U);
  // Without the money nothing is burned and nothing earned.
  work_once(world);
  world.must(beta, Transfer{alpha, world.state().balance(beta) - unc, ""});
  world.next_epoch();
  EXPECT_EQ(world.all<Burn>().size(), 1U);
  EXPECT_EQ(world.all<Reward>().size(), 1U);
  // After the sunset it is free.
  work_once(world);
  world.next_epoch();
  EXPECT_EQ(world.all<Burn>().size(), 1U);
  EXPECT_EQ(world.all<Reward>().size(), 2U);
}

TEST(Reward, PledgeGatesIt) {
  World world(reward_params());
  world.add_organisations();
  work_once(world);
  world.must(beta, Unstake{101 * unc});
  world.next_epoch();
  EXPECT_TRUE(world.all<Reward>().empty());
  EXPECT_GT(world.state().organisation(beta)->power.size(), 0U)
      << "power is what was shown, not what is paid";
}

}  // namespace
}  // namespace ufab::test
