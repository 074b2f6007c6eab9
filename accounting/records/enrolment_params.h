// What a chain asks of its providers beyond a pledge: benchmarks that expire, and what faults cost. Part of
// genesis (accounting/records/params.h). The rules are in accounting/state/rules_enrolment.cpp and, for the
// ladder, accounting/state/standing.h.
#pragma once

#include "accounting/records/types.h"

namespace ufab {

struct EnrolmentParams {
  // Benchmarks (accounting/records/enrolment.h). A chain with bench_epochs = 0 asks for none: a provider's
  // speed is then its own claim.
  std::uint64_t bench_epochs = 0;            // how long one is valid; the epoch in which it was filed counts
  std::uint64_t bench_ms_min = 10'000;       // shorter ones are refused: they would measure the blocks
  std::uint64_t bench_window_blocks = 2048;  // how old the block of a challenge may be
  // How long a named provider has for its lease before the ledger calls it a fault, by the blocks' clock.
  std::uint64_t lease_deadline_ms = 15'000;
  // Points of each fault, and how they wear off.
  std::uint64_t points_lease_missed = 10;
  std::uint64_t points_receipts_missing = 10;
  std::uint64_t points_false_result = 50;
  std::uint64_t points_verification_missed = 10;
  std::uint64_t points_benchmark_expired = 5;
  std::uint64_t points_benchmark_refuted = 50;
  std::uint64_t points_decay = 1;  // per epoch
  // From so many points on a provider is warned, and suspended.
  std::uint64_t points_warn = 20;
  std::uint64_t points_suspend = 50;
  std::uint64_t suspension_epochs = 10;  // the first time; doubled each time after
  std::uint64_t suspensions_max = 6;     // the next one expels

  friend bool operator==(const EnrolmentParams&, const EnrolmentParams&) = default;

  template <class Visitor, class Self>
  static void fields(Visitor& v, Self& s) {
    v("bench_epochs", s.bench_epochs);
    v("bench_ms_min", s.bench_ms_min);
    v("bench_window_blocks", s.bench_window_blocks);
    v("lease_deadline_ms", s.lease_deadline_ms);
    v("points_lease_missed", s.points_lease_missed);
    v("points_receipts_missing", s.points_receipts_missing);
    v("points_false_result", s.points_false_result);
    v("points_verification_missed", s.points_verification_missed);
    v("points_benchmark_expired", s.points_benchmark_expired);
    v("points_benchmark_refuted", s.points_benchmark_refuted);
    v("points_decay", s.points_decay);
    v("points_warn", s.points_warn);
    v("points_suspend", s.points_suspend);
    v("suspension_epochs", s.suspension_epochs);
    v("suspensions_max", s.suspensions_max);
  }
};

// The rules between them: 0 < warn < suspend, every length at least 1 and bounded, so that no sum or shift of
// the ladder's overflows.
[[nodiscard]] Status check_enrolment_params(const EnrolmentParams& params);

}  // namespace ufab
