#include "jobs/queue/timeline.h"

#include <algorithm>

namespace ufab::jobs {

Timeline::Timeline(Seconds begin_s, const QueueProvider& provider, std::vector<Occupied> running) {
  std::sort(running.begin(), running.end(),
            [](const Occupied& a, const Occupied& b) { return a.end_s < b.end_s; });
  std::int64_t slots = provider.slots;
  auto memory_mib = static_cast<std::int64_t>(provider.memory_mib);
  for (const Occupied& occupied : running) {
    slots -= occupied.slots;
    memory_mib -= static_cast<std::int64_t>(occupied.memory_mib);
  }
  const auto push = [&](Seconds at_s) {
    const Step step{at_s, std::max<std::int64_t>(slots, 0), std::max<std::int64_t>(memory_mib, 0)};
    if (!steps_.empty() && steps_.back().at_s == at_s) {
      steps_.back() = step;
    } else {
      steps_.push_back(step);
    }
  };
  push(begin_s);
  for (const Occupied& occupied : running) {
    if (occupied.end_s == time_never) break;
    slots += occupied.slots;
    memory_mib += static_cast<std::int64_t>(occupied.memory_mib);
    push(std::max(occupied.end_s, begin_s + 1));
  }
}

std::size_t Timeline::step_at(Seconds at_s) const {
  const auto next = std::upper_bound(steps_.begin(), steps_.end(), at_s,
                                     [](Seconds at, const Step& step) { return at < step.at_s; });
  UFAB_ASSERT(next != steps_.begin());
  return static_cast<std::size_t>(next - steps_.begin()) - 1;
}

bool Timeline::fits(std::int64_t slots, std::int64_t memory_mib, Seconds from_s, Seconds until_s) const {
  std::size_t i = from_s == steps_.front().at_s ? 0 : step_at(from_s);
  for (; i < steps_.size() && (steps_[i].at_s < until_s || steps_[i].at_s <= from_s); ++i) {
    if (steps_[i].slots < slots || steps_[i].memory_mib < memory_mib) return false;
  }
  return true;
}

std::size_t Timeline::split(Seconds at_s) {
  const std::size_t i = step_at(at_s);
  if (steps_[i].at_s == at_s) return i;
  Step step = steps_[i];
  step.at_s = at_s;
  steps_.insert(steps_.begin() + static_cast<std::ptrdiff_t>(i) + 1, step);
  return i + 1;
}

void Timeline::take(std::int64_t slots, std::int64_t memory_mib, Seconds from_s, Seconds until_s) {
  UFAB_ASSERT(from_s < until_s && fits(slots, memory_mib, from_s, until_s));
  const std::size_t first = split(from_s);
  const std::size_t last = until_s >= time_never ? steps_.size() : split(until_s);
  for (std::size_t i = first; i < last; ++i) {
    steps_[i].slots -= slots;
    steps_[i].memory_mib -= memory_mib;
  }
}

}  // namespace ufab::jobs
