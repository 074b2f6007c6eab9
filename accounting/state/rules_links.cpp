// Measured links between providers.
#include <fmt/format.h>

#include "accounting/state/transition.h"

namespace ufab {

Status Transition::on(const LinkReport& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("link report of {}: {}", name_of(org), why)};
  };
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.provider || entry.provider->status == ProviderStatus::left) {
    return wrong(ErrorCode::conflict, "it has no provider enrolled");
  }
  if (entry.links && entry.links->epoch == s_.epoch_) {
    return wrong(ErrorCode::conflict, "there is one in this epoch already");
  }
  OrgId last = 0;
  for (const ReportedLink& link : body.peers) {
    if (link.organisation <= last) {
      return wrong(ErrorCode::invalid, "its peers are not in ascending order, each once");
    }
    last = link.organisation;
    if (link.organisation == org) return wrong(ErrorCode::invalid, "a link to itself");
    if (s_.organisation(link.organisation) == nullptr) {
      return wrong(ErrorCode::not_found, fmt::format("there is no organisation {}", link.organisation));
    }
    if (link.kbyte_per_s == 0) {
      return wrong(ErrorCode::invalid,
                   fmt::format("the link to {} has no throughput", name_of(link.organisation)));
    }
  }
  org_mutable(org).links = LinksEntry{s_.epoch_, s_.context_.time_us, body.peers};
  return {};
}

}  // namespace ufab
