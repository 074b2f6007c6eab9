#include "jobs/broker/links.h"

#include <algorithm>

namespace ufab::jobs {

std::optional<LinkMeasure> effective_link(const LinkMeasure* one, const LinkMeasure* other,
                                          std::int64_t now_s) {
  if (one != nullptr && !link_is_fresh(*one, now_s)) one = nullptr;
  if (other != nullptr && !link_is_fresh(*other, now_s)) other = nullptr;
  if (one == nullptr && other == nullptr) return std::nullopt;
  if (one == nullptr || other == nullptr) return one != nullptr ? *one : *other;
  return LinkMeasure{std::min(one->bytes_per_s, other->bytes_per_s),
                     std::max(one->round_trip_us, other->round_trip_us),
                     std::min(one->measured_s, other->measured_s)};
}

const LinkMeasure* Links::find(const Table& table, const std::string& a, const std::string& b) {
  const auto row = table.find(a);
  if (row == table.end()) return nullptr;
  const auto found = row->second.find(b);
  return found == row->second.end() ? nullptr : &found->second;
}

void Links::set(const std::string& a, const std::string& b, LinkMeasure measure) {
  LinkMeasure& known = measures_[std::min(a, b)].try_emplace(std::max(a, b)).first->second;
  if (measure.measured_s < known.measured_s) return;
  if (measure.bytes_per_s == 0) measure.bytes_per_s = known.bytes_per_s;
  known = measure;
}

void Links::report(const std::string& by, Claims claims) {
  claims_[by] = std::move(claims);
}

LinkMeasure Links::between(const std::string& a, const std::string& b, std::int64_t now_s) const {
  if (a == b) return {};
  const LinkMeasure* own = find(measures_, std::min(a, b), std::max(a, b));
  if (own != nullptr && !link_is_fresh(*own, now_s)) own = nullptr;
  if (own != nullptr && own->bytes_per_s != 0) return *own;
  LinkMeasure link = effective_link(find(claims_, a, b), find(claims_, b, a), now_s).value_or(link_plain);
  if (own != nullptr) {
    link.round_trip_us = own->round_trip_us;
    link.measured_s = own->measured_s;
  }
  return link;
}

}  // namespace ufab::jobs
