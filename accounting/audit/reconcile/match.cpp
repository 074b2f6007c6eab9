#include "accounting/audit/reconcile/match.h"

#include <algorithm>

namespace ufab::audit {

namespace {

std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a) - static_cast<std::int64_t>(b);
}

}  // namespace

Observed observed(const SacctJob& job) {
  Observed o;
  o.cluster = usage_name(job.cluster);
  o.id = job.id;
  o.submit_us = job.submit_us;
  o.open = !job.ended();
  o.tag = parse_run_tag(job.name);
  o.account = job.account;
  o.partition = job.partition;
  o.numbers = {job.start_us,   job.end_us,   job.elapsed_us, job.cpu_us,    job.memory_peak_bytes,
               job.gpu_us,     job.energy_j, job.billing_s,  job.exit_code, job.signal,
               job.processors, job.nodes,    job.gpus};
  o.texts = {job.state, usage_name(job.user), usage_name(job.partition)};
  return o;
}

Observed observed(const TelemetryJob& job) {
  Observed o;
  o.cluster = usage_name(job.cluster);
  o.id = job.id;
  o.submit_us = job.submit_us;
  o.tag = parse_run_tag(job.name);
  o.account = job.account;
  o.partition = job.partition.value_or("");
  o.numbers = {job.start_us,   job.end_us,   job.elapsed_us, job.cpu_us,    job.memory_peak_bytes,
               job.gpu_us,     job.energy_j, job.billing_s,  job.exit_code, job.signal,
               job.processors, job.nodes,    job.gpus};
  o.texts = {job.state, std::nullopt, std::nullopt};
  if (job.user) o.texts[user_field] = usage_name(*job.user);
  if (job.partition) o.texts[partition_field] = usage_name(*job.partition);
  return o;
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : b - a;
}
std::uint64_t without(std::uint64_t time_us, std::int64_t offset_us) {
  const std::int64_t moved = static_cast<std::int64_t>(time_us) - offset_us;
  return time_us == 0 || moved < 0 ? time_us : static_cast<std::uint64_t>(moved);
}

RunMatcher::RunMatcher(const ReconcileInput& input, const std::vector<UsageRun>& ledger, std::string name,
                       std::vector<Observed> rows)
    : input_(input), ledger_(ledger), name_(std::move(name)), rows_(std::move(rows)) {
  // Whatever order they came in: the partners chosen are the same.
  std::sort(rows_.begin(), rows_.end(), [](const Observed& a, const Observed& b) {
    return std::tie(a.cluster, a.id, a.submit_us, a.open, a.numbers, a.texts, a.account, a.partition) <
           std::tie(b.cluster, b.id, b.submit_us, b.open, b.numbers, b.texts, b.account, b.partition);
  });
  partner_.resize(ledger_.size());
  taken_.resize(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    by_id_[{rows_[i].cluster, rows_[i].id}].push_back(i);
    if (ours(rows_[i])) by_tag_[{rows_[i].cluster, rows_[i].tag->job, rows_[i].tag->attempt}].push_back(i);
  }
  find_clocks();
  match_keys();
  match_tags();
}

std::vector<const Observed*> RunMatcher::left() const {
  std::vector<const Observed*> list;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (!taken_[i] && !rows_[i].open) list.push_back(&rows_[i]);
  }
  return list;
}
std::int64_t RunMatcher::offset(const std::string& cluster) const {
  const auto found = clocks_.find(cluster);
  return found == clocks_.end() ? 0 : found->second.offset_us;
}
bool RunMatcher::same_tag(const Observed& row, const UsageRun& run) const {
  return ours(row) && row.tag->job == run.job && row.tag->attempt == run.attempt;
}

