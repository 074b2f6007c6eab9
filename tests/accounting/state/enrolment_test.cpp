// Benchmarks and faults on the ledger: what is credited, what is refuted, who gets leases.
#include <gtest/gtest.h>

#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

ChainParams bench_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 10;
  params.verify_deadline_blocks = 5;
  params.enrolment.bench_epochs = 3;
  params.enrolment.bench_ms_min = 5000;
  return params;  // a block of World takes a second
}

class BenchmarkRules : public ::testing::Test {
 protected:
  void SetUp() override {
    world.add_organisations();
    to_epoch_start();
  }
  // So that what follows happens within one epoch.
  void to_epoch_start() {
    do world.empty_blocks(1);
    while (world.state().height() % 10 != 0);
  }
  // The lane's digest as the workload would compute it.
  static Digest lane(const Digest& challenge, std::uint32_t number) {
    return digest_of("lane " + benchmark_lane_seed(challenge, number).hex());
  }
  ProviderBenchmark benchmark(OrgId org, std::uint32_t lanes = 2, std::uint64_t blocks = 6) {
    const std::uint64_t height = world.state().height();
    world.empty_blocks(blocks);
    return made_for(org, height, lanes);
  }
  ProviderBenchmark made_for(OrgId org, std::uint64_t height, std::uint32_t lanes = 2) {
    ProviderBenchmark body{height, 3, 100, {}};
    const Digest challenge = benchmark_challenge(world.state().block_mark(height)->hash, org);
    for (std::uint32_t i = 0; i < lanes; ++i) body.lanes.push_back(lane(challenge, i));
    return body;
  }
  const OrgEntry& org(OrgId id) { return *world.state().organisation(id); }
  void check(OrgId id, bool honest) {
    const BenchmarkEntry entry = *org(id).benchmark;
    ASSERT_EQ(entry.check, BenchmarkState::waiting);
    world.must(entry.verifier,
               BenchmarkCheck{id, entry.challenge_height,
                              honest ? lane(entry.challenge, entry.lane) : digest_of("other")});
  }
  World world{bench_params()};
};

TEST_F(BenchmarkRules, CreditsTheWorkOverTheTimeBetweenTheTwoBlocks) {
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), "has no benchmark yet");
  EXPECT_EQ(world.state().speed_mflops(org(beta)), 0U);
  const std::uint64_t epoch = world.state().epoch();
  world.must(beta, benchmark(beta));
  const auto credit = world.all<BenchmarkCredit>().back();
  EXPECT_EQ(credit.elapsed_us, 7'000'000U);
  EXPECT_EQ(credit.mflops, benchmark_flop_per_repeat * 100 * 2 / 7'000'000);
  EXPECT_EQ(credit.epoch_end, epoch + 3);
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), "");
  EXPECT_EQ(world.state().speed_mflops(org(beta)), 50'000U) << "the offer's claim, which is less";
  ProviderOffer offer = org(beta).provider->offer;
  offer.mflops = 1'000'000'000;
  world.must(beta, ProviderUpdate{offer});
  EXPECT_EQ(world.state().speed_mflops(org(beta)), credit.mflops) << "no more than was shown";
  offer.ranks = 1;
  world.must(beta, ProviderUpdate{offer});
  EXPECT_EQ(world.state().speed_mflops(org(beta)), credit.mflops / 2) << "half of the lanes are gone";
}

TEST_F(BenchmarkRules, RefusesWhatShowsNothing) {
  const ProviderBenchmark good = benchmark(beta);
  const auto refused = [&](ProviderBenchmark body) { return world.refused(beta, std::move(body)); };
  ProviderBenchmark body = good;
  body.lanes.push_back(body.lanes[0]);
  EXPECT_EQ(refused(body), "benchmark of beta: 3 lanes, its offer has 2 processors");
  body.lanes.clear();
  EXPECT_EQ(refused(body), "benchmark of beta: 0 lanes, its offer has 2 processors");
  body = good;
  body.repeats = 0;
  EXPECT_EQ(refused(body), "benchmark of beta: repeats must be 1 to 1000000000");
  body = good;
  body.challenge_height = world.state().height() - 2;
  EXPECT_EQ(refused(body), "benchmark of beta: it took 3000 ms, at least 5000 are needed to tell");
  body.challenge_height = world.state().height() + 7;
  EXPECT_NE(refused(body).find("is not among the last 2048"), std::string::npos);
  EXPECT_EQ(world.refused(chain_org, good), "benchmark of chain: it has no provider enrolled");
  world.must(beta, good);
  to_epoch_start();
  EXPECT_EQ(refused(good), "benchmark of beta: its challenge is not newer than the last one's");
  World plain;
  plain.add_organisations();
  EXPECT_EQ(plain.refused(beta, good), "benchmark of beta: this chain asks for none");
}

