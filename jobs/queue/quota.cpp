#include "jobs/queue/quota.h"

#include <limits>
#include <string>

namespace ufab::jobs {

std::uint64_t Quota::available() const {
  const std::uint64_t whole = limit == 0 ? std::numeric_limits<std::uint64_t>::max() : limit;
  // The sum never passes the whole by take(); a limit that was lowered since may lie below it.
  std::uint64_t left = whole;
  for (const std::uint64_t part : {settled, committed, in_flight}) {
    if (part >= left) return 0;
    left -= part;
  }
  return left;
}

bool Quota::allows(std::uint64_t amount) const {
  return amount <= available();
}

Status Quota::take(std::uint64_t amount) {
  if (!allows(amount)) {
    return Error{ErrorCode::limit,
                 std::to_string(amount) + " asked for, " + std::to_string(available()) + " left"};
  }
  in_flight += amount;
  return {};
}

void Quota::commit(std::uint64_t amount) {
  UFAB_ASSERT(amount <= in_flight);
  in_flight -= amount;
  committed += amount;
}

void Quota::drop(std::uint64_t amount) {
  UFAB_ASSERT(amount <= in_flight);
  in_flight -= amount;
}

void Quota::settle(std::uint64_t committed_amount, std::uint64_t used) {
  UFAB_ASSERT(committed_amount <= committed && used <= committed_amount);
  committed -= committed_amount;
  settled += used;
}

}  // namespace ufab::jobs
