#include "jobs/script/options.h"

#include <gtest/gtest.h>

#include <csignal>

namespace ufab::jobs {
namespace {

Result<SubmitOptions> resolve(const std::string& script,
                              const std::map<std::string, std::string>& environment = {},
                              const std::vector<std::string>& words = {}) {
  UFAB_ASSIGN(const CommandLineWords line, split_command_line(words));
  return resolve_options(script, environment, line,
                         Reading{1'795'612'800, "/folder"});  // 2026-11-25 12:00 UTC
}

std::string error_of(const std::string& script) {
  const auto result = resolve(script);
  return result.ok() ? "accepted" : result.error().message;
}

TEST(Directives, StopAtTheFirstCommand) {
  const auto options = resolve(
      "#!/bin/bash\n\n# a comment\n#SBATCH --job-name=first\n  # indented comment\n"
      "#SBATCH -n 3\nsrun hostname\n#SBATCH --job-name=second\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->job_name, "first");
  EXPECT_EQ(options->tasks, 3U);
}

TEST(Directives, CountOnlyAtColumnZero) {
  const auto options = resolve("#!/bin/bash\n #SBATCH --job-name=indented\n##SBATCH --job-name=disabled\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->job_name, "");
}

TEST(Directives, QuotingIsSbatchs) {
  const auto options = resolve(
      "#!/bin/bash\n#SBATCH --comment=\"two words\" -J 'a \"b\"' # and a comment\n"
      "#SBATCH -o \"out\\ put.txt\" -n 2#3\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->comment, "two words");
  EXPECT_EQ(options->job_name, "a \"b\"");
  EXPECT_EQ(options->output, "out put.txt");
  EXPECT_EQ(options->tasks, 2U);
}

TEST(Directives, AnErrorNamesLineAndOption) {
  EXPECT_EQ(error_of("#!/bin/bash\n\n#SBATCH --no-such-thing=1\n"), "line 3: unknown option --no-such-thing");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --time=soon\n"),
            "line 2: option --time: 'soon' is not a time; write minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --comment=\"open\n"), "line 2: a \" is not closed");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH hello\n"),
            "line 2: 'hello' is not an option; options begin with - or --");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH -t\n"), "line 2: option --time needs a value");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --hold=yes\n"), "line 2: option --hold takes no value");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --budget=5\n"),
            "line 2: unknown option --budget; write it on a #UFAB line");
  EXPECT_EQ(error_of("#!/bin/bash\n#UFAB --budget=1.2345678\n"),
            "line 2: option --budget: '1.2345678' is not an amount in UNC such as 25 or 0.5");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --array=3-1\n"),
            "line 2: option --array: '3-1' is not an array such as 0-15, 1,3,5, 1-9:2 or 0-15%4 with indices "
            "below 1001");
  EXPECT_EQ(error_of("echo hello\n"), "line 1: not a batch script; it must start with #! and an interpreter");
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH -n 2\r\n"),
            "line 2: DOS line break (\\r\\n); convert the script with dos2unix");
}

TEST(Directives, LongNamesMayBeAbbreviatedWhenOnlyOneFits) {
  EXPECT_EQ(resolve("#!/bin/sh\n#SBATCH --job=short\n").value().job_name, "short");
  EXPECT_EQ(error_of("#!/bin/sh\n#SBATCH --mem-=1\n"),
            "line 2: option --mem- is ambiguous: --mem-per-cpu, --mem-per-gpu, --mem-bind");
  EXPECT_EQ(resolve("#!/bin/sh\n#SBATCH --mem=1G\n").value().memory_mib, 1024U);  // an exact name wins
}

TEST(Precedence, IsScriptThenEnvironmentThenCommandLine) {
  const std::string script = "#!/bin/sh\n#SBATCH -J script -t 1 -n 2\n";
  const std::map<std::string, std::string> environment{{"SBATCH_JOB_NAME", "environment"},
                                                       {"SBATCH_TIMELIMIT", "2"}};
  const auto options = resolve(script, environment, {"-J", "line"}).value();
  EXPECT_EQ(options.job_name, "line");
  EXPECT_EQ(options.time_limit_minutes, 2U);
  EXPECT_EQ(options.tasks, 2U);
}

TEST(Environment, AJobThatSubmitsAnotherDoesNotPassItsOwnPlanOn) {
  std::map<std::string, std::string> environment{{"UFAB_PROVIDERS", "3"}, {"UFAB_TRAIN", "a.toml"}};
  EXPECT_EQ(resolve("#!/bin/sh\n", environment).value().providers.max, 3U);
  environment = {{"UFAB_PROVIDERS", "3"}, {"UFAB_DATA", "/elsewhere"}, {"UFAB_JOB_ID", "7"}};
  const auto inside = resolve("#!/bin/sh\n", environment);
  ASSERT_TRUE(inside.ok()) << inside.error().message;
  EXPECT_EQ(inside->providers.max, 1U);
  EXPECT_EQ(inside->data, "");
}

