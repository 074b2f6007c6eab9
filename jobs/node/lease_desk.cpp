#include "jobs/node/lease_desk.h"

#include <algorithm>
#include <set>

#include "jobs/node/ledger_facts.h"

namespace ufab::jobs {

void LeaseDesk::look(const Chain& chain, OrgId self, Clock::time_point now) {
  std::set<Key> standing;  // asks for this provider, set aside or not
  const LedgerFacts ledger = chain.read([&](const State& state) {
    for (const JobId id : state.jobs_in_progress()) {
      const JobEntry& job = *state.job(id);
      if (job.phase != JobPhase::leasing || job.cancelled) continue;
      const AttemptEntry& attempt = job.attempts.back();
      if (JobEntry::member_of(attempt, self)) standing.insert({id, attempt.number});
    }
    std::erase_if(aside_, [&](const auto& entry) { return !standing.contains(entry.first); });
    if (standing.empty()) return LedgerFacts{};
    return ledger_facts(state, [&](JobId job, std::uint32_t attempt) {
      const auto at = aside_.find({job, attempt});
      return at != aside_.end() && (at->second.for_good || at->second.until > now);
    });
  });
  std::map<Key, AskDecision> decisions;
  const auto index = ledger.provider_index.find(self);
  if (index != ledger.provider_index.end() && !standing.empty()) {
    for (const AskDecision& decision : arbitrate(ledger.facts, index->second)) {
      const Ask& ask = ledger.facts.asks[decision.ask];
      decisions[{ask.job, ask.attempt}] = decision;
    }
  }
  std::map<Key, Note> notes;
  for (const Key& key : standing) {
    const auto decided = decisions.find(key);
    const auto aside = aside_.find(key);
    if (decided == decisions.end() && aside != aside_.end()) {
      notes[key] = {aside->second.for_good, aside->second.why};
    } else {
      const Reason reason = decided == decisions.end() ? Reason::no_provider_now : decided->second.reason;
      notes[key] = {false, reason == Reason::none ? std::string("Prolog") : reason_name(reason)};
    }
  }
  const std::lock_guard lock(mutex_);
  decisions_ = std::move(decisions);
  notes_ = std::move(notes);
}

AskAnswer LeaseDesk::answer(JobId job, std::uint32_t attempt) const {
  const std::lock_guard lock(mutex_);
  const auto at = decisions_.find({job, attempt});
  return at == decisions_.end() ? AskAnswer::wait : at->second.answer;
}

std::string LeaseDesk::reason(JobId job, std::uint32_t attempt) const {
  const std::lock_guard lock(mutex_);
  const auto at = decisions_.find({job, attempt});
  return at == decisions_.end() ? std::string() : reason_name(at->second.reason);
}

void LeaseDesk::set_aside(JobId job, std::uint32_t attempt, const std::string& why, bool for_good,
                          Clock::time_point now) {
  Aside& aside = aside_[{job, attempt}];
  aside.pause = aside.pause == Clock::duration{} ? Clock::duration(aside_first)
                                                 : std::min<Clock::duration>(aside.pause * 2, aside_max);
  aside.until = now + aside.pause;
  aside.why = why;
  aside.for_good = aside.for_good || for_good;
}

std::optional<LeaseDesk::Note> LeaseDesk::note(JobId job, std::uint32_t attempt) const {
  const std::lock_guard lock(mutex_);
  const auto at = notes_.find({job, attempt});
  return at == notes_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace ufab::jobs
