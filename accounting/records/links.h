// What an organisation measured of its links to other providers. Layout as in bodies.h.
//
// A report replaces the whole one before it. It is its signer's word: nobody else sees how long its echoes
// took (jobs/node/link_watch.h). What it is worth follows from how two words on one link are read together
// (effective_link in jobs/broker/links.h): the worse of both counts.
#pragma once

#include <vector>

#include "accounting/records/types.h"

namespace ufab {

inline constexpr std::size_t links_max = 64;  // peers in a report

struct ReportedLink {
  OrgId organisation = 0;         // the peer
  std::uint32_t rtt_us = 0;       // round trip, microseconds
  std::uint32_t kbyte_per_s = 0;  // 1000 bytes a second, in one direction; at least 1
  friend bool operator==(const ReportedLink&, const ReportedLink&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("organisation", s.organisation);
    v("rtt_us", s.rtt_us);
    v("kbyte_per_s", s.kbyte_per_s);
  }
};

// At most one per organisation and epoch.
struct LinkReport {
  static constexpr RecordType type = RecordType::link_report;
  std::vector<ReportedLink> peers;  // by ascending organisation
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("peers", s.peers, links_max);
  }
};

}  // namespace ufab
