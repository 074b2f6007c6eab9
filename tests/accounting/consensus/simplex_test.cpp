// Each rule of accounting/consensus/simplex.h on one node.
#include "tests/accounting/consensus/simplex_fixture.h"

namespace ufab::consensus {
namespace {

using Simplex = SimplexFixture;

TEST_F(Simplex, NotarisesTheFirstAcceptableProposalOfAViewAndNoOther) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  node.hear(0, b1);
  const auto votes = node.votes(VoteKind::notarise);
  ASSERT_EQ(votes.size(), 1u);
  EXPECT_EQ(votes[0].block, a1->digest);
}

TEST_F(Simplex, DoesNotVoteForABlockThatTheApplicationRefuses) {
  TestNode node(epoch, 3);
  node.validates = false;
  node.hear(0, a1);
  ASSERT_EQ(node.latest_of<ValidateBlock>().size(), 1u);
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty()) << "not before the answer";
  node.give(BlockValidated{1, a1->digest, false});
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty());
}

TEST_F(Simplex, AVoteIsPersistedBeforeItIsSentAndCarriesItsBlock) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  node.time_out();
  notarise(node, a1);
  std::vector<Vote> persisted;
  for (const Action& action : node.all) {
    if (const auto* persist = std::get_if<PersistVote>(&action)) {
      persisted.push_back(persist->record.vote);
      if (persist->record.vote.kind == VoteKind::notarise) {
        EXPECT_EQ(persist->record.proposal, a1);
      }
    }
    const auto* broadcast = std::get_if<Broadcast>(&action);
    const auto* vote = broadcast == nullptr ? nullptr : std::get_if<Vote>(&broadcast->message);
    if (vote != nullptr) {
      EXPECT_TRUE(std::count(persisted.begin(), persisted.end(), *vote));
    }
  }
  EXPECT_EQ(persisted.size(), 2u);
}

TEST_F(Simplex, ANotarisedBlockIsVotedFinalAndTheFinaliseRecordCarriesTheNotarisation) {
  TestNode node(epoch, 3);
  notarise(node, a1);
  const auto log = node.log();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].vote.kind, VoteKind::finalise);
  ASSERT_NE(log[0].certificate, nullptr);
  EXPECT_EQ(log[0].certificate->kind, VoteKind::notarise);
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Simplex, WhoVotedToSkipDoesNotVoteToFinalise) {
  TestNode node(epoch, 3);
  node.time_out();
  notarise(node, a1);
  EXPECT_EQ(node.votes(VoteKind::skip).size(), 1u);
  EXPECT_TRUE(node.votes(VoteKind::finalise).empty());
  EXPECT_EQ(node.state.view, 2u) << "but goes on";
}

TEST_F(Simplex, WhoVotedToFinaliseDoesNotVoteToSkip) {
  TestNode node(epoch, 3);
  notarise(node, a1);
  node.give(TimerFired{Timer::view, 1});
  EXPECT_TRUE(node.votes(VoteKind::skip).empty());
  EXPECT_EQ(node.votes(VoteKind::finalise).size(), 1u);
}

TEST_F(Simplex, AStaleTimerOfAnEarlierViewDoesNothing) {
  TestNode node(epoch, 3);
  skip(node, 1);
  ASSERT_EQ(node.state.view, 2u);
  node.give(TimerFired{Timer::view, 1});
  EXPECT_TRUE(node.votes(VoteKind::skip).empty());
}

TEST_F(Simplex, AParentMustBeNotarised) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  skip(node, 1);
  node.hear(1, a2);
  EXPECT_EQ(node.votes(VoteKind::notarise).size(), 1u) << "for a1 only";
  notarise(node, a1);
  EXPECT_EQ(node.votes(VoteKind::notarise).size(), 2u) << "once its parent is notarised";
}

