// What a dishonest organisation can try, and what the ledger then shows. In each case it earns nothing for
// it.
#include <gtest/gtest.h>

#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

const std::vector<Share> three{{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}};

class Dishonest : public ::testing::Test {
 protected:
  void SetUp() override {
    world.add_organisations();
    JobOrder order = World::order();
    order.verify_rate_ppm = 1'000'000;
    job = world.start_job(alpha, three, order);
    world.file_window(job, 0);
  }
  std::string refused_receipt(OrgId signer, Receipt receipt) {
    const std::string reason = world.refused(signer, ReceiptBatch::of({receipt}));
    if (!reason.empty()) {
      // The ledger shows why.
      EXPECT_EQ(world.all<Refusal>().back().reason, reason);
    }
    return reason;
  }
  World world;
  JobId job = 0;
};

TEST_F(Dishonest, AReceiptTwiceIsRefused) {
  EXPECT_EQ(refused_receipt(beta, world.receipt(job, beta, 0)),
            "receipt for window 0 of job 1 by beta: there is one already: a window is paid once");
  EXPECT_EQ(
      world.refused(beta, ReceiptBatch::of({world.receipt(job, beta, 1), world.receipt(job, beta, 1)})),
      "receipt for window 1 of job 1 by beta: the receipts of a batch must be in window order without a gap");
}

TEST_F(Dishonest, SomebodyElsesReceiptIsRefused) {
  EXPECT_EQ(refused_receipt(beta, world.receipt(job, gamma, 1)),
            "receipt for window 1 of job 1 by gamma: it was submitted by beta");
  world.must(gamma, ReceiptBatch::of({world.receipt(job, gamma, 1)}));
  Receipt copied = world.receipt(job, beta, 1);
  copied.contribution_root = world.receipt(job, gamma, 1).contribution_root;
  EXPECT_EQ(refused_receipt(beta, copied),
            "receipt for window 1 of job 1 by beta: its contribution root is that of gamma");
}

TEST_F(Dishonest, AnOutsidersReceiptIsRefused) {
  EXPECT_EQ(refused_receipt(delta, world.receipt(job, delta, 1)),
            "receipt for window 1 of job 1 by delta: it has no lease for this attempt");
}

TEST_F(Dishonest, InflatedWorkIsRefused) {
  Receipt receipt = world.receipt(job, beta, 1);
  receipt.work_flop += 1;
  EXPECT_EQ(
      refused_receipt(beta, receipt),
      "receipt for window 1 of job 1 by beta: it claims 60000000000001 flop, its share of the window is "
      "60000000000000");
}

TEST_F(Dishonest, AStaleCheckpointIsRefused) {
  Receipt receipt = world.receipt(job, beta, 1);
  receipt.start_digest = World::parameters(job, 0);
  const std::string reason = refused_receipt(beta, receipt);
  EXPECT_TRUE(reason.starts_with("receipt for window 1 of job 1 by beta: stale checkpoint: it starts from"))
      << reason;
}

TEST_F(Dishonest, ACountersignatureOfAnotherReceiptIsRefused) {
  world.must(gamma, ReceiptBatch::of({world.receipt(job, gamma, 1)}));
  EXPECT_EQ(world.refused(beta, Countersignature{job, 1, {{1, gamma, digest_of("other")}}}),
            "countersignature of beta for job 1: the receipt of gamma for window 1 is another one");
}

TEST_F(Dishonest, AWindowThatNobodyCountersignsIsNotPaid) {
  for (const OrgId org : {alpha, beta, gamma}) {
    world.must(org, ReceiptBatch::of({world.receipt(job, org, 1)}));
  }
  EXPECT_EQ(world.job(job).windows_complete, 1U);
}

