#include "accounting/state/standing.h"

#include <algorithm>

#include "fabric/base/assert.h"

namespace ufab {

std::uint64_t fault_points(FaultKind kind, const EnrolmentParams& params) {
  switch (kind) {
    case FaultKind::lease_missed: return params.points_lease_missed;
    case FaultKind::receipts_missing: return params.points_receipts_missing;
    case FaultKind::false_result: return params.points_false_result;
    case FaultKind::verification_missed: return params.points_verification_missed;
    case FaultKind::benchmark_expired: return params.points_benchmark_expired;
    case FaultKind::benchmark_refuted: return params.points_benchmark_refuted;
  }
  return 0;
}

std::uint64_t suspension_length(std::uint32_t step, const EnrolmentParams& params) {
  UFAB_ASSERT(step >= 1 && step <= params.suspensions_max + 1);
  return params.suspension_epochs << (step - 1);
}

bool add_fault(Standing& standing, FaultEntry fault, const EnrolmentParams& params) {
  const bool of_owner = fault.kind == FaultKind::lease_missed || fault.kind == FaultKind::receipts_missing;
  if (of_owner && std::any_of(standing.recent.begin(), standing.recent.end(), [&](const FaultEntry& other) {
        return other.kind == fault.kind && other.by == fault.by && other.epoch == fault.epoch;
      })) {
    return false;
  }
  fault.points = fault_points(fault.kind, params);
  standing.points = std::min(standing_points_max, standing.points + fault.points);
  standing.calm_epochs = 0;
  if (standing.recent.size() >= faults_recent_max) standing.recent.erase(standing.recent.begin());
  standing.recent.push_back(fault);
  return true;
}

bool evaluate_standing(Standing& standing, std::uint64_t epoch, const EnrolmentParams& params) {
  if (standing.status == StandingStatus::expelled) return false;
  if (standing.status == StandingStatus::suspended && epoch < standing.until_epoch) return false;
  if (standing.points >= params.points_suspend) {
    standing.points = params.points_warn;
    standing.calm_epochs = 0;
    const bool one_too_many = standing.step >= params.suspensions_max;
    if (!one_too_many) ++standing.step;
    standing.status = one_too_many ? StandingStatus::expelled : StandingStatus::suspended;
    // The last length again for one that is expelled, doubled: it may enrol no sooner.
    standing.until_epoch = epoch + suspension_length(standing.step + (one_too_many ? 1 : 0), params);
    return true;
  }
  const StandingStatus status =
      standing.points >= params.points_warn ? StandingStatus::warned : StandingStatus::good;
  const bool changed = standing.status != status;
  standing.status = status;
  standing.until_epoch = 0;
  return changed;
}

bool begin_standing_epoch(Standing& standing, std::uint64_t epoch, const EnrolmentParams& params) {
  standing.points -= std::min(standing.points, params.points_decay);
  bool changed = evaluate_standing(standing, epoch, params);
  if (standing.status != StandingStatus::good || standing.points != 0 || standing.step == 0) return changed;
  if (++standing.calm_epochs < suspension_length(standing.step, params)) return changed;
  --standing.step;
  standing.calm_epochs = 0;
  return true;
}

void readmit(Standing& standing, const EnrolmentParams& params) {
  UFAB_ASSERT(standing.status == StandingStatus::expelled);
  standing.status = StandingStatus::warned;
  standing.points = params.points_warn;
  standing.step = static_cast<std::uint32_t>(params.suspensions_max);
  standing.until_epoch = 0;
  standing.calm_epochs = 0;
}

}  // namespace ufab
