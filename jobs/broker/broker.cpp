#include "jobs/broker/broker.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "fabric/train/gang.h"

namespace ufab::jobs {

namespace {

__extension__ using Wide = unsigned __int128;
constexpr Wide flop_per_tflop = 1'000'000'000'000ULL;

std::size_t preference(const BrokerRequest& request, const std::string& organisation) {
  const auto found = std::find(request.prefer.begin(), request.prefer.end(), organisation);
  return static_cast<std::size_t>(found - request.prefer.begin());
}

std::uint64_t price_of(const BrokerRequest& request, const ProviderCapacity& provider) {
  return request.micro_batches != 0 ? provider.price_micro_per_tflop : provider.price_micro_per_cpu_hour;
}

// Why a provider does not qualify, or empty.
std::string objection(const BrokerRequest& request, const ProviderCapacity& provider) {
  const auto named = [&](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), provider.organisation) != list.end();
  };
  if (named(request.exclude)) return "excluded from this job";
  if (!provider.accepts_work) return "accepts no work now";
  if (provider.speed_mflops == 0) return "has no measured speed";
  if (provider.slots < request.slots) {
    return "has " + std::to_string(provider.slots) + " processors, the job needs " +
           std::to_string(request.slots);
  }
  if (provider.memory_mib < request.memory_mib) {
    return "has " + std::to_string(provider.memory_mib) + " MiB, the job needs " +
           std::to_string(request.memory_mib);
  }
  if (request.max_price_micro != 0 && price_of(request, provider) > request.max_price_micro) {
    return "is above the maximum price";
  }
  return {};
}

Result<std::uint64_t> rounded_up(Wide numerator, Wide denominator, const char* what) {
  const Wide value = (numerator + denominator - 1) / denominator;
  if (value > std::numeric_limits<std::uint64_t>::max()) {
    return Error{ErrorCode::limit, std::string(what) + " is too large to express"};
  }
  return static_cast<std::uint64_t>(value);
}

}  // namespace

std::vector<std::uint32_t> cut_shares(std::uint32_t total, const std::vector<std::uint64_t>& weights) {
  const std::size_t members = weights.size();
  UFAB_ASSERT(members > 0 && total >= members);
  std::vector<std::uint32_t> shares = divide_by_weight(total, weights);
  for (std::size_t i = 0; i < members; ++i) {
    if (shares[i] != 0) continue;
    --*std::max_element(shares.begin(), shares.end());
    shares[i] = 1;
  }
  return shares;
}

Result<JobOffer> make_offer(const BrokerRequest& request, std::vector<ProviderCapacity> providers) {
  std::string objections;
  std::erase_if(providers, [&](const ProviderCapacity& provider) {
    const std::string why = objection(request, provider);
    if (!why.empty()) objections += "; " + provider.organisation + " " + why;
    return !why.empty();
  });
  if (providers.size() < request.providers_min) {
    return Error{ErrorCode::conflict, "the job needs " + std::to_string(request.providers_min) +
                                          " providers and " + std::to_string(providers.size()) +
                                          " can take it" + objections};
  }
  std::sort(providers.begin(), providers.end(), [&](const ProviderCapacity& a, const ProviderCapacity& b) {
    const auto key = [&](const ProviderCapacity& p) {
      return std::tuple(preference(request, p.organisation), price_of(request, p),
                        std::numeric_limits<std::uint64_t>::max() - p.speed_mflops,
                        std::string_view(p.organisation));
    };
    return key(a) < key(b);
  });
  std::size_t members_max = request.providers_max;
  if (!request.shares.empty()) {
    if (request.shares.size() < request.providers_min) {
      return Error{ErrorCode::invalid, std::to_string(request.shares.size()) + " shares for at least " +
                                           std::to_string(request.providers_min) + " providers"};
    }
    members_max = std::min(members_max, request.shares.size());
  }
  if (providers.size() > members_max) providers.resize(members_max);

  JobOffer offer;
  if (request.micro_batches == 0) {
    const ProviderCapacity& provider = providers.front();
    const Wide cost = Wide{provider.price_micro_per_cpu_hour} * request.time_limit_s * request.slots;
    UFAB_ASSIGN(offer.cost_micro, rounded_up(cost, 3600, "the price"));
    offer.expected_s = request.time_limit_s;
    offer.members.push_back({provider.organisation, 0, 0, offer.cost_micro});
    return offer;
  }

  if (request.micro_batches < providers.size()) {
    if (request.micro_batches < request.providers_min) {
      return Error{ErrorCode::invalid, "a step has " + std::to_string(request.micro_batches) +
                                           " micro-batches, fewer than the " +
                                           std::to_string(request.providers_min) +
                                           " providers; raise micro_batches or lower --providers"};
    }
    providers.resize(request.micro_batches);
  }
  std::vector<std::uint64_t> weights;
  for (std::size_t i = 0; i < providers.size(); ++i) {
    weights.push_back(request.shares.empty() ? providers[i].speed_mflops : request.shares[i]);
  }
  const std::vector<std::uint32_t> shares = cut_shares(request.micro_batches, weights);
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < providers.size(); ++i) {
    const Wide work = Wide{request.flop_per_micro_batch} * shares[i] * request.steps;
    OfferMember member{providers[i].organisation, first, shares[i], 0};
    UFAB_ASSIGN(member.cost_micro,
                rounded_up(work * providers[i].price_micro_per_tflop, flop_per_tflop, "the price"));
    UFAB_ASSIGN(const std::uint64_t seconds,
                rounded_up(work, Wide{providers[i].speed_mflops} * 1'000'000, "the time"));
    offer.expected_s = std::max(offer.expected_s, seconds);
    if (member.cost_micro > std::numeric_limits<std::uint64_t>::max() - offer.cost_micro) {
      return Error{ErrorCode::limit, "the price is too large to express"};
    }
    offer.cost_micro += member.cost_micro;
    first += shares[i];
    offer.members.push_back(std::move(member));
  }
  return offer;
}

}  // namespace ufab::jobs
