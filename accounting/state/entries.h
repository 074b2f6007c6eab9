// What the state knows of organisations and jobs. Plain values; only State changes them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "accounting/records/derived.h"
#include "accounting/records/enrolment.h"
#include "accounting/records/links.h"
#include "accounting/state/standing.h"

namespace ufab {

enum class ProviderStatus : std::uint8_t { active = 0, draining = 1, left = 2 };
[[nodiscard]] const char* provider_status_name(ProviderStatus status);

struct ProviderEntry {
  ProviderOffer offer;
  ProviderStatus status = ProviderStatus::active;
  std::uint32_t leases_open = 0;  // in jobs that have not settled
  std::uint64_t freed_us = 0;     // time of the block in which it last had processors back
};

struct EpochAmount {
  std::uint64_t epoch = 0;
  std::uint64_t amount = 0;
};

enum class BenchmarkState : std::uint8_t {
  drawing = 0,    // its verifier is drawn at the start of the next block
  waiting = 1,    // for the verifier's check
  good = 2,       // re-executed: the same digest
  unchecked = 3,  // nobody could, or those drawn missed every deadline
  refuted = 4,
  withdrawn = 5,  // its provider was expelled
};
[[nodiscard]] const char* benchmark_state_name(BenchmarkState state);

struct BenchmarkEntry {
  std::uint64_t challenge_height = 0;
  Digest challenge;
  std::uint32_t semantics_version = 0;
  std::uint32_t repeats = 0;
  std::vector<Digest> lanes;  // while check_pending(), else none
  Digest lanes_digest;
  std::uint32_t lanes_count = 0;
  std::uint64_t mflops = 0;  // shown by all lanes together
  std::uint64_t epoch_filed = 0;
  std::uint64_t epoch_end = 0;  // the first epoch in which it counts no more
  BenchmarkState check = BenchmarkState::drawing;
  OrgId verifier = 0;
  std::uint32_t lane = 0;  // that is checked
  std::uint64_t deadline_height = 0;
  std::uint32_t rounds = 0;  // verifiers that were late
  bool on_proof = false;     // the one before was refuted: this one counts only once it is checked
};
[[nodiscard]] Digest benchmark_lanes_digest(const std::vector<Digest>& lanes);
[[nodiscard]] inline bool check_pending(const BenchmarkEntry& benchmark) {
  return benchmark.check <= BenchmarkState::waiting;
}

// Processor time that an organisation's jobs have held, on all providers together, by periods of the blocks'
// time: what fair share between organisations goes by. It counts from the block that takes a lease in to the
// block in which its attempt runs no longer or the lease is given back, so that nobody declares it.
inline constexpr std::uint64_t use_period_us = 4ULL * 3600 * 1'000'000;
inline constexpr std::size_t use_periods_max = 42;  // a week; older ones are forgotten
struct PeriodUse {
  std::uint64_t period = 0;  // number of the period since 1970
  std::uint64_t slot_s = 0;  // slot-seconds, rounded up for each lease
};

// What an organisation says of its links, as a whole: its last report.
struct LinksEntry {
  std::uint64_t epoch = 0;     // in which it was filed; the next one comes in a later epoch
  std::uint64_t filed_us = 0;  // time of its block
  std::vector<ReportedLink> peers;
};

// It stands for a seat among the validators.
struct Candidacy {
  PublicKey key;  // its validator's
  PublicKey vrf_key;
  std::uint32_t protocol = 0;
  std::uint64_t height = 0;  // of the block from which on it stands with these keys
};

// Who was in office in an epoch, for as long as evidence about it is taken.
struct Committee {
  struct Member {
    OrgId organisation = 0;
    PublicKey key;
    bool convicted = false;
  };
  bool stayed = false;  // the seats of the epoch before: their pledges may have been unstaked since
  std::vector<Member> members;
};

// The organisation's agent. allowance + escrowed + spent is what it was granted: every allowance that was set
// adds the difference to what was left then.
struct AgentEntry {
  PublicKey key;
  std::uint64_t sequence = 0;  // of its last record
  std::uint32_t refusals = 0;  // in the present epoch; apart from the owner's, whom it cannot lock out
  MicroUnc allowance = 0;      // that its orders may still take
  MicroUnc escrowed = 0;       // in escrow for its orders that have not settled; allowance + escrowed fits
  MicroUnc spent = 0;          // by its orders that have settled, fees included
};

struct OrgEntry {
  OrgId id = 0;
  std::string name;
  std::string endpoint;
  PublicKey key;               // the owner's
  std::uint64_t sequence = 0;  // of its last record with that key
  std::optional<AgentEntry> agent;
  std::optional<ProviderEntry> provider;
  std::optional<Candidacy> candidacy;
  std::uint64_t score = 0;
  std::vector<EpochAmount> unbonding;  // micro-UNC by the epoch that releases it
  std::vector<EpochAmount> power;      // verified MFLOP by the epoch that earned it, growth cap applied
  std::uint64_t verified_mflop = 0;    // settled as verified in the present epoch
  std::uint64_t blocks_produced = 0;   // in the present epoch
  std::uint64_t slots_missed = 0;      // views that it led and in which no block came
  std::uint64_t duties_done = 0;       // verifications in the present epoch
  std::uint64_t duties_missed = 0;
  std::uint64_t receipts_good = 0;  // windows paid and
  std::uint64_t receipts_bad = 0;   // windows voided by its fault, in the present epoch
  std::uint32_t refusals = 0;       // in the present epoch
  Standing standing;                // of its provider, whether enrolled or not: leaving does not clear it
  std::optional<BenchmarkEntry> benchmark;  // the last one
  std::optional<LinksEntry> links;
  std::vector<PeriodUse> used;  // oldest first
  MicroUnc escrowed = 0;        // in escrow for its jobs that have not settled
  MicroUnc spent = 0;           // by its jobs that have settled, fees included; ever

