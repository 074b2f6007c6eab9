#include "jobs/queue/replay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <queue>

#include "jobs/queue/fair_share.h"
#include "jobs/queue/predictor.h"

namespace ufab::jobs {

namespace {

constexpr Seconds slowdown_floor_s = 10;
constexpr Seconds half_life_s = 7 * 86400;
constexpr std::array<Seconds, 20> round_limits{300,   600,   900,    1200,   1800,   3600,  7200,
                                               10800, 14400, 18000,  21600,  28800,  36000, 43200,
                                               64800, 86400, 129600, 172800, 259200, 345600};

// As if the user had asked for it: see the header.
Seconds made_up_limit_s(const TraceJob& job, double factor_mean) {
  if (factor_mean == 1.0) return job.run_s;
  // An even part of one from the job's number (the finaliser of splitmix64).
  std::uint64_t x = job.number + 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  x ^= x >> 31;
  const double even = static_cast<double>(x >> 11) * 0x1p-53;
  const double factor = 1.0 + 2.0 * (factor_mean - 1.0) * even;
  return round_limit_s(std::llround(std::ceil(static_cast<double>(job.run_s) * factor)));
}

struct Ending {
  Seconds at_s;
  std::size_t index;  // into jobs_
  bool operator>(const Ending& other) const {
    return at_s != other.at_s ? at_s > other.at_s : index > other.index;
  }
};

class Replay {
 public:
  Replay(const Trace& trace, const ReplayOptions& options, const Contender& contender)
      : trace_(trace), options_(options), contender_(contender) {}

  Result<ReplayResult> run(std::vector<ReplayedJob>* schedule) {
    UFAB_TRY(prepare());
    std::size_t arrived = 0;
    while (arrived < jobs_.size() || !endings_.empty()) {
      const Seconds arrival_s = arrived < jobs_.size() ? jobs_[arrived].submit_s : time_never;
      const Seconds now_s = endings_.empty() ? arrival_s : std::min(arrival_s, endings_.top().at_s);
      while (!endings_.empty() && endings_.top().at_s == now_s) end(now_s);
      for (; arrived < jobs_.size() && jobs_[arrived].submit_s == now_s; ++arrived) arrive(arrived);
      if (!snapshot_.jobs.empty()) decide(now_s, schedule);
      UFAB_ASSERT(!endings_.empty() || snapshot_.jobs.empty());  // an empty machine starts somebody
    }
    return summary();
  }

 private:
  struct Job {
    const TraceJob* of = nullptr;
    Seconds submit_s = 0;
    Seconds limit_s = 0;
    Seconds start_s = -1;
    std::uint32_t owner = 0;
    std::uint32_t members = 1;
    std::uint32_t slots_each = 1;
  };

  Status prepare() {
    const std::uint32_t slots = options_.slots != 0 ? options_.slots : trace_.slots;
    if (slots == 0)
      return Error{ErrorCode::invalid, "the trace does not say how large the machine was; use --slots"};
    if (options_.providers == 0 || options_.providers > slots)
      return Error{ErrorCode::invalid, "a machine of " + std::to_string(slots) + " slots has 1 to " +
                                           std::to_string(slots) + " parts"};
    if (!(options_.load > 0 && options_.load <= 1000))
      return Error{ErrorCode::invalid, "the load factor lies above 0 and up to 1000"};
    if (!(options_.estimate_factor >= 1 && options_.estimate_factor <= 1000))
      return Error{ErrorCode::invalid, "the estimate factor is 1 to 1000"};
    if (trace_.jobs.empty()) return Error{ErrorCode::invalid, "the trace has no job that ran"};
    const std::uint32_t part = slots / options_.providers;
    slots_all_ = part * options_.providers;
    Placement everywhere;
    for (std::uint32_t i = 0; i < options_.providers; ++i) {
      snapshot_.providers.push_back({part, 0, true});
      everywhere.candidates.push_back({i, 0, time_never});
    }
    snapshot_.placements.push_back(std::move(everywhere));

    std::size_t count = trace_.jobs.size();
    if (options_.jobs_max != 0) count = std::min<std::size_t>(count, options_.jobs_max);
    std::map<std::uint64_t, std::uint32_t> owners;
    const Seconds first_s = trace_.jobs.front().submit_s;
    jobs_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const TraceJob& of = trace_.jobs[i];
      if (of.slots > slots_all_) {
        return Error{ErrorCode::invalid, "job " + std::to_string(of.number) + " asks for " +
                                             std::to_string(of.slots) + " slots of " +
                                             std::to_string(slots_all_)};
      }
      Job job;
      job.of = &of;
      job.submit_s = std::llround(static_cast<double>(of.submit_s - first_s) / options_.load);
      job.limit_s = of.requested_s;
      if (job.limit_s == 0) {
        job.limit_s = made_up_limit_s(of, options_.estimate_factor);
        ++result_.limits_made_up;
      }
      if (job.limit_s < of.run_s) {
        job.limit_s = of.run_s;
        ++result_.limits_raised;
      }
      job.owner = owners.try_emplace(of.group, static_cast<std::uint32_t>(owners.size())).first->second;
      job.members = (of.slots + part - 1) / part;
      job.slots_each = (of.slots + job.members - 1) / job.members;
      jobs_.push_back(job);
    }
    snapshot_.owners.resize(owners.size());
    used_at_s_.resize(owners.size());
    return {};
  }

