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
constexpr std::size_t starts_max = 64;
constexpr std::size_t ended_max = 100'000;  // ended jobs that dependencies can still ask about
constexpr auto retry_after = 2s;
constexpr auto flight_time_max = 10s;
constexpr std::size_t requests_kept_max = 4096;
constexpr Seconds unknown_limit_s = 3600;

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
  capacity.speed_mflops = offer.mflops;
  capacity.slots = offer.ranks * offer.threads;
  capacity.memory_mib = offer.memory_bytes >> 20;
  capacity.price_micro_per_tflop = offer.price_per_tflop;
  capacity.price_micro_per_cpu_hour = offer.price_per_cpu_hour;
  capacity.accepts_work =
      entry.provider->status == ProviderStatus::active && state.stake(entry.id) >= state.params().stake_min;
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
  if (file_exists(folder.path() + "/held")) queued.hold = Hold::user;
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

JobQueue::Decisions JobQueue::decide(Seconds now_s) {
  Decisions decisions;
  const auto now = Clock::now();
  std::vector<JobId> jobs;
  std::vector<std::string> names;
  Snapshot snapshot;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == unread_.size()) return decisions;
    if (!changed_ && now_s < next_s_) return decisions;
    if (now - pass_began_ < pass_took_ * 10) return decisions;
    changed_ = false;
    snapshot = snapshot_of(now_s, now, jobs);
  }
  pass_began_ = now;
  // The broker's view: providers as they are now, and where each kind of request would go.
  std::vector<ProviderCapacity> capacities;
  std::vector<OrgId> ids;
  std::map<OrgId, std::uint32_t> index_of;
  node_.chain->read([&](const State& state) {
    for (const auto& [id, entry] : state.organisations()) {
      if (!entry.provider) continue;
      index_of[id] = static_cast<std::uint32_t>(capacities.size());
      capacities.push_back(capacity_of(state, entry));
      ids.push_back(id);
    }
    return 0;
  });
  complete(snapshot, capacities, index_of, now_s);
  snapshot.fates = &fates_;
  const Plan decided = plan(snapshot, policy_default(), now_s);
  next_s_ = std::min(decided.next_s, next_retry_s_);

  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto at = waiting_.find(jobs[i]);
    if (at == waiting_.end()) continue;
    Waiting& waiting = at->second;
    waiting.reason = decided.reasons[i];
    waiting.detail.clear();
    const bool hopeless =
        waiting.reason == Reason::no_provider_ever || waiting.reason == Reason::no_provider_now;
    if (hopeless) waiting.detail = objections(waiting.request, capacities, now_s);
    const bool ends = waiting.reason == Reason::deadline ||
                      (waiting.reason == Reason::dependency_never_satisfied && waiting.ends_when_invalid);
    if (ends && decisions.ends.size() < starts_max)
      decisions.ends.push_back({jobs[i], reason_name(waiting.reason)});
    if (ends) changed_ = true;
  }
  objections_.clear();
  for (const Start& start : decided.starts) {
    if (decisions.starts.size() >= starts_max) {
      changed_ = true;
      if (const auto at = waiting_.find(jobs[start.index]); at != waiting_.end())
        at->second.reason = Reason::priority;
      continue;
    }
    const auto at = waiting_.find(jobs[start.index]);
    if (at == waiting_.end()) continue;
    at->second.in_flight.clear();
    StartDecision& one = decisions.starts.emplace_back();
    one.job = jobs[start.index];
    for (const std::uint32_t provider : start.providers) {
      one.providers.push_back(capacities[provider].organisation);
      at->second.in_flight.push_back(ids[provider]);
    }
    at->second.retry = now + flight_time_max;
  }
  pass_took_ = Clock::now() - now;
  ++measures_.passes;
  measures_.longest_pass =
      std::max(measures_.longest_pass, std::chrono::duration_cast<std::chrono::microseconds>(pass_took_));
  return decisions;
}

