// Four validators of weight 1, and blocks of the first two views.
#pragma once

#include <gtest/gtest.h>

#include "tests/accounting/consensus/harness.h"

namespace ufab::consensus {

class SimplexFixture : public ::testing::Test {
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

}  // namespace ufab::consensus
