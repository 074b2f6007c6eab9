// The order in which organisations are served by processors that they share: at every place stands the first
// job of the organisation that has used least of its share, with what it was given before that place counted
// in. So a hundred jobs of one do not stand before the first of another, whoever came first, and an
// organisation that asks for more at once gets no more of its share. Among an organisation's own jobs: less
// `nice` first, then longer waits, then numbers.
//
// A pure function, integers only: the same on every node that has the same figures.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "jobs/queue/fair_share.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {

struct FairJob {
  std::uint32_t owner = 0;   // index into the owners
  std::uint64_t charge = 0;  // slot-seconds, at least 1 counted
  std::uint32_t nice = 0;
  Seconds since_s = 0;  // waits since
  std::uint64_t job = 0;
};

// Indices of `jobs`, first served first. Ties between organisations: the longer wait of their first jobs,
// then the number. Cost: O(n log n) for n jobs of a bounded number of organisations.
[[nodiscard]] std::vector<std::uint32_t> fair_order(std::span<const FairJob> jobs,
                                                    std::span<const ShareUse> owners);

// What a job is charged for `slots` in use until its time limit; without one, as if it were an hour.
inline constexpr Seconds unlimited_charge_s = 3600;
[[nodiscard]] std::uint64_t slot_seconds(std::uint64_t slots, Seconds limit_s);

}  // namespace ufab::jobs