TEST_F(Simplex, EveryViewBetweenParentAndBlockMustBeSkipped) {
  TestNode node(epoch, 3);
  notarise(node, b1);
  node.hear(1, s2);
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty()) << "view 1 is notarised and not skipped";
  skip(node, 1);
  EXPECT_EQ(node.votes(VoteKind::notarise).size(), 1u);
}

TEST_F(Simplex, AProposalBySomeoneElseThanTheLeaderIsRefusedAndItsCarrierPenalised) {
  TestNode node(epoch, 3);
  auto forged = std::make_shared<Proposal>(*a1);
  forged->signature = make_vote(*epoch, 2, VoteKind::propose, 1, a1->digest).signature;
  node.hear(2, ProposalPtr(forged));
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty());
  ASSERT_EQ(node.latest_of<Penalise>().size(), 1u);
  EXPECT_EQ(node.latest_of<Penalise>()[0].peer, signer(2).public_key());
}

TEST_F(Simplex, AVoteWithAWrongSignatureCountsForNothing) {
  TestNode node(epoch, 3);
  for (const Seat seat : Seats{0, 1, 2}) {
    Vote vote = make_vote(*epoch, seat, VoteKind::skip, 1);
    vote.signature.bytes[5] ^= 1;
    node.hear(seat, vote);
  }
  EXPECT_EQ(node.all_of<Penalise>().size(), 3u);
  EXPECT_EQ(node.state.view, 1u);
}

TEST_F(Simplex, AVoteOfAnotherEpochOrChainCountsForNothing) {
  TestNode node(epoch, 3);
  auto other = make_epoch({1, 1, 1, 1});
  other->chain_id = sha256("another chain");
  for (const Seat seat : Seats{0, 1, 2}) node.hear(seat, make_vote(*other, seat, VoteKind::skip, 1));
  other = make_epoch({1, 1, 1, 1});
  other->number = 2;
  for (const Seat seat : Seats{0, 1, 2}) node.hear(seat, make_vote(*other, seat, VoteKind::skip, 1));
  EXPECT_EQ(node.state.view, 1u);
}

TEST_F(Simplex, AQuorumNeedsTwoThirdsOfTheWeightAndOfTheStake) {
  const auto uneven = make_epoch({3, 3, 2, 1}, {1, 1, 1, 6});
  TestNode node(uneven, 2);
  node.hear_vote(0, VoteKind::skip, 1);
  node.hear_vote(1, VoteKind::skip, 1);
  EXPECT_EQ(node.state.view, 1u) << "6 of 9 by weight is not more than two thirds";
  node.time_out();
  EXPECT_EQ(node.state.view, 1u) << "8 of 9 by weight, 3 of 9 by stake";
  node.hear_vote(3, VoteKind::skip, 1);
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Simplex, FinalisedBlocksAreDeliveredOnceInOrderWithTheirCertificate) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  notarise(node, a1);
  node.hear(1, a2);
  notarise(node, a2);
  finalise(node, a2);
  finalise(node, a1);
  const auto delivered = node.all_of<Deliver>();
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0].block, a1);
  EXPECT_EQ(delivered[1].block, a2);
  EXPECT_EQ(delivered[1].certificate->kind, VoteKind::finalise);
  EXPECT_TRUE(
      verify_certificate(epoch->chain_id, epoch->validators, *delivered[1].certificate, cheap_scheme()));
  EXPECT_EQ(node.state.tip, ref_of(a2));
  EXPECT_TRUE(node.state.slots.empty() || node.state.slots.begin()->first > 2);
}

