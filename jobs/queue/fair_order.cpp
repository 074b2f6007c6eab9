#include "jobs/queue/fair_order.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "fabric/base/assert.h"

namespace ufab::jobs {

namespace {

__extension__ using Wide = unsigned __int128;
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  return b > most - a ? most : a + b;
}

struct Line {  // of one organisation
  std::vector<std::uint32_t> jobs;
  std::size_t next = 0;
  std::uint64_t usage = 0;
};

}  // namespace

std::uint64_t slot_seconds(std::uint64_t slots, Seconds limit_s) {
  const auto seconds = static_cast<std::uint64_t>(limit_s > 0 ? limit_s : unlimited_charge_s);
  const Wide product = Wide{slots} * seconds;
  return product > most ? most : static_cast<std::uint64_t>(product);
}

std::vector<std::uint32_t> fair_order(std::span<const FairJob> jobs, std::span<const ShareUse> owners) {
  std::vector<Line> lines(owners.size());
  for (std::uint32_t i = 0; i < jobs.size(); ++i) {
    UFAB_ASSERT(jobs[i].owner < owners.size());
    lines[jobs[i].owner].jobs.push_back(i);
  }
  const auto rank = [&](std::uint32_t i) { return std::tie(jobs[i].nice, jobs[i].since_s, jobs[i].job); };
  // The organisation whose turn is later; a priority queue puts the other one on top.
  const auto later = [&](std::uint32_t a, std::uint32_t b) {
    const Wide left = Wide{lines[a].usage} * owners[b].shares;
    const Wide right = Wide{lines[b].usage} * owners[a].shares;
    const bool none_a = owners[a].shares == 0;
    const bool none_b = owners[b].shares == 0;
    if (none_a != none_b) return none_a;
    if (left != right) return left > right;
    const FairJob& job_a = jobs[lines[a].jobs[lines[a].next]];
    const FairJob& job_b = jobs[lines[b].jobs[lines[b].next]];
    return std::tie(job_a.since_s, job_a.job) > std::tie(job_b.since_s, job_b.job);
  };
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, decltype(later)> turns(later);
  for (std::uint32_t owner = 0; owner < lines.size(); ++owner) {
    Line& line = lines[owner];
    line.usage = owners[owner].usage;
    std::sort(line.jobs.begin(), line.jobs.end(),
              [&](std::uint32_t a, std::uint32_t b) { return rank(a) < rank(b); });
    if (!line.jobs.empty()) turns.push(owner);
  }
  std::vector<std::uint32_t> order;
  order.reserve(jobs.size());
  while (!turns.empty()) {
    const std::uint32_t owner = turns.top();
    turns.pop();
    Line& line = lines[owner];
    const std::uint32_t job = line.jobs[line.next++];
    order.push_back(job);
    line.usage = sum_of(line.usage, std::max<std::uint64_t>(jobs[job].charge, 1));
    if (line.next < line.jobs.size()) turns.push(owner);
  }
  return order;
}

}  // namespace ufab::jobs
