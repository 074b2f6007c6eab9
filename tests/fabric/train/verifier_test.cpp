// A verifier that took no part, on other ranks and threads, against honest and dishonest providers.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/contributions.h"
#include "fabric/train/verifier.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

using Launch = TestJob::Launch;

// Three providers (3, 3 and 2 of 8 micro-batches), windows of four steps; provider 1 cheats.
class VerifierTest : public ::testing::Test {
 protected:
  void train(const std::string& cheat) {
    Launch launch;
    if (!cheat.empty()) {
      launch.program = UFAB_DISHONEST_PROGRAM;
      launch.environment = {{"UFAB_CHEAT", cheat}};
    }
    const auto outcomes = job_.run_gang("p", {3, 3, 2}, {{1, launch}});
    for (const Outcome& outcome : outcomes) ASSERT_EQ(outcome.status, 0) << outcome.errors;
    std::filesystem::create_directory(job_.path("claims"));
    for (const char* name : {"p0", "p1", "p2"}) {
      std::filesystem::create_symlink(job_.path(name), job_.path("claims") + "/" + name);
    }
  }

  WindowVerdict verify(std::uint64_t window, int expected_status, int ranks = 2) {
    Launch launch;
    launch.ranks = ranks;
    launch.gang = job_.path("p0.json");
    launch.options = {"--threads", "1", "--verify", std::to_string(window), "--claims", job_.path("claims")};
    if (window > 0) {
      launch.options.insert(launch.options.end(), {"--start", checkpoint_path(job_.path("p2"), 4 * window)});
    }
    const Outcome outcome = job_.run("verdict", launch);
    EXPECT_EQ(outcome.status, expected_status) << outcome.errors << outcome.output;
    const auto text = read_text_file(job_.path("verdict") + "/verdict.json", 1 << 20);
    const auto verdict = text ? parse_verdict(*text) : Result<WindowVerdict>(text.error());
    EXPECT_TRUE(verdict.ok());
    return verdict ? *verdict : WindowVerdict{};
  }

  void expect_only_p1_bad(const WindowVerdict& verdict, const std::string& reason) {
    ASSERT_EQ(verdict.members.size(), 3U);
    EXPECT_TRUE(verdict.members[0].ok);
    EXPECT_TRUE(verdict.members[2].ok);
    EXPECT_FALSE(verdict.members[1].ok);
    EXPECT_EQ(verdict.members[1].reason, reason);
  }

  TestJob job_;
};

TEST_F(VerifierTest, EveryWindowOfHonestProvidersMatchesOnOtherRanks) {
  train("");
  for (std::uint64_t window = 0; window < 3; ++window) {
    const WindowVerdict verdict = verify(window, 0, window == 1 ? 3 : 1);
    EXPECT_TRUE(verdict.matches());
    const auto claims = load_window_claims(job_.path("p1"));
    ASSERT_TRUE(claims.ok());
    EXPECT_EQ((*claims)[window].start_digest, verdict.start_digest);
    EXPECT_EQ((*claims)[window].end_digest, verdict.end_digest);
  }
}

