// A simulated Slurm that loses messages, answers late or not at all, forgets old jobs and drops its database,
// under a node that is killed at every point. One seed fixes everything.
#include "slurm/run_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace ufab::slurm {
namespace {

using jobs::RunResult;
using jobs::RunState;

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t seconds(std::uint64_t count) {
  return static_cast<std::int64_t>(count) * second;
}

struct SimulatedJob {
  SlurmJob seen;               // as slurmctld describes it
  std::int64_t starts_us = 0;  // when it will start
  std::int64_t runs_us = 0;
  bool forgotten = false;  // by a slurmctld that was killed before it had saved it
  bool ran_script = false;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    record_.name = "job-1-1";
    record_.tag = "ufab:00000000:job-1-1:0011223344556677";
    record_.created_us = now_us_;
    durable_ = record_;
    cancel_at_us_ = chance(4) ? now_us_ + seconds(within(300)) : 0;
    quiet_from_us_ = now_us_ + 1200 * second;  // then nothing fails any more
  }

  void run() {
    const std::int64_t end_us = quiet_from_us_ + 10'000 * second;
    while (now_us_ < end_us) {
      now_us_ += seconds(1 + within(3));
      advance_slurm();
      node_turn();
      const bool over = record_.phase == RunPhase::ended && now_us_ > quiet_from_us_;
      if (over && ended_us_ == 0) ended_us_ = now_us_;
      // The last message has arrived by then; nothing may be left, though jobs would wait for hours.
      if (over && now_us_ - ended_us_ > 250 * second) return;
    }
  }

  void check(std::uint64_t seed) const {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_EQ(record_.phase, RunPhase::ended);
    EXPECT_EQ(record_.status.state, RunState::ended);
    const auto executed =
        std::count_if(jobs_.begin(), jobs_.end(), [](const SimulatedJob& j) { return j.ran_script; });
    EXPECT_LE(executed, 1) << "the script ran twice";
    if (record_.status.result == RunResult::completed || record_.status.result == RunResult::failed) {
      EXPECT_EQ(executed, 1);
      const auto job =
          std::find_if(jobs_.begin(), jobs_.end(), [](const SimulatedJob& j) { return j.ran_script; });
      EXPECT_EQ(record_.job, job->seen.id) << "the end of another job was taken for the run's";
      EXPECT_EQ(record_.status.exit_code, job->seen.exit_code);
    }
    for (const SimulatedJob& job : jobs_)
      EXPECT_TRUE(job.forgotten || is_ended_state(job.seen.state))
          << "job " << job.seen.id << " is left in the queue";
    EXPECT_LE(changes_after_end_, 0) << "an end is final";
    if (cancel_at_us_ == 0) {
      EXPECT_NE(record_.status.result, RunResult::cancelled);
    }
  }

 private:
  bool chance(std::uint64_t one_in) { return random_() % one_in == 0; }
  std::uint64_t within(std::uint64_t bound) { return random_() % bound; }
  [[nodiscard]] bool is_quiet() const { return now_us_ >= quiet_from_us_; }
  bool fails(std::uint64_t one_in) { return !is_quiet() && chance(one_in); }

