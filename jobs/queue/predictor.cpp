#include "jobs/queue/predictor.h"

#include <algorithm>

namespace ufab::jobs {

namespace {

// One round of splitmix64's finaliser per word: enough to tell keys apart; a collision costs a worse guess.
std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  std::uint64_t x = hash + word + 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::array<std::uint64_t, 3> Predictor::keys_of(const Kind& kind) {
  const std::uint64_t user = mixed(1, kind.user);
  const std::uint64_t program = mixed(mixed(2, kind.user), kind.program);
  const std::uint64_t same = mixed(mixed(mixed(3, kind.user), kind.program), kind.slots);
  return {same, program, user};
}

void Predictor::learn(const Kind& kind, Seconds run_s) {
  for (const std::uint64_t key : keys_of(kind)) {
    const auto found = histories_.find(key);
    if (found != histories_.end()) {
      found->second = {run_s, found->second.last_s};
    } else if (histories_.size() < keys_max) {
      histories_.emplace(key, History{run_s, -1});
    }
  }
}

std::optional<Seconds> Predictor::predict(const Kind& kind) const {
  for (const std::uint64_t key : keys_of(kind)) {
    const auto found = histories_.find(key);
    if (found == histories_.end()) continue;
    const History& history = found->second;
    const Seconds mean = history.before_s < 0 ? history.last_s : (history.last_s + history.before_s + 1) / 2;
    return std::max<Seconds>(mean, 1);
  }
  return std::nullopt;
}

}  // namespace ufab::jobs
