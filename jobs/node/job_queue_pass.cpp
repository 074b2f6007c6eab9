// One pass over the queue: the snapshot, the policy's plan, and what comes of it.
#include <algorithm>

#include "jobs/node/job_queue.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t starts_max = 64;
constexpr auto retry_after = 2s;
constexpr auto flight_time_max = 10s;
constexpr std::size_t asks_ahead_max = 2;
constexpr auto ask_patience = 10s;           // then an ask is weighed against other gangs …
constexpr std::uint32_t doublings_max = 10;  // … and after each attempt twice as long

}  // namespace

bool JobQueue::asks_firmly(const Waiting& waiting, Clock::time_point now) {
  if (waiting.asks.empty()) return false;
  return now - waiting.asked < ask_patience * (1U << std::min(waiting.attempts, doublings_max));
}

bool JobQueue::is_contested(OrgId provider) const {
  return std::any_of(active_.begin(), active_.end(), [&](const auto& entry) {
    const Active& active = entry.second;
    if (active.owner == self_) return false;
    if (active.phase != JobPhase::leasing && active.phase != JobPhase::running) return false;
    return std::any_of(active.members.begin(), active.members.end(),
                       [&](const Running& member) { return member.provider == provider; });
  });
}

std::size_t JobQueue::asks_at(OrgId provider) const {
  return static_cast<std::size_t>(std::count_if(waiting_.begin(), waiting_.end(), [&](const auto& entry) {
    const auto names = [&](const std::vector<OrgId>& gang) {
      return std::find(gang.begin(), gang.end(), provider) != gang.end();
    };
    return names(entry.second.asks) || names(entry.second.in_flight);
  }));
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
  std::uint64_t spent = 0;
  node_.chain->read([&](const State& state) {
    if (const OrgEntry* own = state.organisation(self_)) spent = own->spent;
    for (const auto& [id, entry] : state.organisations()) {
      if (!entry.provider) continue;
      index_of[id] = static_cast<std::uint32_t>(capacities.size());
      capacities.push_back(capacity_of(state, entry));
      ids.push_back(id);
    }
    return 0;
  });
  complete(snapshot, capacities, index_of, now_s);
  Quota& spending = snapshot.owners[0].spending;
  spending = snapshot.owners[0].budget;
  spending.limit = node_.config.queue.budget_max_micro;
  spending.settled = spent;
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
  const auto gang_of = [&](const std::vector<std::uint32_t>& providers) {
    std::vector<OrgId> gang;
    for (const std::uint32_t provider : providers) gang.push_back(ids[provider]);
    return gang;
  };
  const auto ask = [&](Waiting& waiting, JobId job, const std::vector<std::uint32_t>& providers) {
    StartDecision& one = decisions.starts.emplace_back();
    one.job = job;
    one.after_attempt = waiting.attempts;
    if (const auto again = again_.find(job); again != again_.end()) one.reason = again->second.reason;
    if (one.reason.empty() && waiting.attempts != 0) one.reason = ask_elsewhere;
    for (const std::uint32_t provider : providers) one.providers.push_back(capacities[provider].organisation);
    waiting.in_flight = gang_of(providers);
    waiting.retry = now + flight_time_max;
  };
  for (const Start& start : decided.starts) {
    const auto at = waiting_.find(jobs[start.index]);
    if (at == waiting_.end()) continue;
    if (decisions.starts.size() >= starts_max) {
      changed_ = true;
      at->second.reason = Reason::priority;
      continue;
    }
    std::vector<OrgId> gang = gang_of(start.providers);
    std::sort(gang.begin(), gang.end());
    std::vector<OrgId> asked = at->second.asks;
    std::sort(asked.begin(), asked.end());
    if (gang != asked || again_.contains(jobs[start.index]))
      ask(at->second, jobs[start.index], start.providers);
  }
  // Where others compete, whoever comes next says so to the providers; and a job whose attempt came to
  // nothing frees what that one held.
  for (const Reservation& reservation : decided.reservations) {
    const auto at = waiting_.find(jobs[reservation.index]);
    if (at == waiting_.end() || decisions.starts.size() >= starts_max) continue;
    const bool again = again_.contains(jobs[reservation.index]);
    if (!at->second.asks.empty() && !again) continue;
    const std::vector<OrgId> gang = gang_of(reservation.providers);
    const bool contested =
        std::any_of(gang.begin(), gang.end(), [&](OrgId provider) { return is_contested(provider); });
    const bool room = std::all_of(gang.begin(), gang.end(),
                                  [&](OrgId provider) { return asks_at(provider) < asks_ahead_max; });
    if (again || (contested && room)) ask(at->second, jobs[reservation.index], reservation.providers);
  }
  pass_took_ = Clock::now() - now;
  ++measures_.passes;
  measures_.longest_pass =
      std::max(measures_.longest_pass, std::chrono::duration_cast<std::chrono::microseconds>(pass_took_));
  return decisions;
}

Quota JobQueue::spending() const {
  Quota spending;
  spending.limit = node_.config.queue.budget_max_micro;
  const OrgId self = node_.chain->self();
  spending.settled = node_.chain->read([&](const State& state) {
    const OrgEntry* own = state.organisation(self);
    return own == nullptr ? MicroUnc{0} : own->spent;
  });
  const std::lock_guard lock(mutex_);
  for (const auto& [job, waiting] : waiting_) {
    if (!waiting.in_flight.empty()) {
      spending.in_flight += waiting.queued.cost_micro;
    } else if (!waiting.asks.empty()) {
      spending.committed += waiting.queued.cost_micro;
    }
  }
  for (const auto& [job, active] : active_) {
    const bool holds = active.phase == JobPhase::leasing || active.phase == JobPhase::running;
    if (active.owner == self && holds) spending.committed += active.queued.cost_micro;
  }
  return spending;
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
    const bool asks = asks_firmly(waiting, now) && !again_.contains(job);
    if (waiting.retry > now || asks) {
      if (waiting.retry > now) next_retry = std::min(next_retry, waiting.retry);
      if (asks) next_retry = std::min(next_retry, now + Clock::duration(ask_patience));
      for (const OrgId member : waiting.in_flight.empty() ? waiting.asks : waiting.in_flight) {
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
      if (!waiting.in_flight.empty()) {
        budget.in_flight += queued.cost_micro;
      } else if (asks) {
        budget.committed += queued.cost_micro;
      }
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
      running.end_s = active.end_s;
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
  const Links known = links();
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
    for (const RankedProvider& ranked : rank_providers(request, capacities, known)) {
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
    const auto offer = make_offer(asked, capacities, links());
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

}  // namespace ufab::jobs
