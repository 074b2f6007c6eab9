#include "jobs/broker/broker.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "fabric/train/gang.h"
#include "jobs/broker/cost.h"

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

// Why a provider does not qualify whenever it is asked, or empty.
std::string lasting_objection(const BrokerRequest& request, const ProviderCapacity& provider) {
  const auto named = [&](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), provider.organisation) != list.end();
  };
  if (named(request.exclude)) return "excluded from this job";
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

// Why it does not qualify now.
std::string objection(const BrokerRequest& request, const ProviderCapacity& provider) {
  if (std::string why = lasting_objection(request, provider); !why.empty()) return why;
  if (!provider.accepts_work) return "accepts no work now";
  if (provider.price_valid_until_s <= request.now_s) return "has no valid price";
  return {};
}

// Microseconds of one step by measured speed alone; the slowest member decides.
Wide compute_us(const BrokerRequest& request, const std::vector<ProviderCapacity>& gang,
                const std::vector<std::uint32_t>& shares) {
  Wide slowest = 0;
  for (std::size_t i = 0; i < gang.size(); ++i)
    slowest = std::max(slowest, Wide{request.flop_per_micro_batch} * shares[i] / gang[i].speed_mflops);
  return slowest;
}

Wide step_us(const BrokerRequest& request, const std::vector<ProviderCapacity>& gang, const Links& links) {
  std::vector<std::uint64_t> weights;
  std::vector<const ProviderCapacity*> members;
  for (const ProviderCapacity& member : gang) {
    weights.push_back(member.speed_mflops);
    members.push_back(&member);
  }
  return compute_us(request, gang, cut_shares(request.micro_batches, weights)) +
         exchange_us(request, members, links);
}

// `gang` is ranked and qualifies. Members that the network makes a loss go, last ones first tried last.
void leave_out_slow_links(const BrokerRequest& request, const Links& links,
                          std::vector<ProviderCapacity>& gang) {
  std::vector<ProviderCapacity> chosen;
  for (const ProviderCapacity& candidate : gang) {
    std::vector<ProviderCapacity> larger = chosen;
    larger.push_back(candidate);
    const bool needed = chosen.size() < std::max<std::size_t>(request.providers_min, 1);
    if (needed || step_us(request, larger, links) < step_us(request, chosen, links))
      chosen = std::move(larger);
  }
  gang = std::move(chosen);
}

Result<std::uint64_t> rounded_up(Wide numerator, Wide denominator, const char* what) {
  const Wide value = (numerator + denominator - 1) / denominator;
  if (value > std::numeric_limits<std::uint64_t>::max()) {
    return Error{ErrorCode::limit, std::string(what) + " is too large to express"};
  }
  return static_cast<std::uint64_t>(value);
}

// By what each costs for itself.
std::vector<RankedProvider> rank_alone(const BrokerRequest& request,
                                       const std::vector<ProviderCapacity>& providers, const Links& links) {
  std::vector<RankedProvider> ranked;
  for (std::size_t i = 0; i < providers.size(); ++i) {
    if (!lasting_objection(request, providers[i]).empty()) continue;
    ranked.push_back({i, joint_cost_micro(request, providers[i], providers, links)});
  }
  std::sort(ranked.begin(), ranked.end(), [&](const RankedProvider& a, const RankedProvider& b) {
    const auto key = [&](const RankedProvider& r) {
      const ProviderCapacity& p = providers[r.index];
      return std::tuple(preference(request, p.organisation), r.joint_cost_micro, price_of(request, p),
                        std::numeric_limits<std::uint64_t>::max() - p.speed_mflops,
                        std::string_view(p.organisation));
    };
    return key(a) < key(b);
  });
  return ranked;
}

