// What one provider has free from now on: a step function of time over slots and memory, as conservative
// backfill keeps it. Times before the beginning do not exist; the last step lasts for ever. Integers; not
// thread-safe.
//
// Invariant: steps are sorted by time, the first one begins at `begin`, and no step's amounts are above what
// the provider has or below zero (asserted: no oversubscription).
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/queue/queue.h"

namespace ufab::jobs {

class Timeline {
 public:
  struct Step {
    Seconds at_s = 0;
    std::int64_t slots = 0;  // free from at_s to the next step
    std::int64_t memory_mib = 0;
  };

  // `running`: each takes its slots and memory until its end. A provider that shrank below what it runs has
  // nothing free until enough of it ends.
  struct Occupied {
    Seconds end_s = 0;
    std::uint32_t slots = 0;
    std::uint64_t memory_mib = 0;
  };
  Timeline(Seconds begin_s, const QueueProvider& provider, std::vector<Occupied> running);

  [[nodiscard]] std::int64_t free_slots_now() const { return steps_.front().slots; }
  // Whether slots and memory are free all the time from `from_s` to `until_s`.
  [[nodiscard]] bool fits(std::int64_t slots, std::int64_t memory_mib, Seconds from_s, Seconds until_s) const;
  // Precondition (asserted): fits().
  void take(std::int64_t slots, std::int64_t memory_mib, Seconds from_s, Seconds until_s);

  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  [[nodiscard]] std::size_t step_at(Seconds at_s) const;  // the step in force then
  std::size_t split(Seconds at_s);                        // makes a step begin then

  std::vector<Step> steps_;
};

}  // namespace ufab::jobs