TEST_F(VerifierTest, AWindowOfALlamaMatchesWhenItsLayersAreComputedAgain) {
  Launch launch;
  launch.definition = job_.path("llama.toml");
  std::ofstream(launch.definition)
      << "[model]\nfamily = \"llama\"\nlayers = 2\nheads = 4\nkv_heads = 1\nwidth = 32\ncontext = 16\n"
         "[data]\ncorpus = \"corpus.h5\"\n[train]\nsteps = 8\nwindow = 4\nmicro_batch = 2\nmicro_batches = "
         "8\n";
  for (const Outcome& outcome : job_.run_gang("p", {5, 3}, {{0, launch}, {1, launch}})) {
    ASSERT_EQ(outcome.status, 0) << outcome.errors;
  }
  std::filesystem::create_directory(job_.path("claims"));
  for (const char* name : {"p0", "p1"}) {
    std::filesystem::create_symlink(job_.path(name), job_.path("claims") + "/" + name);
  }
  launch.gang = job_.path("p0.json");
  launch.options = {"--threads",         "1",       "--recompute",
                    "--verify",          "1",       "--claims",
                    job_.path("claims"), "--start", checkpoint_path(job_.path("p1"), 4)};
  const Outcome outcome = job_.run("verdict", launch);
  EXPECT_EQ(outcome.status, 0) << outcome.errors << outcome.output;
  const auto text = read_text_file(job_.path("verdict") + "/verdict.json", 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(parse_verdict(*text)->matches());
}

TEST_F(VerifierTest, OneWrongIntegerInOneMicroBatchIsFoundAndNamed) {
  train("gradient:6:4");
  EXPECT_TRUE(verify(0, 0).matches());
  const WindowVerdict verdict = verify(1, 1);
  expect_only_p1_bad(verdict, "gradient");
  EXPECT_EQ(verdict.members[1].first_bad_step, 6U);
  EXPECT_EQ(verdict.members[1].micro_batch, 4U);
  // The next window started from a state that everybody had, so it is judged on its own.
  EXPECT_TRUE(verify(2, 0).matches());
}

TEST_F(VerifierTest, AWrongSumBehindAnHonestFingerprintIsFoundByItsDigest) {
  train("hidden:6:4");
  const WindowVerdict verdict = verify(1, 1);
  expect_only_p1_bad(verdict, "gradient");
  EXPECT_EQ(verdict.members[1].first_bad_step, 6U);
  EXPECT_FALSE(verdict.members[1].micro_batch.has_value());
}

TEST_F(VerifierTest, AStepFromStaleParametersIsFound) {
  train("stale:7");
  const WindowVerdict verdict = verify(1, 1);
  expect_only_p1_bad(verdict, "gradient");
  EXPECT_EQ(verdict.members[1].first_bad_step, 7U);
  EXPECT_EQ(verdict.members[1].micro_batch, 3U);
}

TEST_F(VerifierTest, AStaleEndDigestInAClaimIsFound) {
  train("end_digest");
  expect_only_p1_bad(verify(1, 1), "end_digest");
}

TEST_F(VerifierTest, AFalseStartDigestInAClaimIsFound) {
  train("start_digest");
  expect_only_p1_bad(verify(1, 1), "start_digest");
}

TEST_F(VerifierTest, InflatedWorkInAClaimIsFound) {
  train("work");
  expect_only_p1_bad(verify(0, 1), "work");
}

TEST_F(VerifierTest, ContributionsThatAreNotUnderTheClaimedRootAreRefused) {
  train("");
  const std::string path = contributions_path(job_.path("p1"), 1);
  auto contributions = load_contributions(path);
  ASSERT_TRUE(contributions.ok());
  contributions->steps[2].fingerprints[0] ^= 1;
  ASSERT_TRUE(write_file_atomic(path, encode_contributions(*contributions)).ok());
  expect_only_p1_bad(verify(1, 1), "contributions");
  std::filesystem::remove(path);
  expect_only_p1_bad(verify(1, 1), "contributions");
}

TEST_F(VerifierTest, AWindowOrStartThatDoesNotFitIsOneLineOfUsage) {
  train("");
  Launch launch;
  launch.gang = job_.path("p0.json");
  const auto expect_usage = [&](const std::vector<std::string>& options, const std::string& part) {
    launch.options = options;
    const Outcome outcome = job_.run("usage", launch);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.errors.find(part), std::string::npos) << outcome.errors;
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
  };
  const std::string claims = job_.path("claims");
  expect_usage({"--verify", "3", "--claims", claims}, "window 3 of a job that has 3");
  expect_usage({"--verify", "1", "--claims", claims}, "--start is needed");
  expect_usage({"--verify", "1", "--claims", claims, "--start", checkpoint_path(job_.path("p0"), 8)},
               "holds step 8; window 1 starts after step 4");
  expect_usage({"--verify", "0"}, "--claims");
}

}  // namespace
}  // namespace ufab::testing
