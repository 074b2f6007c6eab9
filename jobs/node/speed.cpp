#include "jobs/node/speed.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/model.h"

namespace ufab::jobs {

SpeedMeasurement measure_speed(std::uint32_t threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int batch = 8;
  const kernels::ModelConfig config = kernels::Gpt2Shape{256, 64, 4, 4, 128};
  const auto used = static_cast<int>(std::clamp<std::uint32_t>(threads, 1, kernels::kMaxThreads));
  const auto backend = kernels::make_backend(kernels::BackendKind::cpu, used);
  kernels::Model model(config, batch, config.context, *backend);
  std::pmr::vector<float> parameters(kernels::model_parameter_count(config), &backend->shared_memory());
  kernels::model_init(config, 1, parameters);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(batch * config.context));
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * 37 % 256);
  const auto pass = [&] {
    static_cast<void>(model.forward_backward(parameters, tokens, tokens,
                                             [](std::size_t, std::size_t, std::span<const float>) {}));
  };
  pass();
  const auto start = Clock::now();
  std::uint64_t passes = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    pass();
    ++passes;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  }
  const std::uint64_t done = passes * tokens.size();
  SpeedMeasurement result;
  result.tokens_per_s = static_cast<std::uint64_t>(static_cast<double>(done) / elapsed);
  result.mflops = static_cast<std::uint64_t>(static_cast<double>(kernels::model_train_flop(config, done)) /
                                             elapsed / 1e6);
  result.threads = static_cast<std::uint32_t>(used);
  result.backend = kernels::backend_name(backend->kind());
  return result;
}

}  // namespace ufab::jobs
