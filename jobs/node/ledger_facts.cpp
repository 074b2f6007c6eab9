#include "jobs/node/ledger_facts.h"

#include <algorithm>

#include "accounting/amount.h"
#include "jobs/queue/fair_order.h"

namespace ufab::jobs {

namespace {

Seconds to_s(std::uint64_t us) {
  return static_cast<Seconds>(us / 1'000'000);
}

// Slot-seconds of a lease that is in force: a run is charged for its limit at once, so that whoever starts
// much has used much; a gang that is not whole for what it has held so far.
std::uint64_t present_use(const JobEntry& job, const MemberEntry& member, bool runs, std::uint64_t now_us) {
  const Seconds held_s = 1 + to_s(now_us > member.leased_us ? now_us - member.leased_us : 0);
  const auto limit_s = static_cast<Seconds>(job.order.time_limit_s);
  const Seconds charged_s = limit_s > 0 ? limit_s : unlimited_charge_s;
  return slot_seconds(std::uint64_t{member.lease.ranks} * member.lease.threads,
                      runs ? std::max(held_s, charged_s) : held_s);
}

// Above any quantity of slots that leases may name and that the policy's sums can hold.
std::uint32_t bounded_slots(std::uint64_t slots) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(slots, 1U << 20));
}

}  // namespace

std::uint64_t decayed_use(const OrgEntry& organisation, std::uint64_t now_us) {
  std::uint64_t sum = 0;
  for (const PeriodUse& use : organisation.used) {
    const std::uint64_t end_us = (use.period + 1) * use_period_us;
    const std::uint64_t age_s = now_us > end_us ? (now_us - end_us) / 1'000'000 : 0;
    sum = checked_add(sum, decayed_usage(use.slot_s, age_s, use_half_life_s)).value_or(UINT64_MAX);
  }
  return sum;
}

Seconds run_end_s(const JobEntry& job) {
  if (job.attempts.empty() || job.order.time_limit_s == 0) return time_never;
  const std::uint64_t began_us = job.attempts.back().running_us();
  if (began_us == 0) return time_never;
  return to_s(began_us) + static_cast<Seconds>(job.order.time_limit_s);
}

LedgerFacts ledger_facts(const State& state, const std::function<bool(JobId, std::uint32_t)>& leave_out) {
  LedgerFacts result;
  Facts& facts = result.facts;
  const std::uint64_t now_us = state.time_us();
  facts.now_s = to_s(now_us);
  std::map<OrgId, std::uint32_t> owner_index;
  for (const auto& [id, entry] : state.organisations()) {
    owner_index[id] = static_cast<std::uint32_t>(facts.owners.size());
    facts.owners.push_back({1, decayed_use(entry, now_us)});
    if (!entry.provider) continue;
    result.provider_index[id] = static_cast<std::uint32_t>(facts.providers.size());
    const ProviderOffer& offer = entry.provider->offer;
    const bool accepts =
        entry.provider->status == ProviderStatus::active && state.stake(id) >= state.params().stake_min;
    facts.providers.push_back(
        {bounded_slots(std::uint64_t{offer.ranks} * offer.threads), offer.memory_bytes >> 20, accepts});
  }
  for (const JobId id : state.jobs_in_progress()) {
    const JobEntry& job = *state.job(id);
    const bool runs = job.phase == JobPhase::running;
    if (!runs && (job.phase != JobPhase::leasing || job.cancelled)) continue;
    const AttemptEntry& attempt = job.attempts.back();
    const std::uint32_t owner = owner_index.at(job.owner);
    std::uint64_t& usage = facts.owners[owner].usage;
    Ask ask{id,
            attempt.number,
            owner,
            bounded_slots(job.order.slots),
            job.order.memory_mib,
            static_cast<Seconds>(job.order.time_limit_s),
            to_s(std::max(job.order_us, job.order.begin_us)),
            job.order.nice,
            {}};
    bool known = true;
    for (const MemberEntry& member : attempt.members) {
      if (member.leased)
        usage = checked_add(usage, present_use(job, member, runs, now_us)).value_or(UINT64_MAX);
      const auto provider = result.provider_index.find(member.share.organisation);
      known = known && provider != result.provider_index.end();
      if (provider == result.provider_index.end()) continue;
      ask.members.push_back({provider->second, member.leased});
      if (!runs) continue;
      RunningJob running;
      running.job = id;
      running.provider = provider->second;
      running.owner = owner;
      running.slots = bounded_slots(std::uint64_t{member.lease.ranks} * member.lease.threads);
      running.memory_mib = job.order.memory_mib;
      running.end_s = run_end_s(job);
      facts.running.push_back(running);
    }
    if (!runs && known && !leave_out(id, attempt.number)) facts.asks.push_back(std::move(ask));
  }
  return result;
}

}  // namespace ufab::jobs
