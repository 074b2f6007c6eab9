#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <set>

#include "jobs/queue/eligibility.h"
#include "jobs/queue/priority.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {
namespace {

// A fabric of providers with these slots, one organisation, candidates in this order.
Snapshot fabric(const std::vector<std::uint32_t>& slots) {
  Snapshot snapshot;
  Placement everywhere;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    snapshot.providers.push_back({slots[i], 1000, true});
    everywhere.candidates.push_back({i, 0, time_never});
  }
  snapshot.placements.push_back(everywhere);
  snapshot.owners.push_back({});
  return snapshot;
}

QueuedJob& add(Snapshot& snapshot, std::uint32_t slots, Seconds limit_s, std::uint16_t members = 1) {
  QueuedJob job;
  job.job = snapshot.jobs.size() + 1;
  job.slots = slots;
  job.limit_s = limit_s;
  job.providers_min = job.providers_max = members;
  job.submit_s = static_cast<Seconds>(job.job);
  snapshot.jobs.push_back(job);
  return snapshot.jobs.back();
}

void run(Snapshot& snapshot, std::uint32_t provider, std::uint32_t slots, Seconds end_s) {
  RunningJob job;
  job.job = 1000 + snapshot.running.size();
  job.provider = provider;
  job.slots = slots;
  job.end_s = end_s;
  snapshot.running.push_back(job);
}

std::vector<std::uint32_t> started(const Plan& decided) {
  std::vector<std::uint32_t> indices;
  for (const Start& start : decided.starts) indices.push_back(start.index);
  std::sort(indices.begin(), indices.end());
  return indices;
}

