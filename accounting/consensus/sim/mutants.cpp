// Compiled with UFAB_CONSENSUS_FLAWS: the simulation over the flawed build of the core.
#include <algorithm>
#include <array>

#include "accounting/consensus/sim/cluster.h"

namespace ufab::consensus {

namespace {

constexpr std::array<Flaw, 15> flaws = {
    Flaw::quorum_off_by_one,    Flaw::unweighted_quorum, Flaw::ignored_stake,       Flaw::stale_list,
    Flaw::skipped_parent_check, Flaw::dropped_sync,      Flaw::unchecked_signature, Flaw::finalise_after_skip,
    Flaw::second_vote,          Flaw::forgotten_votes,   Flaw::ignored_loss,        Flaw::ignored_damage,
    Flaw::ignored_full_disk,    Flaw::unbounded_votes,   Flaw::unsigned_chain};

}  // namespace

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> list = {
      {"quorum-off-by-one", "one unit of weight and of stake less than a quorum is enough"},
      {"unweighted-quorum", "more than two thirds of the heads, whatever they weigh"},
      {"ignored-stake", "a quorum by weight alone"},
      {"stale-list", "a new epoch begins with the validators of the one before"},
      {"skipped-parent-check", "votes for a block without proof that its parent can be built on"},
      {"dropped-sync", "a vote is sent before it is durable"},
      {"unchecked-signature", "votes and certificates are taken unverified"},
      {"finalise-after-skip", "votes to finalise a view that it has voted to skip"},
      {"second-vote", "votes for every proposal of a view, not only for the first"},
      {"forgotten-votes", "starts again without reading its vote log"},
      {"ignored-loss", "goes on voting although its vote log is lost"},
      {"ignored-damage", "takes a damaged vote log for one whose end is torn"},
      {"ignored-full-disk", "sends a vote that did not fit on the disk"},
      {"unbounded-votes", "keeps votes of views however far ahead"},
      {"unsigned-chain", "takes the blocks of a chain that it asked for without their leaders' signatures"},
  };
  return list;
}

Result<SimulationReport> run_mutant(const std::string& name, std::uint64_t seed,
                                    const SimulationOptions& options) {
  const auto& list = mutants();
  UFAB_ASSERT(list.size() == flaws.size());
  const auto found = std::find_if(list.begin(), list.end(), [&](const Mutant& m) { return m.name == name; });
  if (found == list.end())
    return Error{ErrorCode::not_found, "no mutant '" + name + "'; --mutant list names them"};
  const PlantedFlaw planted(flaws[static_cast<std::size_t>(found - list.begin())]);
  return Cluster(seed, options).run();
}

}  // namespace ufab::consensus
