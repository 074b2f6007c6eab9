// Which providers train a job together, with which shares, at which price. A pure function: the same question
// has the same answer on every node, and tests ask it directly.
//
// Providers that qualify are ranked by preference, then by joint cost of compute, network and data (cost.h),
// then by speed, then by name; where members exchange something, the cost of the network is that of the gang
// as it grows, each step's exchange over its slowest link. The first `providers.max` of them form the gang,
// and no more than there are shares given; where the owner named no shares and an exchange between members is
// known, one that would make a step slower than it is without it, by the measured links, is left out, as long
// as `providers.min` remain. Shares of a step's micro-batches follow the given numbers, or else measured
// speed, by largest remainder, and every member computes at least one micro-batch.
//
// A price may be an offer with an end: past it the provider does not qualify, and the job's offer ends with
// the first of its members'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/base/result.h"
#include "jobs/broker/links.h"

namespace ufab::jobs {

inline constexpr std::int64_t offer_never_ends = std::int64_t{1} << 50;

struct ProviderCapacity {
  std::string organisation;
  std::uint64_t speed_mflops = 0;  // measured, verified
  std::uint32_t slots = 0;         // processors
  std::uint64_t memory_mib = 0;
  std::uint64_t price_micro_per_tflop = 0;     // training work
  std::uint64_t price_micro_per_cpu_hour = 0;  // ordinary batch scripts
  bool accepts_work = false;  // enrolled, staked, not draining, not suspended, with a valid benchmark
  std::int64_t price_valid_until_s = offer_never_ends;  // since 1970
  std::vector<Digest> data;                             // held there, as far as is known
};

struct DataPart {
  Digest digest;
  std::uint64_t bytes = 0;
};

struct BrokerRequest {
  std::uint32_t providers_min = 1;
  std::uint32_t providers_max = 1;
  std::uint32_t slots = 1;            // processors needed on each provider
  std::uint64_t memory_mib = 0;       // needed on each provider; 0: any
  std::uint64_t max_price_micro = 0;  // per TFLOP (training) or per CPU hour; 0: any
  std::vector<std::string> prefer;    // best first
  std::vector<std::string> exclude;
  std::vector<std::uint32_t> shares;  // empty: by speed
  // Training: work = steps × micro_batches × flop_per_micro_batch. An ordinary script has micro_batches 0 and
  // is priced by its time limit.
  std::uint64_t steps = 0;
  std::uint32_t micro_batches = 0;
  std::uint64_t flop_per_micro_batch = 0;
  std::uint64_t time_limit_s = 0;
  // Network and data; what is unknown stays as it is and costs nothing.
  std::string owner;                 // the organisation that has the data in any case
  std::vector<DataPart> data;        // that every member needs
  std::uint64_t exchange_bytes = 0;  // between two members of a gang, each step
  std::int64_t now_s = 0;            // since 1970: prices and links are as of then
};

struct OfferMember {
  std::string organisation;
  std::uint32_t first_micro_batch = 0;
  std::uint32_t micro_batches = 0;
  std::uint64_t cost_micro = 0;
};

struct JobOffer {
  std::vector<OfferMember> members;
  std::uint64_t cost_micro = 0;
  std::uint64_t expected_s = 0;  // by measured speed and links; the time limit for ordinary scripts
  std::int64_t valid_until_s = offer_never_ends;
  std::optional<GangLink> slowest_link;  // of a gang with a known exchange: the one that a step waits for
};

[[nodiscard]] Result<JobOffer> make_offer(const BrokerRequest& request,
                                          std::vector<ProviderCapacity> providers);
[[nodiscard]] Result<JobOffer> make_offer(const BrokerRequest& request,
                                          std::vector<ProviderCapacity> providers, const Links& links);

struct RankedProvider {
  std::size_t index = 0;  // into the providers asked about
  std::uint64_t joint_cost_micro = 0;
};
// Those that could take the job if they were free and their prices valid, best first.
[[nodiscard]] std::vector<RankedProvider> rank_providers(const BrokerRequest& request,
                                                         const std::vector<ProviderCapacity>& providers,
                                                         const Links& links);

// Cuts `total` in proportion to weights (not all zero) by largest remainder, ties to the earlier; with
// total >= weights.size() everyone gets at least one.
[[nodiscard]] std::vector<std::uint32_t> cut_shares(std::uint32_t total,
                                                    const std::vector<std::uint64_t>& weights);

}  // namespace ufab::jobs
