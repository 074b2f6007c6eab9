// Each rule of accounting/consensus/simplex.h on one node, with four validators of weight 1 unless said
// otherwise.
#include <gtest/gtest.h>

#include "tests/accounting/consensus/harness.h"

namespace ufab::consensus {
namespace {

class Simplex : public ::testing::Test {
 protected:
  EpochPtr epoch = make_epoch({1, 1, 1, 1});
  // Seat 0 leads view 1, seat 1 view 2; the node under test is seat 3, which leads view 4.
  ProposalPtr a1 = make_block(*epoch, 1, epoch->anchor, "a1");
  ProposalPtr b1 = make_block(*epoch, 1, epoch->anchor, "b1");
  ProposalPtr a2 = make_block(*epoch, 2, ref_of(a1), "a2");
  ProposalPtr s2 = make_block(*epoch, 2, epoch->anchor, "s2");

  void notarise(TestNode& node, const ProposalPtr& block) {
    for (const Seat seat : Seats{0, 1, 2})
      node.hear_vote(seat, VoteKind::notarise, block->header.view, block->digest);
  }
  void finalise(TestNode& node, const ProposalPtr& block) {
    for (const Seat seat : Seats{0, 1, 2})
      node.hear_vote(seat, VoteKind::finalise, block->header.view, block->digest);
  }
  void skip(TestNode& node, View view) {
    for (const Seat seat : Seats{0, 1, 2}) node.hear_vote(seat, VoteKind::skip, view);
  }
};

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
    EXPECT_EQ(node.latest_of<Penalise>().size(), 1u);
  }
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

TEST_F(Simplex, ABlockThatIsFinalAndNotHereIsFetchedAsChain) {
  TestNode node(epoch, 3);
  node.hear(2, make_certificate(*epoch, {0, 1, 2}, VoteKind::finalise, 2, a2->digest));
  const auto asked = node.latest_of<RequestChain>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].from, signer(2).public_key());
  EXPECT_EQ(asked[0].after_view, 0u);
  EXPECT_EQ(node.state.view, 3u);
  node.give(ChainReceived{signer(2).public_key(), {a1, a2}, node.state.pending});
  EXPECT_EQ(node.all_of<Deliver>().size(), 2u);
}

TEST_F(Simplex, AChainThatDoesNotLinkOrIsNotCertifiedIsRefused) {
  const auto certificate = make_certificate(*epoch, {0, 1, 2}, VoteKind::finalise, 2, a2->digest);
  const auto weak = make_certificate(*epoch, {0, 1}, VoteKind::finalise, 2, a2->digest);
  const auto notarised = make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 2, a2->digest);
  const std::vector<ChainReceived> wrong = {
      {signer(2).public_key(), {a2}, certificate}, {signer(2).public_key(), {b1, a2}, certificate},
      {signer(2).public_key(), {a1}, certificate}, {signer(2).public_key(), {}, certificate},
      {signer(2).public_key(), {a1, a2}, weak},    {signer(2).public_key(), {a1, a2}, notarised}};
  for (const ChainReceived& chain : wrong) {
    TestNode node(epoch, 3);
    node.give(chain);
    EXPECT_TRUE(node.all_of<Deliver>().empty());
    EXPECT_EQ(node.latest_of<Penalise>().size(), 1u);
  }
}

TEST_F(Simplex, TheBodyOfANotarisedParentIsAskedOfASignerAndServedByWhoHasIt) {
  TestNode node(epoch, 3);
  notarise(node, a1);
  node.hear(1, a2);
  auto sent = node.latest_of<Send>();
  ASSERT_EQ(sent.size(), 1u);
  TestNode holder(epoch, 0);
  holder.hear(1, a1);
  holder.hear(3, sent[0].message);
  sent = holder.latest_of<Send>();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, signer(3).public_key());
  node.hear(0, sent[0].message);
  ASSERT_EQ(node.votes(VoteKind::notarise).size(), 1u);
  EXPECT_EQ(node.votes(VoteKind::notarise)[0].block, a2->digest);
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

