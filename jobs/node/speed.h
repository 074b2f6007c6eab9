// Measures how fast this machine trains: one small GPT-2, forward and backward, exact kernels.
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

// Runs for about `seconds` after a short warm-up.
[[nodiscard]] SpeedMeasurement measure_speed(std::uint32_t threads, double seconds);

}  // namespace ufab::jobs
