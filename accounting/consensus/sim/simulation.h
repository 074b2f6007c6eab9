// Clusters of validators under simulated time, network and disks, in which one seed fixes everything. What
// runs is the production code of accounting/consensus/ with the simulation as its driver.
//
// A run: 4 to 10 validators of unequal weight and stake, lists that change with every epoch, up to a third of
// both (exactly a third in some runs) dishonest in ways that the seed picks: a second self with the same key,
// double proposals, double votes, finalise and skip, withheld votes, forged and underweight certificates,
// votes, proposals and certificates by the list of the epoch before, messages held back and sent late,
// replays and spam. First chaos: loss, delay, duplication, reordering, partitions in both directions and in
// one, crashes in the middle of a step's actions and between a write and its sync, torn records, full disks,
// clocks of unequal speed. In some runs the disk of one member fails for good: its vote log is lost, rotten
// or overwritten, or the whole disk is new, and it must never vote again (it counts as faulty where blocks
// must come, and not where only safety is asked for); or it loses what it said was synced, which counts as
// dishonest. Then everyone is connected and restarted, the dishonest go on, and blocks must come.
//
// Checked throughout: finalised prefixes agree; each finalised block has a certificate that an independent
// verifier accepts; no honest key signs two conflicting votes, over all its lives; it sends none that
// is not on its disk; a damaged vote log is found out; each equivocation that an
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
  // Of disks: vote logs found damaged at a start; whole disks replaced; stops because a vote did not fit;
  // crashes that lost what a disk had said was synced.
  std::uint64_t logs_damaged = 0, disks_lost = 0, disks_full = 0, syncs_denied = 0;
  // Of the dishonest: messages by an older list, messages sent late, forged certificates, and spam.
  std::uint64_t stale_lists = 0, late = 0, forgeries = 0, spam = 0;
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
