// Clusters of validators under simulated time, network and disks, in which one seed fixes everything. What
// runs is the production code of accounting/consensus/ with the simulation as its driver.
//
// A run: 4 to 10 validators of unequal weight and stake, lists that change with every epoch, up to a third of
// both (exactly a third in some runs) dishonest in ways that the seed picks: a second self with the same key,
// double proposals, double votes, finalise and skip, withheld votes, forged and underweight certificates,
// votes by the list of the epoch before, spam. First chaos: loss, delay, duplication, reordering, partitions
// in both directions and in one, crashes in the middle of a step's actions and between a write and its sync,
// torn records, lost and rotten vote logs, clocks of unequal speed. Then everyone is connected and restarted,
// the dishonest go on, and blocks must come.
//
// Checked throughout: finalised prefixes agree; each finalised block has a certificate that an independent
// verifier accepts; no honest key signs two conflicting votes, over all its lives; each equivocation that an
// honest node could see is reported; evidence verifies alone and names nobody honest; the state keeps its
// memory bound. At the end: every honest node has finalised new blocks since the chaos was over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::consensus {

struct SimulationOptions {
  std::uint64_t chaos_ms = 3'600'000;  // simulated; about 15 minutes of calm follow
  bool real_signatures = false;        // Ed25519 instead of a keyed hash
};

struct SimulationReport {
  std::uint64_t seed = 0;
  std::string violation;  // empty: none; otherwise what was violated, by whom and when
  std::uint64_t simulated_ms = 0;
  std::uint64_t validators = 0, dishonest = 0;
  std::uint64_t blocks = 0;  // finalised
  std::uint64_t epochs = 0;
  std::uint64_t messages = 0;  // delivered
  std::uint64_t crashes = 0, partitions = 0, logs_lost = 0;
  std::uint64_t evidence = 0;     // equivocations reported, each once
  std::uint64_t fingerprint = 0;  // of everything that was finalised and when: equal runs have equal ones
};

// Thread-safe.
[[nodiscard]] SimulationReport run_simulation(std::uint64_t seed, const SimulationOptions& options);

// The planted bugs (accounting/consensus/flaws.h) by name, and a run with one of them.
struct Mutant {
  std::string name, what;
};
[[nodiscard]] const std::vector<Mutant>& mutants();
// not_found: no such mutant. Thread-safe.
[[nodiscard]] Result<SimulationReport> run_mutant(const std::string& name, std::uint64_t seed,
                                                  const SimulationOptions& options);

}  // namespace ufab::consensus
