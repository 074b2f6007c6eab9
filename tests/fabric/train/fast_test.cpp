// precision = "fast", on the real program: what it promises is a training as good as the exact one, the same
// bits from machines of one kind, and no claim that it could be verified by machines of another.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>

#include "fabric/base/file.h"
#include "fabric/train/checkpoint.h"
#include "kernels/backend.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

using Launch = TestJob::Launch;

double last_loss(const TestJob& job, const std::string& name) {
  const auto lines = lines_of(job.path(name) + "/log.jsonl");
  EXPECT_FALSE(lines.empty());
  return lines.empty() ? NAN : boost::json::parse(lines.back()).as_object().at("loss").to_number<double>();
}

TEST(FastTest, TrainsAsWellAsExactFloat32OnEveryKindOfProcessor) {
  const TestJob job("steps = 30\nwindow = 10\n");
  const auto loss = [&](const std::string& name, const std::string& format, const std::string& backend) {
    const Outcome outcome = job.run(
        name,
        {1, {"--threads", "2", "--format", format, "--backend", backend}, {}, UFAB_TRAIN_PROGRAM, {}, {}});
    EXPECT_EQ(outcome.status, 0) << outcome.errors;
    return last_loss(job, name);
  };
  const double exact = loss("exact", "f32", "cpu");
  EXPECT_LT(exact, 4.5);  // it has learnt something: untrained is above 5.5
  for (const auto kind :
       {kernels::BackendKind::reference, kernels::BackendKind::cpu_avx2, kernels::BackendKind::cpu_avx512,
        kernels::BackendKind::cpu_avx512vnni, kernels::BackendKind::cpu}) {
    if (!kernels::backend_available(kind)) continue;
    const std::string name = kernels::backend_name(kind);
    EXPECT_NEAR(loss(name, "bf16", name), exact, 0.01 * exact) << name;
  }
}

TEST(FastTest, MachinesOfOneKindReachOneDigestOnAnyRanksThreadsAndProvidersAndAfterAnInterruption) {
  const TestJob job;
  const auto options = [](const std::string& threads) {
    return std::vector<std::string>{"--threads", threads, "--format", "bf16"};
  };
  const Outcome one = job.run("one", {1, options("1"), {}, UFAB_TRAIN_PROGRAM, {}, {}});
  EXPECT_EQ(one.status, 0) << one.errors;
  const std::string expected = final_digest(one);
  EXPECT_NE(expected, final_digest(job.run("exact", {})));
  Launch ranks{3, options("2"), {}, UFAB_TRAIN_PROGRAM, {}, {}};
  ranks.options.insert(ranks.options.end(), {"--shares", "1:5:2"});
  EXPECT_EQ(final_digest(job.run("ranks", ranks)), expected);
  const Launch member{1, options("1"), {}, UFAB_TRAIN_PROGRAM, {}, {}};
  for (const Outcome& outcome : job.run_gang("p", {3, 5}, {{0, member}, {1, member}})) {
    EXPECT_EQ(final_digest(outcome), expected) << outcome.errors;
  }
  Launch resumed = member;
  resumed.options.insert(resumed.options.end(), {"--resume", checkpoint_path(job.path("one"), 8)});
  EXPECT_EQ(final_digest(job.run("resumed", resumed)), expected);
}

TEST(FastTest, IsNotVerifiedByComputingItAgain) {
  const TestJob job;
  const std::vector<std::string> fast = {"--threads", "1", "--format", "bf16"};
  const Launch member{1, fast, {}, UFAB_TRAIN_PROGRAM, {}, {}};
  for (const Outcome& outcome : job.run_gang("p", {4, 4}, {{0, member}, {1, member}})) {
    ASSERT_EQ(outcome.status, 0) << outcome.errors;
  }
  Launch verifier = member;
  verifier.gang = job.path("p0.json");
  verifier.options.insert(verifier.options.end(), {"--verify", "0", "--claims", job.path("")});
  const Outcome outcome = job.run("verdict", verifier);
  EXPECT_EQ(outcome.status, 2) << outcome.errors;
  EXPECT_NE(outcome.errors.find("precision is 'fast'"), std::string::npos) << outcome.errors;
  EXPECT_FALSE(std::filesystem::exists(job.path("verdict") + "/verdict.json"));
}

}  // namespace
}  // namespace ufab::testing
