// Votes that come from their author itself are checked only when something would rest on them.
#include "tests/accounting/consensus/simplex_fixture.h"

namespace ufab::consensus {
namespace {

class CountingScheme final : public SignatureScheme {
 public:
  [[nodiscard]] bool verify(const PublicKey& key, ByteView message,
                            const Signature& signature) const override {
    ++checks;
    return cheap_scheme().verify(key, message, signature);
  }
  mutable std::size_t checks = 0;
};

class Unchecked : public SimplexFixture {
 protected:
  Unchecked() { node.state.config.scheme = &scheme; }
  static Vote damaged(Vote vote) {
    vote.signature.bytes[9] ^= 4;
    return vote;
  }
  Vote of(Seat seat, VoteKind kind, View view, const Digest& block = {}) {
    return make_vote(*epoch, seat, kind, view, block);
  }
  CountingScheme scheme;
  TestNode node{epoch, 3};
};

TEST_F(Unchecked, AQuorumIsCheckedWhenItIsOneAndWhatComesLaterNever) {
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(1, VoteKind::notarise, 1, a1->digest);
  EXPECT_EQ(scheme.checks, 0u);
  node.hear_vote(2, VoteKind::notarise, 1, a1->digest);
  EXPECT_EQ(scheme.checks, 3u);
  EXPECT_EQ(node.state.view, 2u);

  scheme.checks = 0;
  node.hear_vote(0, VoteKind::skip, 2);
  node.hear_vote(1, VoteKind::skip, 2);
  node.time_out();  // its own vote is the third
  EXPECT_EQ(scheme.checks, 2u);
  EXPECT_EQ(node.state.view, 3u);
  node.hear_vote(2, VoteKind::skip, 2);
  EXPECT_EQ(scheme.checks, 2u) << "too late to matter";
}

TEST_F(Unchecked, ABadSignatureMakesNoQuorumAndItsAuthorIsPenalised) {
  node.hear(0, damaged(of(0, VoteKind::notarise, 1, a1->digest)));
  node.hear_vote(1, VoteKind::notarise, 1, a1->digest);
  EXPECT_TRUE(node.all_of<Penalise>().empty());
  node.hear_vote(2, VoteKind::notarise, 1, a1->digest);
  EXPECT_EQ(node.state.view, 1u) << "two good votes are no quorum";
  ASSERT_EQ(node.all_of<Penalise>().size(), 1u);
  EXPECT_EQ(node.all_of<Penalise>()[0].peer, signer(0).public_key());
  EXPECT_EQ(node.all_of<Penalise>()[0].offence, Offence::bad_signature);
  // The good one that comes after it counts.
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Unchecked, AGoodOneTakesThePlaceOfABadOneBeforeAnybodyNoticed) {
  node.hear(0, damaged(of(0, VoteKind::notarise, 1, a1->digest)));
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(1, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(2, VoteKind::notarise, 1, a1->digest);
  EXPECT_EQ(node.state.view, 2u);
  EXPECT_TRUE(node.all_of<Penalise>().empty());
}

TEST_F(Unchecked, CertificatesHoldGoodSignaturesAlone) {
  // Five validators: seat 4's bad vote is not needed for a quorum.
  const EpochPtr five = make_epoch({1, 1, 1, 1, 1});
  TestNode other(five, 3);
  const ProposalPtr block = make_block(*five, 1, five->anchor, "x");
  other.hear(4, damaged(make_vote(*five, 4, VoteKind::notarise, 1, block->digest)));
  for (const Seat seat : Seats{0, 1, 2}) other.hear_vote(seat, VoteKind::notarise, 1, block->digest);
  EXPECT_EQ(other.state.view, 1u);
  other.hear(0, block);  // and its own vote
  EXPECT_EQ(other.state.view, 2u);
  const auto log = other.log();
  ASSERT_FALSE(log.empty());
  ASSERT_NE(log.back().certificate, nullptr);
  EXPECT_TRUE(verify_certificate(five->chain_id, five->validators, *log.back().certificate, cheap_scheme()));
}

TEST_F(Unchecked, WhatSomebodyElseCarriesIsCheckedAtOnce) {
  node.hear(1, damaged(of(0, VoteKind::notarise, 1, a1->digest)));
  EXPECT_EQ(scheme.checks, 1u);
  ASSERT_EQ(node.latest_of<Penalise>().size(), 1u);
  EXPECT_EQ(node.latest_of<Penalise>()[0].peer, signer(1).public_key());
  node.hear(1, of(0, VoteKind::notarise, 1, a1->digest));
  EXPECT_EQ(scheme.checks, 2u);
  EXPECT_TRUE(node.latest_of<Penalise>().empty());
}

TEST_F(Unchecked, TwoThatConflictAreEvidenceWhenBothAreGood) {
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  node.hear_vote(0, VoteKind::notarise, 1, b1->digest);
  const auto reports = node.all_of<ReportEvidence>();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_TRUE(verify_evidence(reports[0].evidence, cheap_scheme()).ok());
  EXPECT_EQ(scheme.checks, 2u);
}

TEST_F(Unchecked, NoneWhenTheEarlierIsBad) {
  node.hear(0, damaged(of(0, VoteKind::skip, 1)));
  node.hear_vote(0, VoteKind::finalise, 1, a1->digest);
  EXPECT_TRUE(node.all_of<ReportEvidence>().empty());
  ASSERT_EQ(node.all_of<Penalise>().size(), 1u);
  EXPECT_EQ(node.all_of<Penalise>()[0].peer, signer(0).public_key());
}

TEST_F(Unchecked, NoneWhenTheLaterIsBad) {
  node.hear_vote(0, VoteKind::skip, 1);
  node.hear(0, damaged(of(0, VoteKind::finalise, 1, a1->digest)));
  EXPECT_TRUE(node.all_of<ReportEvidence>().empty());
  EXPECT_EQ(node.all_of<Penalise>().size(), 1u);
  // The earlier one still counts.
  node.hear_vote(1, VoteKind::skip, 1);
  node.hear_vote(2, VoteKind::skip, 1);
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Unchecked, ACertificateShowsAVoteThatConflictsWithAnUncheckedOne) {
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  node.hear(1, Message(make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 1, b1->digest)));
  const auto reports = node.all_of<ReportEvidence>();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].evidence.key, signer(0).public_key());
  EXPECT_TRUE(verify_evidence(reports[0].evidence, cheap_scheme()).ok());
}