// Puts `ranked`, which is in order, into the order in which a gang grows best: beside each provider's own
// cost stands what its links make all members wait. The first member is tried out among the first
// `anchors_max`, because the cheapest one may be far from everybody. A preference goes before any cost.
void rank_by_links(const BrokerRequest& request, const std::vector<ProviderCapacity>& providers,
                   const Links& links, std::vector<RankedProvider>& ranked) {
  constexpr std::size_t anchors_max = 16;
  const std::size_t members_max = std::min<std::size_t>(request.providers_max, ranked.size());
  const auto preferred = [&](const RankedProvider& r) {
    return preference(request, providers[r.index].organisation);
  };
  // The order that begins with ranked[anchor]; `cost` is that of its first providers_min members.
  const auto grow = [&](std::size_t anchor, Wide& cost) {
    std::vector<RankedProvider> left = ranked;
    std::vector<RankedProvider> order;
    std::vector<const ProviderCapacity*> gang;
    cost = 0;
    std::size_t next = anchor;
    while (order.size() < members_max) {
      cost += order.size() < request.providers_min ? left[next].joint_cost_micro : 0;
      gang.push_back(&providers[left[next].index]);
      order.push_back(left[next]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(next));
      if (order.size() == request.providers_min) cost += exchange_cost_micro(request, gang, links);
      Wide best = 0;
      for (std::size_t i = 0; i < left.size(); ++i) {
        if (preferred(left[i]) != preferred(left[0])) break;
        gang.push_back(&providers[left[i].index]);
        const Wide with = Wide{left[i].joint_cost_micro} + exchange_cost_micro(request, gang, links);
        gang.pop_back();
        if (i == 0 || with < best) {
          best = with;
          next = i;
        }
      }
    }
    order.insert(order.end(), left.begin(), left.end());
    return order;
  };
  std::vector<RankedProvider> best;
  Wide best_cost = 0;
  for (std::size_t anchor = 0; anchor < std::min(anchors_max, ranked.size()); ++anchor) {
    if (anchor > 0 && (request.providers_min < 2 || preferred(ranked[anchor]) != preferred(ranked[0]))) break;
    Wide cost = 0;
    std::vector<RankedProvider> order = grow(anchor, cost);
    if (anchor > 0 && cost >= best_cost) continue;
    best = std::move(order);
    best_cost = cost;
  }
  ranked = std::move(best);
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

std::vector<RankedProvider> rank_providers(const BrokerRequest& request,
                                           const std::vector<ProviderCapacity>& providers,
                                           const Links& links) {
  std::vector<RankedProvider> ranked = rank_alone(request, providers, links);
  if (request.exchange_bytes != 0 && request.micro_batches != 0 && request.providers_max > 1 &&
      ranked.size() > 1)
    rank_by_links(request, providers, links, ranked);
  return ranked;
}

Result<JobOffer> make_offer(const BrokerRequest& request, std::vector<ProviderCapacity> providers) {
  return make_offer(request, std::move(providers), Links());
}

Result<JobOffer> make_offer(const BrokerRequest& request, std::vector<ProviderCapacity> providers,
                            const Links& links) {
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
  std::vector<ProviderCapacity> ranked;
  for (const RankedProvider& next : rank_providers(request, providers, links))
    ranked.push_back(providers[next.index]);
  providers = std::move(ranked);
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
    offer.valid_until_s = provider.price_valid_until_s;
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
  if (request.shares.empty() && request.exchange_bytes != 0) leave_out_slow_links(request, links, providers);
  // Who takes part is decided: shares lie in the order in which each stands for itself, which measures of
  // links, that differ from hour to hour, do not turn over.
  std::vector<ProviderCapacity> gang;
  for (const RankedProvider& next : rank_alone(request, providers, links))
    gang.push_back(std::move(providers[next.index]));
  providers = std::move(gang);
  std::vector<std::uint64_t> weights;
  std::vector<const ProviderCapacity*> members;
  for (std::size_t i = 0; i < providers.size(); ++i) {
    weights.push_back(request.shares.empty() ? providers[i].speed_mflops : request.shares[i]);
    members.push_back(&providers[i]);
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
    offer.valid_until_s = std::min(offer.valid_until_s, providers[i].price_valid_until_s);
    if (member.cost_micro > std::numeric_limits<std::uint64_t>::max() - offer.cost_micro) {
      return Error{ErrorCode::limit, "the price is too large to express"};
    }
    offer.cost_micro += member.cost_micro;
    first += shares[i];
    offer.members.push_back(std::move(member));
  }
  offer.slowest_link = slowest_link(request, members, links);
  const Wide waits_us = Wide{exchange_us(request, members, links)} * request.steps;
  UFAB_ASSIGN(offer.expected_s,
              rounded_up(Wide{offer.expected_s} * 1'000'000 + waits_us, 1'000'000, "the time"));
  return offer;
}

}  // namespace ufab::jobs
