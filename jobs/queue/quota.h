// An allowance of one kind (micro-UNC, slot-seconds) and where it went. An amount moves
//
//   available → in flight   take():   decided, its record is not on the ledger yet
//   in flight → committed   commit(): the record stands on the ledger
//   in flight → available   drop():   the record was refused
//   committed → settled     settle(): what was used in the end; the rest becomes available again
//
// and settled + committed + in_flight ≤ limit holds after every move, so that two decisions taken before the
// first is on the ledger cannot spend one amount twice. Integers; a plain value, not thread-safe.
#pragma once

#include <cstdint>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct Quota {
  std::uint64_t limit = 0;  // 0: unlimited
  std::uint64_t settled = 0;
  std::uint64_t committed = 0;
  std::uint64_t in_flight = 0;

  // Whether `amount` could be taken; always within an unlimited quota while the sum is below 2^64.
  [[nodiscard]] bool allows(std::uint64_t amount) const;
  // What can be taken; the rest of 2^64 for an unlimited quota.
  [[nodiscard]] std::uint64_t available() const;
  // ErrorCode::limit, and nothing changes, when it is not allowed.
  [[nodiscard]] Status take(std::uint64_t amount);
  // Preconditions (asserted): the amount is in flight, or committed, and used ≤ committed_amount.
  void commit(std::uint64_t amount);
  void drop(std::uint64_t amount);
  void settle(std::uint64_t committed_amount, std::uint64_t used);
};

}  // namespace ufab::jobs