TEST_F(Unchecked, OfACertificateOnlyWhatIsNotKnownIsChecked) {
  node.hear(0, a1);  // and its own vote
  const std::size_t before = scheme.checks;
  node.hear(1, of(0, VoteKind::notarise, 1, a1->digest));  // checked: not from its author
  EXPECT_EQ(scheme.checks, before + 1);
  node.hear(1, Message(make_certificate(*epoch, {0, 1, 3}, VoteKind::notarise, 1, a1->digest)));
  EXPECT_EQ(scheme.checks, before + 2) << "seat 1's alone";
  EXPECT_EQ(node.state.view, 2u);
}

TEST_F(Unchecked, AForgedSignatureInACertificateIsNotTakenForAKnownOne) {
  node.hear(0, a1);
  node.hear_vote(0, VoteKind::notarise, 1, a1->digest);
  auto forged =
      std::make_shared<Certificate>(*make_certificate(*epoch, {0, 1, 3}, VoteKind::notarise, 1, a1->digest));
  forged->signatures[0].bytes[0] ^= 1;
  node.hear(1, CertificatePtr(forged));
  EXPECT_EQ(node.state.view, 1u);
  EXPECT_EQ(node.latest_of<Penalise>().size(), 1u);
}

TEST_F(Unchecked, AVoteOfItsOwnKeyIsAlwaysChecked) {
  node.hear(3, damaged(of(3, VoteKind::notarise, 1, b1->digest)));
  EXPECT_TRUE(node.all_of<RetireKey>().empty());
  EXPECT_FALSE(node.state.observer);
  node.hear(3, of(3, VoteKind::notarise, 1, b1->digest));
  EXPECT_EQ(node.all_of<RetireKey>().size(), 1u);
}

}  // namespace
}  // namespace ufab::consensus
