#include "accounting/hpos/hpos.h"

#include <algorithm>
#include <numeric>

#include "accounting/hpos/sample.h"
#include "accounting/state/flaws.h"

namespace ufab::hpos {

Seats form_seats(std::vector<Pledge> pledges, const ChainParams& params) {
  std::sort(pledges.begin(), pledges.end(), [](const Pledge& a, const Pledge& b) {
    return a.amount != b.amount ? a.amount > b.amount : a.organisation < b.organisation;
  });
  Seats result;
  Uint128 total = 0;
  for (const Pledge& pledge : pledges) {
    if (result.seats.size() >= params.seats_max || pledge.amount == 0) break;
    total += pledge.amount;
    if (static_cast<Uint128>(pledge.amount) * ppm_one < total * params.seat_ratio_min_ppm) break;
    result.seats.push_back(pledge);
    result.price = pledge.amount;
  }
  return result;
}

std::uint64_t power_total(std::span<const EpochAmount> power) {
  std::uint64_t total = 0;
  for (const EpochAmount& lot : power) total = checked_add(total, lot.amount).value_or(UINT64_MAX);
  return total;
}

void grow_power(std::vector<EpochAmount>& power, std::uint64_t epoch_ended, std::uint64_t verified_mflop,
                const ChainParams& params) {
  const std::uint64_t growth_max =
      std::max(part_ppm(power_total(power), params.power_growth_ppm), params.power_growth_floor_mflop);
  // Lots that no longer count in the epoch that begins, epoch_ended + 1.
  std::erase_if(power, [&](const EpochAmount& lot) {
    return lot.epoch + params.power_expiry_epochs < epoch_ended + 1 && !planted(LedgerFlaw::lasting_power);
  });
  const std::uint64_t earned = std::min(verified_mflop, growth_max);
  if (earned > 0) power.push_back({epoch_ended, earned});
}

std::vector<std::uint64_t> weights(std::span<const std::uint64_t> power, std::span<const std::uint64_t> stake,
                                   const ChainParams& params) {
  const std::size_t n = power.size();
  UFAB_ASSERT(stake.size() == n && n <= 1024);
  if (n == 0) return {};
  const bool any_power = std::any_of(power.begin(), power.end(), [](std::uint64_t p) { return p > 0; });
  const std::uint64_t alpha = any_power ? params.alpha_ppm : 0;
  // Shares in 10^-12, so that mixing them loses nothing that the final rounding would notice.
  const std::vector<std::uint64_t> power_share = apportion(ppm_one * ppm_one, power);
  const std::vector<std::uint64_t> stake_share = apportion(ppm_one * ppm_one, stake);
  std::vector<std::uint64_t> mixed(n);
  for (std::size_t i = 0; i < n; ++i) {
    mixed[i] = part_ppm(power_share[i], alpha) + part_ppm(stake_share[i], ppm_one - alpha);
  }
  const std::uint64_t cap = std::max<std::uint64_t>(params.weight_cap_ppm, (ppm_one + n - 1) / n);
  std::vector<std::uint64_t> result(n, 0);
  std::vector<bool> capped(n, false);
  for (;;) {
    std::uint64_t left = ppm_one;
    std::vector<std::uint64_t> open = mixed;
    for (std::size_t i = 0; i < n; ++i) {
      if (!capped[i]) continue;
      left -= cap;
      open[i] = 0;
    }
    // Where all that is left weighs too little to be seen, those who have it share it equally.
    if (std::all_of(open.begin(), open.end(), [](std::uint64_t part) { return part == 0; })) {
      for (std::size_t i = 0; i < n; ++i) open[i] = capped[i] ? 0 : 1;
    }
    const std::vector<std::uint64_t> parts = apportion(left, open);
    bool changed = false;
    for (std::size_t i = 0; i < n; ++i) {
      result[i] = capped[i] ? cap : parts[i];
      if (!capped[i] && parts[i] > cap) capped[i] = changed = true;
    }
    if (!changed) return result;
  }
}

void set_weights(std::vector<Seat>& seats, const ChainParams& params) {
  std::vector<std::uint64_t> power, stake;
  for (const Seat& seat : seats) {
    power.push_back(seat.power_mflop);
    stake.push_back(seat.pledge);
  }
  const std::vector<std::uint64_t> parts = weights(power, stake, params);
  for (std::size_t i = 0; i < seats.size(); ++i) seats[i].weight_ppm = parts[i];
}

MicroUnc emission(std::uint64_t epoch, MicroUnc minted, const ChainParams& params) {
  const std::uint64_t halvings = planted(LedgerFlaw::missing_halving) ? 0 : epoch / params.halving_epochs;
  const MicroUnc planned = halvings >= 64 ? 0 : params.emission_per_epoch >> halvings;
  return minted >= params.supply_max ? 0 : std::min(planned, params.supply_max - minted);
}

namespace {

// good / (good + bad) in ppm; all of it when nothing happened.
std::uint64_t part_of(std::uint64_t good, std::uint64_t bad) {
  const Uint128 all = static_cast<Uint128>(good) + bad;
  return all == 0 ? ppm_one : static_cast<std::uint64_t>(static_cast<Uint128>(good) * ppm_one / all);
}

}  // namespace

Merit merit_of(const OrgEntry& org) {
  Merit result;
  result.verified_mflop = org.verified_mflop;
  result.uptime_ppm =
      std::min(part_of(org.duties_done, org.duties_missed), part_of(org.blocks_produced, org.slots_missed));
  result.quality_ppm = part_of(org.receipts_good, org.receipts_bad);
  result.merit = part_ppm(part_ppm(org.verified_mflop, result.uptime_ppm), result.quality_ppm);
  return result;
}

std::vector<OrgId> kickout(std::span<const Seat> seats, std::span<const std::uint64_t> scores,
                           const ChainParams& params) {
  UFAB_ASSERT(seats.size() == scores.size());
  std::vector<OrgId> out;
  const std::size_t least = std::max<std::size_t>(1, params.validators_min);
  if (seats.size() <= least) return out;
  std::vector<std::uint64_t> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  const std::uint64_t limit = part_ppm(sorted[(sorted.size() - 1) / 2], params.kickout_median_ppm);
  std::vector<std::size_t> order(seats.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  std::uint64_t all = 0;
  for (const Seat& seat : seats) all += seat.weight_ppm;
  std::uint64_t removed = 0;
  for (const std::size_t i : order) {
    if (scores[i] >= limit || seats.size() - out.size() == least) break;
    if ((removed + seats[i].weight_ppm) * 3 >= all) continue;
    removed += seats[i].weight_ppm;
    out.push_back(seats[i].organisation);
  }
  return out;
}

}  // namespace ufab::hpos
