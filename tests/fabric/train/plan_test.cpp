// The plan of a job and the limits of a machine, as pure functions.
#include "fabric/train/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "kernels/model.h"
#include "tests/fabric/support/process.h"

namespace ufab {
namespace {

using testing::TemporaryFolder;

PlanInput example() {
  PlanInput input;
  JobDefinition& d = input.definition;
  d.layers = 2;
  d.heads = 4;
  d.width = 64;
  d.context = d.seq_len = 32;
  d.steps = 10;
  d.micro_batch = 8;
  d.micro_batches = 4;
  input.vocab_size = 256;
  input.corpus_bytes = 5000;
  input.scratch_bytes = 7000;
  input.present_bytes = 1 << 20;
  input.micro_batches = 4;
  return input;
}

std::uint64_t bytes_of(const TrainPlan& plan, const std::string& name) {
  for (const MemoryPiece& piece : plan.memory) {
    if (piece.name == name) return piece.bytes;
  }
  return 0;
}

TEST(PlanTest, HoldsTheStateTheArenaAndWhatTheCallerNames) {
  const PlanInput input = example();
  const TrainPlan plan = make_plan(input);
  const auto model = input.definition.model(256);
  EXPECT_EQ(plan.parameters, kernels::model_parameter_count(model));
  for (const char* name : {"parameters", "first moments", "second moments", "gradient sums"}) {
    EXPECT_EQ(bytes_of(plan, name), 4 * plan.parameters) << name;
  }
  EXPECT_EQ(bytes_of(plan, "scratch of the kernels"), 7000U);
  const auto backend = kernels::make_backend(kernels::BackendKind::reference, 1);
  const std::uint64_t arena = kernels::Model(model, 8, 32, *backend).arena_bytes();
  EXPECT_GE(plan.needed_bytes(), arena + 16 * plan.parameters + 7000);
  EXPECT_LT(plan.needed_bytes(), arena + 16 * plan.parameters + 7000 + 20000) << "the rest is small here";
  EXPECT_EQ(plan.total_bytes(), plan.needed_bytes() + 5000 + (1 << 20));
}

TEST(PlanTest, PaidWorkIsWhatTheLedgerPaysFor) {
  const TrainPlan plan = make_plan(example());
  const auto model = example().definition.model(256);
  EXPECT_EQ(plan.paid_flop_per_micro_batch(), kernels::model_train_flop(model, 8 * 32));
  EXPECT_EQ(plan.paid_flop_per_step(), kernels::model_train_flop(model, 4 * 8 * 32));
}

TEST(PlanTest, LeaderRanksGangAndMeasurementAddTheirPieces) {
  const std::uint64_t alone = make_plan(example()).needed_bytes();
  PlanInput input = example();
  input.leader = false;
  EXPECT_LT(make_plan(input).needed_bytes(), alone);
  input = example();
  input.ranks = 2;
  EXPECT_GT(make_plan(input).needed_bytes(), alone);
  input = example();
  input.members = 2;
  EXPECT_GT(make_plan(input).needed_bytes(), alone);
  input = example();
  input.measures_shares = true;
  EXPECT_EQ(make_plan(input).needed_bytes(), alone + 16 * make_plan(input).parameters);
}

TEST(PlanTest, ARefusalIsOneLineWithTheNeedTheRoomAndACure) {
  const TrainPlan plan = make_plan(example());
  const std::uint64_t needed = plan.needed_bytes();
  EXPECT_TRUE(check_fit(plan, {}).ok()) << "no limit is known";
  EXPECT_TRUE(check_fit(plan, {needed, "--memory", 1}).ok());
  const auto refusal = [&](const MemoryLeft& left) {
    const Status status = check_fit(plan, left);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::limit);
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
    EXPECT_NE(status.error().message.find("more ranks do not help"), std::string::npos);
    return status.error().message;
  };
  const std::string little = refusal({needed - 1, "--memory", 1});
  EXPECT_NE(little.find(fmt::format("needs {} bytes", needed)), std::string::npos) << little;
  EXPECT_NE(little.find(fmt::format("{} are left", needed - 1)), std::string::npos) << little;
  EXPECT_NE(little.find("train.micro_batch = 4 with train.micro_batches = 8 needs"), std::string::npos);
  // Too little for any micro-batch, but twice that for one rank.
  const std::uint64_t state = 16 * plan.parameters;
  const std::string shared = refusal({state, "cgroup limit", 8});
  EXPECT_NE(shared.find("divided by 8 ranks"), std::string::npos) << shared;
  EXPECT_NE(shared.find("ranks on this machine would fit"), std::string::npos) << shared;
  EXPECT_NE(refusal({state, "MemAvailable", 1}).find("even train.micro_batch = 1 needs"), std::string::npos);
}

TEST(PlanTest, ComputingLayersAgainTakesLessMemoryAndMoreUnpaidWork) {
  PlanInput lean = example();
  lean.recompute = true;
  const TrainPlan plan = make_plan(example()), again = make_plan(lean);
  const auto backend = kernels::make_backend(kernels::BackendKind::reference, 1);
  const auto model = example().definition.model(256);
  const std::uint64_t saved =
      kernels::Model(model, 8, 32, *backend).arena_bytes() -
      kernels::Model(model, 8, 32, *backend, kernels::MatmulFormat::f32, true).arena_bytes();
  EXPECT_GT(saved, 0U);
  EXPECT_EQ(plan.needed_bytes() - again.needed_bytes(), saved);
  EXPECT_EQ(again.paid_flop_per_step(), plan.paid_flop_per_step());
  EXPECT_EQ(again.work.size(), plan.work.size() + 1);
  EXPECT_NE(plan_text(again, {}).find("computed again"), std::string::npos);

  // It is offered where it would do, alone or with a smaller micro-batch.
  const auto refusal = [](const TrainPlan& of, std::uint64_t left) {
    return check_fit(of, {left, "--memory", 1}).error().message;
  };
  EXPECT_NE(refusal(plan, again.needed_bytes()).find("--recompute needs "), std::string::npos);
  EXPECT_EQ(refusal(plan, again.needed_bytes() - 1).find("--recompute needs "), std::string::npos);
  EXPECT_EQ(refusal(again, again.needed_bytes() - 1).find("--recompute needs "), std::string::npos);
  PlanInput least = lean;
  least.definition.micro_batch = 1;
  least.definition.micro_batches = 32;
  least.micro_batches = 32;
  EXPECT_NE(refusal(plan, make_plan(least).needed_bytes())
                .find("train.micro_batch = 1 with train.micro_batches = 32 needs"),
            std::string::npos);
}

TEST(PlanTest, JsonSaysWhatTheTableSays) {
  namespace json = boost::json;
  const TrainPlan plan = make_plan(example());
  const MemoryLeft left{1 << 30, "MemAvailable", 1};
  const std::string text = plan_json(plan, left);
  const json::object root = json::parse(text).as_object();
  EXPECT_EQ(root.at("schema").as_string(), "ufab.train.plan/1");
  std::uint64_t total = 0, needed = 0, paid = 0;
  for (const json::value& value : root.at("memory").as_array()) {
    const auto bytes = value.at("bytes").to_number<std::uint64_t>();
    total += bytes;
    needed += value.at("kind").as_string() == "needed" ? bytes : 0;
    const auto line = plan_text(plan, left).find(std::string(value.at("name").as_string()));
    EXPECT_NE(line, std::string::npos) << value;
  }
  for (const json::value& value : root.at("work").as_array()) {
    if (value.at("paid").as_bool()) paid += value.at("flop_per_step").to_number<std::uint64_t>();
  }
  EXPECT_EQ(total, root.at("total_bytes").to_number<std::uint64_t>());
  EXPECT_EQ(needed, root.at("needed_bytes").to_number<std::uint64_t>());
  EXPECT_EQ(paid, root.at("paid_flop_per_step").to_number<std::uint64_t>());
  EXPECT_TRUE(root.at("fits").as_bool());
  EXPECT_EQ(root.at("left_by").as_string(), "MemAvailable");
  EXPECT_TRUE(json::parse(plan_json(plan, {})).at("left_bytes").is_null());
}

// A machine in a folder: /proc and control groups.
class Machine {
 public:
  Machine() { write("/proc/meminfo", "MemTotal:  4000 kB\nMemAvailable:  3000 kB\n"); }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] MemoryLeft left(int ranks = 1, std::uint64_t option = 0, std::uint64_t own = 0) const {
    return memory_left({option, own, ranks, folder_.path()});
  }

