// The campaigns of `ufab sim ledger`, for the two programs that run them: ufab-tools over the ledger that
// nodes run, and ufab-sim-flawed, which ufab-tools becomes, over one with a planted bug.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "accounting/replica/sim/cluster.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

// The planted bugs of this program, by name and meaning, and a run with one of them.
struct LedgerMutants {
  std::vector<std::pair<std::string, std::string>> list;
  std::function<sim::ClusterReport(const std::string& name, std::uint64_t seed, const sim::ClusterOptions&)>
      run;
};

// null: this program has none, and becomes the one that has when `words` ask for one.
VerbResult sim_ledger_campaign(Words words, const LedgerMutants* mutants);

}  // namespace ufab::jobs
