// Which providers train a job together, with which shares, at which price. A pure function: the same question
// has the same answer on every node, and tests ask it directly.
//
// Providers that qualify are ranked by preference, then by price for the work, then by speed, then by name.
// The first `providers.max` of them form the gang, and no more than there are shares given. Shares of a
// step's micro-batches follow the given numbers, or else measured speed, by largest remainder, and every
// member computes at least one micro-batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct ProviderCapacity {
  std::string organisation;
  std::uint64_t speed_mflops = 0;  // measured, verified
  std::uint32_t slots = 0;         // processors
  std::uint64_t memory_mib = 0;
  std::uint64_t price_micro_per_tflop = 0;     // training work
  std::uint64_t price_micro_per_cpu_hour = 0;  // ordinary batch scripts
  bool accepts_work = false;                   // enrolled, staked, not draining
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
  std::uint64_t expected_s = 0;  // by measured speed; the time limit for ordinary scripts
};

[[nodiscard]] Result<JobOffer> make_offer(const BrokerRequest& request,
                                          std::vector<ProviderCapacity> providers);

// Cuts `total` in proportion to weights (not all zero) by largest remainder, ties to the earlier; with
// total >= weights.size() everyone gets at least one.
[[nodiscard]] std::vector<std::uint32_t> cut_shares(std::uint32_t total,
                                                    const std::vector<std::uint64_t>& weights);

}  // namespace ufab::jobs
