// Sums of the books (books.h): integers, written a second time and not taken from the ledger's rules.
#pragma once

#include "accounting/replica/sim/books.h"

namespace ufab::sim {

inline constexpr std::uint64_t million = 1'000'000;

// floor(amount × ppm / 10^6)
inline std::uint64_t part(std::uint64_t amount, std::uint64_t ppm) {
  return static_cast<std::uint64_t>(static_cast<Uint128>(amount) * ppm / million);
}

inline std::uint64_t part(Int128 amount, std::uint64_t ppm) {
  return part(static_cast<std::uint64_t>(amount), ppm);
}

inline AccountId balance_of(OrgId org) {
  return {AccountKind::balance, org};
}

}  // namespace ufab::sim
