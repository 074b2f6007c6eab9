// The cluster simulator's checkers find what they are there for: each bug planted in the ledger's rules
// (accounting/state/flaws.h), in the same sources as the production build, and by what it is meant to be
// found by.
#include "accounting/replica/sim/mutants.h"

#include <gtest/gtest.h>

#include <map>

namespace ufab::sim {
namespace {

constexpr std::uint64_t seeds_most = 200;

ClusterOptions options_of(std::uint64_t seed) {
  ClusterOptions options;
  options.validators = 4 + seed % 2;
  options.chaos_s = 15;
  options.records_per_second = 1;
  options.faults = seed % 2 == 0;
  options.lies = options.faults ? Lies::never : Lies::always;
  return options;
}

TEST(LedgerMutants, EachIsFoundWithin200Seeds) {
  const std::map<std::string, std::string> findings = {
      {"replayed-receipt", "accepted twice"},
      {"inflated-work", "inflated, and accepted"},
      {"own-judge", "which was not drawn"},
      {"kept-escrow", "the records add up to"},
      {"rounding-that-mints", "its part is"},
      {"missing-halving", "the schedule says"},
      {"lasting-power", "what it earned lately is"},
      {"second-conviction", "was convicted twice"},
      {"unlimited-refusals", "more often than an epoch allows"},
      {"unpaid-earner", "left out of its rewards"},
  };
  std::uint64_t farthest = 0;
  for (const LedgerMutant& mutant : ledger_mutants()) {
    std::string violation;
    std::uint64_t seed = 0;
    while (violation.empty() && seed < seeds_most) {
      ++seed;
      const auto report = run_ledger_mutant(mutant.name, seed, options_of(seed));
      ASSERT_TRUE(report.ok());
      violation = report->violation;
    }
    ASSERT_TRUE(findings.contains(mutant.name)) << mutant.name;
    EXPECT_NE(violation.find(findings.at(mutant.name)), std::string::npos)
        << mutant.name << ": " << violation;
    std::printf("%s: seed %llu, %s\n", mutant.name.c_str(), static_cast<unsigned long long>(seed),
                violation.c_str());
    farthest = std::max(farthest, seed);
  }
  EXPECT_EQ(findings.size(), ledger_mutants().size());
  // Without a bug the same build finds nothing on those seeds.
  for (std::uint64_t seed = 1; seed <= farthest; ++seed) {
    const auto report = run_ledger_mutant("", seed, options_of(seed));
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->violation, "") << "seed " << seed;
  }
  EXPECT_FALSE(run_ledger_mutant("none-such", 1, {}).ok());
}

}  // namespace
}  // namespace ufab::sim