 private:
  TemporaryFolder folder_;
};

void expect_left(const MemoryLeft& left, std::uint64_t bytes, const std::string& source) {
  EXPECT_EQ(left.bytes, bytes);
  EXPECT_EQ(left.source, source);
}

TEST(MemoryLeftTest, AMachineWithoutLimitsSharesWhatIsAvailable) {
  const Machine machine;
  expect_left(machine.left(), 3000 * 1024, "MemAvailable");
  expect_left(machine.left(4), 750 * 1024, "MemAvailable");
  EXPECT_FALSE(memory_left({0, 0, 1, "/no/such/folder"}).limited());
}

TEST(MemoryLeftTest, ADevicesMemoryIsSharedByTheRanksThatUseIt) {
  const auto left = [](int ranks, int devices, std::size_t bytes) {
    return memory_left({0, 0, ranks, "/no/such/folder", kernels::DeviceMemoryLeft{bytes, devices}});
  };
  expect_left(left(1, 1, 8000), 8000, "GPU memory");
  expect_left(left(4, 4, 8000), 8000, "GPU memory");
  expect_left(left(5, 2, 9000), 3000, "GPU memory");  // three on one of the two
}

TEST(MemoryLeftTest, TheOptionCountsWhatTheRanksOccupyAlready) {
  const Machine machine;
  expect_left(machine.left(1, 1000000, 200000), 800000, "--memory");
  expect_left(machine.left(2, 1000000, 200000), 300000, "--memory");
  expect_left(machine.left(2, 1000000, 600000), 0, "--memory");
}

