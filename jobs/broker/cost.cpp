#include "jobs/broker/cost.h"

#include <algorithm>
#include <limits>

#include "fabric/base/assert.h"

namespace ufab::jobs {

namespace {

__extension__ using Wide = unsigned __int128;
constexpr Wide flop_per_tflop = 1'000'000'000'000ULL;
constexpr std::uint64_t amount_max = std::numeric_limits<std::uint64_t>::max();

std::uint64_t saturated(Wide value) {
  return value > amount_max ? amount_max : static_cast<std::uint64_t>(value);
}

std::uint64_t rounded_up(Wide numerator, Wide denominator) {
  return saturated(numerator / denominator + (numerator % denominator != 0 ? 1 : 0));
}

// Factors below 2^64 each: the product of three may not fit.
Wide product(Wide a, Wide b) {
  const Wide most = ~Wide{0};
  return a != 0 && b > most / a ? most : a * b;
}

std::uint64_t transfer_us(std::uint64_t bytes, const LinkMeasure& link) {
  if (link.bytes_per_s == 0) return 0;  // to oneself
  return saturated(Wide{rounded_up(Wide{bytes} * 1'000'000, link.bytes_per_s)} + link.round_trip_us);
}

bool holds(const ProviderCapacity& provider, const Digest& data) {
  return std::find(provider.data.begin(), provider.data.end(), data) != provider.data.end();
}

}  // namespace

std::uint64_t work_price_micro(const BrokerRequest& request, const ProviderCapacity& provider) {
  if (request.micro_batches == 0) {
    const Wide slot_seconds = Wide{request.time_limit_s} * request.slots;
    return rounded_up(product(slot_seconds, provider.price_micro_per_cpu_hour), 3600);
  }
  const Wide work = product(Wide{request.flop_per_micro_batch} * request.micro_batches, request.steps);
  return rounded_up(product(work, provider.price_micro_per_tflop), flop_per_tflop);
}

std::uint64_t rate_micro_per_s(const BrokerRequest& request, const ProviderCapacity& provider) {
  if (request.micro_batches == 0)
    return rounded_up(Wide{provider.price_micro_per_cpu_hour} * request.slots, 3600);
  return rounded_up(Wide{provider.speed_mflops} * provider.price_micro_per_tflop, 1'000'000);
}

std::uint64_t staging_us(const BrokerRequest& request, const ProviderCapacity& provider,
                         const std::vector<ProviderCapacity>& all, const Links& links) {
  Wide sum = 0;
  for (const DataPart& part : request.data) {
    if (holds(provider, part.digest)) continue;
    std::uint64_t best =
        transfer_us(part.bytes, links.between(request.owner, provider.organisation, request.now_s));
    for (const ProviderCapacity& other : all) {
      if (other.organisation == provider.organisation || !holds(other, part.digest)) continue;
      best = std::min(best, transfer_us(part.bytes, links.between(other.organisation, provider.organisation,
                                                                  request.now_s)));
    }
    sum += best;
  }
  return saturated(sum);
}

std::optional<GangLink> slowest_link(const BrokerRequest& request,
                                     const std::vector<const ProviderCapacity*>& gang, const Links& links) {
  if (request.exchange_bytes == 0) return std::nullopt;
  std::optional<GangLink> slowest;
  std::uint64_t slowest_us = 0;
  for (std::size_t i = 0; i < gang.size(); ++i) {
    for (std::size_t j = i + 1; j < gang.size(); ++j) {
      const LinkMeasure link = links.between(gang[i]->organisation, gang[j]->organisation, request.now_s);
      const std::uint64_t us = transfer_us(request.exchange_bytes, link);
      if (slowest && us <= slowest_us) continue;
      slowest = GangLink{gang[i]->organisation, gang[j]->organisation, link};
      slowest_us = us;
    }
  }
  return slowest;
}

std::uint64_t exchange_us(const BrokerRequest& request, const std::vector<const ProviderCapacity*>& gang,
                          const Links& links) {
  const auto slowest = slowest_link(request, gang, links);
  return slowest ? transfer_us(request.exchange_bytes, slowest->link) : 0;
}

std::uint64_t exchange_cost_micro(const BrokerRequest& request,
                                  const std::vector<const ProviderCapacity*>& gang, const Links& links) {
  Wide rate = 0;
  for (const ProviderCapacity* member : gang) rate += rate_micro_per_s(request, *member);
  const Wide waits_us = product(exchange_us(request, gang, links), request.steps);
  return rounded_up(product(saturated(rate), saturated(waits_us)), 1'000'000);
}

std::uint64_t joint_cost_micro(const BrokerRequest& request, const ProviderCapacity& provider,
                               const std::vector<ProviderCapacity>& all, const Links& links) {
  const Wide waiting = Wide{rate_micro_per_s(request, provider)} * staging_us(request, provider, all, links);
  return saturated(Wide{work_price_micro(request, provider)} + rounded_up(waiting, 1'000'000));
}

}  // namespace ufab::jobs