  // Its present key and its agent's, if it has one.
  [[nodiscard]] std::vector<PublicKey> keys() const {
    std::vector<PublicKey> both{key};
    if (agent) both.push_back(agent->key);
    return both;
  }
  [[nodiscard]] bool has_key(const PublicKey& candidate) const {
    return candidate == key || (agent && agent->key == candidate);
  }
};

enum class JobPhase : std::uint8_t {
  ordered = 0,     // no attempt yet
  leasing = 1,     // the present attempt lacks leases
  running = 2,     // receipts may come
  validating = 3,  // sampled windows wait for votes, or a usage receipt for its countersignature
  requeue = 4,     // a verdict took windows back: another attempt is needed
  settled = 5,
};
[[nodiscard]] const char* job_phase_name(JobPhase phase);

struct MemberEntry {
  Share share;
  bool leased = false;
  Lease lease;
  std::uint64_t leased_us = 0;  // time of the block that took the lease in
};
struct AttemptEntry {
  std::uint32_t number = 0;
  std::uint64_t window_first = 0;
  std::vector<MemberEntry> members;
  std::uint64_t asked_us =
      0;                // since when its leases could have come: its block, or when providers were last full
  bool blamed = false;  // its lease deadline has passed
  std::uint64_t ended_us = 0;  // time of the block since which it occupies nobody; 0: it may still
  [[nodiscard]] bool all_leased() const;
  // When the last member leased; 0 while one has not.
  [[nodiscard]] std::uint64_t running_us() const;
};
struct MemberReceipt {
  bool filed = false;
  Receipt receipt;
  Digest digest;                    // receipt_digest(receipt)
  std::uint64_t countersigned = 0;  // bit i: member i of the attempt agrees
};
enum class WindowCheck : std::uint8_t { none = 0, assigned = 1, good = 2, unverifiable = 3 };
// A window of the line. `check`: assigned waits for the verifier's vote; unverifiable means that no eligible
// verifier exists, or that those drawn missed every deadline.
struct WindowEntry {
  std::uint64_t window = 0;
  std::uint32_t attempt = 0;
  bool complete = false;  // every member filed a receipt, and countersigned all others
  WindowCheck check = WindowCheck::none;
  OrgId verifier = 0;
  std::uint64_t first_us = 0;           // time of the block with the first receipt
  std::vector<MemberReceipt> receipts;  // one per member, in the order of the shares
};
struct UsageEntry {
  UsageReceipt receipt;
  OrgId provider = 0;
  Digest digest;
  std::uint64_t filed_height = 0;
};

struct JobEntry {
  JobId id = 0;
  OrgId owner = 0;
  JobOrder order;
  PublicKey agent;  // that ordered it; zero: the owner's key did
  JobPhase phase = JobPhase::ordered;
  std::vector<AttemptEntry> attempts;            // the last one is the present one
  std::map<std::uint64_t, WindowEntry> windows;  // the line: by window, each by the attempt that stands
  std::uint64_t windows_complete = 0;            // windows [0, this) of the line are complete
  std::vector<OrgId> excluded;                   // convicted in this job
  std::vector<OrgId> verifiers_late;             // missed a deadline in this job
  std::uint64_t deadline = 0;                    // height
  std::uint32_t validation_round = 0;
  std::optional<UsageEntry> usage;
  std::optional<Cancel> cancelled;
  std::optional<Settlement> settlement;
  std::uint64_t order_height = 0;
  std::uint64_t order_us = 0;  // time of that block: how long a job has waited counts from here
  std::uint64_t settled_height = 0;

  [[nodiscard]] std::uint64_t windows_total() const;
  // Steps of one window: window_steps, or what is left for the last one.
  [[nodiscard]] std::uint64_t steps_of(std::uint64_t window) const;
  [[nodiscard]] const AttemptEntry* attempt(std::uint32_t number) const;
  // Index of the organisation among the attempt's members; empty when it is none.
  [[nodiscard]] static std::optional<std::size_t> member_of(const AttemptEntry& attempt, OrgId organisation);
};

}  // namespace ufab
