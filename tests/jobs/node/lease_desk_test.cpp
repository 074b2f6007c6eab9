// A provider's answers to asks, on a ledger of its own with two owners beside it.
#include "jobs/node/lease_desk.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "jobs/node/ledger_facts.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;

class LeaseDeskTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-desk-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    const Home home(folder_);
    HomeConfig config;
    config.organisation = "alpha";
    config.listen_port = 4000;
    ASSERT_TRUE(KeyPair::generate().save(home.file("org.key")).ok());
    ASSERT_TRUE(found_chain(home, config, "test", ChainParams{}).ok());
    chain_ = Chain::open(home, config).value();
    ASSERT_TRUE(chain_->submit(Stake{200 * micro_per_unc}).ok());
    ASSERT_TRUE(chain_->submit(ProviderEnrol{{"alpha", 2, 1, 1u << 30, 1000, 1, 1}}).ok());
    for (const char* name : {"beta", "gamma"}) {
      keys_.push_back(KeyPair::generate());
      file(keys_.back(), Organisation{name, ""});
      ASSERT_TRUE(chain_->submit(Transfer{static_cast<OrgId>(keys_.size() + 1), 1'000'000, ""}).ok());
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void file(const KeyPair& key, RecordBody body) {
    const auto filed = chain_->ledger().sign_and_submit(key, std::move(body));
    ASSERT_TRUE(filed.ok()) << filed.error().message;
  }
  // Ordered and asked for at once, as an owner does who keeps to no order.
  JobId ask(const KeyPair& owner, std::uint32_t slots = 1) {
    JobOrder order;
    order.kind = JobKind::batch;
    order.name = "job";
    order.script_digest = sha256("script");
    order.budget = 1000;
    order.price_max_per_cpu_hour = 1000;
    order.slots = slots;
    order.time_limit_s = 60;
    file(owner, order);
    const JobId job = chain_->read([](const State& state) { return state.job_last(); });
    file(owner, JobAttempt{job, 1, 0, {{1, 0, 0}}, ""});
    return job;
  }
  void lease(JobId job, std::uint32_t slots = 1) {
    Lease lease;
    lease.job = job;
    lease.attempt = 1;
    lease.ranks = slots;
    lease.threads = 1;
    ASSERT_TRUE(chain_->submit(lease).ok());
  }
  void look() { desk_.look(*chain_, 1, now_); }

  std::string folder_;
  std::unique_ptr<Chain> chain_;
  std::vector<KeyPair> keys_;
  LeaseDesk desk_;
  LeaseDesk::Clock::time_point now_ = LeaseDesk::Clock::now();
};

TEST_F(LeaseDeskTest, WhoAskedForEverythingFirstSharesWithWhoAsksForOne) {
  std::vector<JobId> many;
  for (int i = 0; i < 5; ++i) many.push_back(ask(keys_[0]));
  look();
  EXPECT_EQ(desk_.answer(many[0], 1), AskAnswer::lease);
  EXPECT_EQ(desk_.answer(many[1], 1), AskAnswer::lease);
  EXPECT_EQ(desk_.answer(many[2], 1), AskAnswer::wait);
  EXPECT_EQ(desk_.note(many[0], 1)->reason, "Prolog");
  EXPECT_EQ(desk_.note(many[2], 1)->reason, "Resources");
  lease(many[0]);
  const JobId one = ask(keys_[1]);
  look();
  EXPECT_EQ(desk_.answer(one, 1), AskAnswer::lease) << "gamma has used nothing";
  EXPECT_EQ(desk_.answer(many[1], 1), AskAnswer::wait);
  EXPECT_EQ(desk_.note(many[0], 1), std::nullopt) << "it is no ask any more";
}

TEST_F(LeaseDeskTest, WhatCannotBeServedKeepsNobodyWaiting) {
  const JobId wide = ask(keys_[0], 2);
  const JobId next = ask(keys_[1], 2);
  look();
  EXPECT_EQ(desk_.answer(wide, 1), AskAnswer::lease);
  EXPECT_EQ(desk_.answer(next, 1), AskAnswer::wait);
  desk_.set_aside(wide, 1, "the node of beta does not answer", false, now_);
  look();
  EXPECT_EQ(desk_.answer(wide, 1), AskAnswer::wait);
  EXPECT_EQ(desk_.note(wide, 1)->reason, "the node of beta does not answer");
  EXPECT_EQ(desk_.answer(next, 1), AskAnswer::lease);
  now_ += LeaseDesk::aside_first + 1s;
  look();
  EXPECT_EQ(desk_.answer(wide, 1), AskAnswer::lease) << "it is tried again";
  desk_.set_aside(wide, 1, "again", false, now_);
  now_ += LeaseDesk::aside_first + 1s;
  look();
  EXPECT_EQ(desk_.answer(wide, 1), AskAnswer::wait) << "after twice as long";
  desk_.set_aside(wide, 1, "declined: too much", true, now_);
  now_ += 24h;
  look();
  EXPECT_EQ(desk_.answer(wide, 1), AskAnswer::wait);
  EXPECT_TRUE(desk_.note(wide, 1)->declined);
}

TEST_F(LeaseDeskTest, FactsCountWhatRunsAndUntilWhenItMay) {
  const JobId job = ask(keys_[0], 2);
  lease(job, 2);
  const LedgerFacts ledger = chain_->read(
      [](const State& state) { return ledger_facts(state, [](JobId, std::uint32_t) { return false; }); });
  ASSERT_EQ(ledger.facts.running.size(), 1U);
  EXPECT_TRUE(ledger.facts.asks.empty());
  EXPECT_EQ(ledger.facts.running[0].slots, 2U);
  EXPECT_EQ(ledger.facts.running[0].end_s, ledger.facts.now_s + 60);
  EXPECT_EQ(ledger.facts.owners.at(1).usage, 2U * 60) << "its limit, as long as it runs";
  EXPECT_EQ(ledger.facts.owners.at(2).usage, 0U);
}

TEST(DecayedUse, HalvesEveryDayFromTheEndOfItsPeriodOn) {
  OrgEntry org;
  org.used = {{10, 1000}, {11, 24}};
  const std::uint64_t end_us = 12 * use_period_us;  // of the later period
  EXPECT_EQ(decayed_use(org, end_us - 1), decayed_usage(1000, use_period_us / 1'000'000 - 1, 86400) + 24);
  EXPECT_EQ(decayed_use(org, end_us + 86'400'000'000ULL),
            decayed_usage(1000, 86400 + use_period_us / 1'000'000, 86400) + 12);
  EXPECT_EQ(decayed_use({}, end_us), 0U);
}

}  // namespace
}  // namespace ufab::jobs
