// What of a run is on disk: its record, read back exactly, and the claim, which is given once.
#include "slurm/record_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace ufab::slurm {
namespace {

class RecordFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-slurm-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(RecordFile, ARecordIsReadBackExactly) {
  RunRecord record;
  record.name = "job-7-1";
  record.tag = "ufab:00000000:job-7-1:0123456789abcdef";
  record.phase = RunPhase::submitted;
  record.created_us = 1;
  record.attempted_us = 2;
  record.attempts = 3;
  record.job = 4;
  record.twins = {5, 6};
  record.cancel_wanted = true;
  record.cancelled_us = 7;
  record.claimed = true;
  record.launched_again = true;
  record.missing_since_us = 8;
  record.unknown_since_us = 9;
  record.finished_us = 10;
  record.status.state = jobs::RunState::ended;
  record.status.result = jobs::RunResult::preempted;
  record.status.cluster = "alpha";
  record.status.gpu_us = 11;
  record.status.billing_s = 12;
  ASSERT_TRUE(save_record(folder_, record).ok());
  EXPECT_EQ(load_record(folder_).value(), record);
}

TEST_F(RecordFile, AScriptIsClaimedOnceEvenByTheSameJob) {
  EXPECT_EQ(claimed_by(folder_), 0U);
  EXPECT_TRUE(claim_run(folder_, 7).ok());
  EXPECT_FALSE(claim_run(folder_, 8).ok());
  EXPECT_FALSE(launched_again(folder_));
  for (const std::uint64_t job : {std::uint64_t{7}, std::uint64_t{8}, closed_claim}) {
    const Status again = claim_run(folder_, job);
    ASSERT_FALSE(again.ok()) << job;
    EXPECT_EQ(again.error().code, ErrorCode::conflict);
  }
  EXPECT_EQ(claimed_by(folder_), 7U);
  EXPECT_TRUE(launched_again(folder_));
}

}  // namespace
}  // namespace ufab::slurm
