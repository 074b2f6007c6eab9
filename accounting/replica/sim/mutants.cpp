// Compiled with UFAB_LEDGER_FLAWS alone.
#include "accounting/replica/sim/mutants.h"

#include <algorithm>
#include <array>

#include "accounting/state/flaws.h"

namespace ufab::sim {

namespace {

constexpr std::array<LedgerFlaw, 10> flaws = {LedgerFlaw::replayed_receipt,    LedgerFlaw::inflated_work,
                                              LedgerFlaw::own_judge,           LedgerFlaw::kept_escrow,
                                              LedgerFlaw::rounding_that_mints, LedgerFlaw::missing_halving,
                                              LedgerFlaw::lasting_power,       LedgerFlaw::second_conviction,
                                              LedgerFlaw::unlimited_refusals,  LedgerFlaw::unpaid_earner};

}  // namespace

const std::vector<LedgerMutant>& ledger_mutants() {
  static const std::vector<LedgerMutant> list = {
      {"replayed-receipt", "a window that a member has filed already is taken again"},
      {"inflated-work", "a receipt's work is believed"},
      {"own-judge", "anybody may vote on a window, whoever was drawn"},
      {"kept-escrow", "what a job has not spent stays in escrow"},
      {"rounding-that-mints", "every part of the emission is rounded up"},
      {"missing-halving", "the emission never halves"},
      {"lasting-power", "power never expires"},
      {"second-conviction", "one key is convicted as often as evidence is filed"},
      {"unlimited-refusals", "records are refused on the ledger without end"},
      {"unpaid-earner", "the last of several earners of an epoch is left out of its rewards"},
  };
  return list;
}

Result<ClusterReport> run_ledger_mutant(const std::string& name, std::uint64_t seed,
                                        const ClusterOptions& options) {
  if (name.empty()) return Cluster(seed, options).run();
  const auto& list = ledger_mutants();
  UFAB_ASSERT(list.size() == flaws.size());
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const LedgerMutant& m) { return m.name == name; });
  if (found == list.end())
    return Error{ErrorCode::not_found, "no mutant '" + name + "'; --mutant list names them"};
  const PlantedLedgerFlaw planted(flaws[static_cast<std::size_t>(found - list.begin())]);
  return Cluster(seed, options).run();
}

}  // namespace ufab::sim