TEST_F(BenchmarkRules, AChallengeTooOldIsRefused) {
  ChainParams params = bench_params();
  params.enrolment.bench_window_blocks = 8;
  World small(params);
  small.add_organisations();
  const std::uint64_t height = small.state().height();
  small.empty_blocks(9);
  EXPECT_NE(
      small.refused(beta, ProviderBenchmark{height, 3, 100, {digest_of("x")}}).find("not among the last 8"),
      std::string::npos);
}

TEST_F(BenchmarkRules, TheVerifierAndLaneAreDrawnInTheBlockAfter) {
  world.must(beta, benchmark(beta));
  EXPECT_EQ(org(beta).benchmark->check, BenchmarkState::drawing);
  EXPECT_TRUE(world.all<BenchmarkDuty>().empty());
  world.empty_blocks(1);
  const BenchmarkDuty duty = world.all<BenchmarkDuty>().back();
  EXPECT_NE(duty.verifier, beta);
  EXPECT_NE(duty.verifier, 0U);
  EXPECT_LT(duty.lane, 2U);
  const OrgId other = duty.verifier == gamma ? delta : gamma;
  const BenchmarkCheck body{beta, duty.challenge_height, digest_of("x")};
  EXPECT_NE(world.refused(other, body).find("its verifier is"), std::string::npos);
  check(beta, true);
  EXPECT_EQ(org(beta).benchmark->check, BenchmarkState::good);
  EXPECT_TRUE(world.all<Fault>().empty());
  EXPECT_NE(world.refused(duty.verifier, body).find("it does not wait for a check"), std::string::npos);
  (void)world.replica();
}

TEST_F(BenchmarkRules, ARefutedOneIsVoidAndSuspends) {
  world.must(beta, benchmark(beta));
  world.empty_blocks(1);
  check(beta, false);
  const Fault fault = world.all<Fault>().back();
  EXPECT_EQ(fault.organisation, beta);
  EXPECT_EQ(fault.kind, FaultKind::benchmark_refuted);
  EXPECT_EQ(world.state().speed_mflops(org(beta)), 0U);
  EXPECT_EQ(org(beta).standing.status, StandingStatus::good) << "judged at the start of the next block";
  const std::uint64_t until = world.state().epoch() + 10;
  world.empty_blocks(1);
  EXPECT_EQ(org(beta).standing.status, StandingStatus::suspended);
  EXPECT_EQ(world.all<StandingChange>().back().until_epoch, until);
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), "is suspended until epoch " + std::to_string(until));
  (void)world.replica();
}

TEST_F(BenchmarkRules, TheOneAfterARefutedOneCountsOnlyOnceItIsChecked) {
  world.must(beta, benchmark(beta));
  world.empty_blocks(1);
  check(beta, false);
  world.empty_blocks(1);
  ASSERT_EQ(org(beta).standing.status, StandingStatus::suspended);
  for (int epoch = 0; epoch < 20 && org(beta).standing.status == StandingStatus::suspended; ++epoch)
    to_epoch_start();
  world.must(beta, benchmark(beta));
  EXPECT_EQ(world.state().speed_mflops(org(beta)), 0U);
  EXPECT_EQ(world.state().lease_obstacle(org(beta)),
            "has a benchmark that counts once it is checked: the one before was refuted");
  world.empty_blocks(1);
  check(beta, true);
  EXPECT_GT(world.state().speed_mflops(org(beta)), 0U);
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), "");
  to_epoch_start();
  world.must(beta, benchmark(beta));
  EXPECT_GT(world.state().speed_mflops(org(beta)), 0U) << "trusted again until it is refuted";
  (void)world.replica();
}

