#include "jobs/script/options.h"

#include <gtest/gtest.h>

#include <csignal>

namespace ufab::jobs {
namespace {

Result<SubmitOptions> resolve(const std::string& script,
                              const std::map<std::string, std::string>& environment = {},
                              const std::vector<std::string>& words = {}) {
  return resolve_options(script, environment, words);
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

TEST(Directives, QuotingIsLikeTheShells) {
  const auto options = resolve(
      "#!/bin/bash\n#SBATCH --comment=\"two words\" -J 'a \"b\"' # and a comment\n"
      "#SBATCH -o out\\ put.txt\n");
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->comment, "two words");
  EXPECT_EQ(options->job_name, "a \"b\"");
  EXPECT_EQ(options->output, "out put.txt");
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
  EXPECT_EQ(error_of("#!/bin/bash\n#SBATCH --array=1-3\n"),
            "line 2: option --array is not supported by this version of ufab");
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
  const auto refused = resolve("#!/bin/sh\n", {{"SBATCH_ARRAY_INX", "0-9"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "variable SBATCH_ARRAY_INX: option --array is not supported by this version of ufab");
  EXPECT_TRUE(resolve("#!/bin/sh\n", {{"SBATCH_WAIT", "1"}}).value().wait);
}

TEST(SlurmOptions, MemoryOfEveryThreadNeverWraps) {
  const auto options = resolve("#!/bin/sh\n#SBATCH --mem-per-cpu=4096T -n 4096 -c 4096\n").value();
  EXPECT_EQ(options.memory_limit_mib(), std::uint64_t{1} << 56);
  EXPECT_NE(error_of("#!/bin/sh\n#SBATCH --mem-per-cpu=1099511627776T -n 4096 -c 4096\n"), "accepted");
}

TEST(CommandLine, TheScriptsOwnArgumentsAreNotOptions) {
  const std::vector<std::string> words{"-n4", "--test-only", "--mem", "2G", "train.sh", "--epochs", "3"};
  const auto split = split_command_line(words).value();
  EXPECT_EQ(split.option_words, (std::vector<std::string>{"-n4", "--test-only", "--mem", "2G"}));
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
  EXPECT_EQ(options.without_effect.at("account"), "physics");
  EXPECT_EQ(options.without_effect.at("partition"), "gpu");
  EXPECT_TRUE(options.without_effect.contains("exclusive"));
}

}  // namespace
}  // namespace ufab::jobs
