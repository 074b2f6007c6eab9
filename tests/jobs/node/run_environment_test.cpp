#include "jobs/node/run_environment.h"

#include <gtest/gtest.h>

namespace ufab::jobs {
namespace {

class RunEnvironment : public testing::Test {
 protected:
  RunEnvironment() {
    node_.config.organisation = "alpha";
    node_.program_folder = "/opt/ufab/bin";
    spec_.name = "train";
    spec_.submit_folder = "/home/ada/work";
    spec_.options.tasks = 2;
    spec_.options.cpus_per_task = 3;
    spec_.environment = {{"SECRET", "of the owner"}, {"PATH", "/usr/bin"}};
    spec_.exported = {{"NAMED", "for everybody"}};
    attempt_.number = 2;
  }
  NodeContext node_{Home("/homes/alpha"), {}, nullptr, nullptr, nullptr, {}, {}, {}};
  JobSpec spec_;
  AttemptEntry attempt_;
};

TEST_F(RunEnvironment, NamesTheJobAsSlurmDoes) {
  const auto e = run_environment(node_, spec_, 7, attempt_, true);
  EXPECT_EQ(e.at("SLURM_JOB_ID"), "7");
  EXPECT_EQ(e.at("SLURM_NTASKS"), "2");
  EXPECT_EQ(e.at("SLURM_CPUS_PER_TASK"), "3");
  EXPECT_EQ(e.at("SLURM_CPUS_ON_NODE"), "6");
  EXPECT_EQ(e.at("SLURM_JOB_CPUS_PER_NODE"), "6");
  EXPECT_EQ(e.at("SLURM_RESTART_COUNT"), "1");
  EXPECT_EQ(e.at("SLURM_SUBMIT_DIR"), "/home/ada/work");
  EXPECT_EQ(e.at("PATH"), "/opt/ufab/bin:/usr/bin");
  EXPECT_EQ(e.at("SLURM_JOB_PARTITION"), "ufab");
  EXPECT_EQ(e.at("SLURM_JOB_QOS"), "normal");
  EXPECT_FALSE(e.contains("SLURM_JOB_ACCOUNT"));
}

TEST_F(RunEnvironment, SaysWhatWasAskedForThoughItHasNoEffect) {
  spec_.options.in_force["partition"].value = "gpu,long";
  spec_.options.in_force["qos"].value = "high";
  spec_.options.in_force["account"].value = "physics";
  const auto e = run_environment(node_, spec_, 7, attempt_, true);
  EXPECT_EQ(e.at("SLURM_JOB_PARTITION"), "gpu") << "a job runs in one of those that it would run in";
  EXPECT_EQ(e.at("SLURM_JOB_QOS"), "high");
  EXPECT_EQ(e.at("SLURM_JOB_ACCOUNT"), "physics");
}

TEST_F(RunEnvironment, TellsATaskItsPlaceInTheArray) {
  EXPECT_FALSE(run_environment(node_, spec_, 7, attempt_, true).contains("SLURM_ARRAY_TASK_ID"));
  spec_.options.array = parse_array("2-8:3%1").value();
  spec_.array_task = 5;
  spec_.array_job = 6;
  const auto e = run_environment(node_, spec_, 7, attempt_, true);
  EXPECT_EQ(e.at("SLURM_JOB_ID"), "7");
  EXPECT_EQ(e.at("SLURM_ARRAY_JOB_ID"), "6");
  EXPECT_EQ(e.at("SLURM_ARRAY_TASK_ID"), "5");
  EXPECT_EQ(e.at("SLURM_ARRAY_TASK_COUNT"), "3");
  EXPECT_EQ(e.at("SLURM_ARRAY_TASK_MIN"), "2");
  EXPECT_EQ(e.at("SLURM_ARRAY_TASK_MAX"), "8");
  EXPECT_EQ(e.at("SLURM_ARRAY_TASK_STEP"), "3");
  spec_.array_task = 2;
  spec_.array_job = 0;  // the first task's number is the array's
  EXPECT_EQ(run_environment(node_, spec_, 6, attempt_, true).at("SLURM_ARRAY_JOB_ID"), "6");
  EXPECT_EQ(expand_file_name("%A_%a", name_values(spec_, 6)), "6_2");
}

TEST_F(RunEnvironment, TheOwnersVariablesStayWithTheOwner) {
  EXPECT_EQ(run_environment(node_, spec_, 7, attempt_, true).at("SECRET"), "of the owner");
  const auto elsewhere = run_environment(node_, spec_, 7, attempt_, false);
  EXPECT_FALSE(elsewhere.contains("SECRET"));
  EXPECT_EQ(elsewhere.at("NAMED"), "for everybody");
  EXPECT_EQ(elsewhere.at("SLURM_SUBMIT_DIR"), "/homes/alpha/jobs/7");
}

}  // namespace
}  // namespace ufab::jobs
