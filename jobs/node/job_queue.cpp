#include "jobs/node/job_queue.h"

#include <algorithm>

#include "fabric/base/codec.h"

namespace ufab::jobs {

namespace {

constexpr std::size_t requests_kept_max = 4096;

// Equal for requests that the broker answers alike.
std::string key_of(const BrokerRequest& request) {
  Writer writer;
  for (const std::uint64_t number :
       {std::uint64_t{request.providers_min}, std::uint64_t{request.providers_max},
        std::uint64_t{request.slots}, request.memory_mib, request.max_price_micro, request.steps,
        std::uint64_t{request.micro_batches}, request.flop_per_micro_batch, request.time_limit_s,
        request.exchange_bytes})
    writer.u64(number);
  for (const auto* names : {&request.prefer, &request.exclude}) {
    writer.u64(names->size());
    for (const std::string& name : *names) writer.blob(as_bytes(name));
  }
  for (const std::uint32_t share : request.shares) writer.u32(share);
  for (const DataPart& part : request.data) writer.blob(part.digest.view());
  const Bytes bytes = writer.take();
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Seconds wall_clock_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

ProviderCapacity capacity_of(const State& state, const OrgEntry& entry) {
  UFAB_ASSERT(entry.provider.has_value());
  const ProviderOffer& offer = entry.provider->offer;
  ProviderCapacity capacity;
  capacity.organisation = entry.name;
  capacity.slots = offer.ranks * offer.threads;
  capacity.memory_mib = offer.memory_bytes >> 20;
  capacity.price_micro_per_tflop = offer.price_per_tflop;
  capacity.price_micro_per_cpu_hour = offer.price_per_cpu_hour;
  capacity.accepts_work = state.lease_obstacle(entry).empty();
  // Whoever may not lease now may later: its speed is no reason to say never.
  capacity.speed_mflops = capacity.accepts_work ? state.speed_mflops(entry) : offer.mflops;
  return capacity;
}

void JobQueue::plan_again(JobId job, std::uint32_t attempt, const std::string& reason,
                          std::vector<std::string> exclude, std::vector<std::string> avoid) {
  const std::lock_guard lock(mutex_);
  const auto [at, added] = again_.try_emplace(job);
  if (!added && at->second.attempt >= attempt) return;
  at->second = {attempt, reason, std::move(exclude), std::move(avoid), Clock::now() + avoid_duration};
  // Its gang is another one from now on, so what it asks for is read anew.
  if (waiting_.contains(job)) unread_.insert(job);
  touched_.insert(job);
}

void JobQueue::told(JobId job, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at != waiting_.end()) at->second.told = reason;
}

// Under no lock; kinds of jobs that none waits for any more are dropped when there are many.
std::size_t JobQueue::intern(const BrokerRequest& request) {
  if (requests_.size() > requests_kept_max) {
    const std::lock_guard lock(mutex_);
    if (requests_.size() > 2 * waiting_.size() + requests_kept_max) {
      std::vector<BrokerRequest> kept;
      std::map<std::string, std::size_t> index;
      for (auto& [job, waiting] : waiting_) {
        if (!waiting.read) continue;
        const BrokerRequest& used = requests_[waiting.request];
        const auto [at, added] = index.try_emplace(key_of(used), kept.size());
        if (added) kept.push_back(used);
        waiting.request = at->second;
      }
      requests_ = std::move(kept);
      request_index_ = std::move(index);
    }
  }
  const auto [at, added] = request_index_.try_emplace(key_of(request), requests_.size());
  if (added) requests_.push_back(request);
  return at->second;
}

std::vector<JobId> JobQueue::to_drive() const {
  const std::lock_guard lock(mutex_);
  std::vector<JobId> jobs;
  for (const auto& [job, active] : active_) {
    if (active.owner == self_) jobs.push_back(job);
  }
  jobs.insert(jobs.end(), begun_.begin(), begun_.end());
  jobs.insert(jobs.end(), unfinished_.begin(), unfinished_.end());
  return jobs;
}

void JobQueue::touch(JobId job) {
  const std::lock_guard lock(mutex_);
  touched_.insert(job);
}

void JobQueue::set_held(JobId job, bool held) {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at == waiting_.end()) return;
  at->second.queued.hold = held ? Hold::user : Hold::none;
  at->second.hold_told = true;
  at->second.reason = held ? Reason::held_user : Reason::none;
  at->second.detail.clear();
  changed_ = true;
}

std::string JobQueue::reason(JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at == waiting_.end()) return {};
  const Waiting& waiting = at->second;
  if (!waiting.asks.empty() && !waiting.told.empty()) return waiting.told;
  std::string text = waiting.reason == Reason::none ? "" : reason_name(waiting.reason);
  if (!waiting.detail.empty()) text += (text.empty() ? "" : ", ") + waiting.detail;
  return text;
}

bool JobQueue::waits(JobId job) const {
  const std::lock_guard lock(mutex_);
  return waiting_.contains(job);
}

std::optional<bool> JobQueue::held(JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at == waiting_.end() || !at->second.read) return std::nullopt;
  return at->second.queued.hold != Hold::none;
}

std::optional<Fates::Task> JobQueue::task_of(JobId job) const {
  const std::lock_guard lock(mutex_);
  return fates_.task_of(job);
}

void JobQueue::finished(JobId job) {
  const std::lock_guard lock(mutex_);
  unfinished_.erase(job);
}

JobQueue::Measures JobQueue::measures() const {
  const std::lock_guard lock(mutex_);
  Measures measures = measures_;
  measures.waiting = waiting_.size();
  measures.unread = unread_.size();
  return measures;
}

}  // namespace ufab::jobs
