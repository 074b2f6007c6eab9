// Who stands, who is seated, who leads and what a missed slot costs.
#include <gtest/gtest.h>

#include "accounting/hpos/hpos.h"
#include "tests/accounting/support/agent.h"
#include "tests/accounting/support/committee.h"

namespace ufab::test {
namespace {

TEST(Validators, WhoeverStandsIsSeatedInTheNextEpochAndMakesItsBlocks) {
  World world(committee_params());
  world.add_organisations();
  for (OrgId org = alpha; org <= delta; ++org) world.stand(org, static_cast<std::uint8_t>(199 + org));
  EXPECT_TRUE(world.state().seats().empty());
  world.next_epoch();
  const std::vector<Seat> seats = world.state().seats();
  ASSERT_EQ(seats.size(), 4U);
  for (OrgId org = alpha; org <= delta; ++org) {
    const Seat& seat = seats[org - alpha];  // equal pledges: in the order of the organisations
    EXPECT_EQ(seat.organisation, org);
    EXPECT_EQ(seat.key, key_of(static_cast<std::uint8_t>(199 + org)).public_key());
    EXPECT_EQ(seat.pledge, 200 * unc);
    EXPECT_EQ(seat.weight_ppm, 250'000U);
    EXPECT_TRUE(world.state().in_office(org));
  }
  EXPECT_FALSE(world.state().in_office(chain_org));
  EXPECT_TRUE(world.state().by_vote());
  const Epoch epoch = world.all<Epoch>().back();
  EXPECT_EQ(epoch.seat_price, 200 * unc);
  EXPECT_FALSE(epoch.seats_stay);
  const AppliedBlock made = world.make({});
  EXPECT_EQ(made.block.header.view, 1U);
  EXPECT_NE(made.block.header.producer_key, world.key(made.block.header.producer).public_key());
  EXPECT_EQ(world.replica().state().seats(), seats);
}

TEST(Validators, WithFewerThanTheLeastTheFounderMakesBlocksAlone) {
  World world(committee_params());
  world.add_organisations();
  for (OrgId org = alpha; org <= gamma; ++org) world.stand(org, static_cast<std::uint8_t>(199 + org));
  world.next_epoch();
  EXPECT_TRUE(world.state().seats().empty());
  EXPECT_FALSE(world.all<Epoch>().back().seats_stay);
  EXPECT_EQ(world.make({}).block.header.producer, founder);
  // A candidate without enough stake is none.
  world.must(delta, Unstake{101 * unc});
  world.stand(delta, 204);
  world.next_epoch();
  EXPECT_TRUE(world.state().seats().empty());
  world.must(delta, Stake{unc});
  world.next_epoch();
  EXPECT_EQ(world.state().seats().size(), 4U);
}

TEST(Validators, AStandIsCheckedAndItsKeysAreNeverTakenTwice) {
  World world(committee_params());
  world.add_organisations();
  ValidatorStand stand = world.stand_of(alpha, 201);
  const auto changed = [&](auto change) {
    ValidatorStand copy = stand;
    change(copy);
    return world.refused(alpha, copy);
  };
  EXPECT_EQ(changed([](auto& s) { s.proof.bytes[0] ^= 1; }),
            "validator key: the proof of its possession is wrong");
  EXPECT_EQ(changed([](auto& s) { s.vrf_proof.bytes[0] ^= 1; }),
            "validator's VRF key: the proof of its possession is wrong");
  EXPECT_EQ(changed([](auto& s) { s.vrf_key = s.key; }), "validator key: it cannot be the VRF key too");
  EXPECT_EQ(changed([](auto& s) { s.key = PublicKey{}; }), "validator key: not an acceptable Ed25519 key");
  EXPECT_EQ(changed([](auto& s) { s.protocol = 0; }),
            "validator protocol 0: this chain's validators speak 1");
  // The proofs name the owner: another organisation cannot file them.
  EXPECT_EQ(world.refused(beta, stand), "validator key: the proof of its possession is wrong");
  world.must(alpha, stand);
  const std::string taken = "validator key: it is or was a key of an organisation, an agent or a validator";
  EXPECT_EQ(world.refused(alpha, stand), taken);
  EXPECT_EQ(world.refused(beta, world.stand_of(beta, 201)), taken);
  const KeyPair validator = key_of(201);
  const KeyPair vrf_key = hpos::vrf_key_of(validator);
  for (const KeyPair* key : {&validator, &vrf_key}) {
    EXPECT_EQ(world.refused(beta, enrol_of(world, beta, *key, 0)),
              "agent key: it is or was a key of an organisation, an agent or a validator");
    const Digest digest =
        key_change_digest(world.state().chain_id(), world.key(beta).public_key(), key->public_key());
    EXPECT_EQ(world.refused(beta, KeyChange{key->public_key(), key->sign(digest.view())}),
              "new key: it is or was a key of an organisation, an agent or a validator");
    EXPECT_FALSE(world.state().key_holder(key->public_key()));
    EXPECT_EQ(world.state().role_of_any_key(key->public_key()), KeyRole::validator);
    EXPECT_EQ(world.state().organisation_of_any_key(key->public_key()), alpha);
    EXPECT_EQ(error_of(world, *key, Stake{1}),
              "signer " + key->public_key().hex().substr(0, 12) +
                  "… is alpha's validator's key: it signs blocks and votes, no records");
    EXPECT_NE(error_of(world, *key, Organisation{"epsilon", ""}), "");
  }
}

TEST(Validators, OnlyTheOwnerStandsAndLeaves) {
  World world(committee_params());
  world.add_organisations();
  const KeyPair agent = key_of(90);
  world.must(alpha, enrol_of(world, alpha, agent, 0));
  EXPECT_NE(error_of(world, agent, world.stand_of(alpha, 201)).find("organisation's key"), std::string::npos);
  EXPECT_EQ(world.refused(alpha, ValidatorLeave{}), "alpha does not stand for a seat");
  world.stand(alpha, 201);
  EXPECT_NE(error_of(world, agent, ValidatorLeave{}).find("organisation's key"), std::string::npos);
  world.must(alpha, ValidatorLeave{});
  EXPECT_FALSE(world.state().organisation(alpha)->candidacy);
}

TEST(Validators, ANewStandReplacesTheKeysOfTheNextEpochOnly) {
  World world(committee_params());
  seat_four(world);
  world.stand(alpha, 211);
  EXPECT_EQ(world.state().seat_of(alpha)->key, key_of(201).public_key());
  world.next_epoch();
  EXPECT_EQ(world.state().seat_of(alpha)->key, key_of(211).public_key());
  EXPECT_FALSE(world.state().seat_of(alpha)->draws) << "the new key was not known before the seed was";
  EXPECT_TRUE(world.state().seat_of(beta)->draws);
}

TEST(Validators, WhenAllLeaveTheSeatsStayAndWhatTheyUnstakedStaysToo) {
  World world(committee_params());
  seat_four(world);
  const std::vector<Seat> seats = world.state().seats();
  for (OrgId org = alpha; org <= delta; ++org) {
    world.must(org, ValidatorLeave{});
    world.must(org, Unstake{200 * unc});
  }
  for (int epoch = 0; epoch < 6; ++epoch) world.next_epoch();
  ASSERT_EQ(world.state().seats().size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(world.state().seats()[i].key, seats[i].key);
    EXPECT_EQ(world.state().seats()[i].pledge, seats[i].pledge);
    EXPECT_EQ(world.state().seats()[i].weight_ppm, seats[i].weight_ppm);
  }
  EXPECT_TRUE(world.all<Epoch>().back().seats_stay);
  EXPECT_TRUE(world.all<Release>().empty()) << "long over, but they are still in office";
  // Others take over; the old ones are free once no evidence is taken any more.
  for (const char* name : {"one", "two", "three", "four"}) world.add_organisation(name);
  for (OrgId org = 6; org <= 9; ++org) world.stand(org, static_cast<std::uint8_t>(200 + org));
  world.next_epoch();
  const std::uint64_t changed = world.state().epoch();
  EXPECT_TRUE(world.state().in_office(6));
  EXPECT_FALSE(world.state().in_office(alpha));
  while (world.all<Release>().empty()) world.next_epoch();
  // The last epoch in which they were in office is changed - 1.
  EXPECT_EQ(world.state().epoch(), changed + world.state().params().evidence_epochs);
  EXPECT_EQ(world.all<Release>().size(), 4U);
  EXPECT_TRUE(world.replica().state().accounts().recount());
}

TEST(Validators, OneSeatAloneSignsWithItsValidatorsKey) {
  ChainParams params = committee_params();
  params.validators_min = 1;
  World world(params);
  world.add_organisations();
  world.stand(gamma, 203);
  world.next_epoch();
  EXPECT_FALSE(world.state().by_vote());
  const AppliedBlock made = world.make({});
  EXPECT_EQ(made.block.header.view, 0U);
  EXPECT_EQ(made.block.header.producer, gamma);
  EXPECT_EQ(made.block.header.producer_key, key_of(203).public_key());
  EXPECT_EQ(world.state().seats()[0].weight_ppm, 1'000'000U);
  world.must(gamma, ValidatorLeave{});
  world.next_epoch();
  EXPECT_TRUE(world.state().in_office(gamma)) << "the last one cannot end the chain";
  EXPECT_FALSE(world.state().in_office(chain_org));
  (void)world.replica();
}

TEST(Validators, MissedViewsCostTheirLeadersScoreAndUptime) {
  World world(committee_params());
  seat_four(world);
  std::map<OrgId, std::uint64_t> missed;
  const auto expect = [&](std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t view = first; view < first + count; ++view)
      ++missed[world.state().producer(view).organisation];
  };
  expect(1, 3);
  world.skip_views(3);
  EXPECT_EQ(world.make({}).block.header.view, 4U);
  expect(5, 2);
  world.skip_views(2);
  EXPECT_EQ(world.make({}).block.header.view, 7U);
  for (OrgId org = alpha; org <= delta; ++org)
    EXPECT_EQ(world.state().organisation(org)->slots_missed, missed[org]);
  // A long standstill counts up to a bound.
  expect(8, 4096);
  world.skip_views(1'000'000);
  world.make({});
  std::uint64_t all = 0;
  for (OrgId org = alpha; org <= delta; ++org) {
    EXPECT_EQ(world.state().organisation(org)->slots_missed, missed[org]);
    all += missed[org];
  }
  EXPECT_EQ(all, 3U + 2 + 4096);
  const std::uint64_t blocks = world.state().organisation(alpha)->blocks_produced;
  const hpos::Merit merit = hpos::merit_of(*world.state().organisation(alpha));
  EXPECT_EQ(merit.uptime_ppm, blocks * ppm_one / (blocks + missed[alpha]));
  world.next_epoch();
  const std::vector<Score> scores = scores_of(world, ScoreCause::missed_slot);
  ASSERT_EQ(scores.size(), 4U);
  for (const Score& score : scores) {
    EXPECT_EQ(score.count, missed[score.organisation]);
    EXPECT_EQ(score.after, 0U) << "a thousand slots at ten points each";
  }
  EXPECT_EQ(world.state().organisation(alpha)->slots_missed, 0U);
  (void)world.replica();
}

TEST(Validators, AMissedSlotCostsTheMultipleOfABlock) {
  ChainParams params = committee_params();
  params.score_per_block = 2;
  params.score_penalty_multiple = 7;
  World world(params);
  seat_four(world);
  const OrgId leader = world.state().producer(1).organisation;
  const std::uint64_t before = world.state().organisation(leader)->score;
  world.skip_views(1);
  world.next_epoch();
  const std::vector<Score> scores = scores_of(world, ScoreCause::missed_slot);
  ASSERT_EQ(scores.size(), 1U);
  EXPECT_EQ(scores[0].organisation, leader);
  std::uint64_t produced = 0;
  for (const Score& score : scores_of(world, ScoreCause::block_produced)) {
    if (score.organisation == leader) produced += 2 * score.count;
  }
  EXPECT_EQ(scores[0].after, before + produced - 14);
}

TEST(Validators, TheWeakestSeatFallsButNotBelowTheLeastNumber) {
  for (const bool fifth : {false, true}) {
    ChainParams params = committee_params();
    params.score_initial = 1000;
    params.kickout_median_ppm = ppm_one;
    World world(params);
    world.add_organisations();
    if (fifth) {
      world.add_organisation("epsilon");
      world.stand(6, 206);
    }
    for (OrgId org = alpha; org <= delta; ++org) world.stand(org, static_cast<std::uint8_t>(199 + org));
    world.next_epoch();
    ASSERT_EQ(world.state().seats().size(), fifth ? 5U : 4U);
    // Views are skipped until one validator has missed three: ten points each.
    const OrgId weak = world.state().producer(1).organisation;
    std::uint64_t views = 1;
    std::map<OrgId, int> led{{weak, 1}};
    while (led[weak] < 3) ++led[world.state().producer(++views).organisation];
    world.skip_views(views);
    world.next_epoch();
    const std::vector<OrgId> kicked = world.all<Epoch>().back().kicked;
    if (!fifth) {
      EXPECT_TRUE(kicked.empty());
      EXPECT_EQ(world.state().seats().size(), 4U);
      continue;
    }
    ASSERT_EQ(kicked.size(), 1U) << "one fifth of the weight each: two would be more than a third";
    for (OrgId org = alpha; org <= epsilon_org; ++org)
      EXPECT_LE(world.state().organisation(kicked[0])->score, world.state().organisation(org)->score);
    EXPECT_FALSE(world.state().in_office(kicked[0]));
    std::uint64_t sum = 0;
    for (const Seat& seat : world.state().seats()) sum += seat.weight_ppm;
    EXPECT_EQ(sum, ppm_one);
  }
}

TEST(Validators, VerifiersAreNeverTheOwnerOrAMemberAndNeverWithoutScore) {
  World world(committee_params());
  seat_four(world);
  world.add_organisation("epsilon");
  // Delta's score falls to nothing by its own fault, and it stays in office until the epoch ends.
  world.must(epsilon_org, double_vote(world, key_of(204), world.state().epoch()));
  EXPECT_TRUE(world.state().in_office(delta));
  std::map<OrgId, int> drawn;
  for (int round = 0; round < 6; ++round) {
    JobOrder order = World::order();
    order.verify_rate_ppm = ppm_one;
    const JobId job = world.start_job(alpha, {{beta, 0, 3}, {gamma, 3, 3}}, order);
    for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
    for (const std::uint64_t window : world.assigned(job))
      ++drawn[world.job(job).windows.at(window).verifier];
    world.vote_all_good(job);
  }
  EXPECT_GT(drawn[epsilon_org], 0);
  for (const OrgId org : {alpha, beta, gamma, delta}) EXPECT_EQ(drawn[org], 0) << org;
}

}  // namespace
}  // namespace ufab::test
