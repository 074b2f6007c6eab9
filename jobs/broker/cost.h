// What a job costs on a provider, network and compute together, in micro-UNC. Pure, integers only.
//
//   joint cost = price of the work + rate × (staging time + exchange time)
//
//   rate          what a second of the provider's processors costs: the job's slots at its price per CPU
//   hour,
//                 or for training its speed at its price per TFLOP. A second that a gang waits for the
//                 network is paid with it by everybody's idle processors, so it is priced like one.
//   staging time  the job's data that the provider does not hold, over the fastest measured link from
//   somebody
//                 who does (the owner always does)
//   exchange time of training: every step each member sends its sums to the others and gets theirs; steps ×
//                 (exchange bytes / bandwidth + round trip), over the slowest link of the gang
//
// This is computing-force networking's promise, as UtilityNet makes it: where to compute is decided by the
// network's measured state as well as by the processors'. What a link counts as is jobs/broker/links.h's.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/broker/broker.h"
#include "jobs/broker/links.h"

namespace ufab::jobs {

// Saturating at 2^64 − 1, rounded up, as all amounts here are.
[[nodiscard]] std::uint64_t work_price_micro(const BrokerRequest& request, const ProviderCapacity& provider);
[[nodiscard]] std::uint64_t rate_micro_per_s(const BrokerRequest& request, const ProviderCapacity& provider);
// Microseconds.
[[nodiscard]] std::uint64_t staging_us(const BrokerRequest& request, const ProviderCapacity& provider,
                                       const std::vector<ProviderCapacity>& all, const Links& links);
// The link over which a gang's exchange takes longest; none for a gang of one, and when nobody said how much
// is exchanged.
[[nodiscard]] std::optional<GangLink> slowest_link(const BrokerRequest& request,
                                                   const std::vector<const ProviderCapacity*>& gang,
                                                   const Links& links);
// Of one step of a gang; 0 where it has no slowest link.
[[nodiscard]] std::uint64_t exchange_us(const BrokerRequest& request,
                                        const std::vector<const ProviderCapacity*>& gang, const Links& links);
// Of the whole work: what the processors of all members cost while they wait for the exchange.
[[nodiscard]] std::uint64_t exchange_cost_micro(const BrokerRequest& request,
                                                const std::vector<const ProviderCapacity*>& gang,
                                                const Links& links);
// Of the whole work on this provider alone.
[[nodiscard]] std::uint64_t joint_cost_micro(const BrokerRequest& request, const ProviderCapacity& provider,
                                             const std::vector<ProviderCapacity>& all, const Links& links);

}  // namespace ufab::jobs
