#include "fabric/bench/lane.h"

#include <algorithm>
#include <span>
#include <vector>

#include "fabric/base/assert.h"
#include "fabric/train/state.h"
#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "kernels/philox.h"

namespace ufab {

namespace {

constexpr int batch = 8;
constexpr kernels::Gpt2Shape shape{256, 64, 4, 4, 128};
constexpr std::size_t tokens_per_pass = std::size_t{batch} * 64;

std::uint64_t key_of(const Digest& digest) {
  std::uint64_t key = 0;
  for (int i = 0; i < 8; ++i) key |= std::uint64_t{digest.bytes[static_cast<std::size_t>(i)]} << (8 * i);
  return key;
}

}  // namespace

std::uint64_t lane_flop_per_repeat() {
  return kernels::model_train_flop(shape, lane_tokens_per_repeat());
}

std::uint64_t lane_tokens_per_repeat() {
  return tokens_per_pass * kLanePasses;
}

struct Lane::State {
  State(const Digest& seed, kernels::Backend& backend_)
      : backend(backend_),
        tensors(kernels::model_parameters(config)),
        model(config, batch, config.context, backend_),
        params(kernels::model_parameter_count(config), &backend_.shared_memory()),
        m(params.size(), &backend_.shared_memory()),
        v(params.size(), &backend_.shared_memory()),
        sums(params.size(), &backend_.shared_memory()),
        results(tensors.size(), &backend_.shared_memory()),
        exponents(tensors.size(), kernels::kFirstExponent),
        digest(seed) {
    kernels::model_init(config, key_of(seed), params);
  }

  void draw_tokens(std::uint64_t pass) {
    const std::uint64_t key = key_of(digest);
    for (std::size_t i = 0; i < 2 * tokens_per_pass; i += 4) {
      const auto words = kernels::philox_block(key, pass, i / 4);
      for (std::size_t k = 0; k < 4; ++k) {
        auto& tokens = i < tokens_per_pass ? inputs : targets;
        tokens[(i + k) % tokens_per_pass] = static_cast<std::int32_t>(words[k] & 0xff);
      }
    }
  }

  // One optimizer step; again with other exponents where an integer sum would not fit.
  void step() {
    ++steps;
    std::vector<std::uint64_t> peaks(tensors.size());
    int tries = 0;
    do {
      ++tries;
      UFAB_ASSERT(tries <= kernels::kStepTries);
      std::fill(results.begin(), results.end(), kernels::QuantizeResult{});
      static_cast<void>(
          model.forward_backward(params, inputs, targets,
                                 [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
                                   const std::size_t at = tensors[tensor].offset + first;
                                   backend.quantize_add(&results[tensor], &sums[at], gradient.data(),
                                                        gradient.size(), exponents[tensor], at, true);
                                 }));
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        UFAB_ASSERT(results[t].non_finite == 0);
        peaks[t] = results[t].peak;
      }
    } while (kernels::adjust_exponents(steps, peaks, exponents));
    const kernels::AdamWConfig optimizer;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const auto part = [&](auto& values) {
        return std::span(values).subspan(tensors[t].offset, tensors[t].count);
      };
      kernels::adamw_step(backend, optimizer, steps, exponents[t], 1, 1.0F, tensors[t].decay, part(sums),
                          part(params), part(m), part(v));
      exponents[t] = kernels::next_exponent(exponents[t], peaks[t]);
    }
    backend.wait();
  }

  const kernels::ModelConfig config = shape;
  kernels::Backend& backend;
  std::vector<kernels::ParameterTensor> tensors;
  kernels::Model model;
  std::pmr::vector<float> params, m, v;
  std::pmr::vector<std::int32_t> sums;
  std::pmr::vector<kernels::QuantizeResult> results;
  std::vector<int> exponents;
  std::vector<std::int32_t> inputs = std::vector<std::int32_t>(tokens_per_pass);
  std::vector<std::int32_t> targets = std::vector<std::int32_t>(tokens_per_pass);
  std::uint64_t steps = 0;
  Digest digest;
};

Lane::Lane(const Digest& seed, kernels::Backend& backend) : state_(std::make_unique<State>(seed, backend)) {}
Lane::~Lane() = default;
Lane::Lane(Lane&&) noexcept = default;

Digest Lane::repeat() {
  for (int pass = 0; pass < kLanePasses; ++pass) {
    state_->draw_tokens(static_cast<std::uint64_t>(pass));
    state_->step();
  }
  Sha256 hash;
  hash.update("ufab lane repeat 1\n").update(state_->digest.view()).update(float_bytes(state_->params));
  return state_->digest = hash.finish();
}

Digest run_lane(const Digest& seed, std::uint64_t repeats, kernels::Backend& backend) {
  UFAB_ASSERT(repeats >= 1);
  Lane lane(seed, backend);
  for (std::uint64_t i = 1; i < repeats; ++i) static_cast<void>(lane.repeat());
  return lane.repeat();
}

}  // namespace ufab
