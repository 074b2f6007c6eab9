#include "accounting/state/duties.h"

#include <algorithm>

#include "accounting/hpos/epoch_seed.h"
#include "accounting/hpos/validator_key.h"

namespace ufab {

std::optional<SeedShareRecord> seed_share_due(const State& state, const KeyPair& validator) {
  const auto& seats = state.seats();
  const auto seat = std::find_if(seats.begin(), seats.end(),
                                 [&](const Seat& s) { return s.key == validator.public_key(); });
  if (seat == seats.end() || !seat->draws || state.seed_shares().contains(seat->organisation) ||
      state.height() >= state.seed_share_last()) {
    return std::nullopt;
  }
  const Bytes alpha = hpos::epoch_alpha(state.chain_id(), state.epoch() + 1, state.epoch_seed());
  return SeedShareRecord{state.epoch(), vrf::prove(hpos::vrf_key_of(validator), alpha)};
}

}  // namespace ufab
