// What orders say about size and time, leases that are given back, and the processor time that jobs have
// held.
#include <gtest/gtest.h>

#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

const Share half_alpha{alpha, 0, 3};
const Share half_beta{beta, 3, 3};

std::uint64_t used(const World& world, OrgId org) {
  std::uint64_t sum = 0;
  for (const PeriodUse& use : world.state().organisation(org)->used) sum += use.slot_s;
  return sum;
}

JobOrder script_order() {
  JobOrder order;
  order.kind = JobKind::batch;
  order.name = "script";
  order.script_digest = digest_of("script");
  order.price_max_per_cpu_hour = 1'000'000;
  order.budget = 10 * micro_per_unc;
  return order;
}

TEST(Occupation, AnOrderThatAsksForNothingOrForMoreThanAnyMachineHasIsRefused) {
  World world;
  world.add_organisations();
  JobOrder order = World::order();
  order.slots = 0;
  EXPECT_EQ(world.refused(alpha, order), "job order: 0 slots: expected 1 to 1048576");
  order.slots = (1U << 20) + 1;
  EXPECT_EQ(world.refused(alpha, order), "job order: 1048577 slots: expected 1 to 1048576");
  order.slots = 1U << 20;
  order.time_limit_s = (1ULL << 32) + 1;
  EXPECT_EQ(world.refused(alpha, order),
            "job order: memory_mib, time_limit_s, nice or begin_us is out of range");
  order.time_limit_s = 1ULL << 32;
  EXPECT_EQ(world.refused(alpha, order), "");
}

TEST(Occupation, TimeOnProcessorsIsChargedToTheOwnerFromLeaseToEnd) {
  World world;  // a block a second; each lease is of two processors
  world.add_organisations();
  world.must(gamma, script_order());
  const JobId job = world.state().job_last();
  world.must(gamma, JobAttempt{job, 1, 0, {{alpha, 0, 0}}, ""});
  EXPECT_EQ(world.job(job).attempts.back().running_us(), 0U);
  world.must(alpha, world.lease(job, {alpha, 0, 0}));
  EXPECT_EQ(world.job(job).attempts.back().running_us(), world.state().time_us());
  world.empty_blocks(9);
  EXPECT_EQ(used(world, gamma), 0U) << "while it runs, whoever looks counts for himself";
  UsageReceipt usage;
  usage.job = job;
  usage.attempt = 1;
  usage.cpu_us = 1'000'000;
  usage.wall_us = 1'000'000;
  world.must(alpha, usage);
  EXPECT_EQ(used(world, gamma), 2U * 10) << "not what anybody says that it used";
  world.empty_blocks(30);  // the countersignature's deadline: it settles
  EXPECT_EQ(world.job(job).phase, JobPhase::settled);
  EXPECT_EQ(used(world, gamma), 2U * 10) << "once";
  EXPECT_EQ(used(world, alpha), 0U);
}

TEST(Occupation, ALeaseMayBeGivenBackUntilTheGangIsWholeAndIsCharged) {
  World world;
  world.add_organisations();
  world.must(gamma, World::order());
  const JobId job = world.state().job_last();
  world.must(gamma, JobAttempt{job, 1, 0, {half_alpha, half_beta}, ""});
  EXPECT_EQ(world.refused(alpha, LeaseReturn{job, 1, "none yet"}),
            "lease return of alpha for job 1: it has no lease");
  world.must(alpha, world.lease(job, half_alpha));
  EXPECT_EQ(world.state().organisation(alpha)->provider->leases_open, 1U);
  world.empty_blocks(4);
  EXPECT_EQ(world.refused(beta, LeaseReturn{job, 1, "not mine"}),
            "lease return of beta for job 1: it has no lease");
  world.must(alpha, LeaseReturn{job, 1, "another job comes first"});
  EXPECT_EQ(world.state().organisation(alpha)->provider->leases_open, 0U);
  EXPECT_FALSE(world.job(job).attempts.back().members[0].leased);
  EXPECT_EQ(used(world, gamma), 2U * 6) << "five blocks between, and the refusal's own";
  world.must(beta, world.lease(job, half_beta));
  world.must(alpha, world.lease(job, half_alpha));  // again
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  EXPECT_EQ(world.refused(alpha, LeaseReturn{job, 1, "too late"}),
            "lease return of alpha for job 1: attempt 1 is not waiting for leases");
}

TEST(Occupation, ANewAttemptEndsTheOldOnesOccupation) {
  World world;
  world.add_organisations();
  const JobId job = world.start_job(gamma, {half_alpha, half_beta});
  const std::uint64_t began_us = world.job(job).attempts[0].running_us();
  world.empty_blocks(5);
  world.must(gamma, JobAttempt{job, 2, 0, {{alpha, 0, 6}}, "requeued"});
  EXPECT_EQ(world.job(job).attempts[0].ended_us, world.state().time_us());
  EXPECT_EQ(world.job(job).attempts[0].ended_us - began_us, 6'000'000U);
  EXPECT_EQ(used(world, gamma), 2U * 7 + 2U * 6) << "alpha leased a block before beta";
}

TEST(Occupation, TimeIsKeptByPeriodAndForgottenAfterAWeek) {
  ChainParams params = World::small_params();
  params.verify_deadline_blocks = params.countersign_deadline_blocks = 1'000'000;
  World world(params);
  world.add_organisations();
  const std::uint64_t period_blocks = use_period_us / 1'000'000;
  for (std::size_t i = 0; i < use_periods_max + 2; ++i) {
    world.must(gamma, script_order());
    const JobId job = world.state().job_last();
    world.must(gamma, JobAttempt{job, 1, 0, {{alpha, 0, 0}}, ""});
    world.must(alpha, world.lease(job, {alpha, 0, 0}));
    world.must(gamma, JobAttempt{job, 2, 0, {{alpha, 0, 0}}, "again"});
    world.pass(period_blocks * 1'000'000);
  }
  const std::vector<PeriodUse>& periods = world.state().organisation(gamma)->used;
  ASSERT_EQ(periods.size(), use_periods_max);
  for (std::size_t i = 1; i < periods.size(); ++i) EXPECT_LT(periods[i - 1].period, periods[i].period);
  for (const PeriodUse& use : periods) EXPECT_EQ(use.slot_s, 2U);
}

TEST(Occupation, TheJobsInProgressAreThoseWithAnAttemptThatHaveNotSettled) {
  World world;
  world.add_organisations();
  world.must(gamma, script_order());
  world.must(gamma, script_order());
  const JobId second = world.state().job_last();
  EXPECT_TRUE(world.state().jobs_in_progress().empty());
  world.must(gamma, JobAttempt{second, 1, 0, {{alpha, 0, 0}}, ""});
  EXPECT_EQ(world.state().jobs_in_progress(), (std::set<JobId>{second}));
  world.must(gamma, Cancel{second, JobResult::cancelled, "enough"});
  EXPECT_TRUE(world.state().jobs_in_progress().empty());
  const JobId third = world.start_job(alpha, {half_alpha, half_beta});
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(third, window);
  EXPECT_EQ(world.job(third).phase, JobPhase::validating);
  EXPECT_EQ(world.state().jobs_in_progress(), (std::set<JobId>{third}));
  EXPECT_EQ(world.replica().state().jobs_in_progress(), (std::set<JobId>{third}));
  world.vote_all_good(third);
  EXPECT_TRUE(world.state().jobs_in_progress().empty());
}

}  // namespace
}  // namespace ufab::test
