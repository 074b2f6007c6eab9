#include "jobs/node/job_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "jobs/node/job_files.h"
#include "tests/jobs/node/own_chain.h"

namespace ufab::jobs {
namespace {

// A home with a chain of its own, and a provider of four processors that never answers.
class JobQueueTest : public OwnChainTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OwnChainTest::SetUp());
    ASSERT_NO_FATAL_FAILURE(enrol());
    make_queue();
  }

  void make_queue() {
    queue_ = std::make_unique<JobQueue>(*context_, [this](const std::string& key) {
      const auto found = submitted_.find(key);
      return found == submitted_.end() ? nullptr : found->second;
    });
  }
  enum class Files { in_folder, in_journal };
  JobId order(std::uint32_t tasks, bool held = false, Files files = Files::in_folder) {
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
    order.slots = tasks;
    order.budget = 1000;
    order.price_max_per_cpu_hour = 1000;
    EXPECT_TRUE(chain_->submit(order).ok());
    const JobId job = chain_->read([](const State& state) { return state.job_last(); });
    if (files == Files::in_journal) {
      Submission submission;
      submission.key = spec.idempotency_key;
      submission.held = held;
      submission.specification = job_spec_text(spec);
      submitted_[submission.key] = std::make_shared<const Submission>(submission);
      return job;
    }
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
  void ask(JobId job, std::uint32_t number, OrgId provider) {
    JobAttempt attempt;
    attempt.job = job;
    attempt.attempt = number;
    attempt.shares = {{provider, 0, 0}};
    ASSERT_TRUE(chain_->submit(attempt).ok());
    queue_->touch(job);
  }
  void lease(JobId job, std::uint32_t number, std::uint32_t slots) {
    Lease lease;
    lease.job = job;
    lease.attempt = number;
    lease.ranks = slots;
    lease.threads = 1;
    lease.price_per_cpu_hour = 1;
    ASSERT_TRUE(chain_->submit(lease).ok());
    queue_->touch(job);
  }
  // Another organisation, with money.
  KeyPair stranger() {
    KeyPair key = KeyPair::generate();
    const auto filed = [&](RecordBody body) {
      const auto done = chain_->ledger().sign_and_submit(key, std::move(body));
      ASSERT_TRUE(done.ok()) << done.error().message;
    };
    filed(Organisation{"beta", ""});
    EXPECT_TRUE(chain_->submit(Transfer{2, 1'000'000, ""}).ok());
    return key;
  }
  JobId foreign_order(const KeyPair& key, std::uint32_t slots, std::uint64_t limit_s) {
    JobOrder order;
    order.kind = JobKind::batch;
    order.name = "foreign";
    order.script_digest = sha256("script");
    order.budget = 1000;
    order.price_max_per_cpu_hour = 1000;
    order.slots = slots;
    order.time_limit_s = limit_s;
    EXPECT_TRUE(chain_->ledger().sign_and_submit(key, order).ok());
    return chain_->read([](const State& state) { return state.job_last(); });
  }

  std::unique_ptr<JobQueue> queue_;
  std::map<std::string, std::shared_ptr<const Submission>> submitted_;
  int orders_ = 0;
};