const Observed* RunMatcher::sure_partner(const UsageRun& run, const std::map<IdKey, int>& runs_of_id) const {
  const UsageValues& u = run.usage();
  const auto rows = by_id_.find({u.cluster, u.external_id});
  if (rows == by_id_.end()) return nullptr;
  const Observed* tagged = nullptr;
  for (const std::size_t i : rows->second) {
    if (rows_[i].open || !same_tag(rows_[i], run)) continue;
    if (tagged != nullptr) return nullptr;
    tagged = &rows_[i];
  }
  if (tagged != nullptr) return tagged;
  if (rows->second.size() != 1 || runs_of_id.at({u.cluster, u.external_id}) != 1) return nullptr;
  const Observed& only = rows_[rows->second[0]];
  return only.open || ours(only) ? nullptr : &only;
}

void RunMatcher::find_clocks() {
  std::map<IdKey, int> runs_of_id;
  for (const UsageRun& run : ledger_) ++runs_of_id[{run.usage().cluster, run.usage().external_id}];
  struct Pair {
    std::int64_t submit = 0;
    std::optional<std::int64_t> end;
  };
  std::map<std::string, std::vector<Pair>> pairs;
  for (const UsageRun& run : ledger_) {
    const Observed* row = sure_partner(run, runs_of_id);
    if (row == nullptr) continue;
    Pair pair{difference(row->submit_us, run.usage().submit_us), std::nullopt};
    if (const auto& end = row->numbers[end_field]) pair.end = difference(*end, run.usage().end_us);
    pairs[run.usage().cluster].push_back(pair);
  }
  const auto slack = static_cast<std::int64_t>(input_.tolerances.time_us);
  for (auto& [cluster, list] : pairs) {
    std::sort(list.begin(), list.end(), [](const Pair& a, const Pair& b) { return a.submit < b.submit; });
    // The most pairs that lie within twice the slack of each other; their median is the offset.
    std::size_t best_first = 0, best_count = 0;
    for (std::size_t first = 0, last = 0; first < list.size(); ++first) {
      while (last < list.size() && list[last].submit - list[first].submit <= 2 * slack) ++last;
      if (last - first > best_count) best_count = last - first, best_first = first;
    }
    const std::int64_t offset = list[best_first + best_count / 2].submit;
    std::size_t agree = 0;
    for (const Pair& pair : list) {
      const bool submit = std::abs(pair.submit - offset) <= 2 * slack;
      const bool end = !pair.end || std::abs(*pair.end - offset) <= 2 * slack;
      if (submit && end) ++agree;
    }
    if (agree * 2 > list.size()) clocks_[cluster] = {offset, agree};
  }
}

void RunMatcher::take(std::size_t run, std::size_t row) {
  partner_[run] = row;
  taken_[row] = true;
}

void RunMatcher::match_keys() {
  for (std::size_t run = 0; run < ledger_.size(); ++run) {
    const UsageValues& u = ledger_[run].usage();
    const auto rows = by_id_.find({u.cluster, u.external_id});
    if (rows == by_id_.end()) continue;
    std::optional<std::size_t> best;
    using Rank = std::tuple<bool, std::uint64_t, std::uint64_t>;
    Rank best_rank;
    for (const std::size_t i : rows->second) {
      const Observed& row = rows_[i];
      const std::int64_t moved = offset(u.cluster);
      const std::uint64_t off = distance(without(row.submit_us, moved), u.submit_us);
      if (taken_[i] || off > 2 * input_.tolerances.time_us) continue;
      const Rank rank{row.open, off,
                      distance(without(row.numbers[end_field].value_or(u.end_us), moved), u.end_us)};
      if (!best || rank < best_rank) best = i, best_rank = rank;
    }
    if (best) take(run, *best);
  }
}

void RunMatcher::match_tags() {
  for (std::size_t run = 0; run < ledger_.size(); ++run) {
    if (partner_[run]) continue;
    const UsageValues& u = ledger_[run].usage();
    const auto rows = by_tag_.find({u.cluster, ledger_[run].job, ledger_[run].attempt});
    if (rows == by_tag_.end()) continue;
    std::optional<std::size_t> best;
    for (const std::size_t i : rows->second) {
      if (taken_[i] || rows_[i].open) continue;
      if (!best || (rows_[*best].id != u.external_id && rows_[i].id == u.external_id)) best = i;
    }
    if (best) take(run, *best);
  }
}

}  // namespace ufab::audit