  // --- Slurm ---
  void arrive() {
    SimulatedJob job;
    job.seen.id = next_id_++;
    job.seen.tag = record_.tag;
    job.seen.state = "PENDING";
    job.seen.submit_us = now_us_;
    job.starts_us = now_us_ + seconds(within(chance(3) ? 7200 : 60));
    job.runs_us = seconds(1 + within(90));
    jobs_.push_back(job);
  }
  void finish(SimulatedJob& job, const char* state, int code) {
    job.seen.state = state;
    job.seen.exit_code = code;
    job.seen.end_us = now_us_;
    accounts_at_us_[job.seen.id] = now_us_ + seconds(within(40));
  }
  void advance_slurm() {
    // Messages that were on their way: some of them for longer than anybody waits.
    for (auto message = late_.begin(); message != late_.end();) {
      if (*message <= now_us_) {
        arrive();
        message = late_.erase(message);
      } else {
        ++message;
      }
    }
    if (!is_quiet() && chance(60)) {
      for (SimulatedJob& job : jobs_)
        job.forgotten = job.forgotten || now_us_ - job.seen.submit_us < 5 * second;
    }
    for (SimulatedJob& job : jobs_) {
      if (job.forgotten) continue;  // a script that had started is killed with the job
      if (job.seen.state == "PENDING" && now_us_ >= job.starts_us) {
        job.seen.state = "RUNNING";
        job.seen.start_us = now_us_;
        if (claim_ == 0 || claim_ == job.seen.id) {
          claim_ = job.seen.id;
          EXPECT_FALSE(job.ran_script);
          job.ran_script = true;
        } else {
          finish(job, "FAILED", 75);  // the launcher of a twin
        }
      } else if (job.seen.state == "RUNNING" && now_us_ >= job.seen.start_us + job.runs_us) {
        finish(job, chance(3) ? "FAILED" : "COMPLETED", 0);
        job.seen.exit_code = job.seen.state == "FAILED" ? 3 : 0;
      }
    }
    // Outages of minutes.
    if (!is_quiet() && chance(60)) controller_away_until_us_ = now_us_ + seconds(within(300));
    if (!is_quiet() && chance(60)) accounts_away_until_us_ = now_us_ + seconds(within(300));
  }
  void cancel(std::uint64_t id) {
    for (SimulatedJob& job : jobs_) {
      if (job.seen.id == id && !is_ended_state(job.seen.state)) finish(job, "CANCELLED", 0);
    }
  }
  [[nodiscard]] bool controller_answers() const { return is_quiet() || now_us_ >= controller_away_until_us_; }
  [[nodiscard]] bool accounts_answer() const { return is_quiet() || now_us_ >= accounts_away_until_us_; }
  [[nodiscard]] std::vector<SlurmJob> queue() const {
    std::vector<SlurmJob> listed;
    for (const SimulatedJob& job : jobs_) {
      if (job.forgotten) continue;
      if (job.seen.end_us == 0 || now_us_ - job.seen.end_us < 300 * second) listed.push_back(job.seen);
    }
    return listed;
  }
  [[nodiscard]] std::vector<SlurmJob> accounts() const {
    std::vector<SlurmJob> listed;
    for (const SimulatedJob& job : jobs_) {
      SlurmJob row = job.seen;
      const auto known = accounts_at_us_.find(row.id);
      // Until the end has arrived in the database it believes that the job runs.
      if (row.end_us != 0 && now_us_ < known->second) {
        row.state = "RUNNING";
        row.end_us = 0;
      }
      if (now_us_ - row.submit_us > 5 * second) listed.push_back(row);
    }
    return listed;
  }

  // --- the node, as slurm/slurm_batch.cpp drives the step function ---
  void die() { record_ = durable_; }
  void hear(const Event& event) {
    RunRecord next = record_;
    std::vector<Action> actions = step(next, event, now_us_);
    if (next.phase == RunPhase::ended && record_.phase != RunPhase::ended && claim_ == 0)
      claim_ = closed_claim;
    if (record_.phase == RunPhase::ended && next != record_) ++changes_after_end_;
    if (fails(40)) return die();  // before it was durable
    record_ = durable_ = next;
    for (const Action& action : actions) {
      if (fails(40)) return die();  // between two actions
      if (const auto* wish = std::get_if<CancelJob>(&action)) {
        if (controller_answers()) cancel(wish->job);
        continue;
      }
      submit();
    }
  }
  void submit() {
    if (!controller_answers()) return hear(Unanswered{"away"});
    if (fails(50)) {
      ++refusals_;
      return hear(Refused{"no"});
    }
    if (fails(5)) {
      if (chance(2)) late_.push_back(now_us_ + seconds(within(200)));
      return hear(Unanswered{"timed out"});
    }
    arrive();
    const std::uint64_t id = jobs_.back().seen.id;
    if (fails(5)) return hear(Unanswered{"the answer was lost"});
    if (fails(10)) return die();
    hear(Accepted{id});
  }
  void node_turn() {
    if (cancel_at_us_ != 0 && now_us_ >= cancel_at_us_ && !cancel_told_) {
      hear(CancelAsked{});
      cancel_told_ = record_.cancel_wanted || record_.phase == RunPhase::ended;
    }
    if (claim_ != 0) hear(Claimed{claim_});
    hear(Tick{});
    // The answer may be as old as the question: what happens in between is not in it.
    if (controller_answers()) {
      const std::int64_t asked_us = now_us_;
      const std::vector<SlurmJob> listed = queue();
      hear(InQueue{asked_us, listed});
    }
    if (record_.phase != RunPhase::ended && wants_accounts(record_) && accounts_answer())
      hear(InAccounts{now_us_, accounts()});
  }

