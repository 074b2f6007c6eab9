#include "jobs/node/job_queue.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {
namespace {

// A home with a chain of its own, and a provider of four processors that never answers.
class JobQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-queue-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    context_ =
        std::make_unique<NodeContext>(NodeContext{Home(folder_), {}, nullptr, nullptr, nullptr, {}, {}, {}});
    HomeConfig& config = context_->config;
    config.organisation = "alpha";
    config.listen_port = 4000;
    const KeyPair key = KeyPair::generate();
    ASSERT_TRUE(key.save(context_->home.file("org.key")).ok());
    ASSERT_TRUE(found_chain(context_->home, config, "test", ChainParams{}).ok());
    chain_ = Chain::open(context_->home, config).value();
    context_->chain = chain_.get();
    ASSERT_TRUE(chain_->submit(Stake{200 * micro_per_unc}).ok());
    ASSERT_TRUE(chain_->submit(ProviderEnrol{{"alpha", 4, 1, 1u << 30, 1000, 1, 1}}).ok());
    queue_ = std::make_unique<JobQueue>(*context_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  JobId order(std::uint32_t tasks, bool held = false) {
    JobSpec spec;
    spec.name = "job";
    spec.idempotency_key = "key-" + std::to_string(++orders_);
    spec.script = sha256("script");
    spec.submit_folder = "/";
    spec.options.tasks = tasks;
    JobOrder order;
    order.kind = JobKind::batch;
    order.name = spec.name;
    order.idempotency_key = spec.idempotency_key;
    order.script_digest = spec.script;
    order.budget = 1000;
    order.price_max_per_cpu_hour = 1000;
    EXPECT_TRUE(chain_->submit(order).ok());
    const JobId job = chain_->read([](const State& state) { return state.job_last(); });
    const JobFolder folder(context_->home, job);
    EXPECT_TRUE(make_folders(folder.path(), 0700).ok());
    if (held) std::ofstream(folder.path() + "/held");
    EXPECT_TRUE(write_file_atomic(folder.spec(), as_bytes(job_spec_text(spec))).ok());
    return job;
  }
  JobQueue::Decisions pass() {
    queue_->refresh();
    // A pass takes at most a tenth of the time.
    for (int i = 0; i < 200; ++i) {
      JobQueue::Decisions decisions = queue_->decide(wall_clock_s());
      if (!decisions.starts.empty()) return decisions;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {};
  }
  void start(const JobQueue::StartDecision& decision) {
    JobAttempt attempt;
    attempt.job = decision.job;
    attempt.attempt = 1;
    attempt.shares = {{1, 0, 0}};
    ASSERT_TRUE(chain_->submit(attempt).ok());
    queue_->touch(decision.job);
  }

  std::string folder_;
  std::unique_ptr<NodeContext> context_;
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<JobQueue> queue_;
  int orders_ = 0;
};

TEST_F(JobQueueTest, StartsWhatFitsAndTellsTheRestWhy) {
  const JobId a = order(4);
  const JobId b = order(4);
  const JobId c = order(1);
  const JobId held = order(1, true);
  const auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  EXPECT_EQ(decisions.starts[0].job, a);
  EXPECT_EQ(decisions.starts[0].providers, (std::vector<std::string>{"alpha"}));
  EXPECT_EQ(queue_->reason(b), "Resources");
  EXPECT_EQ(queue_->reason(c), "Resources");
  EXPECT_EQ(queue_->reason(held), "JobHeldUser");
  EXPECT_EQ(queue_->held(held), true);
}

TEST_F(JobQueueTest, AStartInFlightHoldsItsProcessorsUntilTheLedgerDoes) {
  const JobId a = order(3);
  auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  const JobId b = order(3);
  EXPECT_TRUE(pass().starts.empty());  // a is on its way
  EXPECT_EQ(queue_->reason(b), "Resources");
  start(decisions.starts[0]);
  EXPECT_TRUE(pass().starts.empty());  // a's attempt stands on the ledger, nobody has leased yet
  EXPECT_FALSE(queue_->waits(a));
  EXPECT_EQ(queue_->to_drive(), (std::vector<JobId>{a}));
}

TEST_F(JobQueueTest, AStartThatCouldNotBeFiledWaitsWithItsReasonAndIsTriedAgain) {
  const JobId a = order(3);
  ASSERT_EQ(pass().starts.size(), 1U);
  queue_->failed(a, "the validator does not answer");
  EXPECT_EQ(queue_->reason(a), "Resources, the validator does not answer");
  JobQueue::Decisions again;
  for (int i = 0; i < 30 && again.starts.empty(); ++i) again = pass();
  ASSERT_EQ(again.starts.size(), 1U);
  EXPECT_EQ(again.starts[0].job, a);
}

TEST_F(JobQueueTest, AReleasedJobStartsAndACancelledOneLeaves) {
  const JobId a = order(1, true);
  const JobId b = order(1, true);
  EXPECT_TRUE(pass().starts.empty());
  queue_->set_held(a, false);
  ASSERT_EQ(pass().starts.size(), 1U);
  Cancel cancel;
  cancel.job = b;
  cancel.result = JobResult::cancelled;
  cancel.reason = "test";
  ASSERT_TRUE(chain_->submit(cancel).ok());
  queue_->touch(b);
  queue_->refresh();
  EXPECT_FALSE(queue_->waits(b));
  EXPECT_EQ(queue_->to_drive(), (std::vector<JobId>{b}));  // its end is to be noted
  queue_->finished(b);
  EXPECT_TRUE(queue_->to_drive().empty());
}

TEST_F(JobQueueTest, OwnLimitsHoldJobsBack) {
  context_->config.queue.slots_max = 2;
  order(1);
  order(1);
  const JobId c = order(1);
  EXPECT_EQ(pass().starts.size(), 2U);
  EXPECT_EQ(queue_->reason(c), "AssocGrpCpuLimit");
}

TEST_F(JobQueueTest, MoneyInFlightCountsAgainstTheLimitOfEscrow) {
  context_->config.queue.escrow_max_micro = 1500;  // an order holds 1,000
  order(1);
  const JobId b = order(1);
  EXPECT_EQ(pass().starts.size(), 1U);
  EXPECT_EQ(queue_->reason(b), "AssocGrpBillingMinutes");
  EXPECT_TRUE(pass().starts.empty());
}

TEST_F(JobQueueTest, AJobThatNobodyCanHoldSaysWhoAndWhy) {
  const JobId a = order(5);
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_EQ(
      queue_->reason(a),
      "BadConstraints, the job needs 1 providers and 0 can take it; alpha has 4 processors, the job needs 5");
}

TEST_F(JobQueueTest, ARestartFindsWaitingAndRunningJobsAgain) {
  order(3);
  auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  start(decisions.starts[0]);
  const JobId b = order(3);
  const JobId held = order(1, true);
  queue_ = std::make_unique<JobQueue>(*context_);
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_EQ(queue_->reason(b), "Resources");
  EXPECT_EQ(queue_->reason(held), "JobHeldUser");
  EXPECT_EQ(queue_->to_drive(), (std::vector<JobId>{decisions.starts[0].job}));
}

TEST_F(JobQueueTest, AJobWhoseSubmissionIsNotAdoptedYetIsReadLater) {
  const JobId a = order(1);
  const std::string spec = JobFolder(context_->home, a).spec();
  std::filesystem::rename(spec, spec + ".later");
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_EQ(queue_->measures().unread, 1U);
  std::filesystem::rename(spec + ".later", spec);
  EXPECT_EQ(pass().starts.size(), 1U);
}

TEST_F(JobQueueTest, PagesListEveryJobOnceInBoundedPieces) {
  for (int i = 0; i < 5; ++i) order(1);
  std::vector<JobId> seen;
  JobId from = 0;
  std::size_t pages = 0;
  do {
    const JobPage page = view_page(*chain_, from, [](const JobEntry& job) { return job.id % 2 == 1; });
    for (const auto& job : page.jobs) seen.push_back(std::get<OrderedJob>(job).id);
    from = page.next;
    ++pages;
  } while (from != 0);
  EXPECT_EQ(seen, (std::vector<JobId>{1, 3, 5}));
  EXPECT_EQ(pages, 1U);
}

}  // namespace
}  // namespace ufab::jobs
