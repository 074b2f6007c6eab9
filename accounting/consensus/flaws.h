// Planted bugs, by which the explorer and the simulator show that they would find real ones. The library that
// nodes link has none of them: there planted() is the constant false, and the compiler drops what it guards.
// The same sources are compiled a second time with UFAB_CONSENSUS_FLAWS, in a namespace of their own, and
// there one bug can be switched on for the calling thread.
#pragma once

#include <cstdint>

// The namespace of a build: everything that may differ between the two lies in it.
#ifdef UFAB_CONSENSUS_FLAWS
#define UFAB_CONSENSUS_BUILD flawed
#else
#define UFAB_CONSENSUS_BUILD sound
#endif

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

enum class Flaw : std::uint8_t {
  none,
  quorum_off_by_one,     // one unit of weight and of stake less than a quorum is enough
  unweighted_quorum,     // more than two thirds of the heads, whatever they weigh
  ignored_stake,         // a quorum by weight alone
  stale_list,            // a new epoch begins with the validators of the one before
  skipped_parent_check,  // votes for a block without proof that its parent can be built on
  dropped_sync,          // a vote is sent before it is durable
  unchecked_signature,   // votes and certificates are taken unverified
  unsigned_chain,        // blocks of a chain that was asked for are taken without their leaders' signatures
  finalise_after_skip,   // votes to finalise a view that it has voted to skip
  second_vote,           // votes for every proposal of a view, not only for the first
  forgotten_votes,       // starts again without reading its vote log
  ignored_loss,          // goes on voting although its vote log is lost
  ignored_damage,        // takes a damaged vote log for one whose end is torn
  ignored_full_disk,     // sends a vote that did not fit on the disk (the simulation's driver, not the core)
  unbounded_votes,       // keeps votes of views however far ahead
};

#ifdef UFAB_CONSENSUS_FLAWS
// Of this thread, as long as the object lives. Not nested.
class PlantedFlaw {
 public:
  explicit PlantedFlaw(Flaw flaw);
  ~PlantedFlaw();
  PlantedFlaw(const PlantedFlaw&) = delete;
  PlantedFlaw& operator=(const PlantedFlaw&) = delete;
};
[[nodiscard]] bool planted(Flaw flaw);
#else
[[nodiscard]] constexpr bool planted(Flaw) {
  return false;
}
#endif

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