  std::mt19937_64 random_;
  std::int64_t now_us_ = 1'000'000 * second;
  std::int64_t quiet_from_us_ = 0;
  RunRecord record_;
  RunRecord durable_;
  std::vector<SimulatedJob> jobs_;
  std::vector<std::int64_t> late_;
  std::map<std::uint64_t, std::int64_t> accounts_at_us_;
  std::uint64_t next_id_ = 100;
  std::uint64_t claim_ = 0;
  std::int64_t controller_away_until_us_ = 0;
  std::int64_t accounts_away_until_us_ = 0;
  std::int64_t cancel_at_us_ = 0;
  std::int64_t ended_us_ = 0;
  bool cancel_told_ = false;
  int refusals_ = 0;
  int changes_after_end_ = 0;
};

TEST(RunStep, AScriptRunsOnceAndEndsOnceWhateverIsLost) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    World world(seed);
    world.run();
    world.check(seed);
    if (testing::Test::HasFailure()) return;
  }
}

RunRecord submitted_record() {
  RunRecord record;
  record.tag = "t";
  static_cast<void>(step(record, Tick{}, 100 * second));
  static_cast<void>(step(record, Accepted{7}, 100 * second));
  return record;
}

SlurmJob job_in(const char* state, std::uint64_t id = 7) {
  SlurmJob job;
  job.id = id;
  job.tag = "t";
  job.state = state;
  return job;
}

TEST(RunStep, AControllerThatIsAwayForHoursChangesNothing) {
  RunRecord record = submitted_record();
  static_cast<void>(step(record, InQueue{101 * second, {job_in("RUNNING")}}, 101 * second));
  const RunRecord before = record;
  for (std::int64_t hour = 1; hour < 48; ++hour) {
    EXPECT_TRUE(step(record, Tick{}, hour * 3600 * second).empty());
  }
  EXPECT_EQ(record, before);
}

TEST(RunStep, NobodySubmitsAgainWhileEitherSourceIsSilent) {
  RunRecord record;
  static_cast<void>(step(record, Tick{}, 100 * second));
  static_cast<void>(step(record, Unanswered{"timed out"}, 100 * second));
  EXPECT_TRUE(step(record, InQueue{500 * second, {}}, 500 * second).empty());
  EXPECT_TRUE(step(record, Tick{}, 9000 * second).empty());
  EXPECT_EQ(record.phase, RunPhase::attempted);
  static_cast<void>(step(record, InAccounts{9001 * second, {}}, 9001 * second));
  EXPECT_EQ(record.phase, RunPhase::intended);
  EXPECT_EQ(step(record, Tick{}, 9002 * second).size(), 1U);
}

TEST(RunStep, ALookBeforeTheMessageCanHaveArrivedDoesNotCount) {
  RunRecord record;
  static_cast<void>(step(record, Tick{}, 100 * second));
  static_cast<void>(step(record, Unanswered{"timed out"}, 100 * second));
  static_cast<void>(step(record, InQueue{101 * second, {}}, 101 * second));
  static_cast<void>(step(record, InAccounts{101 * second, {}}, 101 * second));
  EXPECT_EQ(record.phase, RunPhase::attempted);
}

TEST(RunStep, AJobThatSlurmctldLostIsSubmittedAgainUnlessItsScriptHasStarted) {
  for (const bool started : {false, true}) {
    RunRecord record = submitted_record();
    if (started) static_cast<void>(step(record, Claimed{7}, 101 * second));
    for (std::int64_t now = 110 * second; now < 280 * second; now += second) {
      static_cast<void>(step(record, InQueue{now, {}}, now));
      static_cast<void>(step(record, InAccounts{now, {job_in("PENDING")}}, now));
      if (record.phase == RunPhase::intended) break;
    }
    EXPECT_EQ(record.phase, started ? RunPhase::submitted : RunPhase::intended);
    if (!started) continue;
    static_cast<void>(step(record, InAccounts{300 * second, {job_in("RUNNING")}}, 300 * second));
    EXPECT_EQ(record.status.result, RunResult::node_fail);
  }
}

