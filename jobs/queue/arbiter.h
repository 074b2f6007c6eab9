// Which of the attempts that ask for providers are leased now: the queue of organisations that share no node.
// Each provider's node decides for itself, and for nobody else, by a pure function of what the ledger says;
// so all of them agree as soon as they have seen the same blocks, and nobody has to be trusted or asked.
//
//   an owner's attempt ──▶ asks ──lease──▶ held in part ──every member leases──▶ runs
//                            ▲                  │
//                            └────give back─────┘
//
// The rules:
//   1. Order: fair share between the organisations (fair_order.h), by the processor time that each has
//      held on the whole chain, halved every day, and by what its running jobs and incomplete gangs hold now.
//      What counts is the ledger's: what owners say of themselves changes nothing but the order of their own
//      jobs, and who asks first, or more often, is not served first. Who has waited longer than `patience_s`
//      comes before all others, longest wait first, so that nobody starves while new organisations keep
//      coming.
//   2. In that order whatever fits on all of its members starts, the first that do not fit get reservations,
//      and others are filled in where they delay none of these: jobs/queue/queue.h's pass, on all providers
//      at once. A gang starts whole or not at all.
//   3. A lease of a gang that is not whole yet holds nothing: the gang stands in the order like all others.
//      Whoever leased to one that does not start by rule 2 gives the lease back. So where news that crossed
//      let two gangs each hold half of what both need, all members see the same order once they have seen
//      both leases: the first of the two gets the rest, the other one is given back. No wait can be circular,
//      because nothing is held against the order; and an owner cannot keep processors by a gang that never
//      becomes whole, because what it holds counts as used.
//   4. A provider never leases more than it has: not above what runs on it and what it holds for incomplete
//      gangs, even what it gives back at this very moment, for until that stands on the ledger the gang may
//      become whole and run.
//
// Given finitely many asks, a provider that accepts work and runs that end, every ask is leased in the end;
// tests/jobs/queue/arbiter_test.cpp simulates several nodes, with messages delayed at random and with owners
// that do not keep to any order. Limit: an organisation that registers many others has many shares.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/queue/fair_share.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {

struct AskMember {
  std::uint32_t provider = 0;  // index into Facts::providers
  bool leased = false;
};
// An attempt that lacks a lease.
struct Ask {
  std::uint64_t job = 0;
  std::uint32_t attempt = 0;
  std::uint32_t owner = 0;  // index into Facts::owners
  std::uint32_t slots = 1;  // on each member
  std::uint64_t memory_mib = 0;
  Seconds limit_s = 0;  // 0: none
  Seconds since_s = 0;  // its order's block, or its begin time
  std::uint32_t nice = 0;
  std::vector<AskMember> members;
};

// What the ledger says at one height.
struct Facts {
  Seconds now_s = 0;  // by the blocks' clock
  std::vector<QueueProvider> providers;
  std::vector<ShareUse> owners;  // usage: decayed, with what runs and what is held counted in
  std::vector<RunningJob> running;
  std::vector<Ask> asks;
};

enum class AskAnswer : std::uint8_t {
  wait,       // not leased, stays so
  lease,      // lease it now
  keep,       // leased; the others will lease too
  give_back,  // leased; others come first
};
struct AskDecision {
  std::uint32_t ask = 0;  // index into Facts::asks
  AskAnswer answer = AskAnswer::wait;
  Reason reason = Reason::none;  // priority, resources or no_provider_now; none for lease and keep
};

// Of the asks that name provider `self`, in the order in which they are served. Of each owner only the first
// `asks_per_owner_max` asks are looked at; the rest wait for their own.
inline constexpr std::size_t asks_per_owner_max = 256;
[[nodiscard]] std::vector<AskDecision> arbitrate(const Facts& facts, std::uint32_t self);

// The pass that rule 2 means: order given, shortest backfill off, `patience_s` a day.
[[nodiscard]] Policy policy_between_organisations();

}  // namespace ufab::jobs
