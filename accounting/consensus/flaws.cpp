#include "accounting/consensus/flaws.h"

#include "fabric/base/assert.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {
thread_local Flaw active = Flaw::none;
}

PlantedFlaw::PlantedFlaw(Flaw flaw) {
  UFAB_ASSERT(active == Flaw::none);
  active = flaw;
}

PlantedFlaw::~PlantedFlaw() {
  active = Flaw::none;
}

bool planted(Flaw flaw) {
  return active == flaw;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
