#include "jobs/script/values.h"

#include <gtest/gtest.h>

#include <csignal>

namespace ufab::jobs {
namespace {

struct TimeCase {
  const char* text;
  int minutes;  // -1: malformed, 0: unlimited
};

class TimeLimit : public testing::TestWithParam<TimeCase> {};

TEST_P(TimeLimit, IsReadAsSlurmReadsIt) {
  const auto result = parse_time_limit(GetParam().text);
  if (GetParam().minutes < 0) {
    EXPECT_FALSE(result.ok());
    return;
  }
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->value_or(0), static_cast<std::uint32_t>(GetParam().minutes));
}

INSTANTIATE_TEST_SUITE_P(Notations, TimeLimit,
                         testing::Values(TimeCase{"5", 5}, TimeCase{"0:01", 1}, TimeCase{"90:00", 90},
                                         TimeCase{"1:00:00", 60}, TimeCase{"1:00:01", 61},
                                         TimeCase{"2-0", 2880}, TimeCase{"1-12:30", 2190},
                                         TimeCase{"1-00:00:30", 1441}, TimeCase{"UNLIMITED", 0},
                                         TimeCase{"infinite", 0}, TimeCase{"0", 0}, TimeCase{"", -1},
                                         TimeCase{"1:2:3:4", -1}, TimeCase{"ten", -1}, TimeCase{"1-", -1},
                                         TimeCase{"-5", -1}, TimeCase{"1:", -1},
                                         TimeCase{"999999999999999999999", -1}));

TEST(Memory, IsInMebibytesUnlessALetterSaysOtherwise) {
  EXPECT_EQ(parse_memory_mib("100").value(), 100U);
  EXPECT_EQ(parse_memory_mib("100M").value(), 100U);
  EXPECT_EQ(parse_memory_mib("2g").value(), 2048U);
  EXPECT_EQ(parse_memory_mib("1T").value(), 1048576U);
  EXPECT_EQ(parse_memory_mib("4096T").value(), std::uint64_t{1} << 32);
  EXPECT_EQ(parse_memory_mib("1025K").value(), 2U);
  for (const char* bad : {"", "G", "1.5G", "-1", "10X", "1GB", "99999999999999T", "4097T"}) {
    EXPECT_FALSE(parse_memory_mib(bad).ok()) << bad;
  }
}

TEST(Signal, NamesNumbersAndTimesAreUnderstood) {
  const auto request = parse_signal("B:USR1@120").value();
  EXPECT_EQ(request.number, SIGUSR1);
  EXPECT_EQ(request.seconds_before_end, 120U);
  EXPECT_TRUE(request.batch_shell_only);
  EXPECT_EQ(parse_signal("SIGTERM").value().number, SIGTERM);
  EXPECT_EQ(parse_signal("9").value().number, SIGKILL);
  for (const char* bad : {"", "B:", "NOPE", "USR1@", "USR1@70000", "0", "65"})
    EXPECT_FALSE(parse_signal(bad).ok()) << bad;
}

TEST(Range, BothNotationsKeepTheirOrder) {
  const CountRange range = parse_range("2..4", "..").value();
  EXPECT_EQ(range.min, 2U);
  EXPECT_EQ(range.max, 4U);
  EXPECT_EQ(parse_range("3", "..").value().max, 3U);
  for (const char* bad : {"", "0", "4..2", "2..", "..2", "2-4"})
    EXPECT_FALSE(parse_range(bad, "..").ok()) << bad;
}

TEST(Percent, IsExactInPartsPerMillion) {
  EXPECT_EQ(parse_percent_ppm("5%").value(), 50000U);
  EXPECT_EQ(parse_percent_ppm("0.5%").value(), 5000U);
  EXPECT_EQ(parse_percent_ppm("12.3456%").value(), 123456U);
  EXPECT_EQ(parse_percent_ppm("100%").value(), 1000000U);
  for (const char* bad : {"", "5", "101%", "100.1%", "1.23456%", "-1%", ".5%"}) {
    EXPECT_FALSE(parse_percent_ppm(bad).ok()) << bad;
  }
}

TEST(FileName, PatternsFollowSbatch) {
  const NameValues values{42, "train", "ada", "host1"};
  EXPECT_EQ(expand_file_name("slurm-%j.out", values), "slurm-42.out");
  EXPECT_EQ(expand_file_name("%x_%5j.%N.%u", values), "train_00042.host1.ada");
  EXPECT_EQ(expand_file_name("100%%-%A", values), "100%-42");
  EXPECT_EQ(expand_file_name("%q%", values), "%q%");
  EXPECT_EQ(expand_file_name("\\%j", values), "%j");
}

}  // namespace
}  // namespace ufab::jobs
