#include "jobs/queue/eligibility.h"

#include <gtest/gtest.h>

namespace ufab::jobs {
namespace {

constexpr Seconds now_s = 1000;

struct Case {
  Fates fates;
  std::vector<Dependency> dependencies;
  QueuedJob job;
  Seconds next_s = time_never;

  Verdict judge() { return judge_dependencies(job, dependencies, true, fates, now_s, next_s); }
};

Verdict judge_kind(DependencyKind kind, Fate fate, Seconds begun_s = time_never) {
  Case with;
  with.fates.set(7, {fate, begun_s});
  with.dependencies = {{kind, 7, {}, 0}};
  return with.judge();
}

TEST(Eligibility, EachKindOfDependencyHoldsWaitsOrNeverHoldsAsInSlurm) {
  using K = DependencyKind;
  using F = Fate;
  const Seconds begun = 900;
  struct Row {
    K kind;
    Verdict waiting, running, well, badly, unknown;
  };
  constexpr Verdict holds = Verdict::holds;
  constexpr Verdict waits = Verdict::waits;
  constexpr Verdict never = Verdict::never;
  const std::vector<Row> rows{{K::after, waits, holds, holds, holds, holds},
                              {K::after_any, waits, waits, holds, holds, holds},
                              {K::after_burst_buffer, waits, waits, holds, holds, holds},
                              {K::after_ok, waits, waits, holds, never, holds},
                              {K::after_not_ok, waits, waits, never, holds, never},
                              {K::after_corr, waits, waits, holds, never, holds}};
  for (const Row& row : rows) {
    const auto kind = static_cast<int>(row.kind);
    EXPECT_EQ(judge_kind(row.kind, F::waiting), row.waiting) << kind;
    EXPECT_EQ(judge_kind(row.kind, F::running, begun), row.running) << kind;
    EXPECT_EQ(judge_kind(row.kind, F::ended_well, begun), row.well) << kind;
    EXPECT_EQ(judge_kind(row.kind, F::ended_badly, begun), row.badly) << kind;
    EXPECT_EQ(judge_kind(row.kind, F::unknown), row.unknown) << kind;
  }
}

TEST(Eligibility, AfterWithMinutesWaitsSoLongAndSaysUntilWhen) {
  Case with;
  with.fates.set(7, {Fate::running, 950});
  with.dependencies = {{DependencyKind::after, 7, {}, 1}};
  EXPECT_EQ(with.judge(), Verdict::waits);
  EXPECT_EQ(with.next_s, 1010);
  with.fates.set(7, {Fate::running, 940});
  EXPECT_EQ(with.judge(), Verdict::holds);
}

TEST(Eligibility, AnArraysNumberStandsForAllItsTasks) {
  Case with;
  for (std::uint32_t task = 0; task < 3; ++task) with.fates.set(10 + task, {Fate::ended_well, 1}, 10, task);
  with.dependencies = {{DependencyKind::after_ok, 10, {}, 0}};
  EXPECT_EQ(with.judge(), Verdict::holds);
  with.fates.set(11, {Fate::running, 1}, 10, 1);
  EXPECT_EQ(with.judge(), Verdict::waits);
  with.fates.set(11, {Fate::ended_badly, 1}, 10, 1);
  EXPECT_EQ(with.judge(), Verdict::never);
  with.dependencies[0].kind = DependencyKind::after_not_ok;
  EXPECT_EQ(with.judge(), Verdict::holds);
  with.fates.set(12, {Fate::waiting, time_never, time_never}, 10, 2);
  EXPECT_EQ(with.judge(), Verdict::waits);
}

TEST(Eligibility, AftercorrPairsTasksOfOneIndex) {
  Case with;
  with.fates.set(10, {Fate::ended_well, 1}, 10, 0);
  with.fates.set(11, {Fate::ended_badly, 1}, 10, 1);
  with.dependencies = {{DependencyKind::after_corr, 10, {}, 0}};
  with.job.array = 20;
  with.job.array_task = 0;
  EXPECT_EQ(with.judge(), Verdict::holds);
  with.job.array_task = 1;
  EXPECT_EQ(with.judge(), Verdict::never);
  with.job.array_task = 5;  // no such task
  EXPECT_EQ(with.judge(), Verdict::never);
}

TEST(Eligibility, WithCommasAllMustHoldAndWithQuestionMarksOne) {
  Case with;
  with.fates.set(1, {Fate::ended_well, 1});
  with.fates.set(2, {Fate::running, 1});
  with.fates.set(3, {Fate::ended_badly, 1});
  const auto ok = [](std::uint64_t job) { return Dependency{DependencyKind::after_ok, job, {}, 0}; };
  with.dependencies = {ok(1), ok(2)};
  EXPECT_EQ(with.judge(), Verdict::waits);
  with.dependencies = {ok(1), ok(2), ok(3)};
  EXPECT_EQ(with.judge(), Verdict::never);
  with.job.dependency_any = true;
  with.dependencies = {ok(3), ok(1)};
  EXPECT_EQ(with.judge(), Verdict::holds);
  with.dependencies = {ok(3), ok(2)};
  EXPECT_EQ(with.judge(), Verdict::waits);
  with.dependencies = {ok(3)};
  EXPECT_EQ(with.judge(), Verdict::never);
}

TEST(Eligibility, ADelayCountsFromTheEvent) {
  Case with;
  with.fates.set(7, {Fate::ended_well, 900, 970});
  with.dependencies = {{DependencyKind::after_ok, 7, {}, 1}};
  EXPECT_EQ(with.judge(), Verdict::waits);
  EXPECT_EQ(with.next_s, 1030);
  with.fates.set(7, {Fate::ended_well, 900, 940});
  EXPECT_EQ(with.judge(), Verdict::holds);
}

TEST(Eligibility, OneTaskOfAnArrayCanBeNamed) {
  Case with;
  with.fates.set(10, {Fate::ended_well, 1, 2}, 10, 3);
  with.fates.set(11, {Fate::ended_badly, 1, 2}, 10, 4);
  with.dependencies = {{DependencyKind::after_ok, 10, 3, 0}};
  EXPECT_EQ(with.judge(), Verdict::holds);
  with.dependencies = {{DependencyKind::after_ok, 10, 4, 0}};
  EXPECT_EQ(with.judge(), Verdict::never);
}

TEST(Eligibility, ASingletonWaitsForEveryEarlierJobOfItsName) {
  Snapshot snapshot;
  snapshot.dependencies = {{DependencyKind::singleton, 0, {}, 0}};
  for (const std::uint64_t number : {5U, 6U, 7U}) {
    QueuedJob job;
    job.job = number;
    job.name_key = number == 6 ? 2 : 1;
    job.dependency_count = 1;
    snapshot.jobs.push_back(job);
  }
  Seconds next_s = time_never;
  EXPECT_EQ(judge_eligibility(snapshot, now_s, next_s),
            (std::vector<Reason>{Reason::none, Reason::none, Reason::dependency}));
  RunningJob running;
  running.job = 3;
  running.name_key = 1;
  snapshot.running.push_back(running);
  EXPECT_EQ(judge_eligibility(snapshot, now_s, next_s),
            (std::vector<Reason>{Reason::dependency, Reason::none, Reason::dependency}));
}

TEST(Eligibility, TheNextTimeIsTheFirstAtWhichTimeAloneChangesSomething) {
  Snapshot snapshot;
  for (int i = 0; i < 3; ++i) snapshot.jobs.push_back({});
  snapshot.jobs[0].begin_s = 5000;
  snapshot.jobs[1].begin_s = 4000;
  snapshot.jobs[2].deadline_s = 4500;
  snapshot.jobs[2].limit_s = 1000;
  Seconds next_s = time_never;
  EXPECT_EQ(judge_eligibility(snapshot, now_s, next_s),
            (std::vector<Reason>{Reason::begin_time, Reason::begin_time, Reason::none}));
  EXPECT_EQ(next_s, 3501);
  EXPECT_EQ(judge_eligibility(snapshot, 3500, next_s)[2], Reason::none);  // just in time
  EXPECT_EQ(judge_eligibility(snapshot, 3501, next_s)[2], Reason::deadline);
}

TEST(Eligibility, AForgottenTaskLeavesItsArray) {
  Fates fates;
  fates.set(10, {Fate::waiting, time_never, time_never}, 10, 0);
  fates.set(11, {Fate::waiting, time_never, time_never}, 10, 1);
  fates.forget(10);
  EXPECT_EQ(fates.tasks(10).size(), 1U);
  fates.forget(11);
  EXPECT_TRUE(fates.tasks(10).empty());
  EXPECT_EQ(fates.of(11).fate, Fate::unknown);
}

}  // namespace
}  // namespace ufab::jobs
