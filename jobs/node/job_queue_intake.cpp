// What the queue takes in: jobs from the ledger, and from their specifications what they ask for.
#include <algorithm>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/gateway.h"
#include "jobs/node/job_files.h"
#include "jobs/node/job_queue.h"
#include "jobs/node/ledger_facts.h"

namespace ufab::jobs {

namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
constexpr std::size_t new_max = 5000;
constexpr std::size_t slice_max = 500;
constexpr auto slice_interval = 100ms;
constexpr auto reading_time = 200ms;
constexpr std::size_t ended_max = 100'000;  // ended jobs that dependencies can still ask about

std::uint64_t hash_of(std::string_view text) {
  const Digest digest = sha256(as_bytes(text));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | digest.bytes[i];
  return value;
}

Predictor::Kind kind_of(const std::string& name, std::uint64_t slots) {
  return {1, hash_of(name), slots};
}

}  // namespace

// The next few of those that wait. Under mutex_.
void JobQueue::add_slices(std::vector<JobId>& look) {
  auto at = waiting_.upper_bound(slice_at_);
  for (std::size_t i = 0; i < slice_max && at != waiting_.end(); ++i, ++at) look.push_back(at->first);
  slice_at_ = at == waiting_.end() ? 0 : std::prev(at)->first;
  auto foreign = foreign_waiting_.upper_bound(foreign_slice_at_);
  for (std::size_t i = 0; i < slice_max && foreign != foreign_waiting_.end(); ++i, ++foreign)
    look.push_back(*foreign);
  foreign_slice_at_ = foreign == foreign_waiting_.end() ? 0 : *std::prev(foreign);
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
    look.insert(look.end(), begun_.begin(), begun_.end());
    for (auto& [job, again] : again_) {
      if (again.avoid.empty() || again.avoid_until > Clock::now()) continue;
      again.avoid.clear();  // whoever was silent is asked again
      if (waiting_.contains(job)) unread_.insert(job);
    }
    if (const auto now = Clock::now(); now - sliced_ >= slice_interval) {
      sliced_ = now;
      add_slices(look);
    }
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
      one.attempts = static_cast<std::uint32_t>(job.attempts.size());
      one.order_s = static_cast<Seconds>(job.order_us / 1'000'000);
      one.memory_mib = job.order.memory_mib;
      one.well = job.settlement && job.settlement->result == JobResult::done &&
                 !(job.usage && (job.usage->receipt.exit_code != 0 || job.usage->receipt.signal != 0));
      if (job.usage) one.wall_us = job.usage->receipt.wall_us;
      if (job.usage && job.phase == JobPhase::settled) one.name = job.order.name;
      if (job.attempts.empty() || job.phase == JobPhase::settled) return;
      for (const MemberEntry& member : job.attempts.back().members) {
        one.members.push_back(
            {member.share.organisation, member.leased ? member.lease.ranks * member.lease.threads : 0});
        one.any_leased = one.any_leased || member.leased;
      }
      one.end_s = run_end_s(job);
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
    for (const JobId number : state.jobs_in_progress()) {
      if (number <= last_seen_ && !std::binary_search(look.begin(), look.end(), number))
        see(*state.job(number));
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
  begun_.erase(job);
}

// The job has ended. Under mutex_.
void JobQueue::take_in_end(const Seen& seen, Seconds now_s) {
  leave(seen.job);
  again_.erase(seen.job);
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

// An own job that has no attempt, asks its providers, or is planned again. Under mutex_.
void JobQueue::take_in_waiting(const Seen& seen) {
  const auto [at, added] = waiting_.try_emplace(seen.job);
  Waiting& waiting = at->second;
  if (added) {
    waiting.queued.job = seen.job;
    unread_.insert(seen.job);
    if (const auto active = active_.find(seen.job); active != active_.end()) {
      active_.erase(active);
      changed_ = true;
    }
  }
  waiting.queued.submit_s = seen.order_s;
  waiting.queued.cost_micro = seen.budget;
  std::vector<OrgId> asks;
  if (seen.phase == JobPhase::leasing && !seen.any_leased) {
    for (const Running& member : seen.members) asks.push_back(member.provider);
  }
  if (waiting.attempts != seen.attempts) {
    // What was decided stands on the ledger.
    waiting.attempts = seen.attempts;
    waiting.asked = Clock::now();
    waiting.in_flight.clear();
    waiting.retry = {};
    waiting.told.clear();
    changed_ = true;
  }
  waiting.asks = std::move(asks);
  if (seen.attempts != 0) begun_.insert(seen.job);
}

// Under mutex_.
void JobQueue::take_in(const Seen& seen, Seconds now_s) {
  last_seen_ = std::max(last_seen_, seen.job);
  if (seen.gone || seen.phase == JobPhase::settled) return take_in_end(seen, now_s);
  const bool own = seen.owner == self_;
  const Fate fate = fates_.of(seen.job).fate;
  if (seen.phase == JobPhase::ordered || seen.phase == JobPhase::leasing) {
    if (fate == Fate::unknown) fates_.set(seen.job, {Fate::waiting});
  }
  auto again = again_.find(seen.job);
  if (again != again_.end() && again->second.attempt < seen.attempts)
    again = (again_.erase(again), again_.end());
  const bool asks = seen.phase == JobPhase::leasing && !seen.any_leased;
  if (own && (seen.phase == JobPhase::ordered || asks || again != again_.end())) return take_in_waiting(seen);
  if (seen.phase == JobPhase::ordered) {
    foreign_waiting_.insert(seen.job);
    return;
  }
  // It holds a lease, runs, or is being judged.
  foreign_waiting_.erase(seen.job);
  const auto waiting = waiting_.find(seen.job);
  const auto [at, added] = active_.try_emplace(seen.job);
  Active& active = at->second;
  if (added) {
    if (waiting != waiting_.end()) active.queued = waiting->second.queued;
    if (own && (waiting == waiting_.end() || !waiting->second.read)) {
      read_active(seen.job, active);
      const QueuedJob& queued = active.queued;
      if (queued.array != 0) fates_.set(seen.job, fates_.of(seen.job), queued.array, queued.array_task);
    }
    active.queued.memory_mib = seen.memory_mib;
    active.queued.cost_micro = seen.budget;
    changed_ = true;
  }
  if (active.phase != seen.phase) changed_ = true;
  active.owner = seen.owner;
  active.phase = seen.phase;
  active.members = seen.members;
  active.end_s = seen.end_s;
  if (seen.phase == JobPhase::running && fate != Fate::running) {
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
    std::optional<Again> again;
    {
      const std::lock_guard lock(mutex_);
      const auto at = waiting_.find(job);
      if (at == waiting_.end()) continue;
      read = at->second;
      if (const auto known = again_.find(job); known != again_.end()) again = known->second;
    }
    if (!read_spec(read, again)) continue;  // its files are not in place yet
    const std::lock_guard lock(mutex_);
    const auto at = waiting_.find(job);
    if (at == waiting_.end()) continue;
    if (at->second.read || at->second.hold_told) read.queued.hold = at->second.queued.hold;
    at->second = std::move(read);  // only this thread writes what a spec says nothing of
    const QueuedJob& queued = at->second.queued;
    if (queued.array != 0) fates_.set(job, fates_.of(job), queued.array, queued.array_task);
    unread_.erase(job);
    changed_ = true;
  }
}

bool JobQueue::read_spec(Waiting& waiting, const std::optional<Again>& again) {
  const JobId job = waiting.queued.job;
  const JobFolder folder(node_.home, job);
  QueuedJob& queued = waiting.queued;
  BrokerRequest ordered;
  std::string key;
  node_.chain->read([&](const State& state) {
    const JobEntry* entry = state.job(job);
    if (entry == nullptr) return 0;
    key = entry->order.idempotency_key;
    ordered.steps = entry->order.steps;
    ordered.micro_batches = entry->order.micro_batches;
    ordered.flop_per_micro_batch = entry->order.flop_per_micro_batch;
    queued.cost_micro = entry->order.budget;
    queued.submit_s = static_cast<Seconds>(entry->order_us / 1'000'000);
    if (!entry->order.data_file_digest.is_zero()) ordered.data = {{entry->order.data_file_digest, 0}};
    return 0;
  });
  const auto submission = submitted_(key);
  const auto spec =
      submission ? queue_spec_from_text(submission->specification) : load_queue_spec(folder.spec());
  if (!spec) return false;
  const SubmitOptions& options = spec->options;
  BrokerRequest request = broker_request(*spec);
  request.exchange_bytes = spec->exchange_bytes;
  request.steps = ordered.steps;
  request.micro_batches = ordered.micro_batches;
  request.flop_per_micro_batch = ordered.flop_per_micro_batch;
  request.data = ordered.data;
  queued.slots = std::max(request.slots, 1U);
  queued.memory_mib = request.memory_mib;
  queued.providers_min = static_cast<std::uint16_t>(std::clamp(request.providers_min, 1U, 65535U));
  queued.providers_max = static_cast<std::uint16_t>(
      std::clamp<std::uint32_t>(request.providers_max, queued.providers_min, 65535U));
  queued.begin_s = options.begin.value_or(0);
  queued.deadline_s = options.deadline.value_or(0);
  queued.limit_s = Seconds{options.time_limit_minutes.value_or(0)} * 60;
  queued.nice = options.nice;
  queued.qos = options.priority.value_or(0);
  queued.name_key = hash_of(spec->name);
  const bool held = submission ? submission->held : file_exists(folder.held());
  queued.hold = waiting.attempts == 0 && held ? Hold::user : Hold::none;
  // A job that has begun once does not wait for others again.
  waiting.dependencies.clear();
  if (waiting.attempts == 0) waiting.dependencies = options.dependencies.terms;
  queued.dependency_any = options.dependencies.any_of;
  waiting.ends_when_invalid = options.kill_on_invalid_dependency.value_or(false);
  note_array(*spec, queued);
  const auto predicted = predictor_.predict(kind_of(spec->name, queued.slots));
  queued.predicted_s = predicted.value_or(0);
  if (again) {
    request.exclude = again->exclude;
    if (again->avoid_until > Clock::now())
      request.exclude.insert(request.exclude.end(), again->avoid.begin(), again->avoid.end());
  }
  // Fewer than asked for may carry on what the convicted or silent left behind.
  if (!request.exclude.empty() && waiting.attempts != 0) {
    request.providers_min = 1;
    request.shares.clear();
    queued.providers_min = 1;
  }
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
  const auto spec = load_queue_spec(JobFolder(node_.home, job).spec());
  if (!spec) return;
  active.queued.slots = std::max(spec->options.tasks * spec->options.cpus_per_task, 1U);
  active.queued.memory_mib = spec->options.memory_limit_mib();
  active.queued.limit_s = Seconds{spec->options.time_limit_minutes.value_or(0)} * 60;
  active.queued.name_key = hash_of(spec->name);
  note_array(*spec, active.queued);
}

}  // namespace ufab::jobs
