// Bodies of the records that the rules derive: the ledger's own account of what followed from a signed
// record or from the start of a block. Layout as in bodies.h.
#pragma once

#include "accounting/records/bodies.h"

namespace ufab {

// A signed record that came with a right signature and sequence number but broke a rule. It has no effect
// beyond using up its sequence number; the record itself stands in the block just before this one.
struct Refusal {
  static constexpr RecordType type = RecordType::refusal;
  RecordId record;
  std::uint8_t code = 0;  // ErrorCode
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("record", s.record);
    v("code", s.code);
    v("reason", s.reason, text_size_max);
  }
};

struct AssignedWindow {
  std::uint64_t window = 0;
  std::uint32_t attempt = 0;
  OrgId verifier = 0;  // 0: no eligible verifier exists, the window stays unverified
  friend bool operator==(const AssignedWindow&, const AssignedWindow&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("window", s.window);
    v("attempt", s.attempt);
    v("verifier", s.verifier);
  }
};
// Which windows of a job are re-executed, and by whom: drawn from `seed` after the last of them was complete.
// Another one follows when a verifier misses its deadline.
struct Validation {
  static constexpr RecordType type = RecordType::validation;
  JobId job = 0;
  Digest seed;
  std::uint64_t deadline_height = 0;
  bool disputed = false;  // members disagreed on a digest, so the window was not sampled but forced
  std::vector<AssignedWindow> windows;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("seed", s.seed);
    v("deadline_height", s.deadline_height);
    v("disputed", s.disputed);
    v("windows", s.windows, sampled_max);
  }
};

struct Verdict {
  static constexpr RecordType type = RecordType::verdict;
  JobId job = 0;
  std::uint32_t attempt = 0;
  std::uint64_t window = 0;
  OrgId verifier = 0;
  bool good = false;
  Digest end_digest;               // recomputed
  std::uint64_t windows_void = 0;  // windows from this one on that count no more (bad only)
  std::vector<MemberFinding> findings;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("attempt", s.attempt);
    v("window", s.window);
    v("verifier", s.verifier);
    v("good", s.good);
    v("end_digest", s.end_digest);
    v("windows_void", s.windows_void);
    v("findings", s.findings, members_max);
  }
};

struct OrgAmount {
  OrgId organisation = 0;
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("amount_micro", s.amount);
  }
};
// from_stake + from_unbonding = Σ compensation + burned.
struct Slash {
  static constexpr RecordType type = RecordType::slash;
  OrgId organisation = 0;
  JobId job = 0;
  std::uint64_t window = 0;
  MicroUnc from_stake = 0;
  MicroUnc from_unbonding = 0;
  MicroUnc burned = 0;
  std::vector<OrgAmount> compensation;  // honest members, for work in void windows
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("job", s.job);
    v("window", s.window);
    v("from_stake_micro", s.from_stake);
    v("from_unbonding_micro", s.from_unbonding);
    v("burned_micro", s.burned);
    v("compensation", s.compensation, members_max);
    v("reason", s.reason, text_size_max);
  }
};
// A validator's key signed two votes that no honest one signs both: its stake and what unbonds are slashed,
// it stands no more, and the key is never in office again. from_stake + from_unbonding = reward + burned.
struct Conviction {
  static constexpr RecordType type = RecordType::conviction;
  OrgId organisation = 0;
  PublicKey key;
  std::uint64_t epoch = 0;  // of the votes
  std::uint64_t view = 0;
  MicroUnc from_stake = 0;
  MicroUnc from_unbonding = 0;
  OrgId reporter = 0;
  MicroUnc reward = 0;  // the reporter's; none for a report of oneself
  MicroUnc burned = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("key", s.key);
    v("epoch", s.epoch);
    v("view", s.view);
    v("from_stake_micro", s.from_stake);
    v("from_unbonding_micro", s.from_unbonding);
    v("reporter", s.reporter);
    v("reward_micro", s.reward);
    v("burned_micro", s.burned);
  }
};
// Burn to earn, per epoch (params.burn_to_earn).
struct Burn {
  static constexpr RecordType type = RecordType::burn;
  OrgId organisation = 0;
  MicroUnc amount = 0;
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("amount_micro", s.amount);
    v("reason", s.reason, text_size_max);
  }
};