TEST_F(Simplex, AfterARestartTheVotesOfBeforeBind) {
  TestNode before(epoch, 3);
  before.hear(0, a1);
  before.time_out();
  TestNode after(epoch, 3, before.log());
  after.hear(0, b1);
  notarise(after, b1);
  EXPECT_EQ(after.votes(VoteKind::notarise), before.votes(VoteKind::notarise)) << "sent again, nothing new";
  EXPECT_TRUE(after.votes(VoteKind::finalise).empty()) << "it has voted to skip";
}

TEST_F(Simplex, AfterARestartAFinaliseVoteStillShowsItsNotarisation) {
  TestNode before(epoch, 3);
  notarise(before, a1);
  TestNode after(epoch, 3, before.log());
  EXPECT_EQ(after.state.view, 2u);
  after.hear_vote(2, VoteKind::skip, 1);
  const auto sent = after.latest_of<Send>();
  ASSERT_EQ(sent.size(), 1u) << "to the one that is stuck";
  EXPECT_EQ(std::get<CertificatePtr>(sent[0].message)->block, a1->digest);
}

TEST_F(Simplex, AfterARestartALeaderDoesNotProposeAgain) {
  TestNode before(epoch, 0);
  before.give(PayloadReady{1, {7}});
  TestNode after(epoch, 0, before.log());
  EXPECT_TRUE(after.all_of<BuildPayload>().empty());
  const auto sent = after.all_of<Broadcast>();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(std::get<ProposalPtr>(sent[0].message)->digest, before.log()[0].vote.block);
}

TEST_F(Simplex, AVoteOfALaterEpochBindsWhenThatEpochBegins) {
  auto next = make_epoch({1, 1, 1, 1});
  next->number = 4;
  next->anchor = {0, 101, a1->digest};
  const auto early = make_block(*next, 1, next->anchor, "early");
  const std::vector<VoteRecord> log = {
      {make_vote(*next, 3, VoteKind::notarise, 1, early->digest), early, nullptr}};
  auto first = make_epoch({1, 1, 1, 1});
  first->last_height = 101;
  TestNode node(first, 3, log);
  node.give(ChainReceived{
      signer(2).public_key(), {a1}, make_certificate(*first, {0, 1, 2}, VoteKind::finalise, 1, a1->digest)});
  node.give(EpochBegins{next});
  node.hear(0, make_block(*next, 1, next->anchor, "another"));
  for (const Vote& vote : node.votes(VoteKind::notarise)) EXPECT_EQ(vote.block, early->digest);
}

TEST_F(Simplex, WithoutItsVoteLogAKeyNeverVotesButFollows) {
  TestNode node(epoch, 3, std::nullopt);
  node.hear(0, a1);
  node.time_out();
  notarise(node, a1);
  finalise(node, a1);
  EXPECT_TRUE(node.all_of<PersistVote>().empty());
  EXPECT_EQ(node.all_of<Deliver>().size(), 1u);
}

TEST_F(Simplex, AnOwnVoteThatIsNotInTheLogRetiresTheKey) {
  TestNode node(epoch, 3);
  node.hear_vote(3, VoteKind::notarise, 1, a1->digest);
  ASSERT_EQ(node.latest_of<RetireKey>().size(), 1u);
  node.hear(0, b1);
  node.time_out();
  EXPECT_TRUE(node.all_of<PersistVote>().empty());
}

TEST_F(Simplex, TimeOutsDoubleWithSkippedViewsUpToTheBoundAndHalveWithNotarisedOnes) {
  TestNode node(epoch, 3);
  const std::uint64_t base = node.config.timing.view_ms;
  const auto timeout = [&] { return node.latest_of<SetTimer>().at(0).after_ms; };
  for (View view = 1; view <= 10; ++view) {
    node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::skip, view));
    EXPECT_EQ(timeout(), base << std::min<View>(view, node.config.timing.doublings_max));
  }
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 11, sha256("x")));
  EXPECT_EQ(timeout(), base << (node.config.timing.doublings_max - 1));
}

TEST_F(Simplex, AtStandstillItsVotesCertificatesAndTheProposalAreSentAgain) {
  TestNode node(epoch, 3);
  skip(node, 1);
  node.hear(1, s2);
  node.time_out();
  node.stand_still();
  std::size_t votes = 0, certificates = 0, proposals = 0;
  for (const Broadcast& broadcast : node.latest_of<Broadcast>()) {
    votes += std::holds_alternative<Vote>(broadcast.message);
    certificates += std::holds_alternative<CertificatePtr>(broadcast.message);
    proposals += std::holds_alternative<ProposalPtr>(broadcast.message);
  }
  EXPECT_EQ(votes, 2u);
  EXPECT_EQ(certificates, 1u);
  EXPECT_EQ(proposals, 1u);
}

