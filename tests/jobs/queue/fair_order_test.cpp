#include "jobs/queue/fair_order.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

namespace ufab::jobs {
namespace {

using Order = std::vector<std::uint32_t>;

TEST(FairOrder, OrganisationsWithEqualUseTakeTurnsHoweverManyJobsOneHas) {
  std::vector<FairJob> jobs;
  for (std::uint64_t i = 0; i < 6; ++i) jobs.push_back({0, 60, 0, 100, i + 1});
  for (std::uint64_t i = 0; i < 2; ++i) jobs.push_back({1, 60, 0, 500, i + 7});
  const std::vector<ShareUse> owners{{1, 0}, {1, 0}};
  EXPECT_EQ(fair_order(jobs, owners), (Order{0, 6, 1, 7, 2, 3, 4, 5}));
}

TEST(FairOrder, WhoHasUsedMoreWaitsUntilTheOtherHasCaughtUp) {
  std::vector<FairJob> jobs;
  for (std::uint64_t i = 0; i < 4; ++i) jobs.push_back({0, 60, 0, 100, i + 1});
  for (std::uint64_t i = 0; i < 4; ++i) jobs.push_back({1, 60, 0, 500, i + 5});
  EXPECT_EQ(fair_order(jobs, std::vector<ShareUse>{{1, 130}, {1, 0}}), (Order{4, 5, 6, 0, 7, 1, 2, 3}));
  // Two shares against one: two turns to one.
  EXPECT_EQ(fair_order(jobs, std::vector<ShareUse>{{1, 0}, {2, 0}}), (Order{0, 4, 5, 1, 6, 7, 2, 3}));
  EXPECT_EQ(fair_order(jobs, std::vector<ShareUse>{{0, 0}, {1, 999}}), (Order{4, 5, 6, 7, 0, 1, 2, 3}));
}

TEST(FairOrder, NiceAndAgeOrderAnOrganisationsOwnJobsOnly) {
  const std::vector<FairJob> jobs{
      {0, 60, 5, 100, 1}, {0, 60, 0, 300, 2}, {0, 60, 0, 200, 3}, {1, 60, 99, 400, 4}};
  EXPECT_EQ(fair_order(jobs, std::vector<ShareUse>{{1, 10}, {1, 0}}), (Order{3, 2, 1, 0}));
}

TEST(FairOrder, AChargeThatCannotBeAddedStandsStillAtTheMost) {
  EXPECT_EQ(slot_seconds(2, 30), 60U);
  EXPECT_EQ(slot_seconds(2, 0), 7200U);
  EXPECT_EQ(slot_seconds(UINT64_MAX, time_never), UINT64_MAX);
}

// Whatever the jobs: each is there once, and at each place no other organisation with a job left has used
// less, the places before counted in, than the one that is served.
TEST(FairOrder, NobodyIsServedWhileAnotherHasUsedLess) {
  EXPECT_TRUE(rc::check("fair order", [] {
    std::vector<ShareUse> owners(*rc::gen::inRange<std::size_t>(1, 5));
    for (ShareUse& owner : owners) {
      owner.shares = *rc::gen::inRange<std::uint32_t>(1, 4);
      owner.usage = *rc::gen::inRange<std::uint64_t>(0, 1000);
    }
    std::vector<FairJob> jobs(*rc::gen::inRange<std::size_t>(0, 30));
    std::uint64_t number = 0;
    for (FairJob& job : jobs) {
      job.owner = *rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(owners.size()));
      job.charge = *rc::gen::inRange<std::uint64_t>(0, 200);
      job.nice = *rc::gen::inRange<std::uint32_t>(0, 3);
      job.since_s = *rc::gen::inRange<Seconds>(0, 50);
      job.job = ++number;
    }
    const Order order = fair_order(jobs, owners);
    Order sorted = order;
    std::sort(sorted.begin(), sorted.end());
    Order all(jobs.size());
    std::iota(all.begin(), all.end(), 0U);
    RC_ASSERT(sorted == all);
    std::vector<ShareUse> now = owners;
    for (std::size_t place = 0; place < order.size(); ++place) {
      const FairJob& served = jobs[order[place]];
      for (std::size_t later = place + 1; later < order.size(); ++later) {
        const FairJob& other = jobs[order[later]];
        const ShareUse& mine = now[served.owner];
        const ShareUse& theirs = now[other.owner];
        RC_ASSERT(mine.usage * theirs.shares <= theirs.usage * mine.shares);
        if (other.owner == served.owner) {
          RC_ASSERT(std::tie(served.nice, served.since_s, served.job) <
                    std::tie(other.nice, other.since_s, other.job));
        }
      }
      now[served.owner].usage += std::max<std::uint64_t>(served.charge, 1);
    }
  }));
}

}  // namespace
}  // namespace ufab::jobs
