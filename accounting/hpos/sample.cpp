#include "accounting/hpos/sample.h"

#include <algorithm>
#include <numeric>

#include "accounting/amount.h"

namespace ufab::hpos {

std::uint64_t draw(const Digest& seed, std::uint64_t counter) {
  Sha256 hash;
  const Digest digest = hash.update("ufab draw 1\n").update(seed.view()).update_u64(counter).finish();
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | digest.bytes[static_cast<std::size_t>(i)];
  return value;
}

std::size_t weighted_pick(const Digest& seed, std::uint64_t counter, std::span<const std::uint64_t> weights) {
  std::uint64_t sum = 0;
  for (const std::uint64_t weight : weights) {
    const auto next = checked_add(sum, weight);
    UFAB_ASSERT(next.has_value());
    sum = *next;
  }
  UFAB_ASSERT(sum > 0);
  std::uint64_t target = static_cast<std::uint64_t>(static_cast<Uint128>(draw(seed, counter)) * sum >> 64);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (target < weights[i]) return i;
    target -= weights[i];
  }
  UFAB_ASSERT(false);
  return 0;
}

std::vector<std::uint64_t> sampled_windows(const Digest& seed, std::span<const std::uint64_t> candidates,
                                           std::uint64_t rate_ppm, std::size_t count_max) {
  const Uint128 scaled = static_cast<Uint128>(candidates.size()) * rate_ppm + ppm_one - 1;
  std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(scaled / ppm_one));
  count = std::min({count, candidates.size(), count_max});
  std::vector<std::pair<std::uint64_t, std::uint64_t>> drawn;
  drawn.reserve(candidates.size());
  for (const std::uint64_t candidate : candidates) drawn.emplace_back(draw(seed, candidate), candidate);
  std::sort(drawn.begin(), drawn.end());
  std::vector<std::uint64_t> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(drawn[i].second);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<std::uint64_t> apportion(std::uint64_t total, std::span<const std::uint64_t> weights) {
  std::vector<std::uint64_t> parts(weights.size(), 0);
  Uint128 sum = 0;
  for (const std::uint64_t weight : weights) sum += weight;
  if (sum == 0) return parts;
  // total × weight / sum: the product fits in 128 bits, the quotient in 64.
  std::vector<Uint128> remainders(weights.size());
  std::uint64_t left = total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Uint128 product = static_cast<Uint128>(total) * weights[i];
    parts[i] = static_cast<std::uint64_t>(product / sum);
    remainders[i] = product % sum;
    left -= parts[i];
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  UFAB_ASSERT(left <= order.size());
  for (std::size_t i = 0; i < left; ++i) ++parts[order[i]];
  return parts;
}

}  // namespace ufab::hpos
