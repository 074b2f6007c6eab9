#include "jobs/queue/replay.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/jobs/queue/textbook.h"

namespace ufab::jobs {
namespace {

using Rows = std::vector<textbook::Job>;

Trace trace_of(const Rows& rows, std::uint32_t slots) {
  Trace trace;
  trace.slots = slots;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    TraceJob job;
    job.number = i + 1;
    job.submit_s = rows[i].submit;
    job.run_s = rows[i].run;
    job.requested_s = rows[i].limit;
    job.slots = static_cast<std::uint32_t>(rows[i].size);
    job.user = i % 3;
    trace.jobs.push_back(job);
  }
  return trace;
}

std::vector<Seconds> starts_of(const Rows& rows, std::uint32_t slots, const Contender& contender,
                               const ReplayOptions& options = {}) {
  std::vector<ReplayedJob> schedule;
  const auto result = replay(trace_of(rows, slots), options, contender, &schedule);
  EXPECT_TRUE(result.ok());
  std::vector<Seconds> starts(rows.size(), -1);
  for (const ReplayedJob& job : schedule) {
    EXPECT_EQ(starts[job.trace_index], -1) << "started twice";
    starts[job.trace_index] = job.start_s;
  }
  return starts;
}

Rows random_rows(bool exact) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 60);
  Rows rows;
  std::int64_t now = 0;
  for (std::size_t i = 0; i < count; ++i) {
    textbook::Job job;
    now += *rc::gen::inRange<std::int64_t>(0, 30);
    job.submit = now;
    job.run = *rc::gen::inRange<std::int64_t>(1, 100);
    job.limit = exact ? job.run : job.run + *rc::gen::inRange<std::int64_t>(0, 100);
    job.size = *rc::gen::inRange<std::int64_t>(1, 9);
    rows.push_back(job);
  }
  if (!rows.empty()) {
    const std::int64_t first = rows.front().submit;
    for (auto& row : rows) row.submit -= first;
  }
  return rows;
}

//            submit run limit size
const Rows small{{0, 10, 10, 6}, {1, 5, 5, 6}, {2, 8, 8, 4}, {3, 20, 20, 4}, {4, 2, 2, 4}};

TEST(Replay, FirstComeFirstServedByHand) {
  // Job 1 holds 6 of 10 until 10; job 2 (6) waits until then, and all others behind it although they would
  // fit.
  EXPECT_EQ(starts_of(small, 10, {"fcfs", policy_fcfs(), false}), (std::vector<Seconds>{0, 10, 10, 15, 18}));
}

TEST(Replay, WithoutBackfillNobodyOvertakesHoweverManyReservationsThereMayBe) {
  Policy policy = policy_fcfs();
  policy.reservations_max = 5;
  EXPECT_EQ(starts_of(small, 10, {"fcfs", policy, false}), (std::vector<Seconds>{0, 10, 10, 15, 18}));
}

TEST(Replay, EasyByHand) {
  // Job 2 is reserved for 10. Job 3 ends at 10 and is backfilled at 2. Job 4 would hold 4 of the 10 beyond
  // 10: exactly what job 2 leaves over, but job 3 has them until 10. Job 5 finds none free before.
  EXPECT_EQ(starts_of(small, 10, {"easy", policy_easy(), false}), (std::vector<Seconds>{0, 10, 2, 10, 15}));
}

TEST(Replay, EasyUsesWhatTheReservationLeavesOver) {
  // Job 2 (7) is reserved for 10, three are left over: job 3 (3, long) may begin at once, job 4 (3, long)
  // not.
  const Rows rows{{0, 10, 10, 4}, {1, 5, 5, 7}, {2, 50, 50, 3}, {3, 50, 50, 3}};
  EXPECT_EQ(starts_of(rows, 10, {"easy", policy_easy(), false}), (std::vector<Seconds>{0, 10, 2, 15}));
}

TEST(Replay, FirstComeFirstServedIsTheTextbooks) {
  EXPECT_TRUE(rc::check("fcfs", [] {
    Rows rows = random_rows(false);
    const auto ours = starts_of(rows, 8, {"fcfs", policy_fcfs(), false});
    textbook::simulate(rows, 8, false);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      RC_ASSERT(ours[i] == rows[i].start);
      if (i > 0) RC_ASSERT(ours[i] >= ours[i - 1]);
    }
  }));
}

TEST(Replay, EasyIsTheTextbooks) {
  EXPECT_TRUE(rc::check("easy", [] {
    Rows rows = random_rows(*rc::gen::arbitrary<bool>());
    const auto ours = starts_of(rows, 8, {"easy", policy_easy(), false});
    textbook::simulate(rows, 8, true);
    for (std::size_t i = 0; i < rows.size(); ++i) RC_ASSERT(ours[i] == rows[i].start);
  }));
}

