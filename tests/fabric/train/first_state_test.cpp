// Training that starts from given parameters, with the real ufab-train.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "fabric/base/file.h"
#include "fabric/model/model_files.h"
#include "fabric/train/checkpoint.h"
#include "kernels/gradient.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

using Launch = TestJob::Launch;

class FirstStateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Weights of another seed go out to safetensors and come in again.
    ASSERT_TRUE(
        save_checkpoint_alone(job_.path("other.h5"), other_seed(kernels::Gpt2Shape{256, 32, 1, 2, 32})).ok());
    ASSERT_TRUE(export_model(job_.path("other.h5"), job_.path("model.safetensors")).ok());
    const auto imported = import_model(job_.path("model.safetensors"), job_.path("init.h5"));
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    digest_ = imported->parameters_digest.str();
  }
  static Checkpoint other_seed(const kernels::ModelConfig& model) {
    Checkpoint checkpoint;
    checkpoint.info.model = model;
    TrainState& state = checkpoint.state;
    state.params.resize(kernels::model_parameter_count(model));
    kernels::model_init(model, 77, state.params);
    state.m.resize(state.params.size());
    state.v.resize(state.params.size());
    state.exponents.assign(kernels::model_parameters(model).size(), kernels::kFirstExponent);
    checkpoint.info.digests = state_digest(state);
    return checkpoint;
  }
  Launch with(std::vector<std::string> options, int ranks = 1) const {
    Launch launch;
    launch.ranks = ranks;
    launch.options.insert(launch.options.end(), options.begin(), options.end());
    return launch;
  }
  std::vector<std::string> init_options() const {
    return {"--set", "model.init_digest=" + digest_, "--init", job_.path("init.h5")};
  }

  TestJob job_;
  std::string digest_;
};

TEST_F(FirstStateTest, OneAndTwoRanksAndAGangReachOneDigestThatTheOrdinaryStartDoesNot) {
  const std::string ordinary = final_digest(job_.run("ordinary", {}));
  const Outcome alone = job_.run("alone", with(init_options()));
  const std::string expected = final_digest(alone);
  ASSERT_FALSE(ordinary.empty());
  ASSERT_FALSE(expected.empty()) << alone.errors;
  EXPECT_NE(expected, ordinary);
  EXPECT_EQ(final_digest(job_.run("pair", with(init_options(), 2))), expected);
  for (const Outcome& outcome :
       job_.run_gang("p", {3, 5}, {{0, with(init_options())}, {1, with(init_options(), 2)}})) {
    EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
  }
  // The seed decides the samples still.
  auto options = init_options();
  options.insert(options.end(), {"--set", "train.seed=2"});
  EXPECT_NE(final_digest(job_.run("seed2", with(options))), expected);
}

TEST_F(FirstStateTest, AnInterruptedRunResumesToTheSameDigest) {
  const std::string expected = final_digest(job_.run("whole", with(init_options())));
  ASSERT_FALSE(expected.empty());
  const Outcome killed = [&] {
    Launch launch = with(init_options());
    launch.environment = {{"UFAB_CRASH_AT", "20"}};
    return job_.run("cut", launch);
  }();
  EXPECT_NE(killed.status, 0);
  EXPECT_EQ(final_digest(job_.run("cut", with(init_options()))), expected);
}

TEST_F(FirstStateTest, AVerifierOfWindowZeroNeedsTheSameParameters) {
  const auto outcomes = job_.run_gang("p", {4, 4}, {{0, with(init_options())}, {1, with(init_options())}});
  for (const Outcome& outcome : outcomes) ASSERT_EQ(outcome.status, 0) << outcome.errors;
  std::filesystem::create_directory(job_.path("claims"));
  for (const char* name : {"p0", "p1"}) {
    std::filesystem::create_symlink(job_.path(name), job_.path("claims") + "/" + name);
  }
  std::vector<std::string> options = init_options();
  options.insert(options.end(), {"--verify", "0", "--claims", job_.path("claims")});
  Launch launch = with(options);
  launch.gang = job_.path("p0.json");
  EXPECT_EQ(job_.run("verdict", launch).status, 0);
  launch.options.erase(std::find(launch.options.begin(), launch.options.end(), "--init"));
  launch.options.erase(std::find(launch.options.begin(), launch.options.end(), job_.path("init.h5")));
  EXPECT_EQ(job_.run("verdict2", launch).status, 2);
}

TEST_F(FirstStateTest, WhatDoesNotGoTogetherIsOneLine) {
  const auto expect = [&](const std::vector<std::string>& options, int status, const std::string& expected) {
    for (const int ranks : {1, 2}) {
      const Outcome outcome = job_.run("refused", with(options, ranks));
      if (ranks == 1) {
        EXPECT_EQ(outcome.status, status) << outcome.errors;
        EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
      }
      EXPECT_NE(outcome.errors.find(expected), std::string::npos) << outcome.errors;
      EXPECT_EQ(final_digest(outcome), "");
    }
  };
  const std::string key = "model.init_digest=", init = job_.path("init.h5");
  expect({"--init", init}, 2, "the definition names no initial parameters");
  expect({"--set", key + digest_}, 2, "starts from the parameters " + digest_ + ": give --init FILE");
  expect({"--set", key + "sha256:7", "--init", init}, 1, "model.init_digest is 'sha256:7'; sha256: and 64");
  expect(
      {"--set", key + sha256("other").str(), "--init", init}, 1,
      "init.h5: holds the parameters " + digest_ + ", the definition starts from " + sha256("other").str());
  expect({"--set", key + digest_, "--init", job_.path("absent.h5")}, 1, "absent.h5: no such checkpoint");
  ASSERT_TRUE(
      save_checkpoint_alone(job_.path("wide.h5"), other_seed(kernels::Gpt2Shape{256, 32, 1, 4, 64})).ok());
  expect({"--set", key + digest_, "--init", job_.path("wide.h5")}, 1,
         "wide.h5: a model of 1 layers, 4 heads, width 64, context 32, vocabulary 256; definition and corpus "
         "make "
         "one of 1 layers, 2 heads, width 32, context 32, vocabulary 256");
}

}  // namespace
}  // namespace ufab::testing