TEST_F(Simplex, NothingIsSentAgainWhileBlocksBecomeFinal) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  notarise(node, a1);
  finalise(node, a1);
  node.stand_still();
  EXPECT_TRUE(node.latest_of<Broadcast>().empty());
}

TEST_F(Simplex, TheEpochEndsWithItsLastBlockAndTheNextOneHasItsOwnValidators) {
  auto short_epoch = make_epoch({1, 1, 1, 1});
  short_epoch->last_height = 101;
  TestNode node(short_epoch, 3);
  node.hear(0, a1);
  notarise(node, a1);
  node.hear(1, a2);
  EXPECT_EQ(node.votes(VoteKind::notarise).size(), 1u) << "no block past the last height";
  const auto seal = make_block(*short_epoch, 2, ref_of(a1), "");
  ASSERT_TRUE(seal->header.seal);
  node.hear(1, seal);
  notarise(node, seal);
  finalise(node, seal);
  ASSERT_EQ(node.all_of<EpochEnded>().size(), 1u);
  EXPECT_EQ(node.all_of<EpochEnded>()[0].last, ref_of(a1)) << "a seal is no block";
  EXPECT_EQ(node.all_of<Deliver>().size(), 2u);
  auto next = make_epoch({1, 1, 1, 1, 1, 1, 1});
  next->number = 4;
  next->anchor = {0, 101, a1->digest};
  node.give(EpochBegins{next});
  EXPECT_EQ(node.state.view, 1u);
  for (const Seat seat : Seats{0, 1, 2}) node.hear(seat, make_vote(*next, seat, VoteKind::skip, 1));
  EXPECT_EQ(node.state.view, 1u) << "three of seven";
  for (const Seat seat : Seats{4, 5}) node.hear(seat, make_vote(*next, seat, VoteKind::skip, 1));
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Simplex, AFullStoreOfBlocksMakesTheLeaderProposeAnEmptyOne) {
  Limits limits;
  limits.payload_size = 4;
  limits.held_size = 24;
  TestNode node(epoch, 3, {{}}, limits);
  // It keeps what it voted for and what was notarised instead.
  BlockRef parent = epoch->anchor;
  for (View view = 1; view <= 2; ++view) {
    const auto block = make_block(*epoch, view, parent, "five");
    node.hear(0, make_block(*epoch, view, parent, "four"));
    node.hear(0, block);
    node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, view, block->digest));
    parent = ref_of(block);
  }
  skip(node, 3);
  ASSERT_EQ(node.state.view, 4u);
  EXPECT_GT(node.state.held_size, limits.held_size / 2);
  ASSERT_EQ(node.all_of<BuildPayload>().size(), 1u);
  EXPECT_EQ(node.all_of<BuildPayload>()[0].bytes_max, 0u);
}

TEST_F(Simplex, WhatAnybodySendsKeepsTheStateWithinItsBound) {
  Limits limits;
  limits.window = 40;
  limits.ahead = 5;
  limits.kept = 3;
  limits.payload_size = 8;
  limits.held_size = 64;
  TestNode node(epoch, 3, {{}}, limits);
  for (View view = 1; view <= 200; ++view) {
    for (const Seat seat : Seats{0, 1, 2}) {
      for (const char* name : {"x", "y", "z"}) {
        node.hear_vote(seat, VoteKind::notarise, view, sha256(name));
        node.hear_vote(seat, VoteKind::finalise, view, sha256(name));
      }
    }
    if (epoch->leader(view) != 3) {
      for (const char* payload : {"one", "two", "three", "four"})
        node.hear(0, make_block(*epoch, view, epoch->anchor, payload));
    }
    node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::skip, view));
    node.stand_still();
    ASSERT_LE(memory_used(node.state), memory_bound(limits, 4));
    ASSERT_LE(node.state.slots.size(), limits.window);
    ASSERT_LE(node.state.held_size, limits.held_size);
  }
  EXPECT_EQ(node.state.view, limits.window) << "nothing advances beyond the window";
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