// beta and gamma take part too; gamma is cheaper, over a link that beta or the ledger calls slow.
TEST_F(JobQueueTest, AGangIsChosenByTheLinksThatProvidersReport) {
  std::vector<KeyPair> keys;
  for (const auto& [name, price] : {std::pair<const char*, MicroUnc>{"beta", 1000}, {"gamma", 800}}) {
    KeyPair key = KeyPair::generate();
    const auto filed = [&](RecordBody body) {
      const auto done = chain_->ledger().sign_and_submit(key, std::move(body));
      ASSERT_TRUE(done.ok()) << done.error().message;
    };
    filed(Organisation{name, ""});
    const auto id = static_cast<OrgId>(keys.size() + 2);
    ASSERT_TRUE(chain_->submit(Transfer{id, 500 * micro_per_unc, ""}).ok());
    filed(Stake{200 * micro_per_unc});
    filed(ProviderEnrol{{name, 4, 1, 1u << 30, 10'000, price, 1}});
    keys.push_back(std::move(key));
  }
  ASSERT_TRUE(chain_->submit(ProviderUpdate{{"alpha", 4, 1, 1u << 30, 10'000, 1000, 1}}).ok());
  const auto report = [&](std::vector<ReportedLink> of_alpha, std::vector<ReportedLink> of_beta) {
    const auto epoch = [&] { return chain_->read([](const State& state) { return state.epoch(); }); };
    for (const std::uint64_t before = epoch(); epoch() == before;)
      ASSERT_TRUE(chain_->submit(Transfer{2, 1, ""}).ok());
    ASSERT_TRUE(chain_->submit(LinkReport{std::move(of_alpha)}).ok());
    ASSERT_TRUE(chain_->ledger().sign_and_submit(keys[0], LinkReport{std::move(of_beta)}).ok());
  };
  const auto gang_of_next = [&] {
    JobSpec spec;
    spec.name = "gang";
    spec.training = true;
    spec.idempotency_key = "key-" + std::to_string(++orders_);
    spec.script = sha256("script");
    spec.submit_folder = "/";
    spec.options.providers = {2, 2};
    spec.exchange_bytes = 400'000'000;
    JobOrder order;
    order.kind = JobKind::training;
    order.name = spec.name;
    order.idempotency_key = spec.idempotency_key;
    order.script_digest = spec.script;
    order.definition_digest = sha256("definition");
    order.semantics_version = 1;
    order.steps = order.window_steps = 100;
    order.micro_batches = 10;
    order.flop_per_micro_batch = 100'000'000'000;
    order.budget = 10 * micro_per_unc;
    order.price_max_per_tflop = 2000;
    order.slots = 1;
    order.providers_min = order.providers_max = 2;
    EXPECT_TRUE(chain_->submit(order).ok());
    const JobId job = chain_->read([](const State& state) { return state.job_last(); });
    const JobFolder folder(context_->home, job);
    EXPECT_TRUE(make_folders(folder.path(), 0700).ok());
    EXPECT_TRUE(write_file_atomic(folder.spec(), as_bytes(job_spec_text(spec))).ok());
    const auto decisions = pass();
    std::vector<std::string> gang =
        decisions.starts.empty() ? std::vector<std::string>() : decisions.starts.back().providers;
    std::sort(gang.begin(), gang.end());
    return gang;
  };
  using Gang = std::vector<std::string>;
  // 400 MB: 0.4 s or 400 s a step; computing one takes 50 s on two.
  const ReportedLink fast{0, 100, 1'000'000};
  const ReportedLink slow{0, 100, 1'000};
  const auto to = [](OrgId peer, ReportedLink link) {
    link.organisation = peer;
    return link;
  };
  EXPECT_EQ(queue_->links().between("alpha", "gamma", wall_clock_s()).bytes_per_s, link_plain.bytes_per_s);
  report({to(2, fast), to(3, slow)}, {to(1, fast), to(3, slow)});
  EXPECT_EQ(gang_of_next(), (Gang{"alpha", "beta"}));
  report({to(2, slow), to(3, fast)}, {to(1, fast), to(3, slow)});
  EXPECT_EQ(gang_of_next(), (Gang{"alpha", "gamma"})) << "one end of alpha and beta calls that link slow";
}

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

TEST_F(JobQueueTest, ASubmissionThatHasNoFolderYetIsReadInTheJournal) {
  const JobId held = order(1, true, Files::in_journal);
  const JobId a = order(3, false, Files::in_journal);
  const JobId b = order(4, false, Files::in_journal);
  const auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  EXPECT_EQ(decisions.starts[0].job, a);
  EXPECT_EQ(queue_->reason(b), "Resources");
  EXPECT_EQ(queue_->held(held), true);
  EXPECT_EQ(queue_->measures().unread, 0U);
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
  EXPECT_TRUE(queue_->waits(a));
  EXPECT_EQ(queue_->to_drive(), (std::vector<JobId>{a}));
  queue_->told(a, "Priority");
  EXPECT_EQ(queue_->reason(a), "Priority");
  lease(a, 1, 3);
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_FALSE(queue_->waits(a));
  EXPECT_EQ(queue_->to_drive(), (std::vector<JobId>{a}));
  EXPECT_EQ(queue_->reason(b), "Resources");
}

TEST_F(JobQueueTest, AJobThatIsPlannedAgainKeepsItsPlaceAndFreesWhatItHeld) {
  const JobId a = order(4);
  start(pass().starts.at(0));
  lease(a, 1, 4);
  queue_->refresh();
  ASSERT_FALSE(queue_->waits(a));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // ages are in seconds
  const JobId b = order(4);
  EXPECT_TRUE(pass().starts.empty());
  queue_->plan_again(a, 1, "the node of alpha does not answer", {}, {});
  queue_->plan_again(a, 1, "said twice", {}, {});
  const auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  EXPECT_EQ(decisions.starts[0].job, a) << "it is older than b";
  EXPECT_EQ(decisions.starts[0].reason, "the node of alpha does not answer");
  EXPECT_EQ(decisions.starts[0].after_attempt, 1U);
  EXPECT_EQ(queue_->reason(b), "Resources");
  ask(a, 2, 1);
  EXPECT_TRUE(pass().starts.empty());
  lease(a, 2, 4);
  queue_->refresh();
  EXPECT_FALSE(queue_->waits(a)) << "what was said of attempt 1 is over";
}

TEST_F(JobQueueTest, AJobThatIsPlannedAgainLeavesOutTheConvictedForGoodAndTheSilentForAWhile) {
  const JobId a = order(1);
  start(pass().starts.at(0));
  queue_->refresh();
  queue_->plan_again(a, 1, "convicted", {"alpha"}, {});
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_EQ(queue_->reason(a),
            "BadConstraints, the job needs 1 providers and 0 can take it; alpha excluded from this job");
}

TEST_F(JobQueueTest, OthersJobsOccupyAProviderForAsLongAsTheirOrdersSay) {
  const KeyPair beta = stranger();
  const JobId foreign = foreign_order(beta, 3, 600);
  JobAttempt attempt;
  attempt.job = foreign;
  attempt.attempt = 1;
  attempt.shares = {{1, 0, 0}};
  ASSERT_TRUE(chain_->ledger().sign_and_submit(beta, attempt).ok());
  lease(foreign, 1, 3);
  const JobId wide = order(4);
  queue_->refresh();
  // The provider is contested: whoever comes next asks, so that the provider knows.
  const auto decisions = pass();
  ASSERT_EQ(decisions.starts.size(), 1U);
  EXPECT_EQ(decisions.starts[0].job, wide);
  ask(wide, 1, 1);
  const JobId second = order(4);
  const JobId third = order(4);
  const auto more = pass();
  ASSERT_EQ(more.starts.size(), 1U) << "two asks ahead at a provider, not more";
  EXPECT_TRUE(more.starts[0].job == second || more.starts[0].job == third);
}

TEST_F(JobQueueTest, WhatJobsHaveCostCountsAgainstTheLimitOfSpending) {
  context_->config.queue.budget_max_micro = 1500;  // an order holds 1,000
  const JobId a = order(1);
  start(pass().starts.at(0));
  EXPECT_EQ(queue_->spending().in_flight, 1000U);
  queue_->refresh();
  EXPECT_EQ(queue_->spending().in_flight, 0U);
  EXPECT_EQ(queue_->spending().committed, 1000U);
  lease(a, 1, 1);
  queue_->refresh();
  EXPECT_EQ(queue_->spending().committed, 1000U);
  UsageReceipt usage;
  usage.job = a;
  usage.attempt = 1;
  usage.cpu_us = usage.wall_us = 3'600'000'000ULL * 600;  // at 1 micro-UNC an hour and a fee of 1 %
  ASSERT_TRUE(chain_->submit(usage).ok());
  queue_->touch(a);
  queue_->refresh();
  const Quota spending = queue_->spending();
  EXPECT_EQ(spending.settled, chain_->read([](const State& state) { return state.organisation(1)->spent; }));
  EXPECT_GT(spending.settled, 500U);
  EXPECT_EQ(spending.committed, 0U);
  const JobId b = order(1);
  EXPECT_TRUE(pass().starts.empty());
  EXPECT_EQ(queue_->reason(b), "AssocGrpBillingMinutes");
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
  make_queue();
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
