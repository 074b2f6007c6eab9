// The ladder of a provider's faults. Pure functions of a standing, the epoch and the parameters; integers,
// no clock.
//
//   good ── points ≥ warn ──▶ warned ── points ≥ suspend ──▶ suspended ── one too many ──▶ expelled
//
// Faults add points by their kind, every epoch takes some off, never below zero. Whoever reaches the second
// threshold is suspended for base, 2 × base, 4 × base, … epochs and then comes back warned, on what was left:
// being suspended sets the points to the first threshold. Success takes nothing off: only time without faults
// does, and a step of the ladder is forgiven only after as many epochs at zero points as its suspension took.
// A fault while suspended counts; it can make the next suspension follow at once.
//
// Suspended means: no new leases. What runs goes on and is paid.
//
// Faults of one block are added first and judged once, at the start of the next (evaluate_standing), so the
// outcome does not depend on their order in the block. Order matters for `recent` alone, which is for people,
// but for one thing: of lease_missed and receipts_missing, which a job's owner brings about, one of each kind
// counts for each owner and epoch, however many jobs it has, as long as `recent` remembers it.
#pragma once

#include <vector>

#include "accounting/records/enrolment_params.h"

namespace ufab {

inline constexpr std::size_t faults_recent_max = 16;
inline constexpr std::uint64_t standing_points_max = 1'000'000'000'000;

struct FaultEntry {
  FaultKind kind = FaultKind::lease_missed;
  JobId job = 0;
  OrgId by = 0;
  std::uint64_t height = 0;
  std::uint64_t epoch = 0;
  std::uint64_t points = 0;  // added
  friend bool operator==(const FaultEntry&, const FaultEntry&) = default;
};

struct Standing {
  StandingStatus status = StandingStatus::good;
  std::uint64_t points = 0;        // at most standing_points_max
  std::uint32_t step = 0;          // suspensions that are not forgiven, at most suspensions_max
  std::uint64_t until_epoch = 0;   // suspended, expelled: the first epoch after it; else 0
  std::uint64_t calm_epochs = 0;   // at zero points, since the last step was taken or forgiven
  std::vector<FaultEntry> recent;  // oldest first, at most faults_recent_max
  friend bool operator==(const Standing&, const Standing&) = default;
};

[[nodiscard]] std::uint64_t fault_points(FaultKind kind, const EnrolmentParams& params);
// Adds the fault with its kind's points. False, and no change, if it is one that does not count again.
bool add_fault(Standing& standing, FaultEntry fault, const EnrolmentParams& params);
// Judges what has been added up. True if status, step or until_epoch changed.
bool evaluate_standing(Standing& standing, std::uint64_t epoch, const EnrolmentParams& params);
// The start of `epoch`: points wear off, steps are forgiven, suspensions end.
bool begin_standing_epoch(Standing& standing, std::uint64_t epoch, const EnrolmentParams& params);
// Enrolment after being expelled: warned, on the ladder's last step. Precondition: status expelled, and
// until_epoch reached.
void readmit(Standing& standing, const EnrolmentParams& params);

[[nodiscard]] inline bool may_lease(const Standing& standing) {
  return standing.status < StandingStatus::suspended;
}
// Epochs of the suspension with this number, from 1.
[[nodiscard]] std::uint64_t suspension_length(std::uint32_t step, const EnrolmentParams& params);

}  // namespace ufab