  [[nodiscard]] Predictor::Kind kind_of(const Job& job) const {
    return {job.of->user, job.of->program, job.of->slots};
  }

  void predict(QueuedJob& queued) const {
    if (!contender_.predicts) return;
    const Job& job = jobs_[queued.job];
    const auto predicted = predictor_.predict(kind_of(job));
    queued.predicted_s = predicted ? std::min(*predicted, job.limit_s) : 0;
  }

  void arrive(std::size_t index) {
    const Job& job = jobs_[index];
    QueuedJob queued;
    queued.job = index;
    queued.owner = job.owner;
    queued.providers_min = queued.providers_max = static_cast<std::uint16_t>(job.members);
    queued.slots = job.slots_each;
    queued.submit_s = job.submit_s;
    queued.limit_s = job.limit_s;
    predict(queued);
    snapshot_.jobs.push_back(queued);
    result_.queue_longest = std::max<std::uint64_t>(result_.queue_longest, snapshot_.jobs.size());
  }

  void end(Seconds now_s) {
    const std::size_t index = endings_.top().index;
    endings_.pop();
    const Job& job = jobs_[index];
    std::erase_if(snapshot_.running, [&](const RunningJob& running) { return running.job == index; });
    last_end_s_ = now_s;
    if (!contender_.predicts) return;
    predictor_.learn(kind_of(job), job.of->run_s);
    for (QueuedJob& queued : snapshot_.jobs) {
      if (jobs_[queued.job].of->user == job.of->user) predict(queued);
    }
  }

  void decide(Seconds now_s, std::vector<ReplayedJob>* schedule) {
    for (std::size_t i = 0; i < used_at_s_.size(); ++i) {
      QueueOwner& owner = snapshot_.owners[i];
      owner.usage =
          decayed_usage(owner.usage, static_cast<std::uint64_t>(now_s - used_at_s_[i]), half_life_s);
      used_at_s_[i] = now_s;
    }
    const Plan decided = plan(snapshot_, contender_.policy, now_s);
    ++result_.passes;
    for (const Start& start : decided.starts) {
      const QueuedJob& queued = snapshot_.jobs[start.index];
      Job& job = jobs_[queued.job];
      UFAB_ASSERT(job.start_s < 0);  // once
      job.start_s = now_s;
      endings_.push({now_s + job.of->run_s, queued.job});
      // Charged when it begins, by its limit: what it will use is not known yet.
      snapshot_.owners[job.owner].usage += static_cast<std::uint64_t>(job.limit_s) * job.of->slots;
      for (const std::uint32_t provider : start.providers) {
        RunningJob running;
        running.job = queued.job;
        running.provider = provider;
        running.owner = job.owner;
        running.slots = job.slots_each;
        running.end_s = now_s + job.limit_s;
        snapshot_.running.push_back(running);
      }
      if (schedule != nullptr) schedule->push_back({queued.job, now_s, start.providers});
    }
    std::erase_if(snapshot_.jobs, [&](const QueuedJob& queued) { return jobs_[queued.job].start_s >= 0; });
  }