TEST(Environment, WhatIsRefusedInAScriptIsRefusedInAVariable) {
  const auto refused = resolve("#!/bin/sh\n", {{"SBATCH_ARRAY_INX", "9-0"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().message.starts_with("variable SBATCH_ARRAY_INX: option --array: '9-0' is not"))
      << refused.error().message;
  EXPECT_TRUE(resolve("#!/bin/sh\n", {{"SBATCH_WAIT", "1"}}).value().wait);
}

TEST(Scheduling, OptionsAreReadAtTheMomentOfTheReading) {
  const auto options =
      resolve(
          "#!/bin/sh\n#SBATCH -a 0-3%2 -b now+1hour --deadline=now+2hours --nice=5 --priority=7\n"
          "#SBATCH -d afterok:7?singleton --kill-on-invalid-dep=yes\n")
          .value();
  EXPECT_EQ(options.array, (ArrayRequest{{0, 1, 2, 3}, 2, 1}));
  EXPECT_EQ(options.begin, 1'795'612'800 + 3600);
  EXPECT_EQ(options.deadline, 1'795'612'800 + 7200);
  EXPECT_EQ(options.nice, 5);
  EXPECT_EQ(options.priority, 7U);
  EXPECT_TRUE(options.dependencies.any_of);
  EXPECT_EQ(options.dependencies.terms.size(), 2U);
  EXPECT_EQ(options.kill_on_invalid_dependency, true);
  EXPECT_EQ(options.output, "slurm-%A_%a.out");
}

TEST(Heterogeneous, ComponentsInheritWhatSlurmHandsOnAndAreRefusedAtSubmissionOnly) {
  const auto options =
      resolve("#!/bin/sh\n#SBATCH -J pair -n 2 -c 4 -t 5\n#UFAB --budget=3\n#SBATCH hetjob\n#SBATCH -n 3\n")
          .value();
  ASSERT_EQ(options.components.size(), 1U);
  const SubmitOptions& second = options.components.front();
  EXPECT_EQ(second.job_name, "pair");
  EXPECT_EQ(second.time_limit_minutes, 5U);
  EXPECT_EQ(second.tasks, 3U);
  EXPECT_EQ(second.cpus_per_task, 1U);
  EXPECT_TRUE(beyond_the_fabric(options)->starts_with("a heterogeneous job of 2 components"));
  EXPECT_FALSE(beyond_the_fabric(second).has_value());
}

TEST(CommandLine, AColonOfItsOwnBeginsTheNextComponent) {
  const std::vector<std::string> words{"-n2", ":", "-n3", "train.sh", ":"};
  const auto line = split_command_line(words).value();
  EXPECT_EQ(line.component_words, (std::vector<std::vector<std::string>>{{"-n2"}, {"-n3"}}));
  EXPECT_EQ(line.rest, (std::vector<std::string>{"train.sh", ":"}));
}

TEST(CommandLine, TheFabricsOwnOptionsTakeNoAbbreviationFromSbatch) {
  EXPECT_EQ(resolve("#!/bin/sh\n", {}, {"--j=name"}).value().job_name, "name");  // not --json
  EXPECT_EQ(resolve("#!/bin/sh\n", {}, {"--prefer=alpha"}).value().prefer, std::vector<std::string>{"alpha"});
  EXPECT_TRUE(resolve("#!/bin/sh\n#SBATCH --prefer=fast\n").value().prefer.empty());  // Slurm's own
}

TEST(SlurmOptions, MemoryOfEveryThreadNeverWraps) {
  const auto options = resolve("#!/bin/sh\n#SBATCH --mem-per-cpu=4096T -n 4096 -c 4096\n").value();
  EXPECT_EQ(options.memory_limit_mib(), std::uint64_t{1} << 56);
  EXPECT_NE(error_of("#!/bin/sh\n#SBATCH --mem-per-cpu=1099511627776T -n 4096 -c 4096\n"), "accepted");
}

TEST(CommandLine, TheScriptsOwnArgumentsAreNotOptions) {
  const std::vector<std::string> words{"-n4", "--test-only", "--mem", "2G", "train.sh", "--epochs", "3"};
  const auto split = split_command_line(words).value();
  EXPECT_EQ(split.component_words.front(), (std::vector<std::string>{"-n4", "--test-only", "--mem", "2G"}));
  EXPECT_EQ(split.rest, (std::vector<std::string>{"train.sh", "--epochs", "3"}));
  const auto bad = split_command_line(std::vector<std::string>{"--bogus", "train.sh"});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().exit_status(), 2);
}

TEST(FabricOptions, AreReadFromUfabLines) {
  const auto options = resolve(
                           "#!/bin/sh\n#UFAB --train=gpt.toml --providers=2..3 --budget=12.5\n"
                           "#UFAB --verify=exact:5% --prefer=alpha,beta --sync=1\n#UFAB --shares=1:5:2\n")
                           .value();
  EXPECT_EQ(options.train, "gpt.toml");
  EXPECT_EQ(options.providers.min, 2U);
  EXPECT_EQ(options.providers.max, 3U);
  EXPECT_EQ(options.budget_micro, 12'500'000U);
  EXPECT_EQ(options.verify.rate_ppm, 50'000U);
  EXPECT_EQ(options.prefer, (std::vector<std::string>{"alpha", "beta"}));
  EXPECT_EQ(options.shares, (std::vector<std::uint32_t>{1, 5, 2}));
}

TEST(FabricOptions, WhatCannotBeHonouredIsRefused) {
  EXPECT_EQ(error_of("#!/bin/sh\n#UFAB --sync=50\n"),
            "line 2: option --sync: this version synchronises providers every step only; --sync=50 needs a "
            "later one");
  EXPECT_NE(error_of("#!/bin/sh\n#UFAB --providers=2\n"), "accepted");
}

TEST(SlurmOptions, OfNoConsequenceHereAreAcceptedAndKept) {
  const auto options = resolve("#!/bin/sh\n#SBATCH -A physics --partition=gpu --exclusive\n").value();
  EXPECT_EQ(options.in_force.at("account").value, "physics");
  EXPECT_EQ(options.in_force.at("exclusive").value, "exclusive");
  EXPECT_EQ(without_effect(options), (std::vector<std::string>{"account", "exclusive", "partition"}));
}

}  // namespace
}  // namespace ufab::jobs
