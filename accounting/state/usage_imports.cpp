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
  return found != past_.end() && std::find(found->second.begin(), found->second.end(),
                                           std::pair{slot.attempt, slot.provider}) != found->second.end();
}

void UsageImports::file(const UsageSlot& slot, UsageImportEntry entry) {
  const bool new_record = by_record_.emplace(entry.record, slot).second;
  const bool new_run = by_run_.emplace(run_key(slot.provider, entry), slot).second;
  const bool new_slot = imports_.emplace(slot, std::move(entry)).second;
  UFAB_ASSERT(new_record && new_run && new_slot);
}

void UsageImports::job_left(const JobEntry& job, std::uint64_t until) {
  std::vector<std::pair<std::uint32_t, OrgId>> leased;
  for (const AttemptEntry& attempt : job.attempts) {
    for (const MemberEntry& member : attempt.members) {
      if (member.leased) leased.emplace_back(attempt.number, member.share.organisation);
    }
  }
  if (leased.empty()) return;  // nobody may file anything
  UFAB_ASSERT(due_.empty() || due_.back().first <= until);
  leased.shrink_to_fit();
  past_.emplace(job.id, std::move(leased));
  due_.emplace_back(until, job.id);
}

std::vector<UsageSlot> UsageImports::forget(std::uint64_t height, std::size_t jobs_max) {
  std::vector<UsageSlot> gone;
  for (std::size_t done = 0; done < jobs_max && !due_.empty(); ++done) {
    if (due_.front().first > height && due_.size() <= past_jobs_max) break;
    const JobId job = due_.front().second;
    due_.pop_front();
    past_.erase(job);
    for (auto it = imports_.lower_bound({job, 0, 0}); it != imports_.end() && it->first.job == job;) {
      by_record_.erase(it->second.record);
      by_run_.erase(run_key(it->first.provider, it->second));
      gone.push_back(it->first);
      it = imports_.erase(it);
    }
  }
  return gone;
}

}  // namespace ufab
