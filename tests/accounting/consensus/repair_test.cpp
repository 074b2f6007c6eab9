// What keeps a cluster going: restarts, standstill, catching up, epochs, bounds; on one node.
#include <set>

#include "tests/accounting/consensus/simplex_fixture.h"

namespace ufab::consensus {
namespace {

using Repair = SimplexFixture;

TEST_F(Repair, ABlockThatIsFinalAndNotHereIsFetchedAsChain) {
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

TEST_F(Repair, AChainThatDoesNotLinkOrIsNotCertifiedIsRefused) {
  const auto certificate = make_certificate(*epoch, {0, 1, 2}, VoteKind::finalise, 2, a2->digest);
  const auto weak = make_certificate(*epoch, {0, 1}, VoteKind::finalise, 2, a2->digest);
  const auto notarised = make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 2, a2->digest);
  const std::vector<ChainReceived> wrong = {{signer(2).public_key(), {b1, a2}, certificate},
                                            {signer(2).public_key(), {a1}, certificate},
                                            {signer(2).public_key(), {}, certificate},
                                            {signer(2).public_key(), {a1, a2}, weak},
                                            {signer(2).public_key(), {a1, a2}, notarised}};
  for (const ChainReceived& chain : wrong) {
    TestNode node(epoch, 3);
    node.give(chain);
    EXPECT_TRUE(node.all_of<Deliver>().empty());
    EXPECT_EQ(node.latest_of<Penalise>().size(), 1u);
  }
}

// It was asked for before a crash that lost the blocks below it.
TEST_F(Repair, AChainThatBeginsAfterTheOwnTipIsOfNoUseAndNobodysFault) {
  TestNode node(epoch, 3);
  const auto certificate = make_certificate(*epoch, {0, 1, 2}, VoteKind::finalise, 2, a2->digest);
  node.give(ChainReceived{signer(2).public_key(), {a2}, certificate});
  EXPECT_TRUE(node.all_of<Deliver>().empty());
  EXPECT_TRUE(node.latest_of<Penalise>().empty());
}

TEST_F(Repair, TheBodyOfANotarisedParentIsAskedOfASignerAndServedByWhoHasIt) {
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

TEST_F(Repair, AClaimToBeAheadIsFollowedOnceAPeriodAndThenAValidatorIsAskedByTurns) {
  TestNode node(epoch, 3);
  auto later = make_epoch({1, 1, 1, 1});
  later->number = 9;
  std::set<Peer> asked;
  for (int period = 0; period < 4; ++period) {
    for (int i = 0; i < 3; ++i) node.hear(2, make_vote(*later, 2, VoteKind::notarise, 1, sha256("lie")));
    EXPECT_EQ(node.all_of<RequestChain>().back().from, signer(2).public_key());
    node.stand_still();
    for (const RequestChain& request : node.latest_of<RequestChain>()) asked.insert(request.from);
  }
  EXPECT_EQ(asked.size(), 3u) << "all but itself";
  EXPECT_EQ(node.all_of<RequestChain>().size(), 4u + 3u);
}

TEST_F(Repair, APeerThatAsksForBlocksWithoutEndTakesNothingFromOthers) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  const BlockRequest request{epoch->number, 1, a1->digest};
  for (int i = 0; i < 100; ++i) node.hear(1, request);
  EXPECT_EQ(node.all_of<Send>().size(), node.config.limits.answers);
  node.hear(2, request);
  EXPECT_EQ(node.latest_of<Send>().size(), 1u);
}

TEST_F(Repair, CatchingUpGoesOnWithThePeerThatHasMore) {
  TestNode node(epoch, 3);
  node.give(ChainReceived{
      signer(2).public_key(), {a1}, make_certificate(*epoch, {0, 1, 2}, VoteKind::finalise, 1, a1->digest)});
  ASSERT_EQ(node.latest_of<RequestChain>().size(), 1u);
  EXPECT_EQ(node.latest_of<RequestChain>()[0].after_view, 1u);
}

TEST_F(Repair, AfterARestartTheVotesOfBeforeBind) {
  TestNode before(epoch, 3);
  before.hear(0, a1);
  before.time_out();
  TestNode after(epoch, 3, before.log());
  after.hear(0, b1);
  notarise(after, b1);
  EXPECT_EQ(after.votes(VoteKind::notarise), before.votes(VoteKind::notarise)) << "sent again, nothing new";
  EXPECT_TRUE(after.votes(VoteKind::finalise).empty()) << "it has voted to skip";
}

TEST_F(Repair, AfterARestartAFinaliseVoteStillShowsItsNotarisation) {
  TestNode before(epoch, 3);
  notarise(before, a1);
  TestNode after(epoch, 3, before.log());
  EXPECT_EQ(after.state.view, 2u);
  after.hear_vote(2, VoteKind::skip, 1);
  const auto sent = after.latest_of<Send>();
  ASSERT_EQ(sent.size(), 1u) << "to the one that is stuck";
  EXPECT_EQ(std::get<CertificatePtr>(sent[0].message)->block, a1->digest);
}

TEST_F(Repair, AfterARestartALeaderDoesNotProposeAgain) {
  TestNode before(epoch, 0);
  before.give(PayloadReady{1, {7}});
  TestNode after(epoch, 0, before.log());
  EXPECT_TRUE(after.all_of<BuildPayload>().empty());
  const auto sent = after.all_of<Broadcast>();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(std::get<ProposalPtr>(sent[0].message)->digest, before.log()[0].vote.block);
}

TEST_F(Repair, AVoteOfALaterEpochBindsWhenThatEpochBegins) {
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

TEST_F(Repair, WithoutItsVoteLogAKeyNeverVotesButFollows) {
  TestNode node(epoch, 3, std::nullopt);
  node.hear(0, a1);
  node.time_out();
  notarise(node, a1);
  finalise(node, a1);
  EXPECT_TRUE(node.all_of<PersistVote>().empty());
  EXPECT_EQ(node.all_of<Deliver>().size(), 1u);
}

TEST_F(Repair, AnOwnVoteThatIsNotInTheLogRetiresTheKey) {
  TestNode node(epoch, 3);
  node.hear_vote(3, VoteKind::notarise, 1, a1->digest);
  ASSERT_EQ(node.latest_of<RetireKey>().size(), 1u);
  node.hear(0, b1);
  node.time_out();
  EXPECT_TRUE(node.all_of<PersistVote>().empty());
}

TEST_F(Repair, ACertificateThatIsLostEverywhereIsMadeAgainOfOldVotes) {
  TestNode node(epoch, 3);
  node.time_out();
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::skip, 40));
  ASSERT_EQ(node.state.view, 41u) << "ahead of views that it has no certificate for";
  for (const Seat seat : Seats{0, 1}) node.hear_vote(seat, VoteKind::skip, 1);
  ASSERT_TRUE(node.state.slots.at(1).skipped) << "with its own vote, cast before it jumped";
  EXPECT_TRUE(node.state.slots.at(1).ballots.empty());
}

TEST_F(Repair, AtStandstillAViewThatWasJumpedOverIsVotedToBeSkipped) {
  TestNode node(epoch, 3);
  notarise(node, a1);
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::skip, 5));
  node.stand_still();
  std::vector<View> views;
  for (const Vote& vote : node.votes(VoteKind::skip)) views.push_back(vote.view);
  EXPECT_EQ(views, (std::vector<View>{2, 3, 4})) << "1 it has voted to finalise, of 5 there is a certificate";
  for (const Seat seat : Seats{0, 1}) node.hear_vote(seat, VoteKind::skip, 3);
  EXPECT_TRUE(node.state.slots.at(3).skipped);
}

