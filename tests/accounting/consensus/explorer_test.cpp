// The explorer over the sound core: all of two views, whoever leads them. UFAB_EXPLORE_STATES=N goes on into
// three views, up to N global states in each setting.
#include "tests/accounting/consensus/explorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace ufab::consensus {
namespace {

std::size_t states_max(std::size_t otherwise) {
  const char* more = std::getenv("UFAB_EXPLORE_STATES");
  return more == nullptr ? otherwise : std::max<std::size_t>(otherwise, std::strtoull(more, nullptr, 10));
}

ExploreResult explore(const ExploreOptions& options) {
  const ExploreResult result = Explorer(options).run();
  EXPECT_EQ(result.violation, "");
  std::printf("%zu states of %zu local ones, %zu blocks finalised%s\n", result.states, result.locals,
              result.finalised, result.complete ? "" : ", incomplete");
  return result;
}

TEST(Explorer, FindsNoViolationInTwoViewsWhoeverLeads) {
  for (const std::vector<Seat>& leaders : std::vector<std::vector<Seat>>{{0, 1}, {3, 0}, {0, 3}, {3, 3}}) {
    ExploreOptions options;
    options.leaders = leaders;
    options.states_max = 1'000'000;
    const ExploreResult result = explore(options);
    EXPECT_TRUE(result.complete);
    EXPECT_GE(result.finalised, 2u);
  }
}

struct Setting {
  std::vector<Seat> leaders;
  std::size_t states_max;
  bool complete;  // within that
};

TEST(Explorer, FindsNoViolationWhenEachHonestNodeMayCrashBetweenAnyTwoActions) {
  for (const Setting& setting : std::vector<Setting>{{{0, 1}, 500'000, true}, {{3, 0}, 100'000, false}}) {
    ExploreOptions options;
    options.leaders = setting.leaders;
    options.crashes = true;
    options.states_max = states_max(setting.states_max);
    EXPECT_TRUE(explore(options).complete || !setting.complete);
  }
}

TEST(Explorer, FindsNoViolationInThreeViewsOfUnequalValidators) {
  for (const Setting& setting : std::vector<Setting>{
           {{0, 1, 2}, 250'000, true}, {{3, 0, 1}, 30'000, false}, {{0, 3, 1}, 30'000, false}}) {
    ExploreOptions options;
    options.weights = {3, 2, 2, 2};
    options.stakes = {2, 3, 2, 2};
    options.leaders = setting.leaders;
    options.states_max = states_max(setting.states_max);
    EXPECT_TRUE(explore(options).complete || !setting.complete);
  }
}

}  // namespace
}  // namespace ufab::consensus
