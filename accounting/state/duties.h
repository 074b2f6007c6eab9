// What a validator's node owes the ledger beside its votes. Pure functions. Thread-safe: no state.
#pragma once

#include <optional>

#include "accounting/state/state.h"

namespace ufab {

// The share of the next epoch's seed that is to be filed now, signed by the organisation or its agent. Empty
// when no seat in office has this key, its seat does not draw, it has filed, or the next block is too late.
[[nodiscard]] std::optional<SeedShareRecord> seed_share_due(const State& state, const KeyPair& validator);

}  // namespace ufab