TEST_F(BenchmarkRules, NoneReplacesOneThatWaitsForItsCheck) {
  world.must(beta, benchmark(beta));
  to_epoch_start();
  const ProviderBenchmark next = made_for(beta, world.state().height() - 6);
  EXPECT_EQ(org(beta).benchmark->check, BenchmarkState::waiting);
  EXPECT_EQ(world.refused(beta, next), "benchmark of beta: the one before waits for its check");
  check(beta, true);
  world.must(beta, next);
}

TEST_F(BenchmarkRules, ALateVerifierIsAtFaultAndAnotherOneIsDrawn) {
  world.must(beta, benchmark(beta));
  world.empty_blocks(1);
  const OrgId first = org(beta).benchmark->verifier;
  world.empty_blocks(40);
  const Fault fault = world.all<Fault>()[0];
  EXPECT_EQ(fault.organisation, first);
  EXPECT_EQ(fault.kind, FaultKind::verification_missed);
  EXPECT_EQ(world.all<BenchmarkDuty>().size(), 3U) << "three rounds, each with another verifier";
  EXPECT_NE(world.all<BenchmarkDuty>()[1].verifier, first);
  EXPECT_EQ(org(beta).benchmark->check, BenchmarkState::unchecked);
  (void)world.replica();
}

TEST_F(BenchmarkRules, ExpiryStopsLeasesAndRenewalBringsThemBack) {
  for (const OrgId id : {alpha, beta}) {
    world.must(id, benchmark(id));
    to_epoch_start();
    check(id, true);
  }
  world.empty_blocks(20);
  EXPECT_FALSE(world.state().benchmark_valid(org(beta)) && world.state().benchmark_valid(org(alpha)));
  world.empty_blocks(20);
  const std::string reason =
      "has no valid benchmark since epoch " + std::to_string(org(beta).benchmark->epoch_end);
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), reason);
  const auto faults = world.all<Fault>();
  ASSERT_EQ(faults.size(), 2U) << "once each";
  EXPECT_EQ(faults[1].kind, FaultKind::benchmark_expired);
  world.must(alpha, World::order());
  EXPECT_EQ(world.refused(alpha, JobAttempt{1, 1, 0, {{beta, 0, 6}}, ""}),
            "attempt 1 of job 1: beta " + reason);
  to_epoch_start();
  world.must(beta, benchmark(beta));
  EXPECT_EQ(world.state().lease_obstacle(org(beta)), "");
  world.attempt(alpha, 1, {{beta, 0, 6}});
  EXPECT_EQ(world.job(1).phase, JobPhase::running);
  (void)world.replica();
}

class FaultRules : public ::testing::Test {
 protected:
  void SetUp() override { world.add_organisations(); }
  JobId ordered(OrgId owner, JobOrder order = World::order()) {
    world.must(owner, order);
    return world.state().job_last();
  }
  void plan(JobId job, const std::vector<Share>& shares) {
    const JobEntry& entry = world.job(job);
    const auto number = static_cast<std::uint32_t>(entry.attempts.size() + 1);
    world.must(entry.owner,
               JobAttempt{job, number, entry.windows_complete, shares, number == 1 ? "" : "again"});
  }
  World world;
};

TEST_F(FaultRules, ALeaseThatDoesNotComeIsAFaultOfThoseWhoDidNotSign) {
  const JobId job = ordered(alpha);
  const std::vector<Share> shares{{alpha, 0, 1}, {beta, 1, 2}, {gamma, 3, 3}};
  plan(job, shares);
  world.must(gamma, world.lease(job, shares[2]));
  world.empty_blocks(12);
  EXPECT_TRUE(world.all<Fault>().empty()) << "the deadline is 15 s, a block takes one";
  world.empty_blocks(12);
  const auto faults = world.all<Fault>();
  ASSERT_EQ(faults.size(), 1U) << "not the owner itself, and once for an attempt";
  EXPECT_EQ(faults[0].organisation, beta);
  EXPECT_EQ(faults[0].kind, FaultKind::lease_missed);
  EXPECT_EQ(faults[0].job, job);
  EXPECT_EQ(faults[0].by, alpha);
  EXPECT_EQ(world.state().organisation(beta)->standing.points, 10U);
  world.must(beta, world.lease(job, shares[1]));
  world.must(alpha, world.lease(job, shares[0]));
  EXPECT_EQ(world.job(job).phase, JobPhase::running) << "it may still come";
  (void)world.replica();
}

