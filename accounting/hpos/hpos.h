// HPOS as DESIGN section 7 reads it: pure functions from candidates and parameters to seats, power, weights
// and rewards. UtilityNet's sources contradict each other; this reading is ours. Integers only.
#pragma once

#include <span>
#include <vector>

#include "accounting/records/derived.h"
#include "accounting/state/entries.h"

namespace ufab::hpos {

struct Pledge {
  OrgId organisation = 0;
  MicroUnc amount = 0;
};
// Seats by pledge: in descending order (ties: the lower organisation number), the first seats_max, while each
// pledge is at least seat_ratio_min_ppm of the running total including it. The seat price is the last seat's
// pledge; zero without seats.
struct Seats {
  std::vector<Pledge> seats;
  MicroUnc price = 0;
};
[[nodiscard]] Seats form_seats(std::vector<Pledge> pledges, const ChainParams& params);

// Power is verified work that has not expired. Work of epoch e counts in epochs e + 1 … e +
// power_expiry_epochs. A new epoch's work counts up to the larger of power_growth_ppm of the present power
// and power_growth_floor_mflop; what is above earns its pay but no power.
[[nodiscard]] std::uint64_t power_total(std::span<const EpochAmount> power);
void grow_power(std::vector<EpochAmount>& power, std::uint64_t epoch_ended, std::uint64_t verified_mflop,
                const ChainParams& params);

// weight = α·power share + (1 − α)·stake share in ppm, summing to 1,000,000 (largest remainder), each capped
// at weight_cap_ppm; what is above the cap goes to the others in proportion. With so few seats that the cap
// cannot hold (cap × n < 1), the cap is ceil(1,000,000 / n). Without any power the stake alone counts. What
// is above the cap is shared equally where the others' shares are below 10^-12.
[[nodiscard]] std::vector<std::uint64_t> weights(std::span<const std::uint64_t> power,
                                                 std::span<const std::uint64_t> stake,
                                                 const ChainParams& params);

// Sets the weight of each seat from its power and pledge.
void set_weights(std::vector<Seat>& seats, const ChainParams& params);

// What the ending epoch mints: emission_per_epoch halved every halving_epochs, never beyond supply_max.
[[nodiscard]] MicroUnc emission(std::uint64_t epoch, MicroUnc minted, const ChainParams& params);

// merit = verified work × uptime × quality. Uptime is the part of its duties that a provider did in time, all
// of it when it had none: the smaller one of its verifications' part and of its validator's (blocks against
// missed slots, a missed share of the seed being one), so that many of one kind do not hide the misses of the
// other. Quality is the part of its windows that stood.
struct Merit {
  std::uint64_t verified_mflop = 0;
  std::uint64_t uptime_ppm = 0;
  std::uint64_t quality_ppm = 0;
  std::uint64_t merit = 0;  // floor(floor(verified × uptime) × quality)
};
[[nodiscard]] Merit merit_of(const OrgEntry& org);

// Which seats fall: a score below kickout_median_ppm of the (lower) median score, lowest first, while the
// weight removed stays below one third of all and at least validators_min seats are left, and never the last.
[[nodiscard]] std::vector<OrgId> kickout(std::span<const Seat> seats, std::span<const std::uint64_t> scores,
                                         const ChainParams& params);

}  // namespace ufab::hpos
