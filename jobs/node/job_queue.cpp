#include "jobs/node/job_queue.h"

#include <algorithm>
#include <filesystem>

#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "jobs/node/gateway.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
constexpr std::size_t new_max = 5000;
constexpr std::size_t slice_max = 500;
constexpr auto reading_time = 200ms;
constexpr std::size_t ended_max = 100'000;  // ended jobs that dependencies can still ask about
constexpr std::size_t requests_kept_max = 4096;

std::uint64_t hash_of(std::string_view text) {
  const Digest digest = sha256(as_bytes(text));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | digest.bytes[i];
  return value;
}

// Equal for requests that the broker answers alike.
std::string key_of(const BrokerRequest& request) {
  Writer writer;
  for (const std::uint64_t number :
       {std::uint64_t{request.providers_min}, std::uint64_t{request.providers_max},
        std::uint64_t{request.slots}, request.memory_mib, request.max_price_micro, request.steps,
        std::uint64_t{request.micro_batches}, request.flop_per_micro_batch, request.time_limit_s,
        request.exchange_bytes})
    writer.u64(number);
  for (const std::string& name : request.prefer) writer.blob(as_bytes(name));
  for (const std::uint32_t share : request.shares) writer.u32(share);
  for (const DataPart& part : request.data) writer.blob(part.digest.view());
  const Bytes bytes = writer.take();
  return {bytes.begin(), bytes.end()};
}

// When the order was made: its spec was written just before, and is never written again.
Seconds written_at(const std::string& path, Seconds now_s) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return now_s;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::file_clock::to_sys(time).time_since_epoch());
  return std::min<Seconds>(seconds.count(), now_s);
}

