// What the link between two organisations counts as. Pure, integers only.
//
// Two sources, of which the first goes first:
//   measures  what this organisation measured itself, between itself and another, as a by-product of its work
//   claims    what providers report on the ledger of their links to other providers (LinkReport)
// What neither knows is taken for a plain link (`link_plain`); what is measured to be better or worse counts
// as such. Both are forgotten after `link_valid_s`.
//
// Two claims on one link are read together by effective_link(): the worse of both, where both are fresh. So a
// provider that lies can make its links look as bad as it likes, to the harm of itself and of whoever it is
// linked to, and no better than the other side confirms. Where the other side says nothing its word stands
// alone, until that side has measured too.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ufab::jobs {

struct LinkMeasure {
  std::uint64_t bytes_per_s = 0;  // in one direction; 0 from an organisation to itself
  std::uint64_t round_trip_us = 0;
  std::int64_t measured_s = 0;  // since 1970; 0: nobody has
};
inline constexpr LinkMeasure link_plain{12'500'000, 20'000, 0};  // 100 Mbit/s, 20 ms
inline constexpr std::int64_t link_valid_s = 86400;

[[nodiscard]] inline bool link_is_fresh(const LinkMeasure& measure, std::int64_t now_s) {
  return now_s - measure.measured_s <= link_valid_s;
}

// What two ends say of their link, null where one says nothing: the larger round trip and the smaller
// bandwidth of both when both are fresh, the fresh one otherwise, nothing when none is.
[[nodiscard]] std::optional<LinkMeasure> effective_link(const LinkMeasure* one, const LinkMeasure* other,
                                                        std::int64_t now_s);

struct GangLink {
  std::string one;
  std::string other;
  LinkMeasure link;
};

// Not thread-safe.
class Links {
 public:
  // Of this organisation's own, in either direction alike. Keeps the newer measure; bytes_per_s of 0 keeps
  // the bandwidth that was known (a round trip alone).
  void set(const std::string& a, const std::string& b, LinkMeasure measure);
  // Replaces everything that `by` said before of its links to others.
  using Claims = std::map<std::string, LinkMeasure, std::less<>>;
  void report(const std::string& by, Claims claims);
  // Its bandwidth and its round trip each from the first source that knows it.
  [[nodiscard]] LinkMeasure between(const std::string& a, const std::string& b, std::int64_t now_s) const;

 private:
  using Table = std::map<std::string, Claims, std::less<>>;
  [[nodiscard]] static const LinkMeasure* find(const Table& table, const std::string& a,
                                               const std::string& b);
  Table measures_;  // by the smaller name, then by the larger
  Table claims_;    // by who says it, then of whom
};

}  // namespace ufab::jobs
