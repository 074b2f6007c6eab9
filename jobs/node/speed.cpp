#include "jobs/node/speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "fabric/bench/lane.h"

namespace ufab::jobs {

SpeedMeasurement measure_speed(std::uint32_t threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  const std::uint32_t lanes = std::clamp<std::uint32_t>(threads, 1, kernels::kMaxThreads);
  std::vector<std::uint64_t> flop_per_s(lanes);
  std::atomic<std::uint32_t> warm{0};
  std::string backend_used;
  {
    std::vector<std::jthread> workers;
    for (std::uint32_t i = 0; i < lanes; ++i) {
      workers.emplace_back([&, i] {
        const auto backend = kernels::make_backend(kernels::BackendKind::cpu, 1);
        if (i == 0) backend_used = kernels::backend_name(backend->kind());
        Lane lane(sha256("speed " + std::to_string(i)), *backend);
        static_cast<void>(lane.repeat());
        // Together: a processor that computes alone is faster than one among many.
        ++warm;
        while (warm < lanes) std::this_thread::yield();
        const auto start = Clock::now();
        std::uint64_t repeats = 0;
        double elapsed = 0;
        while (elapsed < seconds) {
          static_cast<void>(lane.repeat());
          ++repeats;
          elapsed = std::chrono::duration<double>(Clock::now() - start).count();
        }
        flop_per_s[i] =
            static_cast<std::uint64_t>(static_cast<double>(repeats * lane_flop_per_repeat()) / elapsed);
      });
    }
  }
  SpeedMeasurement result;
  std::uint64_t total = 0;
  for (const std::uint64_t lane : flop_per_s) total += lane;
  result.mflops = total / 1'000'000;
  result.tokens_per_s = total / (lane_flop_per_repeat() / lane_tokens_per_repeat());
  result.threads = lanes;
  result.backend = backend_used;
  return result;
}

}  // namespace ufab::jobs