Predictor::Kind kind_of(const std::string& name, std::uint64_t slots) {
  return {1, hash_of(name), slots};
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

void JobQueue::refresh() {
  self_ = node_.chain->self();
  if (self_ == 0) return;
  std::vector<JobId> look;
  std::set<JobId> touched;
  {
    const std::lock_guard lock(mutex_);
    touched = std::exchange(touched_, {});
    for (const JobId job : touched) look.push_back(job);
    for (const auto& [job, active] : active_) look.push_back(job);
    auto at = waiting_.upper_bound(slice_at_);
    for (std::size_t i = 0; i < slice_max && at != waiting_.end(); ++i, ++at) look.push_back(at->first);
    slice_at_ = at == waiting_.end() ? 0 : look.back();
    auto foreign = foreign_waiting_.upper_bound(foreign_slice_at_);
    for (std::size_t i = 0; i < slice_max && foreign != foreign_waiting_.end(); ++i, ++foreign)
      look.push_back(*foreign);
    foreign_slice_at_ = foreign == foreign_waiting_.end() ? 0 : look.back();
  }
  std::sort(look.begin(), look.end());
  look.erase(std::unique(look.begin(), look.end()), look.end());

  const auto began = Clock::now();
  const std::vector<Seen> all = node_.chain->read([&](const State& state) {
    std::vector<Seen> seen;
    const auto see = [&](const JobEntry& job) {
      Seen& one = seen.emplace_back();
      one.job = job.id;
      one.owner = job.owner;
      one.phase = job.phase;
      one.budget = job.order.budget;
      one.well = job.settlement && job.settlement->result == JobResult::done &&
                 !(job.usage && (job.usage->receipt.exit_code != 0 || job.usage->receipt.signal != 0));
      if (job.usage) one.wall_us = job.usage->receipt.wall_us;
      if (job.usage && job.phase == JobPhase::settled) one.name = job.order.name;
      if (job.attempts.empty() || job.phase == JobPhase::settled) return;
      for (const MemberEntry& member : job.attempts.back().members) {
        one.members.push_back(
            {member.share.organisation, member.leased ? member.lease.ranks * member.lease.threads : 0});
      }
    };
    for (const JobId number : look) {
      const JobEntry* job = state.job(number);
      if (job != nullptr) {
        see(*job);
      } else {
        seen.emplace_back().job = number;
        seen.back().gone = true;
      }
    }
    auto at = state.jobs().upper_bound(last_seen_);
    for (std::size_t i = 0; i < new_max && at != state.jobs().end(); ++i, ++at) see(at->second);
    return seen;
  });
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
  const Seconds now_s = wall_clock_s();
  {
    const std::lock_guard lock(mutex_);
    measures_.longest_read = std::max(measures_.longest_read, took);
    for (const Seen& seen : all) take_in(seen, now_s);
    if (!touched.empty()) changed_ = true;
  }
  read_specs();
}

// Under mutex_.
void JobQueue::leave(JobId job) {
  if (waiting_.erase(job) != 0) changed_ = true;
  unread_.erase(job);
}

// The job has ended. Under mutex_.
void JobQueue::take_in_end(const Seen& seen, Seconds now_s) {
  leave(seen.job);
  foreign_waiting_.erase(seen.job);
  const auto active = active_.find(seen.job);
  const std::uint64_t slots = active == active_.end() ? 0 : active->second.queued.slots;
  if (active != active_.end()) {
    active_.erase(active);
    changed_ = true;
  }
  Fates::Entry entry = fates_.of(seen.job);
  if (seen.gone || entry.fate == Fate::ended_well || entry.fate == Fate::ended_badly) return;
  entry.fate = seen.well ? Fate::ended_well : Fate::ended_badly;
  entry.ended_s = now_s;
  entry.begun_s = std::min(entry.begun_s, now_s);
  fates_.set(seen.job, entry);
  ended_.push_back(seen.job);
  if (ended_.size() > ended_max) {
    fates_.forget(ended_.front());
    ended_.pop_front();
  }
  changed_ = true;
  if (seen.owner != self_) return;
  unfinished_.insert(seen.job);
  if (seen.wall_us == 0) return;
  predictor_.learn(kind_of(seen.name, slots),
                   static_cast<Seconds>(std::max<std::uint64_t>(1, seen.wall_us / 1'000'000)));
}

// Under mutex_.
void JobQueue::take_in(const Seen& seen, Seconds now_s) {
  last_seen_ = std::max(last_seen_, seen.job);
  if (seen.gone || seen.phase == JobPhase::settled) return take_in_end(seen, now_s);
  const bool own = seen.owner == self_;
  if (seen.phase == JobPhase::ordered) {
    if (fates_.of(seen.job).fate == Fate::unknown) fates_.set(seen.job, {Fate::waiting});
    if (!own) {
      foreign_waiting_.insert(seen.job);
      return;
    }
    const auto [at, added] = waiting_.try_emplace(seen.job);
    if (!added) return;
    at->second.queued.job = seen.job;
    unread_.insert(seen.job);
    return;
  }
  // It has an attempt.
  foreign_waiting_.erase(seen.job);
  const auto waiting = waiting_.find(seen.job);
  const auto [at, added] = active_.try_emplace(seen.job);
  Active& active = at->second;
  if (added) {
    active.seen_s = now_s;
    if (waiting != waiting_.end()) active.queued = waiting->second.queued;
    if (own && waiting == waiting_.end()) {
      read_active(seen.job, active);
      const QueuedJob& queued = active.queued;
      if (queued.array != 0) fates_.set(seen.job, fates_.of(seen.job), queued.array, queued.array_task);
    }
    active.queued.cost_micro = seen.budget;
    changed_ = true;
  }
  if (active.phase != seen.phase) changed_ = true;
  active.owner = seen.owner;
  active.phase = seen.phase;
  active.members = seen.members;
  if (seen.phase == JobPhase::running && fates_.of(seen.job).fate != Fate::running) {
    fates_.set(seen.job, {Fate::running, now_s});
    changed_ = true;
  }
  leave(seen.job);
}

void JobQueue::read_specs() {
  const auto until = Clock::now() + reading_time;
  std::vector<JobId> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = unread_.begin(); at != unread_.end() && jobs.size() < new_max; ++at) jobs.push_back(*at);
  }
  for (const JobId job : jobs) {
    if (Clock::now() >= until) return;
    Waiting read;
    read.queued.job = job;
    if (!read_spec(read)) continue;  // its submission is not adopted yet
    const std::lock_guard lock(mutex_);
    const auto at = waiting_.find(job);
    if (at == waiting_.end()) continue;
    at->second = std::move(read);
    const QueuedJob& queued = at->second.queued;
    if (queued.array != 0) fates_.set(job, fates_.of(job), queued.array, queued.array_task);
    unread_.erase(job);
    changed_ = true;
  }
}

