// Seeds of simulations: "A..B" on the command line, run on all processors.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct SeedRange {
  std::uint64_t first = 1, last = 100;  // both included
};
// ErrorCode::usage unless A <= B, fewer than 100,000,000.
[[nodiscard]] Result<SeedRange> parse_seeds(const std::string& text);

// Calls run(seed, until) for each seed, from several threads; run() lowers `until` when a seed fails, so that
// only lower ones are still run to their end, and the first that fails is found whatever the threads do.
void run_seeds(const SeedRange& range,
               const std::function<void(std::uint64_t seed, std::atomic<std::uint64_t>& until)>& run);

}  // namespace ufab::jobs
