// Records of enrolment: benchmarks, their checks, faults and what follows from them. Layout as in bodies.h.
//
// A benchmark shows how fast a provider trains, in a way that others can check:
//   challenge  SHA-256("ufab benchmark 1\n" || hash of block challenge_height || u64 organisation). Nobody
//              knows it before that block is made, so nothing can be computed ahead.
//   work       each lane is a training of its own (fabric/bench/lane.h), seeded by lane_seed(); `repeats`
//              times four passes, the data of each repeat drawn from the digest of the one before, so that a
//              lane cannot be cut into parallel pieces. All lanes run at once.
//   result     the digest of each lane after its last repeat. The kernels are exact: whoever re-executes a
//              lane must come to the same digest.
//   speed      work / (time of the block that holds the record − time of the challenge's block). That much is
//              shown and no more is credited: no clock of the provider's is believed.
// What it does not show: whose machine did the work.
#pragma once

#include <vector>

#include "accounting/records/types.h"

namespace ufab {

inline constexpr std::size_t benchmark_lanes_max = 1024;
inline constexpr std::uint64_t benchmark_repeats_max = 1'000'000'000;
// Of one repeat of one lane, by the model's definition (kernels::model_train_flop); a test holds it to that.
inline constexpr std::uint64_t benchmark_flop_per_repeat = 10'871'635'968;

[[nodiscard]] Digest benchmark_challenge(const Digest& block_hash, OrgId organisation);
// SHA-256("ufab lane 1\n" || challenge || u64 lane).
[[nodiscard]] Digest benchmark_lane_seed(const Digest& challenge, std::uint32_t lane);

struct ProviderBenchmark {
  static constexpr RecordType type = RecordType::benchmark;
  std::uint64_t challenge_height = 0;
  std::uint32_t semantics_version = 0;  // of the kernels
  std::uint32_t repeats = 0;
  std::vector<Digest> lanes;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("challenge_height", s.challenge_height);
    v("semantics_version", s.semantics_version);
    v("repeats", s.repeats);
    v("lanes", s.lanes, benchmark_lanes_max);
  }
};

// The drawn verifier's result of re-executing the drawn lane.
struct BenchmarkCheck {
  static constexpr RecordType type = RecordType::benchmark_check;
  OrgId organisation = 0;
  std::uint64_t challenge_height = 0;
  Digest lane;  // recomputed
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("challenge_height", s.challenge_height);
    v("lane", s.lane);
  }
};

// ---- Derived by the rules ----

// What a benchmark is worth: follows its record.
struct BenchmarkCredit {
  static constexpr RecordType type = RecordType::benchmark_credit;
  OrgId organisation = 0;
  std::uint64_t challenge_height = 0;
  std::uint64_t elapsed_us = 0;  // between the two blocks
  std::uint64_t mflops = 0;      // shown: all lanes together
  std::uint64_t epoch_end = 0;   // the first epoch in which it counts no more
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("challenge_height", s.challenge_height);
    v("elapsed_us", s.elapsed_us);
    v("mflops", s.mflops);
    v("epoch_end", s.epoch_end);
  }
};

// Who re-executes which lane of a benchmark: drawn at the start of the block after it, from that block's
// predecessor, so that whoever files a benchmark cannot choose its verifier. Another one follows when the
// deadline is missed.
struct BenchmarkDuty {
  static constexpr RecordType type = RecordType::benchmark_duty;
  OrgId organisation = 0;
  std::uint64_t challenge_height = 0;
  OrgId verifier = 0;  // 0: no eligible verifier exists, it stays unchecked
  std::uint32_t lane = 0;
  std::uint64_t deadline_height = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("challenge_height", s.challenge_height);
    v("verifier", s.verifier);
    v("lane", s.lane);
    v("deadline_height", s.deadline_height);
  }
};

struct Fault {
  static constexpr RecordType type = RecordType::fault;
  OrgId organisation = 0;
  FaultKind kind = FaultKind::lease_missed;
  JobId job = 0;                 // 0: none
  OrgId by = 0;                  // the job's owner or the verifier, 0: nobody
  std::uint64_t points = 0;      // added
  std::uint64_t points_sum = 0;  // after it
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("kind", s.kind, 5);
    v("job", s.job);
    v("by", s.by);
    v("points", s.points);
    v("points_sum", s.points_sum);
  }
};

// A provider's standing has changed: for worse at the start of the block after its faults, for better at the
// start of an epoch.
struct StandingChange {
  static constexpr RecordType type = RecordType::standing;
  OrgId organisation = 0;
  StandingStatus status = StandingStatus::good;
  std::uint32_t step = 0;  // suspensions that are not forgiven yet
  std::uint64_t points = 0;
  std::uint64_t until_epoch = 0;  // suspended or expelled: the first epoch after it; else 0
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("status", s.status, 3);
    v("step", s.step);
    v("points", s.points);
    v("until_epoch", s.until_epoch);
  }
};

}  // namespace ufab
