#include "accounting/consensus/sim/simulation.h"

#include "accounting/consensus/sim/cluster.h"

namespace ufab::consensus {

SimulationReport run_simulation(std::uint64_t seed, const SimulationOptions& options) {
  return Cluster(seed, options).run();
}

}  // namespace ufab::consensus
