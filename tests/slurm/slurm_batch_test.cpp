// Runs of other users: what their scripts may write is believed only as far as Slurm confirms it.
#include "slurm/slurm_batch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/batch/run_files.h"
#include "slurm/record_file.h"

namespace ufab::slurm {
namespace {

using namespace std::chrono_literals;

// A cluster on which job 5 is the run's own, 666 one of another user under the same name, 777 anybody's.
struct Cluster {
  std::mutex mutex;
  std::string tag, launcher;
  std::set<std::string> asked_for;
  std::set<std::uint64_t> cancelled;
  std::atomic<int> questions{0};
};

class FakeController final : public Controller {
 public:
  explicit FakeController(Cluster& cluster) : cluster_(cluster) {}
  SubmitOutcome submit(const jobs::RunRequest&, const std::string& tag,
                       const std::string& launcher) override {
    const std::lock_guard lock(cluster_.mutex);
    cluster_.tag = tag;
    cluster_.launcher = launcher;
    return Accepted{5};
  }
  Result<std::vector<SlurmJob>> queue(const std::set<std::string>& others) override {
    const std::lock_guard lock(cluster_.mutex);
    cluster_.asked_for = others;
    ++cluster_.questions;
    std::vector<SlurmJob> jobs;
    for (const auto& [id, user] : {std::pair{5, "daemon"}, std::pair{666, "games"}}) {
      SlurmJob job;
      job.id = static_cast<std::uint64_t>(id);
      job.tag = cluster_.tag;
      job.user = user;
      job.state = cluster_.cancelled.contains(job.id) ? "CANCELLED" : "RUNNING";
      job.start_us = 1;
      jobs.push_back(job);
    }
    return jobs;
  }
  Result<std::vector<SlurmJob>> accounts(std::span<const std::string>, std::int64_t) override {
    return Error{ErrorCode::unavailable, "no database"};
  }
  Status cancel(std::uint64_t job) override {
    const std::lock_guard lock(cluster_.mutex);
    cluster_.cancelled.insert(job);
    return {};
  }

 private:
  Cluster& cluster_;
};

class SlurmBatchOfOthers : public testing::Test {
 protected:
  void SetUp() override {
    const auto user = jobs::find_run_user("daemon");
    if (::geteuid() != 0 || !user) GTEST_SKIP() << "needs root and an account 'daemon'";
    std::string pattern = testing::TempDir() + "ufab-slurm-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    SlurmBatchConfig config;
    config.folder = folder_ + "/slurm";
    config.launcher = "/opt/ufab-slurm-launch";
    config.chain = "01234567";
    config.log = [](const std::string&) {};
    config.poll_us = 5'000;
    batch_ = make_slurm_batch(config, std::make_unique<FakeController>(cluster_)).value();
    request_.name = "job-7-1";
    request_.user = *user;
    request_.launch_folder = folder_ + "/job-7-1.launch";
    request_.script = "/bin/true";
    request_.folder = request_.input = request_.output = request_.error = "/dev/null";
  }
  void TearDown() override {
    batch_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void wait_for_questions(int count) {
    const int until = cluster_.questions + count;
    for (int i = 0; i < 1000 && cluster_.questions < until; ++i) std::this_thread::sleep_for(5ms);
    ASSERT_GE(cluster_.questions, until);
  }
  [[nodiscard]] std::uint64_t job() { return batch_->status("job-7-1")->external_id; }
  Cluster cluster_;
  std::string folder_;
  std::unique_ptr<jobs::BatchSystem> batch_;
  jobs::RunRequest request_;
};

TEST_F(SlurmBatchOfOthers, TheLauncherIsGivenAFolderThatTheUserReaches) {
  ASSERT_TRUE(batch_->start(request_).ok());
  wait_for_questions(2);
  struct stat info {};
  for (const std::string& path : {request_.launch_folder, request_.launch_folder + "/request.json"}) {
    ASSERT_EQ(::lstat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, request_.user->uid) << path;
    EXPECT_EQ(info.st_mode & 077, 0U) << path;
  }
  EXPECT_EQ(jobs::load_request(request_.launch_folder)->script, "/bin/true");
  const std::lock_guard lock(cluster_.mutex);
  EXPECT_NE(cluster_.launcher.find(request_.launch_folder), std::string::npos);
  EXPECT_EQ(cluster_.asked_for, std::set<std::string>{"daemon"});
}

TEST_F(SlurmBatchOfOthers, AJobOfAnotherUserUnderTheRunsNameIsNobodys) {
  ASSERT_TRUE(batch_->start(request_).ok());
  wait_for_questions(3);
  EXPECT_EQ(job(), 5U);
  ASSERT_TRUE(batch_->cancel("job-7-1").ok());
  wait_for_questions(3);
  const std::lock_guard lock(cluster_.mutex);
  EXPECT_EQ(cluster_.cancelled, std::set<std::uint64_t>{5});
}

TEST_F(SlurmBatchOfOthers, AClaimThatNamesAStrangersJobIsNotBelieved) {
  ASSERT_TRUE(batch_->start(request_).ok());
  wait_for_questions(2);
  const std::string claim = request_.launch_folder + "/claim";
  std::ofstream(claim) << "777\n";
  ASSERT_EQ(::chown(claim.c_str(), request_.user->uid, request_.user->gid), 0);
  wait_for_questions(3);
  EXPECT_EQ(job(), 5U);
  EXPECT_FALSE(load_record(folder_ + "/slurm/job-7-1")->claimed);
  // Nor one that says that the run was closed.
  std::ofstream(claim) << closed_claim << "\n";
  wait_for_questions(3);
  EXPECT_EQ(batch_->status("job-7-1")->state, jobs::RunState::running);
  std::ofstream(claim) << "5\n";  // the launcher's, of the job that Slurm runs for this user
  wait_for_questions(3);
  EXPECT_TRUE(load_record(folder_ + "/slurm/job-7-1")->claimed);
  ASSERT_TRUE(batch_->cancel("job-7-1").ok());
  wait_for_questions(3);
  const std::lock_guard lock(cluster_.mutex);
  EXPECT_EQ(cluster_.cancelled, std::set<std::uint64_t>{5});
}

TEST_F(SlurmBatchOfOthers, APlantedLinkOrFifoIsNoClaim) {
  ASSERT_TRUE(batch_->start(request_).ok());
  wait_for_questions(2);
  std::ofstream(folder_ + "/five") << "5\n";
  const std::string claim = request_.launch_folder + "/claim";
  std::filesystem::create_symlink(folder_ + "/five", claim);
  wait_for_questions(3);
  EXPECT_FALSE(load_record(folder_ + "/slurm/job-7-1")->claimed);
  std::filesystem::remove(claim);
  ASSERT_EQ(::mkfifo(claim.c_str(), 0600), 0);
  wait_for_questions(3);
  EXPECT_FALSE(load_record(folder_ + "/slurm/job-7-1")->claimed);
}

TEST_F(SlurmBatchOfOthers, ASandboxIsRefused) {
  request_.sandbox.emplace();
  EXPECT_EQ(batch_->start(request_).error().code, ErrorCode::invalid);
  request_.sandbox.reset();
  request_.launch_folder.clear();
  EXPECT_EQ(batch_->start(request_).error().code, ErrorCode::invalid);
}

}  // namespace
}  // namespace ufab::slurm
