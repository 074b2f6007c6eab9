// Planted bugs in the ledger's rules, by which the simulator's checkers show that they would find real ones.
// The library that nodes link has none of them: there planted() is the constant false, and the compiler drops
// what it guards. The sources that ask are compiled a second time with UFAB_LEDGER_FLAWS for programs of
// their own, which link those objects instead of the library's, and there one bug can be switched on for the
// calling thread.
#pragma once

#include <cstdint>

namespace ufab {

enum class LedgerFlaw : std::uint8_t {
  none,
  replayed_receipt,     // a window that a member has filed already is taken again
  inflated_work,        // a receipt's work is believed
  own_judge,            // anybody may vote on a window, whoever was drawn
  kept_escrow,          // what a job has not spent stays in escrow
  rounding_that_mints,  // every part of the emission is rounded up
  missing_halving,      // the emission never halves
  lasting_power,        // power never expires
  second_conviction,    // one key is convicted as often as evidence is filed
  unlimited_refusals,   // records are refused on the ledger without end
  unpaid_earner,        // the last of several earners of an epoch is left out of its rewards
};

#ifdef UFAB_LEDGER_FLAWS
// Of this thread, as long as the object lives. Not nested.
class PlantedLedgerFlaw {
 public:
  explicit PlantedLedgerFlaw(LedgerFlaw flaw);
  ~PlantedLedgerFlaw();
  PlantedLedgerFlaw(const PlantedLedgerFlaw&) = delete;
  PlantedLedgerFlaw& operator=(const PlantedLedgerFlaw&) = delete;
};
[[nodiscard]] bool planted(LedgerFlaw flaw);
#else
[[nodiscard]] constexpr bool planted(LedgerFlaw) {
  return false;
}
#endif

}  // namespace ufab
