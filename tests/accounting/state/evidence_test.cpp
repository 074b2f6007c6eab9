// Validators that contradicted themselves: who is convicted, and what it costs.
#include <gtest/gtest.h>

#include "tests/accounting/support/committee.h"

namespace ufab::test {
namespace {

using consensus::VoteKind;

TEST(Evidence, ConvictsTheKeyTakesItsStakeAndItsSeat) {
  World world(committee_params());
  seat_four(world);
  const std::uint64_t epoch = world.state().epoch();
  const MicroUnc balance = world.state().balance(alpha);
  const MicroUnc burned = world.state().accounts().burned();
  world.must(alpha, double_vote(world, key_of(204), epoch));
  ASSERT_EQ(world.all<Conviction>().size(), 1U);
  const Conviction conviction = world.all<Conviction>()[0];
  EXPECT_EQ(conviction.organisation, delta);
  EXPECT_EQ(conviction.key, key_of(204).public_key());
  EXPECT_EQ(conviction.epoch, epoch);
  EXPECT_EQ(conviction.view, 3U);
  EXPECT_EQ(conviction.from_stake, 200 * unc);
  EXPECT_EQ(conviction.reporter, alpha);
  EXPECT_EQ(conviction.reward, 10 * unc);
  EXPECT_EQ(conviction.burned, 190 * unc);
  EXPECT_EQ(world.state().balance(alpha), balance + 10 * unc);
  EXPECT_EQ(world.state().accounts().burned(), burned + 190 * unc);
  EXPECT_EQ(world.state().stake(delta), 0U);
  EXPECT_EQ(world.state().organisation(delta)->score, 0U);
  EXPECT_FALSE(world.state().organisation(delta)->candidacy);
  EXPECT_TRUE(world.state().in_office(delta)) << "until its epoch ends";
  // Too few stand now: the others stay, and share its weight.
  world.next_epoch();
  EXPECT_FALSE(world.state().in_office(delta));
  ASSERT_EQ(world.state().seats().size(), 3U);
  EXPECT_EQ(world.state().seats()[0].weight_ppm, 333'334U);
  // With new stake and a new key it may stand again; the old key is barred.
  world.must(delta, Stake{200 * unc});
  EXPECT_NE(world.refused(delta, world.stand_of(delta, 204)), "");
  world.stand(delta, 214);
  world.next_epoch();
  EXPECT_TRUE(world.state().in_office(delta));
  EXPECT_TRUE(world.replica().state().accounts().recount());
}

TEST(Evidence, IsTakenOnceForAKeyWhateverElseItSigned) {
  World world(committee_params());
  seat_four(world);
  const std::uint64_t epoch = world.state().epoch();
  world.must(alpha, double_vote(world, key_of(204), epoch));
  const std::string convicted =
      "key " + key_of(204).public_key().hex().substr(0, 12) + "… is convicted already";
  world.must(delta, Stake{100 * unc});
  EXPECT_EQ(world.refused(beta, double_vote(world, key_of(204), epoch)),
            "evidence about epoch 3, view 3: " + convicted);
  EXPECT_EQ(world.refused(beta, double_vote(world, key_of(204), epoch, 9)),
            "evidence about epoch 3, view 9: " + convicted);
  EXPECT_EQ(world.state().stake(delta), 100 * unc);
}

TEST(Evidence, IsRefusedWhereItProvesNothing) {
  World world(committee_params());
  seat_four(world);
  const std::uint64_t epoch = world.state().epoch();
  ASSERT_EQ(epoch, 3U);
  const std::string about = "evidence about epoch 3, view 3: ";
  EXPECT_EQ(world.refused(alpha, double_vote(world, key_of(99), epoch)),
            about + "key " + key_of(99).public_key().hex().substr(0, 12) + "… was not in office then");
  EXPECT_EQ(world.refused(alpha, double_vote(world, key_of(204), epoch - 1)),
            "evidence about epoch 2, view 3: no validators were in office then");
  EXPECT_EQ(world.refused(alpha, double_vote(world, key_of(204), epoch + 1)),
            "evidence about epoch 4, view 3: no validators were in office then");
  EvidenceRecord record = double_vote(world, key_of(204), epoch);
  record.second = record.first;
  EXPECT_EQ(world.refused(alpha, record), "evidence: the two votes do not conflict");
  record = double_vote(world, key_of(204), epoch);
  record.second.kind = VoteKind::finalise;
  EXPECT_EQ(world.refused(alpha, record), "evidence: the two votes do not conflict");
  record = double_vote(world, key_of(204), epoch);
  record.second.signature.bytes[0] ^= 1;
  EXPECT_NE(world.refused(alpha, record).find("is not signed by"), std::string::npos);
  record = double_vote(world, key_of(204), epoch);
  ++record.view;
  EXPECT_NE(world.refused(alpha, record).find("is not signed by"), std::string::npos);
  // The same votes on another chain are no fault on this one.
  const auto elsewhere = [&](const char* block) {
    return vote_of(digest_of("elsewhere"), epoch, 3, key_of(204), VoteKind::notarise, digest_of(block));
  };
  record = hpos::evidence_record(
      {world.state().chain_id(), epoch, 3, key_of(204).public_key(), elsewhere("a"), elsewhere("b")});
  EXPECT_NE(world.refused(alpha, record).find("is not signed by"), std::string::npos);
  EXPECT_EQ(world.state().stake(delta), 200 * unc);
  EXPECT_TRUE(world.all<Conviction>().empty());
}

TEST(Evidence, SkipAndFinaliseInOneViewConvictToo) {
  World world(committee_params());
  seat_four(world);
  const Digest chain = world.state().chain_id();
  const std::uint64_t epoch = world.state().epoch();
  const KeyPair key = key_of(202);
  world.must(alpha, hpos::evidence_record(
                        {chain, epoch, 5, key.public_key(), vote_of(chain, epoch, 5, key, VoteKind::skip, {}),
                         vote_of(chain, epoch, 5, key, VoteKind::finalise, digest_of("block"))}));
  EXPECT_EQ(world.all<Conviction>()[0].organisation, beta);
}

TEST(Evidence, ReachesWhatUnbondsAfterItsOwnerHasLeft) {
  ChainParams params = committee_params();
  World world(params);
  seat_four(world);
  world.add_organisation("epsilon");
  world.stand(epsilon_org, 206);
  const std::uint64_t epoch = world.state().epoch();
  world.must(delta, ValidatorLeave{});
  world.must(delta, Unstake{200 * unc});
  for (std::uint64_t i = 0; i < params.evidence_epochs; ++i) world.next_epoch();
  EXPECT_FALSE(world.state().in_office(delta));
  EXPECT_TRUE(world.all<Release>().empty());
  world.must(alpha, double_vote(world, key_of(204), epoch));
  const Conviction conviction = world.all<Conviction>()[0];
  EXPECT_EQ(conviction.from_stake, 0U);
  EXPECT_EQ(conviction.from_unbonding, 200 * unc);
  EXPECT_TRUE(world.state().organisation(delta)->unbonding.empty());
  (void)world.replica();
}

TEST(Evidence, IsTooOldOneEpochLaterWhenTheStakeIsFree) {
  ChainParams params = committee_params();
  World world(params);
  seat_four(world);
  const std::uint64_t epoch = world.state().epoch();
  for (std::uint64_t i = 0; i <= params.evidence_epochs; ++i) world.next_epoch();
  EXPECT_EQ(world.refused(alpha, double_vote(world, key_of(204), epoch)),
            "evidence about epoch 3, view 3: too old: it is taken for 3 epochs after its own");
  EXPECT_EQ(world.state().committees().size(), params.evidence_epochs + 1);
}

TEST(Evidence, PartOfTheStakeIsTakenWhereTheChainSaysSo) {
  ChainParams params = committee_params();
  params.slash_equivocation_ppm = 800'000;
  params.evidence_reward_ppm = 300'000;
  World world(params);
  seat_four(world);
  world.must(delta, Unstake{150 * unc});
  world.must(alpha, double_vote(world, key_of(204), world.state().epoch()));
  const Conviction conviction = world.all<Conviction>()[0];
  EXPECT_EQ(conviction.from_stake, 50 * unc);
  EXPECT_EQ(conviction.from_unbonding, 110 * unc);
  EXPECT_EQ(conviction.reward, 48 * unc);
  EXPECT_EQ(conviction.burned, 112 * unc);
  EXPECT_EQ(world.state().organisation(delta)->unbonding[0].amount, 40 * unc);
  EXPECT_TRUE(world.state().accounts().recount());
}

TEST(Evidence, WhoeverReportsHimselfGetsNothing) {
  World world(committee_params());
  seat_four(world);
  world.must(delta, double_vote(world, key_of(204), world.state().epoch()));
  EXPECT_EQ(world.all<Conviction>()[0].reward, 0U);
  EXPECT_EQ(world.all<Conviction>()[0].burned, 200 * unc);
}

TEST(Evidence, AgainstAllLeavesTheFounderAlone) {
  World world(committee_params());
  seat_four(world);
  for (std::uint8_t key = 201; key <= 204; ++key)
    world.must(chain_org, double_vote(world, key_of(key), world.state().epoch()));
  world.next_epoch();
  EXPECT_TRUE(world.state().seats().empty());
  EXPECT_EQ(world.make({}).block.header.producer, founder);
  (void)world.replica();
}

TEST(Evidence, ItsTimeMustEndBeforeWhatUnbondsIsFree) {
  ChainParams params;
  EXPECT_TRUE(check_params(params).ok());
  params.evidence_epochs = params.unbonding_epochs;
  EXPECT_FALSE(check_params(params).ok());
  params.evidence_epochs = 0;
  EXPECT_FALSE(check_params(params).ok());
  params.evidence_epochs = params.unbonding_epochs - 1;
  EXPECT_TRUE(check_params(params).ok());
  params.unbonding_epochs = 1000;
  params.evidence_epochs = 65;
  EXPECT_FALSE(check_params(params).ok());
}

}  // namespace
}  // namespace ufab::test