// The verifier names beta, first wrong at step 5, micro-batch 2.
TEST_F(Dishonest, AWrongGradientIsConvictedSlashedAndComputedAgainElsewhere) {
  for (std::uint64_t window = 1; window < 5; ++window) world.file_window(job, window);
  ASSERT_EQ(world.assigned(job), (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
  const OrgId verifier = world.job(job).windows.at(2).verifier;
  EXPECT_TRUE(verifier == delta || verifier == chain_org);
  Vote vote = world.honest_vote(job, 2);
  vote.end_digest = digest_of("the right parameters");
  EXPECT_EQ(world.refused(verifier, vote),
            "vote of " + world.state().organisation(verifier)->name +
                " on window 2 of job 1: the digests differ, but it blames nobody");
  vote.findings[1] = {beta, true, 5, 2};
  const MicroUnc alpha_before = world.state().balance(alpha);
  const MicroUnc gamma_before = world.state().balance(gamma);
  world.must(verifier, vote);
  const Verdict verdict = world.all<Verdict>().back();
  EXPECT_FALSE(verdict.good);
  EXPECT_EQ(verdict.windows_void, 3U);
  EXPECT_EQ(verdict.findings[1].step, 5U);
  EXPECT_EQ(verdict.findings[1].micro_batch, 2U);
  const Slash slash = world.all<Slash>().back();
  EXPECT_EQ(slash.organisation, beta);
  EXPECT_EQ(slash.from_stake, 40 * micro_per_unc);  // 20 % of 200 UNC
  // Three void windows of 2 steps × 10 TFLOP × 1000 micro-UNC: alpha 60,000 and gamma 120,000.
  EXPECT_EQ(world.state().balance(alpha), alpha_before + 60'000);
  EXPECT_EQ(world.state().balance(gamma), gamma_before + 120'000);
  EXPECT_EQ(slash.burned, 40 * micro_per_unc - 180'000);
  EXPECT_EQ(world.state().organisation(beta)->score, 0U);
  // The windows before it still wait for their votes; then the job needs another attempt.
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::requeue);
  EXPECT_EQ(world.job(job).windows_complete, 2U);
  EXPECT_EQ(world.refused(alpha, JobAttempt{job, 2, 2, three, "again"}),
            "attempt 2 of job 1: beta was convicted in this job");
  world.attempt(alpha, job, {{alpha, 0, 3}, {gamma, 3, 3}});
  const MicroUnc beta_before = world.state().balance(beta);
  for (std::uint64_t window = 2; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  const Settlement& done = *world.job(job).settlement;
  EXPECT_TRUE(done.verified);
  EXPECT_EQ(done.final_digest, World::parameters(job, 5));
  // beta is paid for the two windows that stood, and for nothing else.
  EXPECT_EQ(world.state().balance(beta), beta_before + 2 * 2 * 3 * 10 * 1000);
  EXPECT_EQ(done.windows_paid, 5U);
  EXPECT_TRUE(world.state().accounts().recount());
}

TEST_F(Dishonest, ADifferentDigestIsADisputeThatIsJudgedAtOnce) {
  Receipt lie = world.receipt(job, beta, 1);
  lie.end_digest = digest_of("a lie");
  world.must(alpha, ReceiptBatch::of({world.receipt(job, alpha, 1)}));
  world.must(beta, ReceiptBatch::of({lie}));
  ASSERT_EQ(world.job(job).phase, JobPhase::validating);
  EXPECT_TRUE(world.all<Validation>().back().disputed);
  Vote vote = world.honest_vote(job, 1);
  vote.findings[1] = {beta, true, 3, 1};
  world.must(world.job(job).windows.at(1).verifier, vote);
  EXPECT_EQ(world.job(job).phase, JobPhase::requeue);
  EXPECT_EQ(world.job(job).windows_complete, 1U);
  EXPECT_EQ(world.all<Slash>().back().organisation, beta);
}

TEST_F(Dishonest, AJobCancelledInADisputePaysForNothingThatNobodyChecked) {
  Receipt lie = world.receipt(job, beta, 1);
  lie.end_digest = digest_of("a lie");
  world.must(alpha, ReceiptBatch::of({world.receipt(job, alpha, 1)}));
  world.must(beta, ReceiptBatch::of({lie}));
  world.must(alpha, Cancel{job, JobResult::cancelled, "enough"});
  Vote vote = world.honest_vote(job, 1);
  vote.findings[1] = {beta, true, 3, 1};
  world.must(world.job(job).windows.at(1).verifier, vote);
  // Window 0 is complete, and was not drawn so far.
  ASSERT_EQ(world.job(job).phase, JobPhase::validating);
  ASSERT_EQ(world.assigned(job), (std::vector<std::uint64_t>{0}));
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  const Settlement& done = *world.job(job).settlement;
  EXPECT_EQ(done.result, JobResult::cancelled);
  EXPECT_EQ(done.windows_paid, 1U);
  EXPECT_TRUE(done.verified);
}

TEST_F(Dishonest, OnlyTheAssignedVerifierMayVoteAndOnlyOnce) {
  for (std::uint64_t window = 1; window < 5; ++window) world.file_window(job, window);
  const OrgId verifier = world.job(job).windows.at(0).verifier;
  EXPECT_TRUE(world.refused(gamma, world.honest_vote(job, 0))
                  .starts_with("vote of gamma on window 0 of job 1: "
                               "its verifier is "));
  const Vote vote = world.honest_vote(job, 0);
  world.must(verifier, vote);
  EXPECT_NE(world.refused(verifier, vote), "");
}

TEST_F(Dishonest, AVerifierThatBlamesAMemberDespiteEqualDigestsIsRefused) {
  for (std::uint64_t window = 1; window < 5; ++window) world.file_window(job, window);
  Vote vote = world.honest_vote(job, 0);
  vote.findings[1] = {beta, true, 0, 1};
  EXPECT_NE(world.refused(world.job(job).windows.at(0).verifier, vote), "");
}

TEST_F(Dishonest, AVerifierThatWasLateAndIsAskedAgainMayStillVote) {
  for (std::uint64_t window = 1; window < 5; ++window) world.file_window(job, window);
  world.empty_blocks(40);
  ASSERT_EQ(world.job(job).phase, JobPhase::validating);
  ASSERT_EQ(world.job(job).verifiers_late.size(), 2U);
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  EXPECT_TRUE(world.job(job).settlement->verified);
}

TEST_F(Dishonest, ASilentVerifierIsReplacedAndScoredDown) {
  for (std::uint64_t window = 1; window < 5; ++window) world.file_window(job, window);
  const OrgId first = world.job(job).windows.at(0).verifier;
  // The draw may give all windows to one verifier, or some to each of the two that there are.
  const auto asked = [&] {
    std::set<OrgId> verifiers;
    for (const std::uint64_t window : world.assigned(job))
      verifiers.insert(world.job(job).windows.at(window).verifier);
    return verifiers.size();
  };
  const std::size_t asked_first = asked();
  world.empty_blocks(20);
  ASSERT_EQ(world.job(job).verifiers_late.size(), asked_first);
  if (asked_first == 1) {
    EXPECT_NE(world.job(job).windows.at(0).verifier, first);
  }
  const std::size_t asked_second = asked();
  EXPECT_EQ(world.all<Validation>().size(), 2U);
  // On the ledger, because the state counts missed duties for the present epoch only.
  const auto missed = [&] {
    std::uint64_t sum = 0;
    for (const Fault& fault : world.all<Fault>()) {
      sum += fault.kind == FaultKind::verification_missed && fault.job == job ? 1U : 0U;
    }
    return sum;
  };
  EXPECT_EQ(missed(), asked_first);
  world.empty_blocks(20);  // nobody else is left to ask: those that were late are asked again
  ASSERT_EQ(world.job(job).phase, JobPhase::validating);
  EXPECT_EQ(world.all<Validation>().size(), 3U);
  EXPECT_EQ(missed(), asked_first + asked_second);
  world.empty_blocks(40);  // four rounds without a vote: it settles unverified
  EXPECT_EQ(world.all<Validation>().size(), 4U);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  EXPECT_FALSE(world.job(job).settlement->verified);
  EXPECT_EQ(world.state().organisation(beta)->verified_mflop, 0U);
}

}  // namespace
}  // namespace ufab::test