struct Payment {
  OrgId organisation = 0;
  std::uint64_t windows = 0;
  std::uint64_t work_mflop = 0;  // whole million floating-point operations
  std::uint64_t cpu_us = 0;
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("windows", s.windows);
    v("work_mflop", s.work_mflop);
    v("cpu_us", s.cpu_us);
    v("amount_micro", s.amount);
  }
};
// The end of a job. Escrow = Σ payments + fee_burned + fee_treasury + refund.
struct Settlement {
  static constexpr RecordType type = RecordType::settlement;
  JobId job = 0;
  JobResult result = JobResult::done;
  bool verified = false;  // every sampled window was re-executed with equal digests
  std::uint64_t windows_paid = 0;
  std::uint64_t windows_verified = 0;
  Digest final_digest;  // end digest of the last paid window, zero if none
  std::vector<Payment> payments;
  MicroUnc fee_burned = 0;
  MicroUnc fee_treasury = 0;
  MicroUnc refund = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("job", s.job);
    v("result", s.result, 2);
    v("verified", s.verified);
    v("windows_paid", s.windows_paid);
    v("windows_verified", s.windows_verified);
    v("final_digest", s.final_digest);
    v("payments", s.payments, std::size_t{1} << 14);
    v("fee_burned_micro", s.fee_burned);
    v("fee_treasury_micro", s.fee_treasury);
    v("refund_micro", s.refund);
  }
};

// amount = emission × merit / Σ merit (largest remainder), merit = verified work × uptime × quality; see
// accounting/hpos/hpos.h.
struct Reward {
  static constexpr RecordType type = RecordType::reward;
  std::uint64_t epoch = 0;
  OrgId organisation = 0;
  std::uint64_t verified_mflop = 0;
  std::uint64_t uptime_ppm = 0;
  std::uint64_t quality_ppm = 0;
  std::uint64_t merit = 0;
  std::uint64_t merit_total = 0;
  MicroUnc emission = 0;  // of the epoch, after the treasury's part
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("epoch", s.epoch);
    v("organisation", s.organisation);
    v("verified_mflop", s.verified_mflop);
    v("uptime_ppm", s.uptime_ppm);
    v("quality_ppm", s.quality_ppm);
    v("merit", s.merit);
    v("merit_total", s.merit_total);
    v("emission_micro", s.emission);
    v("amount_micro", s.amount);
  }
};
struct Score {
  static constexpr RecordType type = RecordType::score;
  OrgId organisation = 0;
  ScoreCause cause = ScoreCause::block_produced;
  std::uint64_t count = 0;  // how many times the cause happened
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("cause", s.cause, 5);
    v("count", s.count);
    v("before", s.before);
    v("after", s.after);
  }
};
// A validator in office.
struct Seat {
  OrgId organisation = 0;
  PublicKey key;       // its validator's key: it signs blocks and votes, nothing else
  PublicKey vrf_key;   // its validator's
  bool draws = false;  // it owes a share of the next epoch's seed: its keys are known long enough
  MicroUnc pledge = 0;
  std::uint64_t power_mflop = 0;
  std::uint64_t weight_ppm = 0;
  friend bool operator==(const Seat&, const Seat&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("key", s.key);
    v("vrf_key", s.vrf_key);
    v("draws", s.draws);
    v("pledge_micro", s.pledge);
    v("power_mflop", s.power_mflop);
    v("weight_ppm", s.weight_ppm);
  }
};
// The start of an epoch: its seed, seats and weights, and what the epoch before it minted.
struct Epoch {
  static constexpr RecordType type = RecordType::epoch;
  std::uint64_t epoch = 0;
  Digest seed;
  MicroUnc emission = 0;  // minted for the epoch that ended, the treasury's part included
  MicroUnc treasury = 0;
  MicroUnc seat_price = 0;  // the pledge that the last seat took
  // Fewer than params.validators_min stood: the seats are those of the epoch before, but for convicted ones.
  bool seats_stay = false;
  std::vector<Seat> seats;
  std::vector<OrgId> kicked;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("epoch", s.epoch);
    v("seed", s.seed);
    v("emission_micro", s.emission);
    v("treasury_micro", s.treasury);
    v("seat_price_micro", s.seat_price);
    v("seats_stay", s.seats_stay);
    v("seats", s.seats, seats_limit);
    v("kicked", s.kicked, seats_limit);
  }
};
// Unstaked money whose unbonding is over.
struct Release {
  static constexpr RecordType type = RecordType::release;
  OrgId organisation = 0;
  MicroUnc amount = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("amount_micro", s.amount);
  }
};

}  // namespace ufab
