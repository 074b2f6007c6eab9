// The plan of the real program against what it then takes, and its refusals.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "fabric/train/window.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

namespace json = boost::json;

using Launch = TestJob::Launch;

std::string write_definition(const TestJob& job, const std::string& name, const std::string& model,
                             const std::string& train) {
  const std::string path = job.path(name);
  std::ofstream(path) << "[model]\n" << model << "[data]\ncorpus = \"corpus.h5\"\n[train]\n" << train;
  return path;
}

json::object planned(const TestJob& job, Launch launch) {
  launch.options.insert(launch.options.end(), {"--print-plan", "--json"});
  const Outcome outcome = job.run("plan", launch);
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_FALSE(std::filesystem::exists(job.path("plan"))) << "a plan writes nothing";
  boost::system::error_code error;
  const json::value root = json::parse(outcome.output, error);
  EXPECT_FALSE(error) << outcome.output;
  return error ? json::object{} : root.as_object();
}

// What libraries and MPI take after the plan, at most.
constexpr double kBase = 8.0 * (1 << 20);

// Peak resident memory of a rank up to the last window that the run claimed.
double peak_bytes(const std::string& folder) {
  const auto claims = load_window_claims(folder);
  EXPECT_TRUE(claims.ok() && !claims->empty());
  return claims.ok() && !claims->empty() ? 1024.0 * static_cast<double>(claims->back().max_rss_kib) : 0;
}

void expect_plan_near_peak(const TestJob& job, const std::string& definition, int ranks,
                           const std::vector<std::string>& options = {}) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  Launch launch;
  launch.ranks = ranks;
  launch.definition = definition;
  launch.options.insert(launch.options.end(), options.begin(), options.end());
  const double total = planned(job, launch).at("total_bytes").to_number<double>();
  const std::string name = fmt::format("run{}", ranks);
  ASSERT_NE(final_digest(job.run(name, launch)), "");
  const double first = peak_bytes(job.path(name));
  EXPECT_LT(std::fabs(first - total), 0.15 * total + kBase) << "planned " << total << ", peak " << first;

  // Without its last claim the last window is done again, from the checkpoint before it.
  const auto claims = lines_of(job.path(name + "/windows.jsonl"));
  ASSERT_EQ(claims.size(), 2U);
  std::ofstream(job.path(name + "/windows.jsonl")) << claims[0] << "\n";
  const Outcome resumed = job.run(name, launch);
  ASSERT_NE(resumed.output.find("resumed at step 1"), std::string::npos) << resumed.errors;
  const double again = peak_bytes(job.path(name));
  EXPECT_LT(std::fabs(again - total), 0.15 * total + kBase) << "planned " << total << ", peak " << again;
  std::printf("%d ranks: planned %.1f MiB, peak %.1f MiB, resumed %.1f MiB\n", ranks, total / (1 << 20),
              first / (1 << 20), again / (1 << 20));
}

const std::string kTrain =
    "steps = 2\nwindow = 1\nmicro_batch = 3\nmicro_batches = 3\neval_every = 0\neval_batches = 1\n";

TEST(PlanRunTest, TheTotalOfASmallModelIsNearThePeakResidentMemory) {
  const TestJob job;
  const std::string definition =
      write_definition(job, "small.toml", "layers = 4\nheads = 4\nwidth = 160\ncontext = 64\n", kTrain);
  for (const int ranks : {1, 2, 3}) expect_plan_near_peak(job, definition, ranks);
}

TEST(PlanRunTest, TheTotalOfAMediumModelIsNearThePeakResidentMemory) {
  const TestJob job;
  const std::string definition =
      write_definition(job, "medium.toml", "layers = 6\nheads = 8\nwidth = 384\ncontext = 128\n", kTrain);
  for (const int ranks : {1, 2}) expect_plan_near_peak(job, definition, ranks);
}

TEST(PlanRunTest, TheTotalOfALlamaThatComputesItsLayersAgainIsNearItsPeakAndUnderTheOther) {
  const TestJob job;
  const std::string definition = write_definition(
      job, "llama.toml",
      "family = \"llama\"\nlayers = 8\nheads = 8\nkv_heads = 2\nwidth = 256\ncontext = 256\n", kTrain);
  for (const int ranks : {1, 2}) expect_plan_near_peak(job, definition, ranks, {"--recompute"});
  Launch launch;
  launch.definition = definition;
  // Of what the plan decides: what the program had taken before it is the same, and most of all under a
  // sanitizer.
  const double whole = planned(job, launch).at("needed_bytes").to_number<double>();
  launch.options.emplace_back("--recompute");
  EXPECT_LT(planned(job, launch).at("needed_bytes").to_number<double>(), 0.75 * whole);
}

TEST(PlanRunTest, AJobThatWillNotFitIsRefusedByAllRanksInOneLineBeforeItWritesAnything) {
  const TestJob job;
  for (const int ranks : {1, 2}) {
    Launch launch;
    launch.ranks = ranks;
    launch.options = {"--threads", "1", "--memory", "1M"};
    const Outcome outcome = job.run("refused", launch);
    EXPECT_EQ(outcome.status, 1);
    const std::string line = "ufab-train: the job will not fit: a rank needs ";
    const std::size_t at = outcome.errors.find(line);
    ASSERT_NE(at, std::string::npos) << outcome.errors;
    EXPECT_EQ(outcome.errors.find(line, at + 1), std::string::npos) << "said once";
    EXPECT_NE(outcome.errors.find("--memory"), std::string::npos) << outcome.errors;
    EXPECT_FALSE(std::filesystem::exists(job.path("refused")));
  }
  // The plan is printed all the same, and says so.
  Launch plan;
  plan.options = {"--memory", "1M", "--print-plan"};
  const Outcome outcome = job.run("plan", plan);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("second moments"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.errors.find("will not fit"), std::string::npos) << outcome.errors;
}

TEST(PlanRunTest, MemoryThatIsEnoughIsAccepted) {
  const TestJob job;
  Launch launch;
  launch.options = {"--threads", "1", "--memory", "2G"};
  EXPECT_FALSE(final_digest(job.run("enough", launch)).empty());
  launch.options = {"--json"};
  EXPECT_EQ(job.run("json", launch).status, 2) << "--json belongs to --print-plan";
}

}  // namespace
}  // namespace ufab::testing
