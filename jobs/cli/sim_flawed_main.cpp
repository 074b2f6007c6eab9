// ufab-sim-flawed: `ufab sim ledger --mutant NAME`, over the ledger's rules with a planted bug. A program of
// its own, because it links the flawed objects in the place of the library's (accounting/state/flaws.h).
#include <cstdio>
#include <exception>

#include "accounting/replica/sim/mutants.h"
#include "jobs/cli/sim_ledger.h"

namespace ufab::jobs {

namespace {

VerbResult run(const std::vector<std::string>& words) {
  LedgerMutants mutants;
  for (const sim::LedgerMutant& mutant : sim::ledger_mutants())
    mutants.list.emplace_back(mutant.name, mutant.what);
  mutants.run = [](const std::string& name, std::uint64_t seed, const sim::ClusterOptions& options) {
    auto report = sim::run_ledger_mutant(name, seed, options);
    UFAB_ASSERT(report.ok());
    return *std::move(report);
  };
  return sim_ledger_campaign(words, &mutants);
}

}  // namespace

}  // namespace ufab::jobs

// The words are those behind `ufab sim ledger`.
int main(int argc, char** argv) {
  try {
    const auto result = ufab::jobs::run({argv + 1, argv + argc});
    if (result.ok()) return *result;
    std::fprintf(stderr, "ufab: %s\n", result.error().message.c_str());
    return result.error().exit_status();
  } catch (const std::exception& error) {  // no memory
    std::fprintf(stderr, "ufab: internal error: %s\n", error.what());
    return 1;
  }
}
