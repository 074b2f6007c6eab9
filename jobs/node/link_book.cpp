#include "jobs/node/link_book.h"

#include <algorithm>

namespace ufab::jobs {

namespace {

// Spreads pairs over [0, range): the same at every call, another for every pair.
std::int64_t spread(OrgId self, OrgId peer, std::int64_t range) {
  if (range <= 0) return 0;
  std::uint64_t mixed = (std::uint64_t{self} << 32 | peer) * 0x9e3779b97f4a7c15ULL;
  mixed ^= mixed >> 29;
  return static_cast<std::int64_t>(mixed % static_cast<std::uint64_t>(range));
}

bool beyond_a_quarter(std::uint64_t one, std::uint64_t other) {
  return std::max(one, other) * 4 > std::min(one, other) * 5;
}

void keep_peers(LinkBook& book, const LinkLook& look, const std::vector<OrgId>& peers) {
  std::erase_if(book.peers, [&](const auto& item) {
    return std::find(peers.begin(), peers.end(), item.first) == peers.end();
  });
  const std::int64_t within = std::min(LinkBook::first_within_ms, look.interval_ms / 2);
  for (const OrgId id : peers) {
    const auto [at, added] = book.peers.try_emplace(id);
    LinkPeer& peer = at->second;
    if (added) peer.due_ms = look.now_ms + spread(look.self, id, within);
    if (look.now_ms - peer.sampled_ms > LinkBook::sample_valid_ms) peer.samples.clear();
    peer.due_ms = std::min(peer.due_ms, look.now_ms + look.interval_ms * 2);  // the interval was made shorter
  }
}

std::optional<LinkReport> report_of(const LinkBook& book, const LinkLook& look) {
  LinkReport report;
  for (const auto& [id, peer] : book.peers) {
    if (peer.samples.empty() && peer.failures == 0) return std::nullopt;  // still to be tried
    if (peer.samples.empty()) continue;
    const LinkSample link = smoothed(peer.samples);
    report.peers.push_back({id, link.rtt_us, link.kbyte_per_s});
  }
  if (report.peers.empty()) return std::nullopt;
  if (!look.filed) return report;
  if (look.filed->epoch == look.epoch) return std::nullopt;
  if (look.ledger_us - std::min(look.ledger_us, look.filed->filed_us) > LinkBook::renew_us) return report;
  const std::vector<ReportedLink>& before = look.filed->peers;
  const bool news = std::any_of(report.peers.begin(), report.peers.end(), [&](const ReportedLink& link) {
    const auto said = std::find_if(before.begin(), before.end(), [&](const ReportedLink& known) {
      return known.organisation == link.organisation;
    });
    return said == before.end() ||
           link_differs({said->rtt_us, said->kbyte_per_s}, {link.rtt_us, link.kbyte_per_s});
  });
  return news ? std::optional(std::move(report)) : std::nullopt;
}

}  // namespace

std::vector<OrgId> link_peers(OrgId self, const std::vector<OrgId>& providers) {
  std::vector<OrgId> peers;
  const auto own = std::lower_bound(providers.begin(), providers.end(), self);
  if (own == providers.end() || *own != self) return peers;
  peers.insert(peers.end(), own + 1, providers.end());
  peers.insert(peers.end(), providers.begin(), own);
  if (peers.size() > links_max) peers.resize(links_max);
  return peers;
}

LinkSample smoothed(const std::vector<LinkSample>& samples) {
  UFAB_ASSERT(!samples.empty());
  std::vector<std::uint32_t> rtt;
  std::vector<std::uint32_t> rate;
  for (const LinkSample& sample : samples) {
    rtt.push_back(sample.rtt_us);
    rate.push_back(sample.kbyte_per_s);
  }
  std::sort(rtt.begin(), rtt.end());
  std::sort(rate.begin(), rate.end());
  return {rtt[rtt.size() / 2], rate[(rate.size() - 1) / 2]};
}

bool link_differs(const LinkSample& one, const LinkSample& other) {
  const std::uint32_t apart = std::max(one.rtt_us, other.rtt_us) - std::min(one.rtt_us, other.rtt_us);
  return beyond_a_quarter(one.kbyte_per_s, other.kbyte_per_s) ||
         (apart > LinkBook::rtt_noise_us && beyond_a_quarter(one.rtt_us, other.rtt_us));
}

LinkMoves link_step(LinkBook& book, const LinkLook& look) {
  LinkMoves moves;
  keep_peers(book, look, link_peers(look.self, look.providers));
  if (!book.under_way && look.now_ms >= book.quiet_until_ms) {
    const auto next = std::min_element(
        book.peers.begin(), book.peers.end(),
        [](const auto& one, const auto& other) { return one.second.due_ms < other.second.due_ms; });
    if (next != book.peers.end() && next->second.due_ms <= look.now_ms) {
      book.under_way = moves.measure = next->first;
    }
  }
  moves.report = report_of(book, look);
  return moves;
}

void link_step(LinkBook& book, const LinkOutcome& outcome) {
  UFAB_ASSERT(book.under_way.has_value());
  const OrgId id = *book.under_way;
  book.under_way.reset();
  book.quiet_until_ms = outcome.now_ms + 9 * outcome.took_ms;
  const auto found = book.peers.find(id);
  if (found == book.peers.end()) return;  // it left meanwhile
  LinkPeer& peer = found->second;
  if (!outcome.sample) {
    const std::uint32_t doublings = std::min(peer.failures, 20U);
    ++peer.failures;
    peer.trouble = outcome.trouble;
    peer.due_ms = outcome.now_ms + std::min(outcome.interval_ms, LinkBook::backoff_first_ms << doublings);
    return;
  }
  const bool surprise = !peer.samples.empty() && link_differs(smoothed(peer.samples), *outcome.sample);
  peer.samples.push_back(*outcome.sample);
  if (peer.samples.size() > LinkBook::samples_max) peer.samples.erase(peer.samples.begin());
  peer.sampled_ms = outcome.now_ms;
  peer.failures = 0;
  peer.trouble.clear();
  const std::int64_t range = outcome.interval_ms / 4;
  const std::int64_t regular = outcome.interval_ms - range / 2 + spread(outcome.self, id, range);
  peer.due_ms = outcome.now_ms + (surprise ? outcome.interval_ms / 8 : regular);
}

}  // namespace ufab::jobs