  static double at_part(std::vector<double>& sorted, double part) {
    const auto last = static_cast<double>(sorted.size() - 1);
    return sorted[static_cast<std::size_t>(std::llround(part * last))];
  }

  ReplayResult summary() {
    std::vector<double> waits;
    std::vector<double> slowdowns;
    std::map<std::uint64_t, std::pair<double, double>> users;  // sum of slowdowns, jobs
    double work = 0;
    double early_work = 0;  // until the last arrival
    double sum_wait = 0;
    double sum_slowdown = 0;
    for (const Job& job : jobs_) {
      UFAB_ASSERT(job.start_s >= job.submit_s);
      const auto wait = static_cast<double>(job.start_s - job.submit_s);
      const auto run = static_cast<double>(job.of->run_s);
      const double slowdown =
          std::max(1.0, (wait + run) / std::max(run, static_cast<double>(slowdown_floor_s)));
      waits.push_back(wait);
      slowdowns.push_back(slowdown);
      sum_wait += wait;
      sum_slowdown += slowdown;
      work += run * job.of->slots;
      const Seconds end_s = std::min(job.start_s + job.of->run_s, jobs_.back().submit_s);
      early_work += static_cast<double>(std::max<Seconds>(0, end_s - job.start_s)) * job.of->slots;
      if (job.of->slots * 2 >= slots_all_) result_.wait_max_wide_s = std::max(result_.wait_max_wide_s, wait);
      auto& [sum, count] = users[job.of->user];
      sum += slowdown;
      count += 1;
    }
    std::sort(waits.begin(), waits.end());
    std::sort(slowdowns.begin(), slowdowns.end());
    const auto count = static_cast<double>(jobs_.size());
    result_.name = contender_.name;
    result_.jobs = jobs_.size();
    result_.makespan_s = last_end_s_;
    result_.utilisation = work / (static_cast<double>(slots_all_) * static_cast<double>(last_end_s_));
    const auto arrivals_s = static_cast<double>(std::max<Seconds>(jobs_.back().submit_s, 1));
    result_.offered_load = work / (static_cast<double>(slots_all_) * arrivals_s);
    result_.utilisation_arrivals = early_work / (static_cast<double>(slots_all_) * arrivals_s);
    result_.wait_mean_s = sum_wait / count;
    result_.wait_median_s = at_part(waits, 0.5);
    result_.wait_p95_s = at_part(waits, 0.95);
    result_.wait_max_s = waits.back();
    result_.slowdown_mean = sum_slowdown / count;
    result_.slowdown_median = at_part(slowdowns, 0.5);
    result_.slowdown_p95 = at_part(slowdowns, 0.95);
    double sum = 0;
    double squares = 0;
    for (const auto& [user, of] : users) {
      const double mean = of.first / of.second;
      sum += mean;
      squares += mean * mean;
    }
    result_.fairness_users = sum * sum / (static_cast<double>(users.size()) * squares);
    return result_;
  }

  const Trace& trace_;
  const ReplayOptions& options_;
  const Contender& contender_;
  std::uint32_t slots_all_ = 0;
  std::vector<Job> jobs_;
  Snapshot snapshot_;
  std::vector<Seconds> used_at_s_;  // of each owner's usage
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> endings_;
  Predictor predictor_;
  Seconds last_end_s_ = 0;
  ReplayResult result_;
};

}  // namespace

Result<ReplayResult> replay(const Trace& trace, const ReplayOptions& options, const Contender& contender,
                            std::vector<ReplayedJob>* schedule) {
  return Replay(trace, options, contender).run(schedule);
}

Seconds round_limit_s(Seconds seconds) {
  for (const Seconds limit : round_limits) {
    if (limit >= seconds) return limit;
  }
  return (seconds + 86399) / 86400 * 86400;  // whole days
}

std::vector<Contender> standard_contenders() {
  return {{"fcfs", policy_fcfs(), false}, {"easy", policy_easy(), false}, {"ufab", policy_default(), true}};
}

}  // namespace ufab::jobs
