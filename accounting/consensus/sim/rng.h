// The simulations' randomness: splitmix64. The same seed gives the same numbers on every machine.
#pragma once

#include <cstdint>

#include "fabric/base/assert.h"

namespace ufab::consensus {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t value = state_ += 0x9e3779b97f4a7c15ULL;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
    return value ^ value >> 31;
  }
  // In [0, count); count > 0.
  std::uint64_t below(std::uint64_t count) {
    UFAB_ASSERT(count > 0);
    return next() % count;
  }
  // In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  bool percent(std::uint64_t chance) { return below(100) < chance; }

 private:
  std::uint64_t state_;
};

}  // namespace ufab::consensus
