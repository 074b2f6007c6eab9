// What this provider knows of its links to others, and what to do next: whom to measure, and when to say so
// on the ledger. Pure: clock, network and ledger come in, decisions go out.
//
// Whom:  the other providers that it might share a gang with, by number from its own on and round, at most
//        links_max. Where there are more, each is measured by the links_max before it, so that of up to
//        2 × links_max + 1 providers every pair is measured from one side at least.
// When:  a new peer soon, each at another moment; then every `interval_ms`, a little earlier or later for
//        each, so that providers which started together do not measure together. A sample that differs from
//        what is known is looked at again after an eighth of that. After a failure in backoff_first_ms, twice
//        as long each time, at most interval_ms. After a measurement nothing for nine times as long as it
//        took.
// What:  of the last five samples the median round trip and the median throughput, the worse of the two
//        middle ones of an even number. A sample older than sample_valid_ms counts no more.
// Says:  once every peer has been tried. A report is filed when it says something of a peer that the one on
//        the ledger does not mention, when a value has changed by more than a quarter (a round trip also by
//        more than rtt_noise_us: below that no exchange notices), or when the one there is older than
//        renew_us: it would soon count no more (link_valid_s in jobs/broker/links.h). One an epoch, which is
//        the ledger's rule. Renewal goes by the time of blocks and not by epochs, whose length is the chain's
//        choice.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "accounting/state/entries.h"

namespace ufab::jobs {

struct LinkSample {
  std::uint32_t rtt_us = 0;
  std::uint32_t kbyte_per_s = 0;  // at least 1
  friend bool operator==(const LinkSample&, const LinkSample&) = default;
};

struct LinkPeer {
  std::vector<LinkSample> samples;  // oldest first, at most samples_max
  std::int64_t sampled_ms = 0;      // the newest one
  std::int64_t due_ms = 0;
  std::uint32_t failures = 0;  // since the newest sample
  std::string trouble;         // of the last failure
};

struct LinkBook {
  static constexpr std::size_t samples_max = 5;
  static constexpr std::int64_t first_within_ms = 30'000;  // of a new peer, and no later than interval_ms / 2
  static constexpr std::int64_t backoff_first_ms = 30'000;
  static constexpr std::int64_t sample_valid_ms = 86'400'000;
  static constexpr std::uint64_t renew_us = 43'200'000'000;
  static constexpr std::uint32_t rtt_noise_us = 500;

  std::map<OrgId, LinkPeer> peers;
  std::optional<OrgId> under_way;  // is being measured
  std::int64_t quiet_until_ms = 0;
};

// All times in ms by one clock that only goes forward; ledger_us by the blocks'.
struct LinkLook {
  std::int64_t now_ms = 0;
  std::int64_t interval_ms = 0;  // at least 1
  OrgId self = 0;
  std::vector<OrgId> providers;  // all that may run jobs, ascending, this one included
  std::uint64_t epoch = 0;
  std::uint64_t ledger_us = 0;
  std::optional<LinksEntry> filed;  // this one's report on the ledger
};
struct LinkMoves {
  std::optional<OrgId> measure;  // under_way from now on
  std::optional<LinkReport> report;
};
[[nodiscard]] LinkMoves link_step(LinkBook& book, const LinkLook& look);

// How the measurement under way ended.
struct LinkOutcome {
  std::int64_t now_ms = 0;
  std::int64_t took_ms = 0;
  std::int64_t interval_ms = 0;
  OrgId self = 0;
  std::optional<LinkSample> sample;  // none: it failed
  std::string trouble;               // why
};
void link_step(LinkBook& book, const LinkOutcome& outcome);

// The peers of `self` among `providers` (ascending).
[[nodiscard]] std::vector<OrgId> link_peers(OrgId self, const std::vector<OrgId>& providers);
// Precondition: there are samples.
[[nodiscard]] LinkSample smoothed(const std::vector<LinkSample>& samples);
// Whether the difference is worth a record, or another look.
[[nodiscard]] bool link_differs(const LinkSample& one, const LinkSample& other);

}  // namespace ufab::jobs
