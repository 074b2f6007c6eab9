// How runs are put to Slurm's commands, and what is made of their answers.
#include "slurm/controller.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/slurm/sample_request.h"

namespace ufab::slurm {
namespace {

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(SbatchWords, AskForWhatTheRunNeedsAndNothingElse) {
  jobs::RunRequest request = test::sample_request();
  request.warn_shell_only = true;
  const auto words = sbatch_words({"", "gpu", "proj", "", ""}, request, "ufab:0:job-7-1:1");
  EXPECT_EQ(words[0], "sbatch");
  for (const char* word : {"--job-name=ufab:0:job-7-1:1", "--no-requeue", "--partition=gpu", "--account=proj",
                           "--ntasks=3", "--cpus-per-task=2", "--mem-per-cpu=167M", "--time=2",
                           "--signal=B:10@90", "--chdir=/home/ada/100%", "--output=/home/ada/100%%/out",
                           "--open-mode=truncate", "--comment=train gpt ", "--export=UFAB_RUN=job-7-1"}) {
    EXPECT_TRUE(has(words, word)) << word;
  }
  for (const std::string& word : words) {
    EXPECT_FALSE(word.starts_with("--qos") || word.starts_with("--reservation") ||
                 word.starts_with("--nodes"));
  }
}

TEST(SbatchWords, NameTheUserOfARunThatHasOne) {
  jobs::RunRequest request;
  EXPECT_FALSE(has(sbatch_words({}, request, "t"), "--uid=990"));
  request.user = jobs::RunUser{"fabric", 990, 991, "/", "/bin/sh"};
  EXPECT_TRUE(has(sbatch_words({}, request, "t"), "--uid=990"));
  EXPECT_TRUE(has(sbatch_words({}, request, "t"), "--gid=991"));
}

TEST(SbatchOutcome, TellsARefusalFromDoubt) {
  const auto refused = [](const char* error) {
    return std::holds_alternative<Refused>(sbatch_outcome(1, false, "", error));
  };
  const auto unanswered = [](const char* error) {
    return std::holds_alternative<Unanswered>(sbatch_outcome(1, false, "", error));
  };
  EXPECT_EQ(std::get<Accepted>(sbatch_outcome(0, false, "17\n", "")).job, 17U);
  EXPECT_EQ(std::get<Accepted>(sbatch_outcome(0, false, "17;alpha\n", "")).job, 17U);
  EXPECT_TRUE(refused("sbatch: error: Batch job submission failed: Invalid partition name specified"));
  EXPECT_TRUE(
      refused("sbatch: error: Batch job submission failed: Requested node configuration is not available"));
  EXPECT_TRUE(refused("sbatch: error: Batch job submission failed: Access/permission denied"));
  EXPECT_TRUE(refused("sbatch: error: Batch job submission failed: Requested reservation is invalid"));
  EXPECT_TRUE(
      unanswered("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect "
                 "failure)"));
  EXPECT_TRUE(
      unanswered("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"));
  EXPECT_TRUE(unanswered("sbatch: error: something that nobody has seen before"));
  EXPECT_TRUE(std::holds_alternative<Unanswered>(sbatch_outcome(0, false, "", "")));
  EXPECT_TRUE(std::holds_alternative<Unanswered>(sbatch_outcome(0, true, "17\n", "")));
}

std::string padded(std::string text, std::size_t width) {
  text.resize(width, ' ');
  return text;
}

TEST(ParseQueue, ReadsColumnsWhateverStandsInThem) {
  const std::string line = padded("7", 20) + padded("FAILED", 24) + padded("NonZeroExitCode", 160) +
                           padded("1795612999", 24) + padded("1795613000", 24) + padded("1795613001", 24) +
                           padded("768", 12) + padded("ada", 64) + padded("ufab:0:job-7-1:1", 128) + "\n";
  const std::string waiting = padded("8", 20) + padded("PENDING", 24) +
                              padded("Nodes required for job are | DOWN", 160) + padded("1795612999", 24) +
                              padded("1795699999", 24) + padded("N/A", 24) + padded("9", 12) +
                              padded("ada", 64) + padded("a name | with bars", 128) + "\n";
  const auto jobs = parse_queue("slurm_load_jobs: some warning\n" + line + waiting);
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].id, 7U);
  EXPECT_EQ(jobs[0].exit_code, 3);
  EXPECT_EQ(jobs[0].signal, 0);
  EXPECT_EQ(jobs[0].end_us, 1795613001'000000);
  EXPECT_EQ(jobs[0].tag, "ufab:0:job-7-1:1");
  EXPECT_EQ(jobs[1].start_us, 0) << "an estimate is no start";
  EXPECT_EQ(jobs[1].signal, 9);
  EXPECT_EQ(jobs[1].reason, "Nodes required for job are | DOWN");
  EXPECT_EQ(jobs[1].tag, "a name | with bars");
}

}  // namespace
}  // namespace ufab::slurm
