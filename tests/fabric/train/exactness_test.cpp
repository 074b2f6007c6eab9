// The exactness contract, on the real program: one job, many ways to compute it, one digest.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <thread>

#include "fabric/data/corpus.h"
#include "fabric/train/window.h"
#include "kernels/backend.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

using Launch = TestJob::Launch;

// What one rank on one thread computes without interruption.
std::string reference_digest(const TestJob& job) {
  const Outcome outcome = job.run("reference", {});
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  return final_digest(outcome);
}

TEST(ExactnessTest, OneToFiveRanksWithAnySharesAndThreadsReachTheSameDigest) {
  const TestJob job;
  const std::string expected = reference_digest(job);
  ASSERT_FALSE(expected.empty());
  const std::vector<Launch> launches = {
      {2, {"--threads", "1"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
      {2, {"--threads", "2", "--shares", "speed"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
      {3, {"--threads", "1", "--shares", "1:5:2"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
      {4, {"--threads", "1"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
      {5, {"--threads", "1"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
      {1, {"--threads", "2"}, {}, UFAB_TRAIN_PROGRAM, {}, {}},
  };
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const Outcome outcome = job.run(fmt::format("run{}", i), launches[i]);
    EXPECT_EQ(final_digest(outcome), expected) << i << ": " << outcome.errors;
  }
}

TEST(ExactnessTest, EveryKernelBackendReachesTheSameDigest) {
  const TestJob job;
  const std::string expected = reference_digest(job);
  for (const auto kind :
       {kernels::BackendKind::reference, kernels::BackendKind::cpu_avx2, kernels::BackendKind::cpu_avx512,
        kernels::BackendKind::cpu_avx512vnni, kernels::BackendKind::gpu_host}) {
    if (!kernels::backend_available(kind)) continue;
    const std::string name = kernels::backend_name(kind);
    const Outcome outcome =
        job.run(name, {1, {"--threads", "1", "--backend", name}, {}, UFAB_TRAIN_PROGRAM, {}, {}});
    EXPECT_EQ(final_digest(outcome), expected) << name << ": " << outcome.errors;
  }
}

TEST(ExactnessTest, IntegerFormatsReachOneDigestEachOnAnyRanksThreadsAndKernels) {
  const TestJob job;
  std::set<std::string> digests = {reference_digest(job)};
  for (const std::string format : {"int12", "int8"}) {
    const auto digest = [&](const std::string& name, int ranks, const std::vector<std::string>& options) {
      Launch launch;
      launch.ranks = ranks;
      launch.options = options;
      launch.options.insert(launch.options.end(), {"--format", format});
      const Outcome outcome = job.run(format + name, launch);
      EXPECT_EQ(outcome.status, 0) << outcome.errors;
      return final_digest(outcome);
    };
    const std::string expected = digest("reference", 1, {"--threads", "1", "--backend", "reference"});
    EXPECT_TRUE(digests.insert(expected).second) << format << " computes what another format does";
    EXPECT_EQ(digest("best", 1, {"--threads", "2"}), expected);
    EXPECT_EQ(digest("ranks", 3, {"--threads", "1", "--shares", "1:5:2"}), expected);
    for (const auto kind : {kernels::BackendKind::cpu_avx2, kernels::BackendKind::cpu_avx512}) {
      if (!kernels::backend_available(kind)) continue;
      EXPECT_EQ(digest(kernels::backend_name(kind), 1,
                       {"--threads", "1", "--backend", kernels::backend_name(kind)}),
                expected);
    }
  }
}

TEST(ExactnessTest, ALlamaReachesOneDigestOnAnyRanksKernelsFormatAndProvidersComputingLayersAgainOrNot) {
  const TestJob job;
  const std::string definition = job.path("llama.toml");
  std::ofstream(definition)
      << "[model]\nfamily = \"llama\"\nlayers = 2\nheads = 4\nkv_heads = 2\nwidth = 32\ncontext = 32\n"
         "[data]\ncorpus = \"corpus.h5\"\n[train]\nsteps = 8\nwindow = 4\nmicro_batch = 2\nmicro_batches = "
         "8\n";
  std::set<std::string> digests = {reference_digest(job)};
  for (const std::string format : {"f32", "int8"}) {
    const auto launch = [&](int ranks, std::vector<std::string> options) {
      options.insert(options.end(), {"--format", format});
      return Launch{ranks, std::move(options), {}, UFAB_TRAIN_PROGRAM, {}, definition};
    };
    const auto digest = [&](const std::string& name, const Launch& of) {
      const Outcome outcome = job.run(format + name, of);
      EXPECT_EQ(outcome.status, 0) << outcome.errors;
      return final_digest(outcome);
    };
    const std::string expected = digest("one", launch(1, {"--threads", "1"}));
    EXPECT_TRUE(digests.insert(expected).second) << format;
    EXPECT_EQ(digest("reference", launch(1, {"--threads", "1", "--backend", "reference"})), expected);
    EXPECT_EQ(digest("again", launch(1, {"--threads", "2", "--recompute"})), expected);
    if (kernels::backend_available(kernels::BackendKind::gpu_host) && format == "int8") {
      EXPECT_EQ(digest("gpu", launch(2, {"--threads", "1", "--backend", "gpu-host"})), expected);
    }
    EXPECT_EQ(digest("ranks", launch(3, {"--threads", "1", "--shares", "1:5:2", "--recompute"})), expected);
    const auto outcomes =
        job.run_gang(format + "p", {3, 5},
                     {{0, launch(1, {"--threads", "1"})}, {1, launch(2, {"--threads", "1", "--recompute"})}});
    for (const Outcome& outcome : outcomes) EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
  }
}

TEST(ExactnessTest, TwoAndThreeProvidersWithEqualAndLopsidedSharesReachTheSameDigest) {
  const TestJob job;
  const std::string expected = reference_digest(job);
  ASSERT_FALSE(expected.empty());
  Launch two_ranks;
  two_ranks.ranks = 2;
  const auto check = [&](const std::string& prefix, const std::vector<std::uint32_t>& shares,
                         const std::map<std::size_t, Launch>& launches) {
    const auto outcomes = job.run_gang(prefix, shares, launches);
    for (const Outcome& outcome : outcomes) EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
  };
  check("pair", {4, 4}, {{1, two_ranks}});
  check("triple", {3, 3, 2}, {});
  check("lopsided", {1, 5, 2}, {{1, two_ranks}});
}

TEST(ExactnessTest, WindowsOfAllProvidersNameTheSameStatesAndTheirOwnWork) {
  const TestJob job;
  const auto outcomes = job.run_gang("p", {3, 5});
  std::vector<std::vector<WindowClaim>> claims;
  for (const char* name : {"p0", "p1"}) {
    auto loaded = load_window_claims(job.path(name));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message << outcomes[0].errors << outcomes[1].errors;
    claims.push_back(*loaded);
    ASSERT_EQ(claims.back().size(), 3U);
  }
  for (std::size_t w = 0; w < 3; ++w) {
    EXPECT_EQ(claims[0][w].window, w);
    EXPECT_EQ(claims[0][w].first_step, 4 * w + 1);
    EXPECT_EQ(claims[0][w].end_step, 4 * w + 4);
    EXPECT_EQ(claims[0][w].start_digest, claims[1][w].start_digest);
    EXPECT_EQ(claims[0][w].end_digest, claims[1][w].end_digest);
    EXPECT_NE(claims[0][w].contributions_root, claims[1][w].contributions_root);
    EXPECT_EQ(claims[0][w].micro_batches, 12U);
    EXPECT_EQ(claims[1][w].micro_batches, 20U);
    EXPECT_EQ(claims[0][w].tokens, 12U * 2 * 32);
    EXPECT_GT(claims[0][w].cpu_us, 0U);
    if (w > 0) {
      EXPECT_EQ(claims[0][w].start_digest, claims[0][w - 1].end_digest);
    }
  }
}

// Steps that the log says were done again.
std::vector<std::string> redone_steps(const std::string& folder) {
  std::vector<std::string> steps;
  for (const std::string& line : lines_of(folder + "/log.jsonl")) {
    if (line.find("\"redone\":") == std::string::npos) continue;
    const std::size_t begin = line.find("\"step\":") + 7;
    steps.push_back(line.substr(begin, line.find(',', begin) - begin));
  }
  return steps;
}

TEST(ExactnessTest, OverflowOfTheFixedPointIsRedoneAlikeByEverybody) {
  const TestJob job("steps = 8\nwindow = 4\neval_every = 0\n");
  Launch launch;
  launch.program = UFAB_DISHONEST_PROGRAM;
  launch.environment = {{"UFAB_CHEAT", "exponent:3"}};
  launch.options = {};
  Launch two_ranks = launch;
  two_ranks.ranks = 2;
  const auto check = [&](const std::string& prefix, const std::vector<std::uint32_t>& shares,
                         const std::map<std::size_t, Launch>& launches) {
    std::vector<Digest> ends;
    for (const Outcome& outcome : job.run_gang(prefix, shares, launches)) {
      EXPECT_EQ(outcome.status, 0) << outcome.errors;
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const std::string folder = job.path(fmt::format("{}{}", prefix, i));
      // The first step is done again for a finer scale.
      EXPECT_EQ(redone_steps(folder), (std::vector<std::string>{"1", "3"})) << folder;
      const auto claims = load_window_claims(folder);
      if (!claims.ok() || claims->size() != 2) return std::vector<Digest>{};
      ends.push_back(claims->back().end_digest);
    }
    return ends;
  };
  const auto alone = check("alone", {8}, {{0, launch}});
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_EQ(check("ranks", {8}, {{0, two_ranks}}), alone);
  EXPECT_EQ(check("pair", {2, 6}, {{0, two_ranks}, {1, launch}}), (std::vector<Digest>{alone[0], alone[0]}));
}

TEST(ProgressTest, LinesAreFewAndPlainEvenWhereMpirunGivesATerminal) {
  const TestJob job("steps = 12\nwindow = 4\neval_every = 6\n");
  Launch launch;
  launch.ranks = 2;
  launch.options = {"--threads", "1", "--progress", "lines"};
  const Outcome outcome = job.run("lines", launch);
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_EQ(outcome.output.find('\033'), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("step 6/12"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("step 12/12"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find("step 2/12"), std::string::npos) << outcome.output;

  launch.ranks = 1;
  launch.options = {"--threads", "1", "--progress", "line", "--resume", "none"};
  EXPECT_NE(job.run("line", launch).output.find("\r\033[K"), std::string::npos);
  launch.options = {"--threads", "1", "--progress", "loud"};
  const Outcome refused = job.run("refused", launch);
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.errors.find("--progress loud: auto, line, lines or none"), std::string::npos)
      << refused.errors;
}

// Waits until the run has logged `steps` steps.
void await_steps(const std::string& folder, std::size_t steps) {
  for (int i = 0; i < 4000 && lines_of(folder + "/log.jsonl").size() < steps; ++i) ::usleep(5000);
}

void expect_each_step_once(const std::string& folder, std::size_t steps) {
  const auto lines = lines_of(folder + "/log.jsonl");
  ASSERT_EQ(lines.size(), steps);
  for (std::size_t i = 0; i < steps; ++i) {
    EXPECT_NE(lines[i].find(fmt::format("\"step\":{},", i + 1)), std::string::npos) << lines[i];
  }
}

TEST(RecoveryTest, AKilledRankEndsTheRunAndResumeReachesTheSameDigest) {
  const TestJob job("steps = 120\nwindow = 20\neval_every = 0\n");
  const std::string expected = reference_digest(job);
  ASSERT_FALSE(expected.empty());
  for (const std::size_t victim : {0U, 1U}) {
    const std::string name = fmt::format("killed{}", victim);
    Launch launch;
    launch.ranks = 2;
    Process process = job.start(name, launch);
    await_steps(job.path(name), 25 + 30 * victim);
    const auto ranks = process.children();
    ASSERT_EQ(ranks.size(), 2U);
    ::kill(ranks[victim], SIGKILL);
    EXPECT_NE(process.wait().status, 0);
    launch.ranks = 3;  // and elsewhere
    const Outcome outcome = job.run(name, launch);
    EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
    EXPECT_NE(outcome.output.find("resumed at step"), std::string::npos);
    expect_each_step_once(job.path(name), 120);
  }
}

TEST(RecoveryTest, AKilledProviderEndsTheOthersWithStatus75AndAnotherGangResumes) {
  const TestJob job("steps = 120\nwindow = 20\neval_every = 0\n");
  const std::string expected = reference_digest(job);
  for (const std::size_t victim : {0U, 1U}) {  // the hub, a member
    const std::string prefix = fmt::format("v{}-", victim);
    const auto files = job.write_gang(prefix, {3, 3, 2});
    std::vector<Process> processes;
    for (std::size_t i = 0; i < 3; ++i) {
      Launch launch;
      launch.gang = files[i];
      processes.push_back(job.start(fmt::format("{}{}", prefix, i), launch));
    }
    await_steps(job.path(prefix + "2"), 45);
    processes[victim].signal(SIGKILL);
    for (std::size_t i = 0; i < 3; ++i) {
      const Outcome outcome = processes[i].wait(std::chrono::seconds(20));
      EXPECT_EQ(outcome.status, i == victim ? 128 + SIGKILL : 75) << outcome.errors;
    }
    // The same folders, other shares.
    for (const Outcome& outcome : job.run_gang(prefix, {1, 5, 2})) {
      EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
    }
    expect_each_step_once(job.path(prefix + "1"), 120);
  }
}

TEST(RecoveryTest, ATerminatedRunStopsCleanlyAndResumes) {
  const TestJob job("steps = 120\nwindow = 20\neval_every = 0\n");
  const std::string expected = reference_digest(job);
  Process process = job.start("stopped", {});
  await_steps(job.path("stopped"), 30);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().status, 128 + SIGTERM);
  EXPECT_EQ(final_digest(job.run("stopped", {})), expected);
}

TEST(RecoveryTest, AKillAtAnyDurableOperationLosesNothingThatWasClaimed) {
  const TestJob job("steps = 4\nwindow = 2\neval_every = 0\n");
  const std::string expected = reference_digest(job);
  ASSERT_FALSE(expected.empty());
  int crashes = 0;
  for (int operation = 1;; ++operation) {
    const std::string name = fmt::format("crash{}", operation);
    Launch launch;
    launch.environment = {{"UFAB_CRASH_AT", std::to_string(operation)}};
    const Outcome outcome = job.run(name, launch);
    if (outcome.status == 0) break;
    ASSERT_EQ(outcome.status, 128 + SIGKILL) << outcome.errors;
    ++crashes;
    const auto before = load_window_claims(job.path(name));
    const Outcome resumed = job.run(name, {});
    EXPECT_EQ(final_digest(resumed), expected) << "operation " << operation << ": " << resumed.errors;
    const auto after = load_window_claims(job.path(name));
    ASSERT_TRUE(after.ok());
    ASSERT_EQ(after->size(), 2U);
    if (before.ok() && !before->empty()) {
      EXPECT_EQ(before->front(), after->front()) << operation;
    }
    expect_each_step_once(job.path(name), 4);
  }
  EXPECT_GT(crashes, 30);
}

TEST(RecoveryTest, ADamagedNewestCheckpointIsNamedAndTheOneBeforeIsUsed) {
  const TestJob job;
  const std::string expected = reference_digest(job);
  const std::string newest = job.path("reference") + "/checkpoints/step-00000012.h5";
  ASSERT_EQ(::truncate(newest.c_str(), 3000), 0);
  const Outcome outcome = job.run("reference", {});
  EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
  EXPECT_NE(outcome.errors.find("step-00000012.h5: damaged checkpoint"), std::string::npos) << outcome.errors;
  EXPECT_NE(outcome.output.find("resumed at step 8"), std::string::npos) << outcome.output;
}

void expect_quick_training(const std::string& example) {
  const TestJob job;
  Launch launch;
  launch.definition = UFAB_EXAMPLES "/" + example;
  launch.options = {"--data", job.corpus()};
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = job.run("tiny", launch);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  ASSERT_FALSE(final_digest(outcome).empty()) << outcome.errors;
  const double loss = std::stod(outcome.output.substr(outcome.output.rfind("loss ") + 5));
  EXPECT_LT(loss, Corpus::load(job.corpus())->info().unigram_entropy * 0.8);
}

TEST(ExampleTest, TinyTrainsInUnderTenSecondsOnOneRankAndItsLossFalls) {
  expect_quick_training("tiny.toml");
}

TEST(ExampleTest, TheTinyLlamaDoesToo) {
  expect_quick_training("tiny-llama.toml");
}

TEST(GangTest, MembersOfDifferentDefinitionsEndWithOneLineThatNamesBoth) {
  const TestJob job;
  std::ifstream original(job.definition());
  std::ofstream(job.path("other.toml")) << original.rdbuf() << "seed = 2\n";
  Launch other;
  other.definition = job.path("other.toml");
  const auto outcomes = job.run_gang("p", {4, 4}, {{1, other}});
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.errors.find("p0 has definition sha256:"), std::string::npos) << outcome.errors;
    EXPECT_NE(outcome.errors.find("p1 has sha256:"), std::string::npos) << outcome.errors;
  }
}

TEST(GangTest, AMissingMemberIsNamedAfterTheJoinTimeout) {
  const TestJob job;
  auto files = job.write_gang("p", {4, 4});
  auto gang = load_gang(files[0]);
  ASSERT_TRUE(gang.ok());
  gang->join_timeout_ms = 300;
  std::ofstream(files[0]) << gang_json(*gang);
  Launch launch;
  launch.gang = files[0];
  const Outcome outcome = job.run("p0", launch);
  EXPECT_EQ(outcome.status, 75);
  EXPECT_NE(outcome.errors.find("not joined in time: p1"), std::string::npos) << outcome.errors;
}

}  // namespace
}  // namespace ufab::testing