// Waiting and running jobs. Under mutex_. RunningJob::provider holds the organisation's number until
// complete().
Snapshot JobQueue::snapshot_of(Seconds now_s, Clock::time_point now, std::vector<JobId>& jobs) {
  Snapshot snapshot;
  snapshot.owners.resize(2);  // this organisation, and everybody else
  snapshot.owners[0].jobs_max = node_.config.queue.jobs_max;
  snapshot.owners[0].slots_max = node_.config.queue.slots_max;
  Quota& budget = snapshot.owners[0].budget;
  budget.limit = node_.config.queue.escrow_max_micro;
  Clock::time_point next_retry = Clock::time_point::max();
  snapshot.jobs.reserve(waiting_.size());
  jobs.reserve(waiting_.size());
  std::map<std::size_t, std::uint32_t> placements;  // request to placement
  for (const auto& [job, waiting] : waiting_) {
    if (!waiting.read) continue;
    QueuedJob queued = waiting.queued;
    if (waiting.retry > now) {
      next_retry = std::min(next_retry, waiting.retry);
      for (const OrgId member : waiting.in_flight) {
        RunningJob running;
        running.job = job;
        running.provider = static_cast<std::uint32_t>(member);
        running.slots = queued.slots;
        running.memory_mib = queued.memory_mib;
        running.array = queued.array;
        running.name_key = queued.name_key;
        running.end_s = queued.limit_s == 0 ? time_never : now_s + queued.limit_s;
        snapshot.running.push_back(running);
      }
      if (!waiting.in_flight.empty()) budget.in_flight += queued.cost_micro;
      continue;
    }
    const auto placement =
        placements.try_emplace(waiting.request, static_cast<std::uint32_t>(placements.size())).first;
    queued.placement = placement->second;
    queued.dependency_first = static_cast<std::uint32_t>(snapshot.dependencies.size());
    queued.dependency_count = static_cast<std::uint32_t>(waiting.dependencies.size());
    snapshot.dependencies.insert(snapshot.dependencies.end(), waiting.dependencies.begin(),
                                 waiting.dependencies.end());
    snapshot.jobs.push_back(queued);
    jobs.push_back(job);
  }
  placement_requests_.resize(placements.size());
  for (const auto& [request, placement] : placements) placement_requests_[placement] = request;
  for (const auto& [job, active] : active_) {
    if (active.phase != JobPhase::leasing && active.phase != JobPhase::running) continue;
    const bool own = active.owner == self_;
    if (own) budget.committed += active.queued.cost_micro;
    for (const Running& member : active.members) {
      RunningJob running;
      running.job = job;
      running.provider = static_cast<std::uint32_t>(member.provider);
      running.owner = own ? 0 : 1;
      running.slots = member.slots != 0 ? member.slots : own ? active.queued.slots : 0;
      running.memory_mib = active.queued.memory_mib;
      running.array = active.queued.array;
      running.name_key = active.queued.name_key;
      const Seconds limit_s = own ? active.queued.limit_s : unknown_limit_s;
      running.end_s = limit_s == 0 ? time_never : active.seen_s + limit_s;
      snapshot.running.push_back(running);
    }
  }
  if (next_retry != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(next_retry - now);
    next_retry_s_ = now_s + left.count();
  } else {
    next_retry_s_ = time_never;
  }
  return snapshot;
}

void JobQueue::complete(Snapshot& snapshot, const std::vector<ProviderCapacity>& capacities,
                        const std::map<OrgId, std::uint32_t>& index_of, Seconds now_s) {
  for (const ProviderCapacity& capacity : capacities)
    snapshot.providers.push_back({capacity.slots, capacity.memory_mib, capacity.accepts_work});
  std::erase_if(snapshot.running, [&](RunningJob& running) {
    const auto at = index_of.find(running.provider);
    if (at != index_of.end()) running.provider = at->second;
    return at == index_of.end();  // no provider any more
  });
  for (const std::size_t index : placement_requests_) {
    BrokerRequest request = requests_[index];
    request.now_s = now_s;
    Placement placement;
    for (const RankedProvider& ranked : rank_providers(request, capacities, links_)) {
      placement.candidates.push_back({static_cast<std::uint32_t>(ranked.index), ranked.joint_cost_micro,
                                      capacities[ranked.index].price_valid_until_s});
    }
    snapshot.placements.push_back(std::move(placement));
  }
}

// Why no set of providers can take such a job, in the broker's words; asked once a pass for each request.
const std::string& JobQueue::objections(std::size_t request, const std::vector<ProviderCapacity>& capacities,
                                        Seconds now_s) {
  const auto [at, added] = objections_.try_emplace(request);
  if (added) {
    BrokerRequest asked = requests_[request];
    asked.now_s = now_s;
    const auto offer = make_offer(asked, capacities, links_);
    if (!offer) at->second = offer.error().message;
  }
  return at->second;
}

void JobQueue::failed(JobId job, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(job);
  if (at == waiting_.end()) return;
  at->second.in_flight.clear();
  at->second.reason = Reason::resources;
  at->second.detail = reason;
  at->second.retry = Clock::now() + retry_after;
  changed_ = true;
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
