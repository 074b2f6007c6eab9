// The validators' shares of an epoch's seed.
#include <gtest/gtest.h>

#include "accounting/hpos/epoch_seed.h"
#include "accounting/hpos/hpos.h"
#include "tests/accounting/support/agent.h"
#include "tests/accounting/support/committee.h"

namespace ufab::test {
namespace {

// Four seats whose keys are known long enough, in the first block of an epoch.
World drawing_world(ChainParams params = committee_params()) {
  World world(params);
  seat_four(world);
  world.next_epoch();
  for (const Seat& seat : world.state().seats()) EXPECT_TRUE(seat.draws);
  return world;
}

Digest plain_seed(const World& world, const Digest& before) {
  return *hpos::epoch_seed(before, world.state().epoch(), {});
}

TEST(Seed, IsMadeOfTheOutputsOfAllWhoShared) {
  World world = drawing_world();
  const Digest before = world.state().epoch_seed();
  const std::uint64_t epoch = world.state().epoch();
  share_seed(world, {gamma});
  ASSERT_EQ(world.state().seed_shares().size(), 3U);
  std::vector<hpos::SeedShare> shares;
  for (const OrgId org : {alpha, beta, delta}) {
    const KeyPair vrf_key = hpos::vrf_key_of(world.validator(world.state().seat_of(org)->key));
    const Bytes alpha_bytes = hpos::epoch_alpha(world.state().chain_id(), epoch + 1, before);
    shares.push_back({org, *vrf::proof_to_hash(vrf::prove(vrf_key, alpha_bytes))});
  }
  world.next_epoch();
  EXPECT_EQ(world.state().epoch_seed(), *hpos::epoch_seed(before, epoch + 1, shares));
  EXPECT_NE(world.state().epoch_seed(), plain_seed(world, before));
  EXPECT_TRUE(world.state().seed_shares().empty());
  EXPECT_EQ(world.replica().state().epoch_seed(), world.state().epoch_seed());
}

TEST(Seed, AWithheldShareIsAMissedDuty) {
  World world = drawing_world();
  share_seed(world, {gamma});
  const std::uint64_t score = world.state().organisation(gamma)->score;
  world.next_epoch();
  const std::vector<Score> scores = scores_of(world, ScoreCause::missed_seed);
  ASSERT_EQ(scores.size(), 1U);
  EXPECT_EQ(scores[0].organisation, gamma);
  EXPECT_EQ(scores[0].before - scores[0].after, 10U);
  EXPECT_GE(scores[0].before, score);
}

TEST(Seed, AShareMustComeInTimeOnceFromASeatWithTheRightProof) {
  ChainParams params = committee_params();
  params.epoch_blocks = 40;
  World world = drawing_world(params);
  const std::uint64_t epoch = world.state().epoch();
  const auto due = [&](std::uint8_t number) { return *seed_share_due(world.state(), key_of(number)); };
  const std::string of_alpha = "seed share of alpha: ";
  EXPECT_EQ(world.refused(chain_org, due(201)), "seed share of chain: it has no seat in office");
  SeedShareRecord share = due(201);
  ++share.epoch;
  EXPECT_EQ(world.refused(alpha, share),
            of_alpha + "it is for epoch " + std::to_string(epoch + 1) + ", this is " + std::to_string(epoch));
  EXPECT_EQ(world.refused(alpha, due(202)), of_alpha + "VRF proof: it does not fit this key and input");
  const KeyPair agent = key_of(90);
  world.must(alpha, enrol_of(world, alpha, agent, 0));
  const SeedShareRecord good = due(201);
  EXPECT_EQ(error_of(world, agent, good), "") << "an agent may file it";
  EXPECT_FALSE(seed_share_due(world.state(), key_of(201)));
  EXPECT_EQ(world.refused(alpha, good), of_alpha + "there is one already");
  const SeedShareRecord late = due(202);
  while (world.state().height() + 1 < world.state().seed_share_last()) world.make({});
  EXPECT_TRUE(seed_share_due(world.state(), key_of(202)));
  world.must(gamma, due(203));  // in the last block
  EXPECT_EQ(world.state().height() % 40, 20U);
  EXPECT_FALSE(seed_share_due(world.state(), key_of(202)));
  EXPECT_EQ(world.refused(beta, late), "seed share of beta: too late: it was due by block " +
                                           std::to_string(world.state().seed_share_last()));
}

TEST(Seed, AKeyThatIsTooNewTakesNoPartAndOwesNothing) {
  World world(committee_params());
  seat_four(world);
  for (const Seat& seat : world.state().seats()) EXPECT_FALSE(seat.draws);
  EXPECT_FALSE(seed_share_due(world.state(), key_of(201)));
  const Bytes alpha_bytes =
      hpos::epoch_alpha(world.state().chain_id(), world.state().epoch() + 1, world.state().epoch_seed());
  EXPECT_EQ(world.refused(alpha, SeedShareRecord{world.state().epoch(),
                                                 vrf::prove(hpos::vrf_key_of(key_of(201)), alpha_bytes)}),
            "seed share of alpha: its keys are too new: it takes part from the next epoch on");
  world.next_epoch();
  EXPECT_TRUE(scores_of(world, ScoreCause::missed_seed).empty());
}

TEST(Seed, WithoutSharesNobodyHasAChoiceAmongSeveralAndNobodyForesightUnderOne) {
  World world = drawing_world();
  Digest before = world.state().epoch_seed();
  world.next_epoch();
  EXPECT_EQ(world.state().epoch_seed(), plain_seed(world, before));
  World alone(committee_params());
  before = alone.state().epoch_seed();
  alone.next_epoch();
  EXPECT_NE(alone.state().epoch_seed(), plain_seed(alone, before)) << "it takes in the block before";
}

TEST(Seed, AShareCountsAsASlotOfTheUptime) {
  // Delta computes for alpha in the epoch in which it withholds its share; beta and gamma verify.
  ChainParams params = committee_params();
  params.epoch_blocks = 60;
  World world = drawing_world(params);
  const JobId job = world.start_job(alpha, {{delta, 0, 6}});
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  ASSERT_GT(world.state().organisation(delta)->verified_mflop, 0U);
  share_seed(world, {delta});
  const std::uint64_t last = (world.state().epoch() + 1) * 60;
  while (world.state().height() + 1 < last) world.make({});
  std::uint64_t blocks = world.state().organisation(delta)->blocks_produced;
  if (world.state().producer(world.next_view()).organisation == delta) ++blocks;
  ASSERT_GT(blocks, 0U);
  world.make({});
  ASSERT_EQ(world.all<Reward>().size(), 1U);
  EXPECT_EQ(world.all<Reward>()[0].uptime_ppm, blocks * ppm_one / (blocks + 1));
}

}  // namespace
}  // namespace ufab::test
