// The explorer and the simulator find what they are there for: each planted bug
// (accounting/consensus/flaws.h), in the same sources as the production build.
#include <gtest/gtest.h>

#include "accounting/consensus/sim/simulation.h"
#include "tests/accounting/consensus/explorer.h"

namespace ufab::consensus {
namespace {

ExploreResult explore(Flaw flaw, ExploreOptions options) {
  const PlantedFlaw planted(flaw);
  options.states_max = 400'000;
  return Explorer(std::move(options)).run();
}

TEST(Mutants, TheExplorerFindsNothingWithoutAFlaw) {
  ExploreOptions options;
  options.leaders = {3, 0};
  const ExploreResult result = explore(Flaw::none, options);
  EXPECT_EQ(result.violation, "");
  EXPECT_TRUE(result.complete);
}

TEST(Mutants, TheExplorerFindsEachFlawOfTheRules) {
  struct Setting {
    Flaw flaw;
    std::vector<Seat> leaders;
  };
  for (const Setting& setting : std::vector<Setting>{{Flaw::quorum_off_by_one, {3, 0}},
                                                     {Flaw::skipped_parent_check, {0, 3}},
                                                     {Flaw::finalise_after_skip, {3, 0}},
                                                     {Flaw::second_vote, {3, 0}}}) {
    ExploreOptions options;
    options.leaders = setting.leaders;
    const ExploreResult result = explore(setting.flaw, options);
    EXPECT_NE(result.violation, "") << static_cast<int>(setting.flaw) << ", " << result.states << " states";
  }
}

TEST(Mutants, TheExplorerFindsAQuorumThatIgnoresWeightOrStake) {
  ExploreOptions options;
  options.leaders = {0, 1};
  options.weights = {5, 1, 1, 2};
  options.stakes = {5, 1, 1, 2};
  EXPECT_NE(explore(Flaw::unweighted_quorum, options).violation, "");
  options.weights = {1, 1, 1, 1};
  EXPECT_NE(explore(Flaw::ignored_stake, options).violation, "");
}

TEST(Mutants, TheExplorerFindsWhatACrashMakesOfAVoteThatIsNotDurable) {
  for (const Flaw flaw : {Flaw::dropped_sync, Flaw::forgotten_votes}) {
    ExploreOptions options;
    options.leaders = {3, 0};
    options.crashes = true;
    EXPECT_NE(explore(flaw, options).violation, "") << static_cast<int>(flaw);
  }
}

TEST(Mutants, TheSimulatorFindsEachWithin200Seeds) {
  SimulationOptions options;
  options.chaos_ms = 3'600'000;
  for (const Mutant& mutant : mutants()) {
    std::string violation;
    std::uint64_t seed = 0;
    while (violation.empty() && seed < 200) {
      const auto report = run_mutant(mutant.name, ++seed, options);
      ASSERT_TRUE(report.ok());
      violation = report->violation;
    }
    EXPECT_NE(violation, "") << mutant.name;
    std::printf("%s: seed %llu, %s\n", mutant.name.c_str(), static_cast<unsigned long long>(seed),
                violation.c_str());
  }
  EXPECT_FALSE(run_mutant("none-such", 1, options).ok());
}

}  // namespace
}  // namespace ufab::consensus