TEST_F(Simplex, TheLeaderExtendsTheNewestNotarisedBlockAndVotesForItself) {
  TestNode node(epoch, 1);
  node.hear(0, a1);
  for (const Seat seat : Seats{0, 2, 3}) node.hear_vote(seat, VoteKind::notarise, 1, a1->digest);
  const auto build = node.all_of<BuildPayload>();
  ASSERT_EQ(build.size(), 1u);
  EXPECT_EQ(build[0].parent, ref_of(a1));
  node.give(PayloadReady{2, {1, 2, 3}});
  const auto log = node.log();
  ASSERT_GE(log.size(), 2u);
  EXPECT_EQ(log[log.size() - 2].vote.kind, VoteKind::propose);
  EXPECT_EQ(log[log.size() - 1].vote.kind, VoteKind::notarise);
  EXPECT_EQ(log[log.size() - 2].proposal->header.parent, a1->digest);
  EXPECT_EQ(log[log.size() - 2].proposal->header.height, 102u);
  node.give(PayloadReady{2, {4}});
  EXPECT_TRUE(node.latest.empty()) << "one proposal a view";
}

TEST_F(Simplex, APayloadThatComesTooLateIsIgnored) {
  TestNode node(epoch, 1);
  for (const Seat seat : Seats{0, 2, 3}) node.hear_vote(seat, VoteKind::skip, 1);
  ASSERT_EQ(node.all_of<BuildPayload>().size(), 1u);
  for (const Seat seat : Seats{0, 2, 3}) node.hear_vote(seat, VoteKind::skip, 2);
  node.give(PayloadReady{2, {1}});
  EXPECT_TRUE(node.latest.empty());
}

TEST_F(Simplex, ConflictingVotesAreReportedOnceAsEvidenceThatVerifiesAlone) {
  struct Case {
    Vote first, second;
  };
  const auto vote = [&](VoteKind kind, const Digest& block) { return make_vote(*epoch, 2, kind, 1, block); };
  const std::vector<Case> cases = {
      {vote(VoteKind::notarise, a1->digest), vote(VoteKind::notarise, b1->digest)},
      {vote(VoteKind::finalise, a1->digest), vote(VoteKind::finalise, b1->digest)},
      {vote(VoteKind::finalise, a1->digest), vote(VoteKind::skip, {})},
      {vote(VoteKind::skip, {}), vote(VoteKind::finalise, a1->digest)}};
  for (const Case& c : cases) {
    TestNode node(epoch, 3);
    node.hear(2, c.first);
    node.hear(2, c.second);
    node.hear(2, c.second);
    const auto reports = node.all_of<ReportEvidence>();
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_EQ(reports[0].evidence.key, signer(2).public_key());
    EXPECT_TRUE(verify_evidence(reports[0].evidence, cheap_scheme()).ok());
    const auto decoded = decode_evidence(encode_evidence(reports[0].evidence));
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, reports[0].evidence);
  }
}

TEST_F(Simplex, VotesThatAnHonestValidatorMaySignBothAreNoEvidence) {
  TestNode node(epoch, 3);
  node.hear_vote(2, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(2, VoteKind::skip, 1);
  node.hear_vote(1, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(1, VoteKind::finalise, 1, b1->digest);
  node.hear_vote(1, VoteKind::skip, 2);
  EXPECT_TRUE(node.all_of<ReportEvidence>().empty());
}

TEST_F(Simplex, TwoProposalsByOneLeaderAreEvidence) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  node.hear(1, b1);
  ASSERT_EQ(node.all_of<ReportEvidence>().size(), 1u);
  EXPECT_EQ(node.all_of<ReportEvidence>()[0].evidence.key, signer(0).public_key());
}

TEST_F(Simplex, AnEquivocationHiddenInACertificateIsSeen) {
  TestNode node(epoch, 3);
  node.hear_vote(2, VoteKind::notarise, 1, b1->digest);
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 1, a1->digest));
  EXPECT_EQ(node.all_of<ReportEvidence>().size(), 1u);
}

TEST_F(Simplex, OneValidatorAloneFinalisesItsBlocks) {
  const auto alone = make_epoch({5});
  TestNode node(alone, 0);
  for (View view = 1; view <= 3; ++view) node.give(PayloadReady{view, {static_cast<std::uint8_t>(view)}});
  EXPECT_EQ(node.all_of<Deliver>().size(), 3u);
  EXPECT_EQ(node.state.tip.height, 103u);
}

}  // namespace
}  // namespace ufab::consensus
