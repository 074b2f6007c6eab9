// Compiled with UFAB_LEDGER_FLAWS alone.
#include "accounting/state/flaws.h"

#include "fabric/base/assert.h"

namespace ufab {

namespace {
thread_local LedgerFlaw active = LedgerFlaw::none;
}

PlantedLedgerFlaw::PlantedLedgerFlaw(LedgerFlaw flaw) {
  UFAB_ASSERT(active == LedgerFlaw::none);
  active = flaw;
}

PlantedLedgerFlaw::~PlantedLedgerFlaw() {
  active = LedgerFlaw::none;
}

bool planted(LedgerFlaw flaw) {
  return active == flaw;
}

}  // namespace ufab
