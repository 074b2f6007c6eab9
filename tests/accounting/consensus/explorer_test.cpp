// The explorer over the sound core: all of two views, whoever leads them, and as much of three views and of
// runs with crashes as fits into the tests' time. UFAB_EXPLORE_STATES=N goes on to N global states in each
// setting, with standstill in all: with 3,000,000 two views are complete, with crashes too where honest ones
// lead, and three views led by honest ones.
#include "tests/accounting/consensus/explorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace ufab::consensus {
namespace {

struct Setting {
  std::vector<Seat> leaders;
  std::size_t states_max;
  bool complete;    // within that
  bool standstill;  // always with UFAB_EXPLORE_STATES
};

std::size_t states_max(std::size_t otherwise) {
  const char* more = std::getenv("UFAB_EXPLORE_STATES");
  return more == nullptr ? otherwise : std::max<std::size_t>(otherwise, std::strtoull(more, nullptr, 10));
}

ExploreResult explore(ExploreOptions options, const Setting& setting) {
  options.states_max = states_max(setting.states_max);
  options.standstill = setting.standstill || std::getenv("UFAB_EXPLORE_STATES") != nullptr;
  const ExploreResult result = Explorer(options).run();
  EXPECT_EQ(result.violation, "");
  EXPECT_TRUE(result.complete || !setting.complete || options.standstill != setting.standstill);
  std::printf("%zu states of %zu local ones, %zu blocks finalised%s\n", result.states, result.locals,
              result.finalised, result.complete ? "" : ", incomplete");
  return result;
}

TEST(Explorer, FindsNoViolationInTwoViewsWhoeverLeads) {
  for (const Setting& setting : std::vector<Setting>{{{0, 1}, 400'000, true, true},
                                                     {{3, 0}, 400'000, true, true},
                                                     {{0, 3}, 400'000, true, true},
                                                     {{3, 3}, 400'000, true, false}}) {
    ExploreOptions options;
    options.leaders = setting.leaders;
    const ExploreResult result = explore(options, setting);
    EXPECT_GE(result.finalised, 2u);
  }
}

TEST(Explorer, FindsNoViolationWhenEachHonestNodeMayCrashBetweenAnyTwoActions) {
  for (const Setting& setting :
       std::vector<Setting>{{{0, 1}, 500'000, true, false}, {{3, 0}, 100'000, false, true}}) {
    ExploreOptions options;
    options.leaders = setting.leaders;
    options.crashes = true;
    explore(options, setting);
  }
}

TEST(Explorer, FindsNoViolationInThreeViewsOfUnequalValidators) {
  for (const Setting& setting : std::vector<Setting>{{{0, 1, 2}, 250'000, true, false},
                                                     {{3, 0, 1}, 30'000, false, true},
                                                     {{0, 3, 1}, 30'000, false, true}}) {
    ExploreOptions options;
    options.weights = {3, 2, 2, 2};
    options.stakes = {2, 3, 2, 2};
    options.leaders = setting.leaders;
    explore(options, setting);
  }
}

}  // namespace
}  // namespace ufab::consensus