TEST_F(FaultRules, AnOwnerThatIsQuickOrAsksTheImpossibleMakesNoFault) {
  const JobId quick = ordered(alpha);
  plan(quick, {{beta, 0, 6}});
  plan(quick, {{gamma, 0, 6}});
  JobOrder cheap = World::order();
  cheap.price_max_per_tflop = 1;
  plan(ordered(alpha, cheap), {{beta, 0, 6}});
  world.must(alpha, Cancel{quick, JobResult::cancelled, "changed my mind"});
  world.empty_blocks(40);
  EXPECT_TRUE(world.all<Fault>().empty());
}

TEST_F(FaultRules, AProviderThatIsFullLetsOthersWaitWithoutFaultAndHasTheWholeTimeOnceItIsNot) {
  const JobId running = world.start_job(delta, {{beta, 0, 6}});  // all that beta has
  const JobId waits = ordered(alpha);
  plan(waits, {{beta, 0, 6}});
  const JobId gang = ordered(alpha);  // gamma has room, but a gang starts whole or not at all
  plan(gang, {{beta, 0, 3}, {gamma, 3, 3}});
  world.empty_blocks(80);
  EXPECT_TRUE(world.all<Fault>().empty());
  world.must(delta, Cancel{running, JobResult::cancelled, "enough"});
  world.must(alpha, Cancel{gang, JobResult::cancelled, "enough"});
  ASSERT_EQ(world.job(running).phase, JobPhase::settled);
  world.empty_blocks(12);
  EXPECT_TRUE(world.all<Fault>().empty()) << "it has had room for 13 s only";
  world.empty_blocks(25);
  const auto faults = world.all<Fault>();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].organisation, beta);
  EXPECT_EQ(faults[0].job, waits);
  (void)world.replica();
}

TEST_F(FaultRules, WhoIsAskedForMoreThanItOffersMakesNoFault) {
  JobOrder large = World::order();
  large.slots = 3;
  plan(ordered(alpha, large), {{beta, 0, 6}});
  JobOrder wide = World::order();
  wide.memory_mib = 1025;
  plan(ordered(alpha, wide), {{gamma, 0, 6}});
  world.empty_blocks(60);
  EXPECT_TRUE(world.all<Fault>().empty());
  (void)world.replica();
}

TEST_F(FaultRules, AMemberWhoseReceiptsStayAwayIsAtFaultWhenTheAttemptIsGivenUp) {
  const std::vector<Share> shares{{beta, 0, 3}, {gamma, 3, 3}};
  const JobId job = world.start_job(alpha, shares);
  world.file_window(job, 0);
  world.must(beta, ReceiptBatch::of({world.receipt(job, beta, 1)}));
  const JobId other = world.start_job(delta, shares);
  world.must(beta, ReceiptBatch::of({world.receipt(other, beta, 0)}));
  plan(other, {{beta, 0, 6}});
  world.must(beta, world.lease(other, {beta, 0, 6}));
  EXPECT_TRUE(world.all<Fault>().empty()) << "its owner gave up too early to tell";
  world.empty_blocks(20);
  plan(job, {{beta, 0, 6}});
  const auto faults = world.all<Fault>();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].organisation, gamma);
  EXPECT_EQ(faults[0].kind, FaultKind::receipts_missing);
  (void)world.replica();
}

