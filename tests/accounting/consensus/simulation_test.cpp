// A short fixed set of seeds; ufab sim consensus runs as many as one likes.
#include "accounting/consensus/sim/simulation.h"

#include <gtest/gtest.h>

namespace ufab::consensus {
namespace {

TEST(Simulation, FindsNoViolationInTheFixedSeeds) {
  SimulationOptions options;
  options.chaos_ms = 300'000;
  std::uint64_t evidence = 0, crashes = 0, lost = 0;
  std::uint64_t damaged = 0, disks_lost = 0, full = 0, denied = 0, stale = 0, late = 0, forged = 0, spam = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const SimulationReport report = run_simulation(seed, options);
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    evidence += report.evidence;
    crashes += report.crashes;
    lost += report.logs_lost;
    damaged += report.logs_damaged;
    disks_lost += report.disks_lost;
    full += report.disks_full;
    denied += report.syncs_denied;
    stale += report.stale_lists;
    late += report.late;
    forged += report.forgeries;
    spam += report.spam;
  }
  EXPECT_GT(evidence, 0u);
  EXPECT_GT(crashes, 0u);
  EXPECT_GT(lost, 0u);
  EXPECT_GT(damaged, 0u);
  EXPECT_GT(disks_lost, 0u);
  EXPECT_GT(full, 0u);
  EXPECT_GT(denied, 0u);
  EXPECT_GT(stale, 0u);
  EXPECT_GT(late, 0u);
  EXPECT_GT(forged, 0u);
  EXPECT_GT(spam, 0u);
}

// A node starts again when its window is full: it kept votes of every view of it.
TEST(Simulation, ARestartWithAFullWindowKeepsTheMemoryBound) {
  SimulationOptions options;
  options.chaos_ms = 6'300'000;
  EXPECT_EQ(run_simulation(883, options).violation, "");
}

TEST(Simulation, RunsTheSameWithEd25519) {
  SimulationOptions options;
  options.chaos_ms = 60'000;
  options.real_signatures = true;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const SimulationReport report = run_simulation(seed, options);
    EXPECT_EQ(report.violation, "") << "seed " << seed;
    EXPECT_GT(report.blocks, 0u);
  }
}

TEST(Simulation, OneSeedFixesEverything) {
  SimulationOptions options;
  options.chaos_ms = 200'000;
  const SimulationReport first = run_simulation(7, options), again = run_simulation(7, options);
  EXPECT_EQ(first.fingerprint, again.fingerprint);
  EXPECT_NE(first.fingerprint, run_simulation(8, options).fingerprint);
}

}  // namespace
}  // namespace ufab::consensus
