// What this node knows of the links between organisations: what it measured as a by-product of its jobs, and
// what providers report on the ledger. How the two go together is jobs/broker/links.h's.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <mutex>

#include "jobs/broker/links.h"
#include "jobs/node/chain.h"

namespace ufab::jobs {

// Thread-safe.
class KnownLinks {
 public:
  // Of this organisation's own link to another.
  void measured(const std::string& a, const std::string& b, const LinkMeasure& measure);
  // With the ledger's reports as of now.
  [[nodiscard]] Links look(const Chain& chain);

 private:
  std::mutex mutex_;  // the last one taken: the ledger's lock may be held
  Links links_;
  std::map<OrgId, std::uint64_t> seen_;  // filed_us of the reports that are in links_
};

// A claim of a report whose block was at that time, as the broker wants it.
[[nodiscard]] LinkMeasure link_measure(const ReportedLink& link, std::uint64_t filed_us);

// What the ledger says of the links of an organisation: an array `links` of {organisation, rtt_us,
// kbyte_per_s, counts_rtt_us, counts_kbyte_per_s}, and age_s since its block. What counts follows from both
// ends' reports and is absent where none is fresh.
[[nodiscard]] boost::json::object reported_links(const State& state, const OrgEntry& organisation);

}  // namespace ufab::jobs
