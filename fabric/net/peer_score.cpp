#include "fabric/net/peer_score.h"

#include <algorithm>

#include "fabric/base/assert.h"

namespace ufab {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint64_t messages_per_s_max = std::uint64_t{1} << 32;
constexpr std::uint64_t bytes_per_s_max = std::uint64_t{1} << 38;
constexpr milliseconds burst_max{10'000};  // so that a full bucket fits 63 bits

// How often `step` has passed since `since`, which is moved on by as much.
std::uint64_t steps_passed(PeerScore::Time& since, PeerScore::Time now, milliseconds step) {
  if (now <= since) return 0;
  const auto steps = (now - since) / step;
  since += steps * step;
  return static_cast<std::uint64_t>(steps);
}

}  // namespace

PeerScore::Bucket::Bucket(std::uint64_t rate_per_s, milliseconds burst, Time now)
    : rate_(static_cast<std::int64_t>(rate_per_s)),
      full_(rate_ * microseconds(burst).count()),
      left_(full_),
      at_(now) {}

milliseconds PeerScore::Bucket::take(std::uint64_t count, Time now) {
  const auto passed = std::chrono::duration_cast<microseconds>(now - at_);
  if (passed.count() > 0) {
    const auto filling = (full_ - left_) / rate_ + 1;  // microseconds until it is full
    left_ = passed.count() < filling ? left_ + rate_ * passed.count() : full_;
    at_ += passed;
  }
  constexpr std::int64_t lowest = -(std::int64_t{1} << 62);
  const auto taken = static_cast<std::int64_t>(std::min(count, std::uint64_t{1} << 40)) * 1'000'000;
  left_ = std::max(left_ - taken, lowest);
  if (left_ >= 0) return {};
  return std::chrono::ceil<milliseconds>(microseconds((full_ / 2 - left_) / rate_ + 1));
}

PeerScore::PeerScore(const PeerScoreLimits& limits, Time now)
    : limits_(limits),
      points_at_(now),
      doublings_at_(now),
      banned_until_(now),
      messages_(limits.messages_per_s, limits.burst, now),
      bytes_(limits.bytes_per_s, limits.burst, now) {
  UFAB_ASSERT(limits.points_max > 0 && limits.forgive.count() > 0 && limits.ban_forgotten.count() > 0);
  UFAB_ASSERT(limits.ban_first.count() > 0 && limits.ban_first <= limits.ban_max);
  UFAB_ASSERT(limits.messages_per_s > 0 && limits.messages_per_s <= messages_per_s_max);
  UFAB_ASSERT(limits.bytes_per_s > 0 && limits.bytes_per_s <= bytes_per_s_max);
  UFAB_ASSERT(limits.burst.count() > 0 && limits.burst <= burst_max);
}

void PeerScore::forgive(Time now) {
  const std::uint64_t forgiven = steps_passed(points_at_, now, limits_.forgive);
  points_ -= static_cast<std::uint32_t>(std::min<std::uint64_t>(points_, forgiven));
  if (points_ == 0) points_at_ = std::max(points_at_, now);
  const std::uint64_t forgotten = steps_passed(doublings_at_, now, limits_.ban_forgotten);
  doublings_ -= static_cast<std::uint32_t>(std::min<std::uint64_t>(doublings_, forgotten));
  if (doublings_ == 0) doublings_at_ = std::max(doublings_at_, now);
}

bool PeerScore::penalise(std::uint32_t points, Time now) {
  if (is_banned(now)) return false;
  forgive(now);
  points_ += std::min(points, limits_.points_max - points_);
  if (points_ < limits_.points_max) return false;
  points_ = 0;
  milliseconds ban = limits_.ban_first;
  for (std::uint32_t i = 0; i < doublings_ && ban < limits_.ban_max; ++i) ban *= 2;
  if (ban < limits_.ban_max) ++doublings_;
  banned_until_ = now + std::min(ban, limits_.ban_max);
  points_at_ = doublings_at_ = banned_until_;
  return true;
}

milliseconds PeerScore::ban_left(Time now) const {
  if (!is_banned(now)) return {};
  return std::chrono::ceil<milliseconds>(banned_until_ - now);
}

std::uint32_t PeerScore::points(Time now) const {
  PeerScore copy = *this;
  copy.forgive(now);
  return copy.points_;
}

milliseconds PeerScore::received(std::size_t bytes, Time now) {
  const milliseconds pause = std::max(messages_.take(1, now), bytes_.take(bytes, now));
  if (pause.count() > 0) penalise(limits_.flood_points, now);
  return pause;
}

}  // namespace ufab
