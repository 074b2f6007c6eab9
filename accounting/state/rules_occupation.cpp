#include <fmt/format.h>

#include "accounting/state/transition.h"

namespace ufab {

Status Transition::on(const LeaseReturn& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("lease return of {} for job {}: {}", name_of(org), body.job, why)};
  };
  const auto found = s_.jobs_.find(body.job);
  if (found == s_.jobs_.end()) return wrong(ErrorCode::not_found, "there is no such open job");
  JobEntry& job = found->second;
  if (job.phase != JobPhase::leasing || job.cancelled || body.attempt != job.attempts.size()) {
    return wrong(ErrorCode::conflict, fmt::format("attempt {} is not waiting for leases", body.attempt));
  }
  const auto index = JobEntry::member_of(job.attempts.back(), org);
  if (!index || !job.attempts.back().members[*index].leased) {
    return wrong(ErrorCode::denied, "it has no lease");
  }
  MemberEntry& member = job.attempts.back().members[*index];
  charge_use(job.owner, member);
  member.leased = false;
  member.lease = {};
  member.leased_us = 0;
  OrgEntry& entry = org_mutable(org);
  if (entry.provider && entry.provider->leases_open > 0) --entry.provider->leases_open;
  if (entry.provider) entry.provider->freed_us = s_.context_.time_us;
  touch(Slot::job, job.id);
  return {};
}

void Transition::end_occupation(JobEntry& job) {
  if (job.attempts.empty() || job.attempts.back().ended_us != 0) return;
  AttemptEntry& attempt = job.attempts.back();
  attempt.ended_us = s_.context_.time_us;
  touch(Slot::job, job.id);
  for (const MemberEntry& member : attempt.members) {
    if (!member.leased) continue;
    charge_use(job.owner, member);
    OrgEntry& org = org_mutable(member.share.organisation);
    if (org.provider) org.provider->freed_us = s_.context_.time_us;
  }
}

void Transition::charge_use(OrgId owner, const MemberEntry& member) {
  const std::uint64_t now_us = s_.context_.time_us;
  const std::uint64_t held_us = now_us > member.leased_us ? now_us - member.leased_us : 0;
  const std::uint64_t slots = std::uint64_t{member.lease.ranks} * member.lease.threads;
  const std::uint64_t used = checked_mul(slots, (held_us + 999'999) / 1'000'000).value_or(UINT64_MAX);
  const std::uint64_t period = now_us / use_period_us;
  std::vector<PeriodUse>& periods = org_mutable(owner).used;
  // Blocks' times never fall, so the last period is the present one or an earlier one.
  if (periods.empty() || periods.back().period != period) periods.push_back({period, 0});
  periods.back().slot_s = checked_add(periods.back().slot_s, used).value_or(UINT64_MAX);
  if (periods.size() > use_periods_max) periods.erase(periods.begin());
}

}  // namespace ufab
