// Run times predicted from what a user ran before, as Tsafrir, Etsion and Feitelson (IEEE TPDS 18(6), 2007)
// do: the mean of the last two runs, of the most alike that are known (same user, program and size; else same
// user and program; else same user). Only runs that have ended count, so that a scheduler could know. Not
// thread-safe; memory grows with the distinct keys, at most `keys_max` of which are kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "jobs/queue/queue.h"

namespace ufab::jobs {

class Predictor {
 public:
  static constexpr std::size_t keys_max = 1u << 20;

  struct Kind {
    std::uint64_t user = 0;
    std::uint64_t program = 0;  // script, executable or job name
    std::uint64_t slots = 0;
  };
  // A run has ended.
  void learn(const Kind& kind, Seconds run_s);
  // At least one second; empty when nothing is known of the user.
  [[nodiscard]] std::optional<Seconds> predict(const Kind& kind) const;

 private:
  struct History {
    Seconds last_s = 0;
    Seconds before_s = -1;  // none yet
  };
  [[nodiscard]] static std::array<std::uint64_t, 3> keys_of(const Kind& kind);
  std::unordered_map<std::uint64_t, History> histories_;
};

}  // namespace ufab::jobs