// Whatever the policy and the number of providers: every job runs once, after its arrival, and nothing is
// oversubscribed.
TEST(Replay, NothingIsOversubscribedAndEveryJobRunsOnce) {
  EXPECT_TRUE(rc::check("capacity", [] {
    const Rows rows = random_rows(false);
    ReplayOptions options;
    options.providers = *rc::gen::inRange<std::uint32_t>(1, 5);
    const std::uint32_t slots = 24;
    const std::uint32_t part = slots / options.providers;
    std::vector<Contender> contenders = standard_contenders();
    contenders.push_back({"conservative", policy_conservative(), true});
    for (const Contender& contender : contenders) {
      const Trace trace = trace_of(rows, slots);
      std::vector<ReplayedJob> schedule;
      RC_ASSERT(replay(trace, options, contender, &schedule).ok());
      RC_ASSERT(schedule.size() == rows.size());
      std::vector<bool> seen(rows.size());
      for (const ReplayedJob& job : schedule) {
        RC_ASSERT(!seen[job.trace_index]);
        seen[job.trace_index] = true;
        RC_ASSERT(job.start_s >= rows[job.trace_index].submit);
        const auto size = static_cast<std::uint32_t>(rows[job.trace_index].size);
        RC_ASSERT(job.providers.size() == (size + part - 1) / part);
        // At its start, on each of its providers, with everybody who runs then.
        for (const std::uint32_t provider : job.providers) {
          std::uint32_t used = 0;
          for (const ReplayedJob& other : schedule) {
            const auto& row = rows[other.trace_index];
            if (other.start_s > job.start_s || other.start_s + row.run <= job.start_s) continue;
            const auto members = static_cast<std::uint32_t>(other.providers.size());
            for (const std::uint32_t at : other.providers) {
              if (at == provider) used += (static_cast<std::uint32_t>(row.size) + members - 1) / members;
            }
          }
          RC_ASSERT(used <= part);
        }
      }
    }
  }));
}

TEST(Replay, ConservativeBackfillNeverStartsAJobLaterThanItsFirstReservationUnderExactLimits) {
  // With exact limits nothing ends early, so that conservative backfill is first come, first served in
  // reservations: no job starts later than it would if nobody came after it.
  EXPECT_TRUE(rc::check("conservative", [] {
    const Rows rows = random_rows(true);
    const Contender contender{"conservative", policy_conservative(), false};
    const auto whole = starts_of(rows, 8, contender);
    for (std::size_t count = 1; count < rows.size(); ++count) {
      const auto first =
          starts_of(Rows(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count)), 8, contender);
      for (std::size_t i = 0; i < count; ++i) RC_ASSERT(whole[i] == first[i]);
    }
  }));
}

TEST(Replay, TheFiguresOfASmallTraceByHand) {
  // FCFS: waits 0, 9, 8, 12, 14; run times 10, 5, 8, 20, 2.
  const auto result = replay(trace_of(small, 10), {}, {"fcfs", policy_fcfs(), false}).value();
  EXPECT_EQ(result.jobs, 5U);
  EXPECT_DOUBLE_EQ(result.wait_mean_s, 8.6);
  EXPECT_DOUBLE_EQ(result.wait_median_s, 9.0);
  EXPECT_DOUBLE_EQ(result.wait_max_s, 14.0);
  EXPECT_EQ(result.makespan_s, 35);
  EXPECT_DOUBLE_EQ(result.utilisation, (60.0 + 30 + 32 + 80 + 8) / 350);
  EXPECT_DOUBLE_EQ(result.slowdown_mean, (1.0 + 1.4 + 1.6 + 1.6 + 1.6) / 5);
}

TEST(Replay, ALoadFactorShortensTheTimeBetweenArrivals) {
  ReplayOptions options;
  options.load = 2;
  const Rows rows{{0, 10, 10, 1}, {100, 10, 10, 1}};
  EXPECT_EQ(starts_of(rows, 1, {"fcfs", policy_fcfs(), false}, options), (std::vector<Seconds>{0, 50}));
}

TEST(Replay, LimitsThatAreMadeUpAreRoundValuesNotBelowTheRunTime) {
  EXPECT_EQ(round_limit_s(1), 300);
  EXPECT_EQ(round_limit_s(3601), 7200);
  EXPECT_EQ(round_limit_s(345601), 5 * 86400);
  Rows rows = small;
  for (auto& row : rows) row.limit = 0;
  const auto result = replay(trace_of(rows, 10), {}, {"easy", policy_easy(), false}).value();
  EXPECT_EQ(result.limits_made_up, 5U);
  EXPECT_EQ(result.limits_raised, 0U);
}

TEST(Replay, WrongOptionsAreErrors) {
  const Trace trace = trace_of(small, 10);
  const Contender easy{"easy", policy_easy(), false};
  ReplayOptions options;
  options.slots = 5;
  EXPECT_EQ(replay(trace, options, easy).error().message, "job 1 asks for 6 slots of 5");
  options = {};
  options.load = 0;
  EXPECT_FALSE(replay(trace, options, easy).ok());
  options = {};
  options.estimate_factor = 0.5;
  EXPECT_FALSE(replay(trace, options, easy).ok());
  options = {};
  options.providers = 11;
  EXPECT_FALSE(replay(trace, options, easy).ok());
  EXPECT_FALSE(replay(trace_of(small, 0), {}, easy).ok());
}

}  // namespace
}  // namespace ufab::jobs