TEST(RunStep, ARefusedSecondLaunchIsNotTheScriptsFailure) {
  for (const bool again : {false, true}) {
    RunRecord record = submitted_record();
    static_cast<void>(step(record, Claimed{7, again}, 101 * second));
    SlurmJob job = job_in("FAILED");
    job.start_us = 101 * second;
    job.end_us = 110 * second;
    job.exit_code = 75;
    static_cast<void>(step(record, InQueue{111 * second, {job}}, 111 * second));
    static_cast<void>(step(record, InAccounts{112 * second, {job}}, 112 * second));
    EXPECT_EQ(record.status.result, again ? RunResult::node_fail : RunResult::failed);
  }
}

TEST(RunStep, ALateTwinIsCancelled) {
  RunRecord record = submitted_record();
  const auto actions =
      step(record, InQueue{101 * second, {job_in("RUNNING"), job_in("PENDING", 9)}}, 101 * second);
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(std::get<CancelJob>(actions[0]).job, 9U);
}

TEST(RunStep, ARecycledIdIsNotOurs) {
  RunRecord record = submitted_record();
  SlurmJob old = job_in("FAILED");
  old.submit_us = 1 * second;
  old.end_us = 2 * second;
  SlurmJob ours = job_in("COMPLETED");
  ours.submit_us = 100 * second;
  ours.start_us = 100 * second;
  ours.end_us = 110 * second;
  static_cast<void>(step(record, InQueue{101 * second, {old, ours}}, 101 * second));
  static_cast<void>(step(record, InAccounts{111 * second, {ours, old}}, 111 * second));
  EXPECT_EQ(record.phase, RunPhase::ended);
  EXPECT_EQ(record.status.result, RunResult::completed);
}

TEST(RunStep, EveryEndThatSlurmKnowsKeepsItsName) {
  const std::map<std::string, RunResult> results{
      {"COMPLETED", RunResult::completed},         {"FAILED", RunResult::failed},
      {"CANCELLED by 1000", RunResult::cancelled}, {"TIMEOUT", RunResult::timeout},
      {"OUT_OF_MEMORY", RunResult::out_of_memory}, {"NODE_FAIL", RunResult::node_fail},
      {"PREEMPTED", RunResult::preempted},         {"DEADLINE", RunResult::deadline},
      {"BOOT_FAIL", RunResult::boot_fail}};
  for (const auto& [state, result] : results) {
    RunRecord record = submitted_record();
    SlurmJob job = job_in(state.c_str());
    job.start_us = 101 * second;
    job.end_us = 110 * second;
    static_cast<void>(step(record, InQueue{111 * second, {job}}, 111 * second));
    static_cast<void>(step(record, InAccounts{112 * second, {job}}, 112 * second));
    EXPECT_EQ(record.status.result, result) << state;
  }
}

TEST(RunStep, ADatabaseThatLagsHoldsAnEndUpForAMinuteAtMost) {
  RunRecord record = submitted_record();
  SlurmJob job = job_in("COMPLETED");
  job.start_us = 101 * second;
  job.end_us = 110 * second;
  static_cast<void>(step(record, InQueue{111 * second, {job}}, 111 * second));
  EXPECT_NE(record.phase, RunPhase::ended);
  static_cast<void>(step(record, InQueue{172 * second, {job}}, 172 * second));
  EXPECT_EQ(record.phase, RunPhase::ended);
  ASSERT_TRUE(lacks_usage(record));
  job.cluster = "alpha";
  job.cpu_us = 42;
  static_cast<void>(step(record, InAccounts{9000 * second, {job}}, 9000 * second));
  EXPECT_FALSE(lacks_usage(record)) << "the figures come whenever they come";
  EXPECT_EQ(record.status.cpu_us, 42U);
  EXPECT_EQ(record.status.result, RunResult::completed);
}

TEST(RunStep, ACancelledRunThatNeverStartedIsNotSubmitted) {
  RunRecord record;
  static_cast<void>(step(record, CancelAsked{}, 1));
  EXPECT_EQ(record.phase, RunPhase::ended);
  EXPECT_EQ(record.status.result, RunResult::cancelled);
  EXPECT_TRUE(step(record, Tick{}, 2).empty());
}

}  // namespace
}  // namespace ufab::slurm