bool JobQueue::read_spec(Waiting& waiting) {
  const JobId job = waiting.queued.job;
  const JobFolder folder(node_.home, job);
  const auto spec = load_job_spec(folder.spec());
  if (!spec) return false;
  const SubmitOptions& options = spec->options;
  BrokerRequest request = broker_request(*spec);
  QueuedJob& queued = waiting.queued;
  queued.slots = std::max(request.slots, 1U);
  queued.memory_mib = request.memory_mib;
  queued.providers_min = static_cast<std::uint16_t>(std::clamp(request.providers_min, 1U, 65535U));
  queued.providers_max = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(request.providers_max, queued.providers_min, 65535U));
  queued.submit_s = written_at(folder.spec(), wall_clock_s());
  queued.begin_s = options.begin.value_or(0);
  queued.deadline_s = options.deadline.value_or(0);
  queued.limit_s = Seconds{options.time_limit_minutes.value_or(0)} * 60;
  queued.nice = options.nice;
  queued.qos = options.priority.value_or(0);
  queued.name_key = hash_of(spec->name);
  if (file_exists(folder.held())) queued.hold = Hold::user;
  waiting.dependencies = options.dependencies.terms;
  queued.dependency_any = options.dependencies.any_of;
  waiting.ends_when_invalid = options.kill_on_invalid_dependency.value_or(false);
  note_array(*spec, queued);
  const auto predicted = predictor_.predict(kind_of(spec->name, queued.slots));
  queued.predicted_s = predicted.value_or(0);
  node_.chain->read([&](const State& state) {
    const JobEntry* entry = state.job(job);
    if (entry == nullptr) return 0;
    request.steps = entry->order.steps;
    request.micro_batches = entry->order.micro_batches;
    request.flop_per_micro_batch = entry->order.flop_per_micro_batch;
    queued.cost_micro = entry->order.budget;
    if (!entry->order.data_file_digest.is_zero()) request.data = {{entry->order.data_file_digest, 0}};
    return 0;
  });
  // An ordinary script runs on one provider, whatever range was asked for; a gang has no more members than
  // there are shares or micro-batches.
  if (request.micro_batches == 0) {
    queued.providers_min = queued.providers_max = 1;
  } else {
    std::size_t members_max = std::min<std::size_t>(queued.providers_max, request.micro_batches);
    if (!request.shares.empty()) members_max = std::min(members_max, request.shares.size());
    queued.providers_max =
        static_cast<std::uint16_t>(std::max<std::size_t>(members_max, queued.providers_min));
  }
  if (!request.data.empty()) {
    std::error_code error;
    const auto bytes = fs::file_size(node_.home.blob(request.data[0].digest), error);
    request.data[0].bytes = error ? 0 : bytes;
    request.owner = node_.config.organisation;
  }
  waiting.request = intern(request);
  waiting.read = true;
  return true;
}

// The array's number is its first task's, whose spec was written before it had one.
void JobQueue::note_array(const JobSpec& spec, QueuedJob& queued) const {
  if (!spec.array_task) return;
  queued.array = spec.array_job != 0 ? spec.array_job : queued.job;
  queued.array_task = *spec.array_task;
  queued.array_throttle = spec.options.array ? spec.options.array->throttle : 0;
}

// After a restart: what a job that runs already asked for. Under mutex_.
void JobQueue::read_active(JobId job, Active& active) const {
  active.queued.job = job;
  const auto spec = load_job_spec(JobFolder(node_.home, job).spec());
  if (!spec) return;
  active.queued.slots = std::max(spec->options.tasks * spec->options.cpus_per_task, 1U);
  active.queued.memory_mib = spec->options.memory_limit_mib();
  active.queued.limit_s = Seconds{spec->options.time_limit_minutes.value_or(0)} * 60;
  active.queued.name_key = hash_of(spec->name);
  note_array(*spec, active.queued);
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
  at->second.reason = held ? Reason::held_user : Reason::none;
  at->second.detail.clear();
  changed_ = true;
}

std::string JobQueue::reason(JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at == waiting_.end()) return {};
  const Waiting& waiting = at->second;
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

void JobQueue::measured(const std::string& organisation, LinkMeasure measure) {
  links_.set(node_.config.organisation, organisation, measure);
}

JobQueue::Measures JobQueue::measures() const {
  const std::lock_guard lock(mutex_);
  Measures measures = measures_;
  measures.waiting = waiting_.size();
  measures.unread = unread_.size();
  return measures;
}

}  // namespace ufab::jobs