TEST_F(Repair, VotesOfOldViewsAreKeptForTheOldestOpenOnes) {
  Limits limits;
  limits.open = 3;
  TestNode node(epoch, 3, {{}}, limits);
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::skip, 100));
  for (View view = 60; view > 0; --view) node.hear_vote(0, VoteKind::skip, view);
  for (View view = 1; view <= 60; ++view) {
    const auto slot = node.state.slots.find(view);
    const bool kept = slot != node.state.slots.end() && !slot->second.ballots.empty();
    EXPECT_EQ(kept, view <= 3) << view;
  }
}

TEST_F(Repair, TimeOutsDoubleWithSkippedViewsUpToTheBoundAndHalveWithNotarisedOnes) {
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

TEST_F(Repair, AtStandstillItsVotesCertificatesAndTheProposalAreSentAgain) {
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

TEST_F(Repair, NothingIsSentAgainWhileBlocksBecomeFinal) {
  TestNode node(epoch, 3);
  node.hear(0, a1);
  notarise(node, a1);
  finalise(node, a1);
  node.stand_still();
  EXPECT_TRUE(node.latest_of<Broadcast>().empty());
}

TEST_F(Repair, TheEpochEndsWithItsLastBlockAndTheNextOneHasItsOwnValidators) {
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

// Found by the simulator: all who had the certificate of a block had crashed and lost it, and whoever lacked
// the block could ask nobody for it, though a block that builds on it was notarised.
TEST_F(Repair, ABlockWhoseCertificateIsLostComesFromTheSignersOfTheNext) {
  TestNode node(epoch, 3);
  const auto first = make_block(*epoch, 1, epoch->anchor, "first");
  const auto second = make_block(*epoch, 2, ref_of(first), "second");
  node.hear(0, second);
  node.hear(0, make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 2, second->digest));
  const auto third = make_block(*epoch, 3, ref_of(second), "third");
  node.hear(0, third);
  std::vector<Send> asked = node.all_of<Send>();
  std::erase_if(asked, [](const Send& send) { return !std::holds_alternative<BlockRequest>(send.message); });
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(std::get<BlockRequest>(asked[0].message).block, first->digest);
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty());
  // Another old block is not taken for it.
  node.hear(0, make_block(*epoch, 1, epoch->anchor, "another"));
  EXPECT_TRUE(node.votes(VoteKind::notarise).empty());
  node.hear(0, first);
  ASSERT_EQ(node.votes(VoteKind::notarise).size(), 1u);
  EXPECT_EQ(node.votes(VoteKind::notarise)[0].block, third->digest);
}

TEST_F(Repair, AFullStoreOfBlocksMakesTheLeaderFrugal) {
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
  EXPECT_TRUE(node.all_of<BuildPayload>()[0].frugal);
  // What has no room is not proposed; the view passes.
  TestNode full = node;
  full.state.held_size = limits.held_size - 3;
  full.give(PayloadReady{4, Bytes(4)});
  EXPECT_TRUE(full.latest_of<PersistVote>().empty());
  node.give(PayloadReady{4, Bytes(4)});
  ASSERT_FALSE(node.latest_of<PersistVote>().empty());
  EXPECT_EQ(node.latest_of<PersistVote>()[0].record.vote.kind, VoteKind::propose);
}

TEST_F(Repair, WhatAnybodySendsKeepsTheStateWithinItsBound) {
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

}  // namespace
}  // namespace ufab::consensus
