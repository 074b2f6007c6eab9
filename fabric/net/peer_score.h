// What one peer has done wrong lately, how long it is to be left alone for it, and whether it sends faster
// than it may. A pure function of the calls and of the times passed in, which do not go backwards.
//
// Penalties add up to points; one point is forgiven every `forgive`. At `points_max` the peer is banned and
// its points start again from zero. The first ban lasts `ban_first`, each further one twice as long as the
// one before, at most `ban_max`. For every `ban_forgotten` that passes outside bans the next one is half as
// long again, so nothing is held against a peer for ever, and no ban is for ever: penalties during a ban are
// not counted.
//
// Rates: a token bucket for messages and one for bytes, each filled up to `burst` of its rate. Who empties
// one is to be read no further until half of it is there again, and pays `flood_points`: a burst costs an
// honest peer little, a flood for long costs a ban, and neither gets through faster than the rate.
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

namespace ufab {

struct PeerScoreLimits {
  std::uint32_t points_max = 100;
  std::chrono::milliseconds forgive{1000};
  std::chrono::milliseconds ban_first{10'000};
  std::chrono::milliseconds ban_max{3'600'000};
  std::chrono::milliseconds ban_forgotten{600'000};
  std::uint64_t messages_per_s = 100'000;              // at most 2^32
  std::uint64_t bytes_per_s = std::uint64_t{1} << 28;  // at most 2^38
  std::chrono::milliseconds burst{2000};               // at most 10 s
  std::uint32_t flood_points = 10;
};

class PeerScore {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit PeerScore(const PeerScoreLimits& limits, Time now);

  // True when this penalty begins a ban.
  bool penalise(std::uint32_t points, Time now);
  [[nodiscard]] bool is_banned(Time now) const { return now < banned_until_; }
  // Zero when it is not banned.
  [[nodiscard]] std::chrono::milliseconds ban_left(Time now) const;
  [[nodiscard]] std::uint32_t points(Time now) const;

  // Counts one message. Above zero: the peer is over its rate, has been penalised, and is to be read no
  // further for that long.
  [[nodiscard]] std::chrono::milliseconds received(std::size_t bytes, Time now);

 private:
  class Bucket {
   public:
    Bucket(std::uint64_t rate_per_s, std::chrono::milliseconds burst, Time now);
    // How long until half of it is there again, when taking `count` empties it; else zero.
    std::chrono::milliseconds take(std::uint64_t count, Time now);

   private:
    std::int64_t rate_;  // tokens per second, which is millionths of a token per microsecond
    std::int64_t full_;  // millionths of a token
    std::int64_t left_;
    Time at_;
  };

  void forgive(Time now);

  PeerScoreLimits limits_;
  std::uint32_t points_ = 0;
  Time points_at_;               // points_ is of this time
  std::uint32_t doublings_ = 0;  // of the next ban
  Time doublings_at_;
  Time banned_until_;
  Bucket messages_, bytes_;
};

}  // namespace ufab
