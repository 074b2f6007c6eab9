#include "jobs/node/known_links.h"

#include <boost/json.hpp>

namespace ufab::jobs {

namespace json = boost::json;

LinkMeasure link_measure(const ReportedLink& link, std::uint64_t filed_us) {
  return {std::uint64_t{1000} * link.kbyte_per_s, link.rtt_us,
          static_cast<std::int64_t>(filed_us / 1'000'000)};
}

void KnownLinks::measured(const std::string& a, const std::string& b, const LinkMeasure& measure) {
  const std::lock_guard lock(mutex_);
  links_.set(a, b, measure);
}

Links KnownLinks::look(const Chain& chain) {
  return chain.read([&](const State& state) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, org] : state.organisations()) {
      if (!org.links) continue;
      std::uint64_t& filed_us = seen_[id];
      if (filed_us == org.links->filed_us) continue;
      filed_us = org.links->filed_us;
      Links::Claims claims;
      for (const ReportedLink& link : org.links->peers)
        claims[state.organisation(link.organisation)->name] = link_measure(link, filed_us);
      links_.report(org.name, std::move(claims));
    }
    return links_;
  });
}

json::object reported_links(const State& state, const OrgEntry& organisation) {
  json::array list;
  json::object object;
  // Of what one end says of the link to the other; nothing when it says nothing.
  const auto claim = [](const OrgEntry& by, OrgId of) -> std::optional<LinkMeasure> {
    if (!by.links) return std::nullopt;
    for (const ReportedLink& link : by.links->peers) {
      if (link.organisation == of) return link_measure(link, by.links->filed_us);
    }
    return std::nullopt;
  };
  if (organisation.links) {
    object["age_s"] = (state.time_us() - organisation.links->filed_us) / 1'000'000;
    for (const ReportedLink& link : organisation.links->peers) {
      const OrgEntry& peer = *state.organisation(link.organisation);
      json::object shown{
          {"organisation", peer.name}, {"rtt_us", link.rtt_us}, {"kbyte_per_s", link.kbyte_per_s}};
      const auto own = claim(organisation, peer.id);
      const auto other = claim(peer, organisation.id);
      const auto counts = effective_link(own ? &*own : nullptr, other ? &*other : nullptr,
                                         static_cast<std::int64_t>(state.time_us() / 1'000'000));
      if (counts) {
        shown["counts_rtt_us"] = counts->round_trip_us;
        shown["counts_kbyte_per_s"] = counts->bytes_per_s / 1000;
      }
      list.push_back(std::move(shown));
    }
  }
  object["links"] = std::move(list);
  return object;
}

}  // namespace ufab::jobs
