// Clusters over the ledger with one of its planted bugs (accounting/state/flaws.h). Linked only into programs
// that have the flawed objects: a test and ufab-sim-flawed.
#pragma once

#include <string>
#include <vector>

#include "accounting/replica/sim/cluster.h"

namespace ufab::sim {

struct LedgerMutant {
  std::string name, what;
};
[[nodiscard]] const std::vector<LedgerMutant>& ledger_mutants();
// An empty name is the ledger without a bug. not_found: no such mutant. Thread-safe.
[[nodiscard]] Result<ClusterReport> run_ledger_mutant(const std::string& name, std::uint64_t seed,
                                                      const ClusterOptions& options);

}  // namespace ufab::sim
