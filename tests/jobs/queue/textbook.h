// First come, first served and EASY backfill on one machine, written from their descriptions (Lifka 1995;
// Mu'alem and Feitelson 2001) and sharing nothing with jobs/queue: shadow time and extra processors instead
// of timelines. What ends exactly at the shadow time is free then.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ufab::jobs::textbook {

struct Job {
  std::int64_t submit = 0;
  std::int64_t run = 1;
  std::int64_t limit = 1;  // at least run
  std::int64_t size = 1;
  std::int64_t start = -1;
};

// Fills in the starts. `jobs` is sorted by submit time.
inline void simulate(std::vector<Job>& jobs, std::int64_t machine, bool backfill) {
  std::vector<std::size_t> waiting;
  std::vector<std::size_t> running;
  std::size_t arrived = 0;
  std::int64_t free = machine;
  const auto start = [&](std::size_t i, std::int64_t now) {
    jobs[i].start = now;
    free -= jobs[i].size;
    running.push_back(i);
  };
  while (arrived < jobs.size() || !running.empty()) {
    std::int64_t now = INT64_MAX;
    if (arrived < jobs.size()) now = jobs[arrived].submit;
    for (const std::size_t i : running) now = std::min(now, jobs[i].start + jobs[i].run);
    std::erase_if(running, [&](std::size_t i) {
      const bool over = jobs[i].start + jobs[i].run == now;
      if (over) free += jobs[i].size;
      return over;
    });
    while (arrived < jobs.size() && jobs[arrived].submit == now) waiting.push_back(arrived++);
    while (!waiting.empty() && jobs[waiting.front()].size <= free) {
      start(waiting.front(), now);
      waiting.erase(waiting.begin());
    }
    if (!backfill || waiting.size() < 2) continue;
    // The head does not fit: when will it, by the limits, and what is left over then?
    const std::int64_t head = jobs[waiting.front()].size;
    std::vector<std::pair<std::int64_t, std::int64_t>> ends;  // time, size
    for (const std::size_t i : running)
      ends.emplace_back(std::max(jobs[i].start + jobs[i].limit, now + 1), jobs[i].size);
    std::sort(ends.begin(), ends.end());
    std::int64_t at_shadow = free;
    std::int64_t shadow = now;
    for (const auto& [end, size] : ends) {
      if (at_shadow >= head && end > shadow) break;
      at_shadow += size;
      shadow = end;
    }
    std::int64_t extra = at_shadow - head;
    for (auto it = waiting.begin() + 1; it != waiting.end();) {
      const Job& job = jobs[*it];
      const bool short_enough = now + job.limit <= shadow;
      if (job.size > free || (!short_enough && job.size > extra)) {
        ++it;
        continue;
      }
      if (!short_enough) extra -= job.size;
      start(*it, now);
      it = waiting.erase(it);
    }
  }
}

}  // namespace ufab::jobs::textbook