TEST(Plan, AGangStartsWholeOrNotAtAll) {
  Snapshot snapshot = fabric({4, 4, 4});
  run(snapshot, 2, 2, 500);
  add(snapshot, 4, 100, 3);
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_TRUE(decided.starts.empty());
  EXPECT_EQ(decided.reasons[0], Reason::resources);
  ASSERT_EQ(decided.reservations.size(), 1U);
  EXPECT_EQ(decided.reservations[0].start_s, 500);  // all three together
  EXPECT_EQ(decided.reservations[0].providers, (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST(Plan, BackfillNeverDelaysAReservedGang) {
  Snapshot snapshot = fabric({4, 4});
  run(snapshot, 1, 4, 500);
  add(snapshot, 4, 100, 2);  // reserved for 500 on both
  add(snapshot, 2, 401, 1);  // would reach into it
  add(snapshot, 2, 400, 1);  // ends in time
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_EQ(started(decided), (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(decided.reasons[1], Reason::priority);
}

TEST(Plan, AGangTakesAsManyMembersAsItMayBestFirst) {
  Snapshot snapshot = fabric({4, 2, 4, 4});
  snapshot.placements[0].candidates = {
      {3, 1, time_never}, {1, 2, time_never}, {0, 3, time_never}, {2, 4, time_never}};
  add(snapshot, 4, 10).providers_max = 2;
  const Plan decided = plan(snapshot, policy_default(), 100);
  ASSERT_EQ(decided.starts.size(), 1U);
  EXPECT_EQ(decided.starts[0].providers, (std::vector<std::uint32_t>{3, 0}));  // 1 is too small
}

TEST(Plan, EveryJobThatWaitsSaysWhyUnderSlurmsNames) {
  Snapshot snapshot = fabric({4});
  add(snapshot, 4, 100);                     // starts
  add(snapshot, 4, 100);                     // Resources
  add(snapshot, 4, 100);                     // Priority
  add(snapshot, 5, 100);                     // BadConstraints
  add(snapshot, 1, 100).hold = Hold::user;   // JobHeldUser
  add(snapshot, 1, 100).hold = Hold::admin;  // JobHeldAdmin
  add(snapshot, 1, 100).begin_s = 300;       // BeginTime
  add(snapshot, 1, 100).deadline_s = 150;    // DeadLine
  const Plan decided = plan(snapshot, policy_easy(), 100);
  std::vector<std::string> names;
  for (const Reason reason : decided.reasons) names.emplace_back(reason_name(reason));
  EXPECT_EQ(names, (std::vector<std::string>{"None", "Resources", "Priority", "BadConstraints", "JobHeldUser",
                                             "JobHeldAdmin", "BeginTime", "DeadLine"}));
  EXPECT_EQ(decided.next_s, 300);
}

TEST(Plan, AProviderThatDrainsOrWhosePriceHasExpiredGetsNoJob) {
  Snapshot snapshot = fabric({4, 4});
  snapshot.providers[0].accepts_work = false;
  add(snapshot, 2, 10);
  EXPECT_EQ(plan(snapshot, policy_easy(), 100).starts.at(0).providers.at(0), 1U);
  snapshot.placements[0].candidates[1].price_expires_s = 100;
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_TRUE(decided.starts.empty());
  EXPECT_STREQ(reason_name(decided.reasons[0]), "ReqNodeNotAvail");
  EXPECT_EQ(plan(snapshot, policy_easy(), 99).starts.size(), 1U);
}

TEST(Plan, MemoryCountsAsSlotsDo) {
  Snapshot snapshot = fabric({4});
  add(snapshot, 1, 100).memory_mib = 600;
  add(snapshot, 1, 100).memory_mib = 600;
  add(snapshot, 1, 100).memory_mib = 400;
  EXPECT_EQ(started(plan(snapshot, policy_easy(), 100)), (std::vector<std::uint32_t>{0, 2}));
}

TEST(Plan, AnArrayRunsAtMostItsThrottle) {
  Snapshot snapshot = fabric({8});
  for (int i = 0; i < 4; ++i) {
    QueuedJob& job = add(snapshot, 1, 100);
    job.array = 1;
    job.array_throttle = 2;
  }
  add(snapshot, 1, 100);
  run(snapshot, 0, 1, 500);
  snapshot.running[0].array = 1;
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_EQ(started(decided), (std::vector<std::uint32_t>{0, 4}));
  EXPECT_STREQ(reason_name(decided.reasons[1]), "JobArrayTaskLimit");
}

TEST(Plan, QuotasHoldWhatRunsAndWhatThisPassStarts) {
  Snapshot snapshot = fabric({8});
  snapshot.owners[0].budget.limit = 100;
  snapshot.owners[0].budget.settled = 20;
  snapshot.owners[0].budget.in_flight = 20;
  for (int i = 0; i < 3; ++i) add(snapshot, 1, 100).cost_micro = 30;
  Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_EQ(started(decided), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_STREQ(reason_name(decided.reasons[2]), "AssocGrpBillingMinutes");
  snapshot.owners[0].budget = {};
  snapshot.owners[0].jobs_max = 1;
  EXPECT_STREQ(reason_name(plan(snapshot, policy_easy(), 100).reasons[1]), "AssocGrpJobsLimit");
  snapshot.owners[0].jobs_max = 0;
  snapshot.owners[0].slots_max = 2;
  EXPECT_STREQ(reason_name(plan(snapshot, policy_easy(), 100).reasons[2]), "AssocGrpCpuLimit");
  snapshot.owners[0].slots_max = 0;
  snapshot.owners[0].slot_seconds.limit = 250;
  EXPECT_STREQ(reason_name(plan(snapshot, policy_easy(), 100).reasons[2]), "AssocGrpCPUMinutesLimit");
}

TEST(Plan, NiceQosAndFairShareMoveAJobInTheOrder) {
  Snapshot snapshot = fabric({4});
  add(snapshot, 4, 100).nice = 100;
  add(snapshot, 4, 100);
  Policy policy;
  EXPECT_EQ(started(plan(snapshot, policy, 100)), (std::vector<std::uint32_t>{1}));
  policy.weights.qos = 1;
  snapshot.jobs[0].qos = 101;
  EXPECT_EQ(started(plan(snapshot, policy, 100)), (std::vector<std::uint32_t>{0}));
  snapshot.jobs[0].qos = 100;
  snapshot.owners.push_back({});
  snapshot.owners[0].usage = 1000;  // has had its part
  snapshot.jobs[1].owner = 1;
  policy.weights.fair_share = 10;
  EXPECT_EQ(started(plan(snapshot, policy, 100)), (std::vector<std::uint32_t>{1}));
}

TEST(Plan, WhoeverHasWaitedLongerThanPatienceAllowsComesFirst) {
  Snapshot snapshot = fabric({4});
  add(snapshot, 4, 10);  // short: a far higher response ratio
  add(snapshot, 4, 100'000);
  snapshot.jobs[0].submit_s = 40'000;
  snapshot.jobs[1].submit_s = 0;
  Policy policy = policy_default();
  EXPECT_EQ(started(plan(snapshot, policy, policy.patience_s)), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(started(plan(snapshot, policy, policy.patience_s + 1)), (std::vector<std::uint32_t>{1}));
}

TEST(Plan, AJobWithoutALimitInTheWayLeavesNothingToReserve) {
  Snapshot snapshot = fabric({4});
  run(snapshot, 0, 2, time_never);
  add(snapshot, 4, 100);
  add(snapshot, 2, 100);
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_EQ(decided.reasons[0], Reason::resources);
  EXPECT_TRUE(decided.reservations.empty());
  EXPECT_EQ(started(decided), (std::vector<std::uint32_t>{1}));
}

TEST(Plan, ARunThatIsPastItsLimitStillHoldsItsSlots) {
  Snapshot snapshot = fabric({4});
  run(snapshot, 0, 4, 50);
  add(snapshot, 4, 100);
  const Plan decided = plan(snapshot, policy_easy(), 100);
  EXPECT_TRUE(decided.starts.empty());
  EXPECT_EQ(decided.reservations.at(0).start_s, 101);
}

Snapshot random_snapshot() {
  Snapshot snapshot = fabric(*rc::gen::container<std::vector<std::uint32_t>>(
      *rc::gen::inRange<std::size_t>(1, 5), rc::gen::inRange<std::uint32_t>(1, 17)));
  const auto providers = static_cast<std::uint32_t>(snapshot.providers.size());
  for (QueueProvider& provider : snapshot.providers) provider.accepts_work = *rc::gen::inRange(0, 8) != 0;
  snapshot.owners.resize(3);
  for (QueueOwner& owner : snapshot.owners) {
    owner.usage = *rc::gen::inRange<std::uint64_t>(0, 100);
    owner.budget.limit = *rc::gen::inRange<std::uint64_t>(0, 60);
    owner.jobs_max = *rc::gen::inRange<std::uint32_t>(0, 5);
  }
  std::vector<std::uint32_t> left;
  for (const QueueProvider& provider : snapshot.providers) left.push_back(provider.slots);
  for (int i = *rc::gen::inRange(0, 10); i > 0; --i) {
    const auto provider = *rc::gen::inRange<std::uint32_t>(0, providers);
    if (left[provider] == 0) continue;
    const auto slots = *rc::gen::inRange<std::uint32_t>(1, left[provider] + 1);
    left[provider] -= slots;
    run(snapshot, provider, slots, 1000 + *rc::gen::inRange(-20, 100));
    snapshot.running.back().owner = *rc::gen::inRange<std::uint32_t>(0, 3);
  }
  for (int i = *rc::gen::inRange(0, 40); i > 0; --i) {
    const auto members = *rc::gen::inRange<std::uint16_t>(1, static_cast<std::uint16_t>(providers + 1));
    QueuedJob& job =
        add(snapshot, *rc::gen::inRange<std::uint32_t>(1, 13), *rc::gen::inRange<Seconds>(0, 120), members);
    job.providers_max = static_cast<std::uint16_t>(members + *rc::gen::inRange(0, 3));
    job.owner = *rc::gen::inRange<std::uint32_t>(0, 3);
    job.submit_s = *rc::gen::inRange<Seconds>(0, 1001);
    job.predicted_s = *rc::gen::inRange<Seconds>(0, 200);
    job.cost_micro = *rc::gen::inRange<std::uint64_t>(0, 15);
    job.memory_mib = *rc::gen::inRange<std::uint64_t>(0, 400);
    job.array = *rc::gen::inRange<std::uint64_t>(0, 3);
    job.array_throttle = job.array == 0 ? 0 : 2;
  }
  return snapshot;
}

Policy random_policy() {
  const std::vector<Policy> all{policy_fcfs(), policy_easy(), policy_conservative(), policy_default()};
  return all[*rc::gen::inRange<std::size_t>(0, all.size())];
}

// A plain account of who holds what when, to hold the timelines against.
struct Holding {
  std::uint32_t provider;
  Seconds from_s;
  Seconds until_s;
  std::uint64_t slots;
  std::uint64_t memory_mib;
};
std::vector<Holding> holdings(const Snapshot& snapshot, const Plan& decided, Seconds now_s) {
  std::vector<Holding> all;
  for (const RunningJob& job : snapshot.running)
    all.push_back({job.provider, now_s, std::max(job.end_s, now_s + 1), job.slots, job.memory_mib});
  const auto hold = [&](std::uint32_t index, Seconds from_s, const std::vector<std::uint32_t>& gang) {
    const QueuedJob& job = snapshot.jobs[index];
    const Seconds until_s = job.limit_s == 0 ? time_never : from_s + job.limit_s;
    for (const std::uint32_t provider : gang)
      all.push_back({provider, from_s, until_s, job.slots, job.memory_mib});
  };
  for (const Start& start : decided.starts) hold(start.index, now_s, start.providers);
  for (const Reservation& reserved : decided.reservations)
    hold(reserved.index, reserved.start_s, reserved.providers);
  return all;
}

bool oversubscribed(const Snapshot& snapshot, const std::vector<Holding>& all) {
  for (const Holding& at : all) {
    std::uint64_t slots = 0;
    std::uint64_t memory_mib = 0;
    for (const Holding& other : all) {
      if (other.provider != at.provider || other.from_s > at.from_s || other.until_s <= at.from_s) continue;
      slots += other.slots;
      memory_mib += other.memory_mib;
    }
    if (slots > snapshot.providers[at.provider].slots) return true;
    if (memory_mib > snapshot.providers[at.provider].memory_mib) return true;
  }
  return false;
}

TEST(Plan, StartsAndReservationsTogetherNeverOversubscribeAProvider) {
  EXPECT_TRUE(rc::check("capacity", [] {
    const Snapshot snapshot = random_snapshot();
    const Plan decided = plan(snapshot, random_policy(), 1000);
    RC_ASSERT(!oversubscribed(snapshot, holdings(snapshot, decided, 1000)));
  }));
}

TEST(Plan, GangsAreWholeDistinctAndWithinWhatWasAsked) {
  EXPECT_TRUE(rc::check("gangs", [] {
    const Snapshot snapshot = random_snapshot();
    const Plan decided = plan(snapshot, random_policy(), 1000);
    std::set<std::uint32_t> once;
    const auto whole = [&](std::uint32_t index, const std::vector<std::uint32_t>& gang) {
      const QueuedJob& job = snapshot.jobs[index];
      RC_ASSERT(once.insert(index).second);
      RC_ASSERT(gang.size() >= job.providers_min && gang.size() <= job.providers_max);
      RC_ASSERT(std::set<std::uint32_t>(gang.begin(), gang.end()).size() == gang.size());
      for (const std::uint32_t provider : gang) RC_ASSERT(snapshot.providers[provider].accepts_work);
    };
    for (const Start& start : decided.starts) {
      whole(start.index, start.providers);
      RC_ASSERT(decided.reasons[start.index] == Reason::none);
    }
    for (const Reservation& reserved : decided.reservations) {
      whole(reserved.index, reserved.providers);
      RC_ASSERT(decided.reasons[reserved.index] == Reason::resources);
    }
    const auto unexplained = std::count(decided.reasons.begin(), decided.reasons.end(), Reason::none);
    RC_ASSERT(static_cast<std::size_t>(unexplained) == decided.starts.size());
  }));
}

TEST(Plan, TheFirstReservationIsTheEarliestThatWhatRunsAllows) {
  // Nobody behind a reserved job may make it later: it is where it would be with nobody behind it.
  EXPECT_TRUE(rc::check("reservation", [] {
    const Snapshot snapshot = random_snapshot();
    const Policy policy = random_policy();
    const Plan decided = plan(snapshot, policy, 1000);
    RC_PRE(!decided.reservations.empty());
    const Reservation& first = decided.reservations.front();
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < snapshot.jobs.size(); ++i) order.push_back(i);
    sort_by_priority(snapshot, policy, 1000, priorities(snapshot, policy, 1000), order);
    Snapshot alone = snapshot;
    alone.jobs.clear();
    std::uint32_t place = 0;
    for (const std::uint32_t index : order) {
      if (index == first.index) place = static_cast<std::uint32_t>(alone.jobs.size());
      alone.jobs.push_back(snapshot.jobs[index]);
      if (index == first.index) break;
    }
    const Plan without = plan(alone, policy, 1000);
    RC_ASSERT(!without.reservations.empty());
    RC_ASSERT(without.reservations.front().index == place);
    RC_ASSERT(without.reservations.front().start_s == first.start_s);
    RC_ASSERT(without.reservations.front().providers == first.providers);
  }));
}

TEST(Plan, NoOrganisationStartsMoreThanItsQuotas) {
  EXPECT_TRUE(rc::check("quotas", [] {
    const Snapshot snapshot = random_snapshot();
    const Plan decided = plan(snapshot, random_policy(), 1000);
    std::map<std::uint32_t, std::uint64_t> cost;
    std::map<std::uint32_t, std::uint32_t> count;
    for (const RunningJob& job : snapshot.running) ++count[job.owner];
    std::set<std::uint32_t> with_starts;
    std::map<std::uint64_t, int> tasks;
    for (const Start& start : decided.starts) {
      const QueuedJob& job = snapshot.jobs[start.index];
      cost[job.owner] += job.cost_micro;
      ++count[job.owner];
      with_starts.insert(job.owner);
      if (job.array != 0) RC_ASSERT(++tasks[job.array] <= 2);
    }
    for (const std::uint32_t owner : with_starts) {
      const QueueOwner& of = snapshot.owners[owner];
      if (of.budget.limit != 0) RC_ASSERT(cost[owner] <= of.budget.limit);
      if (of.jobs_max != 0) RC_ASSERT(count[owner] <= of.jobs_max);
    }
  }));
}

TEST(Plan, TheOrderOfTheSnapshotDoesNotMatter) {
  EXPECT_TRUE(rc::check("permutation", [] {
    const Snapshot snapshot = random_snapshot();
    const Policy policy = random_policy();
    Snapshot shuffled = snapshot;
    std::reverse(shuffled.jobs.begin(), shuffled.jobs.end());
    const auto decisions = [&](const Snapshot& of) {
      std::map<std::uint64_t, std::vector<std::uint32_t>> starts;
      const Plan decided = plan(of, policy, 1000);
      for (const Start& start : decided.starts) starts[of.jobs[start.index].job] = start.providers;
      return starts;
    };
    RC_ASSERT(decisions(snapshot) == decisions(shuffled));
  }));
}

TEST(Plan, AnEmptyFabricStartsSomebodyWhoCanRun) {
  EXPECT_TRUE(rc::check("progress", [] {
    Snapshot snapshot = random_snapshot();
    snapshot.running.clear();
    const Plan decided = plan(snapshot, random_policy(), 1000);
    const bool somebody = std::any_of(decided.reasons.begin(), decided.reasons.end(), [](Reason reason) {
      return reason == Reason::resources || reason == Reason::priority;
    });
    if (somebody) RC_ASSERT(!decided.starts.empty());
  }));
}

// Of this thread: what else runs on the machine does not count.
std::int64_t processor_time_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}
#ifdef __SANITIZE_ADDRESS__
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

TEST(Plan, AHundredThousandWaitingJobsAreScheduledWithinASecond) {
  // 100,000 jobs of 20 organisations over 16 providers that are four fifths busy; every tenth depends on
  // another, arrays and begin times among them.
  Snapshot snapshot = fabric(std::vector<std::uint32_t>(16, 512));
  snapshot.owners.resize(20);
  Fates fates;
  std::uint64_t state = 1;
  const auto draw = [&](std::uint64_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
  };
  for (std::uint32_t i = 0; i < 16 * 200; ++i) {
    run(snapshot, i % 16, 2, 1'000'000 + static_cast<Seconds>(draw(86400)));
    snapshot.running.back().owner = i % 20;
  }
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    QueuedJob& job = add(snapshot, static_cast<std::uint32_t>(1 + draw(64)),
                         static_cast<Seconds>(600 + draw(86400)), static_cast<std::uint16_t>(1 + draw(3)));
    job.owner = i % 20;
    job.submit_s = static_cast<Seconds>(900'000 + draw(100'000));
    if (i % 10 == 0) {
      job.dependency_first = static_cast<std::uint32_t>(snapshot.dependencies.size());
      job.dependency_count = 1;
      snapshot.dependencies.push_back({DependencyKind::after_ok, 1 + draw(100'000), {}, 0});
    }
    if (i % 7 == 0) {
      job.array = 1 + i / 700 * 700;
      job.array_throttle = 3;
    }
    fates.set(job.job, {Fate::waiting, time_never, time_never});
  }
  snapshot.fates = &fates;
  const std::int64_t begin_ms = processor_time_ms();
  const Plan decided = plan(snapshot, policy_default(), 1'000'000);
  const std::int64_t took_ms = processor_time_ms() - begin_ms;
  std::printf("one pass over 100,000 jobs: %d ms, %zu start\n", static_cast<int>(took_ms),
              decided.starts.size());
  EXPECT_FALSE(decided.starts.empty());
  EXPECT_EQ(decided.reasons.size(), 100'000U);
  EXPECT_LT(took_ms, sanitized ? 20'000 : 1000);
}

}  // namespace
}  // namespace ufab::jobs
