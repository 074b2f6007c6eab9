#include "jobs/script/values.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

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
                                         TimeCase{"1:2:3:4", -1}, TimeCase{"ten", -1}, TimeCase{"1-", 1440},
                                         TimeCase{"-", -1}, TimeCase{"-5", -1}, TimeCase{"1:", -1},
                                         TimeCase{"999999999999999999999", -1}));

TEST(Memory, IsInMebibytesUnlessALetterSaysOtherwise) {
  EXPECT_EQ(parse_memory_mib("100").value(), 100U);
  EXPECT_EQ(parse_memory_mib("100M").value(), 100U);
  EXPECT_EQ(parse_memory_mib("2g").value(), 2048U);
  EXPECT_EQ(parse_memory_mib("1T").value(), 1048576U);
  EXPECT_EQ(parse_memory_mib("4096T").value(), std::uint64_t{1} << 32);
  EXPECT_EQ(parse_memory_mib("1025K").value(), 2U);
  EXPECT_EQ(parse_memory_mib("2GB").value(), 2048U);
  for (const char* bad : {"", "G", "1.5G", "-1", "10X", "1GiB", "5B", "99999999999999T", "4097T"}) {
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
  EXPECT_EQ(parse_signal("USR1@").value().seconds_before_end, 0U);
  EXPECT_EQ(format_signal(parse_signal("BR:sigterm@300").value()), "RB:TERM@300");
  EXPECT_EQ(format_signal(parse_signal("10@60").value()), "USR1");
  for (const char* bad : {"", "B:", "NOPE", "SEGV", "USR1@x", "USR1@70000", "0", "65", "X:USR1"})
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

TEST(Nodes, AreANumberOrARangeAndMayBeUpToANumber) {
  EXPECT_EQ(parse_nodes("2-4").value(), (CountRange{2, 4}));
  EXPECT_EQ(parse_nodes("-4").value(), (CountRange{1, 4}));
  EXPECT_EQ(parse_nodes("1k").value(), (CountRange{1024, 1024}));
  EXPECT_EQ(format_nodes({2, 4}), "2-4");
  EXPECT_EQ(format_nodes({2, 2}), "2");
  for (const char* bad : {"", "0", "4-2", "2-", "1,3", "2-4:2", "x", "4294967296"})
    EXPECT_FALSE(parse_nodes(bad).ok()) << bad;
}

TEST(Spelling, OfTimesAndMemoryIsReadBackAsTheSame) {
  rc::check("times", [] {
    const auto minutes = *rc::gen::inRange<std::uint32_t>(1, 10'000'000);
    RC_ASSERT(parse_time_limit(format_time_limit(minutes)).value() == minutes);
  });
  rc::check("memory", [] {
    const auto mib = *rc::gen::inRange<std::uint64_t>(1, max_memory_mib);
    RC_ASSERT(parse_memory_mib(format_memory(mib)).value() == mib);
  });
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

}  // namespace
}  // namespace ufab::jobs
