// The chain's state as the queue's policies want it (jobs/queue/arbiter.h): who occupies which provider and
// until when, which attempts ask for leases, and what each organisation has used. Every node that has the
// same blocks gets the same figures: they come from orders, leases and the blocks' clock alone.
#pragma once

#include <functional>
#include <map>

#include "accounting/state/state.h"
#include "jobs/queue/arbiter.h"

namespace ufab::jobs {

inline constexpr std::uint64_t use_half_life_s = 86400;

struct LedgerFacts {
  Facts facts;
  std::map<OrgId, std::uint32_t> provider_index;  // into facts.providers
};

// An ask whose member has no provider any more is left out, and so is one for which `leave_out` holds.
[[nodiscard]] LedgerFacts ledger_facts(const State& state,
                                       const std::function<bool(JobId, std::uint32_t attempt)>& leave_out);

// Slot-seconds that an organisation's ended runs have held, halved every use_half_life_s; a period counts as
// fresh until it is over.
[[nodiscard]] std::uint64_t decayed_use(const OrgEntry& organisation, std::uint64_t now_us);

// When a running job's time on its providers is over by its order; time_never without a limit or before it
// runs.
[[nodiscard]] Seconds run_end_s(const JobEntry& job);

}  // namespace ufab::jobs