TEST_F(FaultRules, WhoNeverTakesUpLeasesIsSuspendedAndWhatRunsIsPaidAllTheSame) {
  JobOrder order = World::order();
  order.budget = 61 * micro_per_unc;
  const JobId running = ordered(delta, order);
  plan(running, {{beta, 0, 6}});
  Lease half = world.lease(running, {beta, 0, 6});
  half.ranks = 1;  // of two: there is room for another
  world.must(beta, half);
  // An owner counts once an epoch.
  for (int i = 0; i < 8 && may_lease(world.state().organisation(beta)->standing); ++i) {
    const JobId job = ordered(i % 2 == 0 ? alpha : gamma);
    plan(job, {{beta, 0, 6}});
    world.empty_blocks(30);
    world.must(world.job(job).owner, Cancel{job, JobResult::cancelled, "no lease"});
  }
  EXPECT_EQ(world.state().organisation(beta)->standing.status, StandingStatus::suspended);
  const JobId job = ordered(alpha);
  EXPECT_NE(
      world.refused(alpha, JobAttempt{job, 1, 0, {{beta, 0, 6}}, ""}).find("beta is suspended until epoch"),
      std::string::npos);
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(running, window);
  world.vote_all_good(running);
  EXPECT_EQ(world.job(running).phase, JobPhase::settled);
  EXPECT_EQ(world.all<Settlement>().back().payments[0].organisation, beta);
  while (!may_lease(world.state().organisation(beta)->standing)) world.empty_blocks(50);
  world.attempt(alpha, job, {{beta, 0, 6}});
  EXPECT_EQ(world.job(job).phase, JobPhase::running) << "it came back";
  (void)world.replica();
}

TEST_F(FaultRules, LeavingClearsNothingAndAnExpelledProviderEnrolsLaterOnTheLastStep) {
  ChainParams params = World::small_params();
  params.epoch_blocks = 4;
  params.enrolment.points_lease_missed = 100;
  params.enrolment.suspension_epochs = 1;
  params.enrolment.suspensions_max = 1;
  World strict(params);
  strict.add_organisations();
  const auto miss = [&] {
    strict.must(alpha, World::order());
    const JobId job = strict.state().job_last();
    strict.must(alpha, JobAttempt{job, 1, 0, {{beta, 0, 6}}, ""});
    strict.empty_blocks(24);
    strict.must(alpha, Cancel{job, JobResult::cancelled, "no lease"});
  };
  const auto standing = [&]() -> const Standing& { return strict.state().organisation(beta)->standing; };
  const ProviderEnrol again{strict.state().organisation(beta)->provider->offer};
  miss();
  EXPECT_EQ(standing().step, 1U);
  strict.must(beta, ProviderActionRecord{ProviderAction::leave, ""});
  strict.must(beta, again);
  EXPECT_EQ(standing().step, 1U) << "leaving is no way around it";
  strict.empty_blocks(8);
  miss();
  ASSERT_EQ(standing().status, StandingStatus::expelled);
  EXPECT_EQ(strict.state().organisation(beta)->provider->status, ProviderStatus::left);
  if (strict.state().epoch() < standing().until_epoch) {
    EXPECT_NE(strict.refused(beta, again).find("may enrol again in epoch"), std::string::npos);
  }
  strict.empty_blocks(12);
  strict.must(beta, again);
  EXPECT_EQ(standing().status, StandingStatus::warned);
  EXPECT_EQ(standing().step, 1U);
  (void)strict.replica();
}

TEST(SetParam, SetsByNameAtAnyDepthAndSaysWhatIsWrong) {
  ChainParams params;
  EXPECT_TRUE(set_param(params, "epoch_blocks", "7").ok());
  EXPECT_TRUE(set_param(params, "bench_epochs", "5").ok());
  EXPECT_TRUE(set_param(params, "enrolment.points_warn", "3").ok());
  EXPECT_EQ(params.epoch_blocks, 7U);
  EXPECT_EQ(params.enrolment.bench_epochs, 5U);
  EXPECT_EQ(params.enrolment.points_warn, 3U);
  EXPECT_EQ(set_param(params, "colour", "3").error().message, "a chain has no parameter 'colour'");
  for (const char* value : {"", "-1", "1.5", "x", "18446744073709551616"}) {
    EXPECT_FALSE(set_param(params, "epoch_blocks", value).ok()) << value;
  }
  params.enrolment.points_warn = params.enrolment.points_suspend;
  EXPECT_FALSE(check_params(params).ok());
}

}  // namespace
}  // namespace ufab::test
