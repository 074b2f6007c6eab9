#include "jobs/node/job_spec.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>

#include "fabric/base/file.h"

namespace ufab::jobs {
namespace {

JobSpec spec_of(const std::string& directives) {
  const Reading reading{1'795'612'800, "/folder"};
  JobSpec spec;
  spec.options = resolve_options("#!/bin/sh\n" + directives, {}, {}, reading).value();
  spec.name = "name";
  spec.options.job_name = spec.name;
  spec.options.memory_mib = spec.options.memory_limit_mib();
  return spec;
}

JobSpec sent(const JobSpec& spec, bool for_others) {
  return job_spec_from_json(boost::json::parse(boost::json::serialize(job_spec_to_json(spec, for_others))))
      .value();
}

TEST(JobSpec, WhatTheQueueAndAProvidersBatchSystemNeedArrives) {
  JobSpec spec = spec_of(
      "#SBATCH -a 0-8:2%3 -d afterok:7_1+2?singleton --kill-on-invalid-dep=no -b now+60 --deadline=now+3600\n"
      "#SBATCH --priority=5 --nice=-3 -N 2-4 --ntasks-per-node=3 -c 2 --time-min=5 -t 90 --tmp=1G\n"
      "#SBATCH --gres=fpga:1 -G a100:4 --gpus-per-node=2 --signal=B:USR1@30 -C fast "
      "--mail-user=ada@example.org\n");
  spec.array_task = 4;
  spec.array_job = 11;
  spec.exchange_bytes = 4'000'000;
  EXPECT_EQ(sent(spec, false).exchange_bytes, 4'000'000U);
  EXPECT_EQ(sent(spec, true).exchange_bytes, 0U);  // the owner's own affair
  const JobSpec copy = sent(spec, true);
  const SubmitOptions& o = copy.options;
  EXPECT_EQ(o.array, spec.options.array);
  EXPECT_EQ(o.dependencies, spec.options.dependencies);
  EXPECT_EQ(o.kill_on_invalid_dependency, false);
  EXPECT_EQ(o.begin, 1'795'612'860);
  EXPECT_EQ(o.deadline, 1'795'616'400);
  EXPECT_EQ(o.priority, 5U);
  EXPECT_EQ(o.nice, -3);
  EXPECT_EQ(o.nodes, (CountRange{2, 4}));
  EXPECT_EQ(o.tasks_per_node, 3U);
  EXPECT_EQ(o.tasks, 6U);
  EXPECT_EQ(o.time_min_minutes, 5U);
  EXPECT_EQ(o.temporary_disk_mib, 1024U);
  EXPECT_EQ(o.gres, (GenericResources{{"fpga", "", 1}}));
  EXPECT_EQ(o.gpus, (GenericResources{{"gpu", "a100", 4}}));
  EXPECT_EQ(o.gpus_per_node, (GenericResources{{"gpu", "", 2}}));
  EXPECT_EQ(o.signal, (SignalRequest{SIGUSR1, 30, true, false}));
  EXPECT_EQ(copy.array_task, 4U);
  EXPECT_EQ(copy.array_job, 11U);
  EXPECT_EQ(o.in_force.at("constraint").value, "fast");
  EXPECT_FALSE(o.in_force.contains("mail-user"));  // an address is nobody else's business
}

TEST(JobSpec, WithoutAnyOfItNothingIsInvented) {
  const SubmitOptions o = sent(spec_of(""), false).options;
  EXPECT_FALSE(o.array || o.begin || o.deadline || o.priority || o.nodes || o.kill_on_invalid_dependency);
  EXPECT_TRUE(o.dependencies.empty() && o.gres.empty() && o.gpus.empty());
  EXPECT_EQ(o.nice, 0);
}

TEST(JobSpec, AnArrayFromAStrangerIsBounded) {
  boost::json::object object = job_spec_to_json(spec_of("#SBATCH -a 0-3\n"), true);
  boost::json::array tasks(2000, 1);
  object.at("options").as_object().at("array").as_object().at("tasks") = tasks;
  EXPECT_FALSE(job_spec_from_json(object).ok());
  object.at("options").as_object().at("array").as_object().at("tasks") = boost::json::array{};
  EXPECT_FALSE(job_spec_from_json(object).ok());
}

TEST(JobSpec, AnEnvironmentBlockIsReadEntryByEntry) {
  using namespace std::string_view_literals;
  EXPECT_EQ(parse_environment_block("A=1\0B=two words\0=x\0noequals\0C=\0D=a=b"sv),
            (std::map<std::string, std::string>{{"A", "1"}, {"B", "two words"}, {"C", ""}, {"D", "a=b"}}));
}

TEST(JobSpec, TheQueueReadsAllButArgumentsAndEnvironment) {
  JobSpec spec = spec_of("#SBATCH -n 3 -d afterok:7 -t 90\n#UFAB --prefer=near\n");
  spec.arguments = {"a"};
  spec.environment = {{"HOME", "/root"}};
  spec.exchange_bytes = 12;
  const std::string path = testing::TempDir() + "ufab-spec-" + std::to_string(::getpid());
  ASSERT_TRUE(write_file_atomic(path, as_bytes(job_spec_text(spec))).ok());
  const JobSpec whole = load_job_spec(path).value();
  const JobSpec read = load_queue_spec(path).value();
  std::filesystem::remove(path);
  EXPECT_EQ(whole.environment, spec.environment);
  EXPECT_EQ(whole.arguments, spec.arguments);
  EXPECT_TRUE(read.environment.empty() && read.arguments.empty());
  EXPECT_EQ(read.options.dependencies, spec.options.dependencies);
  EXPECT_EQ(read.options.prefer, (std::vector<std::string>{"near"}));
  EXPECT_EQ(read.options.time_limit_minutes, 90U);
  EXPECT_EQ(read.exchange_bytes, 12U);
  EXPECT_EQ(load_queue_spec(path).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ufab::jobs
