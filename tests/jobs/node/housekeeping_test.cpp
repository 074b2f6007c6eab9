#include "jobs/node/housekeeping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "jobs/node/chain.h"
#include "tests/jobs/node/own_chain.h"

namespace ufab::jobs {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t day_s = 86400;

TEST(Outdated, AreOthersJobsThatAreOverAndOld) {
  const std::int64_t now_s = 100 * day_s;
  const std::vector<KeptJob> kept{{1, true, true, now_s - 15 * day_s},
                                  {2, false, true, now_s - 15 * day_s},
                                  {3, true, false, now_s - 15 * day_s},
                                  {4, true, true, now_s - 14 * day_s},
                                  {5, true, true, 0},
                                  {6, true, true, now_s + day_s}};
  EXPECT_EQ(outdated(kept, now_s, 14), (std::vector<JobId>{1, 5}));
  EXPECT_EQ(outdated(kept, now_s, 16), (std::vector<JobId>{5}));
  EXPECT_TRUE(outdated(kept, now_s, 0).empty()) << "0: for ever";
}

class Batch final : public BatchSystem {
 public:
  Status start(const RunRequest&) override { return Error{ErrorCode::unavailable, "no runs here"}; }
  Result<RunStatus> status(const std::string&) override { return Error{ErrorCode::not_found, "no run"}; }
  Status cancel(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list() override { return runs; }
  Status forget(const std::string& name) override {
    if (!fails) std::erase(runs, name);
    return fails ? Status(Error{ErrorCode::conflict, "has not ended"}) : Status{};
  }
  void set_slots(std::uint32_t) override {}
  [[nodiscard]] bool sets_slurm_variables() const override { return false; }
  [[nodiscard]] bool keeps_accounts() const override { return false; }
  void tick() override {}
  std::vector<std::string> runs;
  bool fails = false;
};

// A chain with three jobs that have ended and one that waits; each has a folder like a provider's.
class HousekeepingTest : public OwnChainTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OwnChainTest::SetUp());
    const Home& home = context_->home;
    context_->batch = &batch_;
    context_->config.provider = ProviderConfig{};
    for (JobId job = 1; job <= 4; ++job) {
      JobOrder order;
      order.kind = JobKind::batch;
      order.name = "job";
      order.idempotency_key = "key-" + std::to_string(job);
      order.script_digest = sha256("script");
      order.slots = 1;
      order.budget = 1000;
      order.price_max_per_cpu_hour = 1000;
      ASSERT_TRUE(chain_->submit(order).ok());
      if (job != 4) {
        ASSERT_TRUE(chain_->submit(Cancel{job, JobResult::cancelled, "test"}).ok());
      }
      const JobFolder folder(home, job);
      if (job != 3) {
        ASSERT_TRUE(mark_foreign(folder, "beta").ok());
      }
      ASSERT_TRUE(make_folders(folder.out(1)).ok());
      write(folder.script());
      write(folder.out(1) + "/checkpoint");
      ASSERT_TRUE(make_folders(place(job) + "/out").ok());
      write(place(job) + "/output");
      fs::create_symlink(place(job), folder.attempt(1) + "/run");
      batch_.runs.push_back("job-" + std::to_string(job) + "-1");
      batch_.runs.push_back("verify-" + std::to_string(job) + "-1-0-1");
    }
    ASSERT_TRUE(make_folders(home.file("blobs")).ok());
    for (const char* name : {"unshared", "shared", "fresh"}) write(blob(name));
    fs::create_hard_link(blob("shared"), JobFolder(home, 3).corpus());
  }

  static void write(const std::string& path) { std::ofstream(path) << "content"; }
  [[nodiscard]] std::string place(JobId job) const {
    return folder_ + "/home-runs/job-" + std::to_string(job) + "-1";
  }
  [[nodiscard]] std::string blob(const std::string& name) const {
    return context_->home.file("blobs/" + name);
  }
  [[nodiscard]] bool kept(JobId job) const { return fs::exists(context_->home.job_folder(job)); }
  static void age(const std::string& path, std::int64_t days) {
    const timespec time{std::time(nullptr) - days * day_s, 0};
    const timespec times[]{time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }
  static void age_tree(const std::string& path, std::int64_t days) {
    for (const auto& entry : fs::recursive_directory_iterator(path)) age(entry.path(), days);
    age(path, days);
  }
  void pass() {
    int disturbed = 0;
    Housekeeping(*context_, [&](const std::function<void()>& what) {
      ++disturbed, what();
    }).pass(std::time(nullptr));
    EXPECT_GT(disturbed, 0);
  }

  Batch batch_;
};

TEST_F(HousekeepingTest, RemovesWhatOthersJobsLeftAndNothingElse) {
  age_tree(folder_, 20);
  age(place(2) + "/out", 3);  // something has changed there
  age(blob("fresh"), 3);
  pass();
  EXPECT_FALSE(kept(1));
  EXPECT_FALSE(fs::exists(place(1)));
  EXPECT_FALSE(fs::exists(context_->home.job_folder(1) + ".gone"));
  EXPECT_TRUE(kept(2)) << "not old enough";
  EXPECT_TRUE(kept(3)) << "its own";
  EXPECT_TRUE(kept(4)) << "not over";
  for (const JobId job : {2U, 3U, 4U}) EXPECT_TRUE(fs::exists(place(job) + "/output")) << job;
  EXPECT_EQ(batch_.runs, (std::vector<std::string>{"job-2-1", "verify-2-1-0-1", "job-3-1", "verify-3-1-0-1",
                                                   "job-4-1", "verify-4-1-0-1"}));
  EXPECT_FALSE(fs::exists(blob("unshared")));
  EXPECT_TRUE(fs::exists(blob("shared")));
  EXPECT_TRUE(fs::exists(blob("fresh")));
  EXPECT_EQ(log_, "");
}

TEST_F(HousekeepingTest, GoesOnWhereANodeThatDiedHasLeftOff) {
  age_tree(folder_, 20);
  batch_.fails = true;
  pass();
  EXPECT_TRUE(kept(1) && fs::exists(place(1))) << "its run has not ended after all";
  EXPECT_NE(log_.find("job 1: its files cannot be removed: has not ended"), std::string::npos);
  batch_.fails = false;
  // Died after it renamed the folder and removed some of it.
  const std::string gone = context_->home.job_folder(1) + ".gone";
  fs::rename(context_->home.job_folder(1), gone);
  fs::remove_all(gone + "/attempt-1");
  pass();
  EXPECT_FALSE(fs::exists(gone));
  EXPECT_FALSE(fs::exists(place(1)));
}

TEST_F(HousekeepingTest, ZeroDaysAreForEver) {
  age_tree(folder_, 2000);
  context_->config.provider->keep_days = 0;
  Housekeeping(*context_, [&](const std::function<void()>& what) { what(); }).pass(std::time(nullptr));
  for (const JobId job : {1U, 2U, 3U, 4U}) EXPECT_TRUE(kept(job));
  EXPECT_TRUE(fs::exists(blob("unshared")));
}

}  // namespace
}  // namespace ufab::jobs
