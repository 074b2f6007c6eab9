#include "jobs/queue/fair_share.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "fabric/base/assert.h"

namespace ufab::jobs {

namespace {

__extension__ using Wide = unsigned __int128;

// 2^(−2^−i) for i = 1 … 16, in units of 2^−32, rounded to nearest.
constexpr std::array<std::uint64_t, 16> roots{
    3037000500, 3611622603, 3938502376, 4112874773, 4202935003, 4248701965, 4271771996, 4283353945,
    4289156690, 4292061010, 4293513907, 4294240540, 4294603903, 4294785595, 4294876445, 4294921870};

// usage per share, a before b? Without shares: last.
bool less_used(const ShareUse& a, const ShareUse& b) {
  if ((a.shares == 0) != (b.shares == 0)) return b.shares == 0;
  if (a.shares == 0) return false;
  return Wide{a.usage} * b.shares < Wide{b.usage} * a.shares;
}

}  // namespace

std::uint64_t decayed_usage(std::uint64_t usage, std::uint64_t elapsed_s, std::uint64_t half_life_s) {
  UFAB_ASSERT(half_life_s >= 1);
  const std::uint64_t halvings = elapsed_s / half_life_s;
  if (halvings >= 64) return 0;
  // The rest of a half-life as a binary fraction of 16 digits; each digit is one factor.
  const auto fraction = static_cast<std::uint64_t>((Wide{elapsed_s % half_life_s} << 16) / half_life_s);
  std::uint64_t left = usage >> halvings;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    if ((fraction >> (15 - i) & 1U) != 0) left = static_cast<std::uint64_t>(Wide{left} * roots[i] >> 32);
  }
  return left;
}

std::vector<std::uint32_t> fair_share_factors(std::span<const ShareUse> all) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return less_used(all[a], all[b]); });
  std::vector<std::uint32_t> factors(all.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool tied = i > 0 && !less_used(all[order[i - 1]], all[order[i]]);
    factors[order[i]] =
        tied ? factors[order[i - 1]]
             : static_cast<std::uint32_t>(std::uint64_t{factor_one} * (order.size() - i) / order.size());
  }
  return factors;
}

}  // namespace ufab::jobs
