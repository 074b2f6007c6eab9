#include "jobs/queue/priority.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "jobs/queue/fair_share.h"

namespace ufab::jobs {

namespace {

constexpr Seconds unlimited_run_s = 86400;

// part / whole in millionths, up to factor_one.
std::int64_t part_of(std::int64_t part, std::int64_t whole) {
  if (part <= 0 || whole <= 0) return 0;
  if (part >= whole) return factor_one;
  __extension__ using Wide = __int128;
  return static_cast<std::int64_t>(Wide{part} * factor_one / whole);
}

// Rounded down, by Newton's method from above; value below 2^62.
std::int64_t square_root(std::int64_t value) {
  UFAB_ASSERT(value >= 0 && value < std::int64_t{1} << 62);
  if (value == 0) return 0;
  std::int64_t root = std::int64_t{1} << ((std::bit_width(static_cast<std::uint64_t>(value)) + 1) / 2);
  for (;;) {
    const std::int64_t next = (root + value / root) / 2;
    if (next >= root) return root;
    root = next;
  }
}

std::int64_t points(std::uint32_t weight, std::int64_t factor) {
  return static_cast<std::int64_t>(weight) * factor / factor_one;
}

}  // namespace

Seconds expected_run_s(const QueuedJob& job) {
  const Seconds limit_s = job.limit_s > 0 ? job.limit_s : unlimited_run_s;
  if (job.predicted_s <= 0 || job.predicted_s >= limit_s) return limit_s;
  return square_root(limit_s * job.predicted_s);
}

std::vector<std::int64_t> priorities(const Snapshot& snapshot, const Policy& policy, Seconds now_s) {
  const PriorityWeights& weights = policy.weights;
  std::int64_t slots_all = 0;
  for (const QueueProvider& provider : snapshot.providers) slots_all += provider.slots;
  std::vector<ShareUse> uses;
  uses.reserve(snapshot.owners.size());
  for (const QueueOwner& owner : snapshot.owners) uses.push_back({owner.shares, owner.usage});
  const std::vector<std::uint32_t> fair = fair_share_factors(uses);

  std::vector<std::int64_t> result;
  result.reserve(snapshot.jobs.size());
  for (const QueuedJob& job : snapshot.jobs) {
    // A job with a begin time waits from then on.
    const Seconds wait_s = std::max<Seconds>(0, now_s - std::max(job.submit_s, job.begin_s));
    const Seconds run_s = std::max(expected_run_s(job), policy.response_floor_s);
    std::int64_t sum = 0;
    sum += points(weights.age, part_of(wait_s, policy.age_max_s));
    sum += points(weights.size, part_of(std::int64_t{job.slots} * job.providers_min, slots_all));
    sum += points(weights.response_ratio, part_of(wait_s, run_s * policy.response_ratio_max));
    sum += points(weights.fair_share, fair[job.owner]);
    sum += static_cast<std::int64_t>(weights.qos) * job.qos;
    sum -= job.nice;
    result.push_back(sum);
  }
  return result;
}

void sort_by_priority(const Snapshot& snapshot, const Policy& policy, Seconds now_s,
                      const std::vector<std::int64_t>& priority, std::vector<std::uint32_t>& chosen) {
  // Keys beside the indices: the sort touches no job.
  struct Key {
    bool patient;
    std::int64_t rank;  // less is first
    Seconds submit_s;
    std::uint64_t job;
    std::uint32_t index;
  };
  std::vector<Key> keys;
  keys.reserve(chosen.size());
  for (const std::uint32_t index : chosen) {
    const QueuedJob& job = snapshot.jobs[index];
    const Seconds since_s = std::max(job.submit_s, job.begin_s);
    const bool patient = policy.patience_s == 0 || now_s - since_s <= policy.patience_s;
    keys.push_back({patient, patient ? -priority[index] : since_s, job.submit_s, job.job, index});
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return std::tie(a.patient, a.rank, a.submit_s, a.job) < std::tie(b.patient, b.rank, b.submit_s, b.job);
  });
  for (std::size_t i = 0; i < keys.size(); ++i) chosen[i] = keys[i].index;
}

}  // namespace ufab::jobs