TEST(MemoryLeftTest, TheTightestGroupOfVersionTwoOnTheWayUpDecides) {
  Machine machine;
  machine.write("/proc/self/cgroup", "0::/job/step\n");
  machine.write("/proc/self/mountinfo", "30 1 0:2 / /cg rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  machine.write("/cg/job/step/memory.max", "max\n");
  machine.write("/cg/job/step/memory.current", "1000\n");
  expect_left(machine.left(), 3000 * 1024, "MemAvailable");
  machine.write("/cg/job/memory.max", "900000\n");
  machine.write("/cg/job/memory.current", "500000\n");
  machine.write("/cg/job/memory.stat", "anon 1\ninactive_file 100000\nactive_file 50000\n");
  expect_left(machine.left(), 550000, "cgroup limit");
  expect_left(machine.left(2), 275000, "cgroup limit");
}

TEST(MemoryLeftTest, GroupsOfVersionOneAreFoundInsideAContainerToo) {
  Machine machine;
  machine.write("/proc/self/cgroup", "9:cpuset:/x\n4:cpu,memory:/docker/7/job\n0::/\n");
  machine.write("/proc/self/mountinfo",
                "29 1 0:1 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
                "30 1 0:2 /docker/7 /cg/memory ro - cgroup cgroup rw,memory\n");
  machine.write("/cg/memory/job/memory.limit_in_bytes", "800000\n");
  machine.write("/cg/memory/job/memory.usage_in_bytes", "300000\n");
  machine.write("/cg/memory/job/memory.stat", "total_inactive_file 60000\ntotal_active_file 40000\n");
  expect_left(machine.left(), 600000, "cgroup limit");
  machine.write("/cg/memory/memory.limit_in_bytes", "500000\n");
  machine.write("/cg/memory/memory.usage_in_bytes", "450000\n");
  expect_left(machine.left(), 50000, "cgroup limit");
}

TEST(MemoryLeftTest, AnAddressSpaceIsEachProcesssOwn) {
  Machine machine;
  machine.write("/proc/self/limits",
                "Limit                     Soft Limit           Hard Limit           Units     \n"
                "Max address space         1048576              unlimited            bytes     \n");
  machine.write("/proc/self/status", "Name:\tx\nVmSize:\t     100 kB\n");
  expect_left(machine.left(2), (1024 - 100) * 1024, "RLIMIT_AS");
  machine.write("/proc/self/limits", "Max address space         unlimited            unlimited   bytes\n");
  expect_left(machine.left(2), 1500 * 1024, "MemAvailable");
}

}  // namespace
}  // namespace ufab
