#include "jobs/queue/arbiter.h"

#include <algorithm>

#include "fabric/base/assert.h"
#include "jobs/queue/fair_order.h"

namespace ufab::jobs {

Policy policy_between_organisations() {
  Policy policy;
  policy.weights.qos = 1;  // the place in the fair order
  policy.patience_s = 86400;
  policy.backfill = BackfillOrder::queue;
  policy.reservations_max = 8;
  return policy;
}

namespace {

// The asks that are looked at, in fair order.
std::vector<std::uint32_t> ordered_asks(const Facts& facts) {
  std::vector<FairJob> jobs;
  jobs.reserve(facts.asks.size());
  for (const Ask& ask : facts.asks) {
    const std::uint64_t slots = std::uint64_t{ask.slots} * ask.members.size();
    jobs.push_back({ask.owner, slot_seconds(slots, ask.limit_s), ask.nice, ask.since_s, ask.job});
  }
  std::vector<std::uint32_t> order = fair_order(jobs, facts.owners);
  std::vector<std::size_t> taken(facts.owners.size());
  std::erase_if(order, [&](std::uint32_t i) { return ++taken[facts.asks[i].owner] > asks_per_owner_max; });
  return order;
}

Snapshot snapshot_of(const Facts& facts, const std::vector<std::uint32_t>& order) {
  Snapshot snapshot;
  snapshot.providers = facts.providers;
  snapshot.running = facts.running;
  snapshot.owners.resize(facts.owners.size());
  for (std::size_t place = 0; place < order.size(); ++place) {
    const Ask& ask = facts.asks[order[place]];
    UFAB_ASSERT(!ask.members.empty() && ask.slots >= 1);
    Placement placement;
    for (const AskMember& member : ask.members) {
      UFAB_ASSERT(member.provider < facts.providers.size());
      placement.candidates.push_back({member.provider, 0, time_never});
    }
    QueuedJob job;
    job.job = ask.job;
    job.owner = ask.owner;
    job.placement = static_cast<std::uint32_t>(place);
    job.providers_min = job.providers_max = static_cast<std::uint16_t>(ask.members.size());
    job.slots = ask.slots;
    job.memory_mib = ask.memory_mib;
    job.submit_s = ask.since_s;
    job.limit_s = ask.limit_s;
    job.qos = static_cast<std::uint32_t>(order.size() - place);
    snapshot.placements.push_back(std::move(placement));
    snapshot.jobs.push_back(job);
  }
  return snapshot;
}

}  // namespace

std::vector<AskDecision> arbitrate(const Facts& facts, std::uint32_t self) {
  UFAB_ASSERT(self < facts.providers.size());
  const std::vector<std::uint32_t> order = ordered_asks(facts);
  const Plan decided = plan(snapshot_of(facts, order), policy_between_organisations(), facts.now_s);
  std::vector<std::uint32_t> starts;  // places, in the order of decision
  std::vector<bool> starting(order.size());
  for (const Start& start : decided.starts) {
    starts.push_back(start.index);
    starting[start.index] = true;
  }

  // Rule 4: what is certainly free here.
  auto slots = static_cast<std::int64_t>(facts.providers[self].slots);
  auto memory_mib = static_cast<std::int64_t>(facts.providers[self].memory_mib);
  for (const RunningJob& running : facts.running) {
    if (running.provider != self) continue;
    slots -= running.slots;
    memory_mib -= static_cast<std::int64_t>(running.memory_mib);
  }
  const auto of_self = [&](const Ask& ask) {
    return std::find_if(ask.members.begin(), ask.members.end(),
                        [&](const AskMember& member) { return member.provider == self; });
  };
  for (const Ask& ask : facts.asks) {
    const auto member = of_self(ask);
    if (member == ask.members.end() || !member->leased) continue;
    slots -= ask.slots;
    memory_mib -= static_cast<std::int64_t>(ask.memory_mib);
  }

  std::vector<AskDecision> decisions;
  const auto decide = [&](std::uint32_t place) {
    const std::uint32_t index = order[place];
    const Ask& ask = facts.asks[index];
    const auto member = of_self(ask);
    if (member == ask.members.end()) return;
    AskDecision& decision = decisions.emplace_back();
    decision.ask = index;
    decision.reason = decided.reasons[place];
    if (member->leased) {
      decision.answer = starting[place] ? AskAnswer::keep : AskAnswer::give_back;
    } else if (starting[place]) {
      const bool fits = ask.slots <= slots && static_cast<std::int64_t>(ask.memory_mib) <= memory_mib;
      decision.answer = fits ? AskAnswer::lease : AskAnswer::wait;
      if (!fits) decision.reason = Reason::resources;
      if (!fits) return;
      slots -= ask.slots;
      memory_mib -= static_cast<std::int64_t>(ask.memory_mib);
    }
  };
  for (const std::uint32_t place : starts) decide(place);
  for (std::uint32_t place = 0; place < order.size(); ++place) {
    if (!starting[place]) decide(place);
  }
  // Beyond what is looked at: nothing may be held for those either.
  std::vector<bool> seen(facts.asks.size());
  for (const std::uint32_t index : order) seen[index] = true;
  for (std::uint32_t i = 0; i < facts.asks.size(); ++i) {
    const auto member = of_self(facts.asks[i]);
    if (seen[i] || member == facts.asks[i].members.end()) continue;
    decisions.push_back({i, member->leased ? AskAnswer::give_back : AskAnswer::wait, Reason::priority});
  }
  return decisions;
}

}  // namespace ufab::jobs
