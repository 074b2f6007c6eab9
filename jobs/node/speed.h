// Measures how fast this machine trains, with the lanes of a benchmark (fabric/bench/lane.h), one a
// processor, all at once: what a benchmark on the ledger will show, but for what starting and filing it
// takes.
#pragma once

#include <cstdint>
#include <string>

namespace ufab::jobs {

struct SpeedMeasurement {
  std::uint64_t mflops = 0;  // million floating-point operations per second, by the model's definition
  std::uint64_t tokens_per_s = 0;
  std::uint32_t threads = 0;
  std::string backend;
};

// Runs for about `seconds` after a short warm-up, on at most kernels::kMaxThreads processors.
[[nodiscard]] SpeedMeasurement measure_speed(std::uint32_t threads, double seconds);

}  // namespace ufab::jobs
