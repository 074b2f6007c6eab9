#include "accounting/state/usage_imports.h"

#include <algorithm>

#include "fabric/base/assert.h"

namespace ufab {

UsageImports::RunKey UsageImports::run_key(OrgId provider, const UsageImportEntry& run) {
  return {provider, run.cluster, run.external_id, run.submit_us};
}

const UsageImportEntry* UsageImports::find(const UsageSlot& slot) const {
  const auto found = imports_.find(slot);
  return found == imports_.end() ? nullptr : &found->second;
}

const UsageSlot* UsageImports::slot_of(const RecordId& record) const {
  const auto found = by_record_.find(record);
  return found == by_record_.end() ? nullptr : &found->second;
}

const UsageSlot* UsageImports::slot_of_run(OrgId provider, const UsageImportEntry& run) const {
  const auto found = by_run_.find(run_key(provider, run));
  return found == by_run_.end() ? nullptr : &found->second;
}

bool UsageImports::leased_in_the_past(const UsageSlot& slot) const {
  const auto found = past_.find(slot.job);
  if (found == past_.end()) return false;
  const auto& leases = found->second.leases;
  return std::find(leases.begin(), leases.end(), PastJob::Lease{slot.attempt, slot.provider}) != leases.end();
}

void UsageImports::file(const UsageSlot& slot, UsageImportEntry entry) {
  const bool new_record = by_record_.emplace(entry.record, slot).second;
  const bool new_run = by_run_.emplace(run_key(slot.provider, entry), slot).second;
  const bool new_slot = imports_.emplace(slot, std::move(entry)).second;
  UFAB_ASSERT(new_record && new_run && new_slot);
}

void UsageImports::job_left(const JobEntry& job, std::uint64_t until) {
  PastJob past{until, {}};
  for (const AttemptEntry& attempt : job.attempts) {
    for (const MemberEntry& member : attempt.members) {
      if (member.leased) past.leases.push_back({attempt.number, member.share.organisation});
    }
  }
  if (past.leases.empty()) return;  // nobody may file anything
  past.leases.shrink_to_fit();
  past_.emplace(job.id, std::move(past));
  due_.emplace(until, job.id);
}

UsageImports::Forgotten UsageImports::forget(std::uint64_t height, std::size_t jobs_max) {
  Forgotten gone;
  while (gone.jobs.size() < jobs_max && !due_.empty()) {
    if (due_.begin()->first > height && due_.size() <= past_jobs_max) break;
    const JobId job = due_.begin()->second;
    due_.erase(due_.begin());
    past_.erase(job);
    gone.jobs.push_back(job);
    for (auto it = imports_.lower_bound({job, 0, 0}); it != imports_.end() && it->first.job == job;) {
      by_record_.erase(it->second.record);
      by_run_.erase(run_key(it->first.provider, it->second));
      gone.imports.push_back(it->first);
      it = imports_.erase(it);
    }
  }
  return gone;
}

std::optional<UsageImports> UsageImports::restore(std::map<UsageSlot, UsageImportEntry> imports,
                                                  std::map<JobId, PastJob> past) {
  UsageImports made;
  for (const auto& [slot, entry] : imports) {
    if (!made.by_record_.emplace(entry.record, slot).second) return std::nullopt;
    if (!made.by_run_.emplace(run_key(slot.provider, entry), slot).second) return std::nullopt;
  }
  for (const auto& [job, entry] : past) made.due_.emplace(entry.until, job);
  made.imports_ = std::move(imports);
  made.past_ = std::move(past);
  return made;
}

}  // namespace ufab
