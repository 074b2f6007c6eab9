// Arrays, dependencies, points in time, generic resources and file names: what the corpus does not say (it
// holds them against sbatch), and that what is written is read back as the same.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <ctime>
#include <set>

#include "jobs/script/array.h"
#include "jobs/script/dependency.h"
#include "jobs/script/file_name.h"
#include "jobs/script/moment.h"
#include "jobs/script/tres.h"

namespace ufab::jobs {
namespace {

TEST(Array, WhatIsWrittenIsReadBackAsTheSame) {
  rc::check([] {
    const auto indices = *rc::gen::nonEmpty(
        rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, max_array_size)));
    ArrayRequest array;
    array.tasks.assign(indices.begin(), indices.end());
    array.throttle = *rc::gen::inRange<std::uint32_t>(0, 1000);
    RC_ASSERT(parse_array(format_array(array)).value() == array);
  });
}

TEST(Array, WhateverIsReadIsWithinItsBounds) {
  rc::check([] {
    const auto text =
        *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789-,:%[] +a")));
    const auto array = parse_array(text);
    if (!array) return;
    RC_ASSERT(!array->tasks.empty() && array->last() < max_array_size && array->step != 0);
    RC_ASSERT(std::is_sorted(array->tasks.begin(), array->tasks.end()));
    RC_ASSERT(std::adjacent_find(array->tasks.begin(), array->tasks.end()) == array->tasks.end());
  });
}

TEST(Array, KeepsTheStepForTheTasksToKnow) {
  EXPECT_EQ(parse_array("0-15:4%2").value(), (ArrayRequest{{0, 4, 8, 12}, 2, 4}));
}

TEST(Dependency, WhatIsWrittenIsReadBackAsTheSame) {
  rc::check([] {
    DependencyRequest request;
    request.any_of = *rc::gen::arbitrary<bool>();
    const auto count = *rc::gen::inRange(2, 9);
    for (int i = 0; i < count; ++i) {
      Dependency term;
      term.kind = *rc::gen::element(DependencyKind::after, DependencyKind::after_any,
                                    DependencyKind::after_ok, DependencyKind::after_not_ok,
                                    DependencyKind::after_corr, DependencyKind::after_burst_buffer);
      term.job = static_cast<std::uint64_t>(i) + 1;
      if (*rc::gen::arbitrary<bool>()) term.task = *rc::gen::inRange<std::uint32_t>(0, max_array_size);
      term.delay_minutes = *rc::gen::inRange<std::uint32_t>(0, 100);
      request.terms.push_back(term);
    }
    RC_ASSERT(parse_dependency(format_dependency(request)).value() == request);
  });
}

TEST(Dependency, OnAListOfTasksIsOnEachOfThem) {
  EXPECT_EQ(format_dependency(parse_dependency("afterok:3_[1,4-5]+2?singleton").value()),
            "afterok:3_1+2?afterok:3_4+2?afterok:3_5+2?singleton");
}

TEST(Dependency, ThereAreNeverMoreThanTheBound) {
  std::string text = "afterok";
  for (int i = 1; i <= 4; ++i) text += ":" + std::to_string(i) + "_[0-1000]";
  EXPECT_TRUE(parse_dependency(text).ok());
  EXPECT_FALSE(parse_dependency(text + ":5_[0-1000]").ok());
}

class Moment : public testing::Test {
 protected:
  void SetUp() override { use_zone("UTC"); }
  void TearDown() override { use_zone("UTC"); }
  static void use_zone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
};

TEST_F(Moment, WhatIsWrittenIsReadBackAsTheSame) {
  rc::check([] {
    const auto moment = *rc::gen::inRange<std::int64_t>(0, 7'000'000'000);
    RC_ASSERT(parse_moment(format_moment(moment), 1'800'000'000).value() == moment);
  });
}

TEST_F(Moment, ATimeOfDayIsTheNextToCome) {
  rc::check([] {
    const auto now = *rc::gen::inRange<std::int64_t>(1'000'000'000, 3'000'000'000);
    const auto minute = *rc::gen::inRange(0, 1440);
    const std::string text =
        std::to_string(minute / 60) + ":" + (minute % 60 < 10 ? "0" : "") + std::to_string(minute % 60);
    const std::int64_t moment = parse_moment(text, now).value();
    RC_ASSERT(moment > now && moment <= now + 86400 + 60);
  });
}

TEST_F(Moment, IsReadInTheLocalTimeZoneAcrossItsChangeOfClock) {
  use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
  const std::int64_t saturday = 1'790'420'400;  // 2026-09-26 13:00 there
  EXPECT_EQ(format_moment(saturday), "2026-09-26T13:00:00");
  const std::int64_t before = parse_moment("2026-10-24T12:00", saturday).value();
  const std::int64_t behind = parse_moment("2026-10-25T12:00", saturday).value();
  EXPECT_EQ(behind - before, 25 * 3600);  // the clock went back in between
}

TEST(GenericResources, AreReadWithAndWithoutTypeAndCount) {
  EXPECT_EQ(parse_gres("gpu:a100:2,fpga").value(), (GenericResources{{"gpu", "a100", 2}, {"fpga", "", 1}}));
  EXPECT_EQ(parse_gpus("a100:1,v100:3").value(), (GenericResources{{"gpu", "a100", 1}, {"gpu", "v100", 3}}));
  EXPECT_EQ(count_of(parse_gpus("a100:1,v100:3").value(), "gpu"), 4U);
  EXPECT_TRUE(parse_gres("none").value().empty());
  for (const char* bad : {"gpu:", "gpu=2", "gpu:2,gpu:a100:1", "gpu:2:2", "gpu:99999999999", ",gpu"})
    EXPECT_FALSE(parse_gres(bad).ok()) << bad;
}

TEST(FileName, PatternsFollowSbatch) {
  const NameValues values{42, "train", "ada", "host1", std::nullopt, std::nullopt};
  EXPECT_EQ(expand_file_name("slurm-%j.out", values), "slurm-42.out");
  EXPECT_EQ(expand_file_name("%x_%5j.%N.%u", values), "train_00042.host1.ada");
  EXPECT_EQ(expand_file_name("100%%-%A-%J", values), "100%-42-42");
  EXPECT_EQ(expand_file_name("%n.%t.%s", values), "0.0.batch");
  EXPECT_EQ(expand_file_name("%q%", values), "%q%");
  EXPECT_EQ(expand_file_name("\\%j", values), "%j");
  EXPECT_EQ(expand_file_name("%99j", values), "0000000042");
}

TEST(FileName, OfATaskNamesItsArrayAndItsIndex) {
  const NameValues values{45, "sweep", "ada", "host1", 42, 3};
  EXPECT_EQ(expand_file_name(default_output(true), values), "slurm-42_3.out");
  EXPECT_EQ(expand_file_name("%A_%4a-%j", values), "42_0003-45");
}

}  // namespace
}  // namespace ufab::jobs
