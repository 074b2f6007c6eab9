#include "fabric/train/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/adamw.h"
#include "kernels/gradient.h"

namespace ufab {

namespace {

// A loss that is not finite is reported apart; far outside the fixed point's range it is one as well.
bool loss_fits(float loss) {
  return std::isfinite(loss) && std::fabs(loss) < 1e4F;
}

}  // namespace

Engine::Engine(const JobDefinition& definition, const Corpus& corpus, const Split& split,
               kernels::Backend& backend, bool recompute)
    : definition_(definition),
      corpus_(corpus),
      split_(split),
      backend_(backend),
      model_config_(definition.model(corpus.info().vocab_size)),
      tensors_(kernels::model_parameters(model_config_)),
      parameter_count_(kernels::model_parameter_count(model_config_)),
      model_(model_config_, static_cast<int>(definition.micro_batch), static_cast<int>(definition.seq_len),
             backend, definition.matmul_format(), recompute),
      sequence_(static_cast<std::size_t>(definition.seq_len) + 1),
      inputs_(static_cast<std::size_t>(definition.micro_batch * definition.seq_len)),
      targets_(inputs_.size()) {}

TrainState Engine::initial_state() const {
  TrainState state(backend_.shared_memory());
  state.exponents.assign(tensors_.size(), kernels::kFirstExponent);
  state.params.resize(parameter_count_);
  state.m.resize(parameter_count_);
  state.v.resize(parameter_count_);
  kernels::model_init(model_config_, static_cast<std::uint64_t>(definition_.seed), state.params);
  return state;
}

void Engine::load_sequence(std::uint64_t start, std::uint64_t sequence) {
  const auto length = static_cast<std::size_t>(definition_.seq_len);
  corpus_.copy(start, sequence_);
  for (std::size_t i = 0; i < length; ++i) {
    inputs_[sequence * length + i] = sequence_[i];
    targets_[sequence * length + i] = sequence_[i + 1];
  }
}

void Engine::clear(std::span<std::int32_t> sums) {
  backend_.zero(sums.data(), sums.size_bytes());
  backend_.wait();
}

ShareReport Engine::sum_gradients(const TrainState& state, std::span<const int> exponents,
                                  MicroBatchRange range, std::span<std::int32_t> sums,
                                  const AfterMicroBatch& after) {
  const std::uint64_t step = state.step + 1;
  ShareReport report;
  report.peaks.resize(tensors_.size());
  // Of one micro-batch, per tensor; the backend fills them while the pass goes on.
  std::pmr::vector<kernels::QuantizeResult> results(tensors_.size(), &backend_.shared_memory());
  if (range.count == 0) clear(sums);
  for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
    for (std::uint64_t s = 0; s < static_cast<std::uint64_t>(definition_.micro_batch); ++s) {
      load_sequence(sample_start(definition_, split_, step, i, s), s);
    }
    std::fill(results.begin(), results.end(), kernels::QuantizeResult{});
    const float loss = model_.forward_backward(
        state.params, inputs_, targets_,
        [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
          const std::size_t at = tensors_[tensor].offset + first;
          backend_.quantize_add(&results[tensor], &sums[at], gradient.data(), gradient.size(),
                                exponents[tensor], at, i == range.first);
        });
    std::uint64_t fingerprint = 0;
    for (std::size_t t = 0; t < results.size(); ++t) {
      report.peaks[t] += results[t].peak;
      report.non_finite |= results[t].non_finite != 0;
      fingerprint += results[t].fingerprint;
    }
    report.non_finite |= !loss_fits(loss);
    if (loss_fits(loss)) report.loss += std::llrint(static_cast<double>(loss) / kLossUnit);
    if (after) after(step, i, sums, fingerprint);
    report.fingerprints.push_back(fingerprint);
  }
  return report;
}

double Engine::apply(TrainState& state, std::span<const int> exponents, std::span<const std::uint64_t> peaks,
                     std::span<const std::int32_t> sums) {
  const auto micro_batches = static_cast<int>(definition_.micro_batches);
  const double norm = kernels::gradient_norm(backend_, tensors_, sums, exponents, micro_batches);
  kernels::AdamWConfig config;
  config.lr = learning_rate_at(definition_, state.step + 1);
  config.beta1 = static_cast<float>(definition_.beta1);
  config.beta2 = static_cast<float>(definition_.beta2);
  config.eps = static_cast<float>(definition_.epsilon);
  config.weight_decay = static_cast<float>(definition_.weight_decay);
  config.clip = static_cast<float>(definition_.grad_clip);
  const float scale = kernels::gradient_clip_scale(norm, config.clip);
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const auto& tensor = tensors_[t];
    const auto part = [&](auto& values) { return std::span(values).subspan(tensor.offset, tensor.count); };
    kernels::adamw_step(backend_, config, state.step + 1, exponents[t], micro_batches, scale, tensor.decay,
                        part(sums), part(state.params), part(state.m), part(state.v));
    state.exponents[t] = kernels::next_exponent(exponents[t], peaks[t]);
  }
  backend_.wait();
  ++state.step;
  return norm;
}

std::int64_t Engine::evaluate(const TrainState& state, std::uint64_t first, std::uint64_t stride) {
  std::int64_t sum = 0;
  for (std::uint64_t batch = first; batch < static_cast<std::uint64_t>(definition_.eval_batches);
       batch += stride) {
    for (std::uint64_t s = 0; s < static_cast<std::uint64_t>(definition_.micro_batch); ++s) {
      load_sequence(eval_start(definition_, split_, batch, s), s);
    }
    const float loss = model_.forward(state.params, inputs_, targets_);
    // The parameters are finite, a step with other gradients having been refused; a loss beyond the range
    // counts as its end.
    sum += std::llrint((loss_fits(loss) ? static_cast<double>(loss) : 1e4) / kLossUnit);
  }
  return sum;
}

std::uint64_t Engine::measure_us() {
  const TrainState state = initial_state();
  std::pmr::vector<std::int32_t> sums(parameter_count_, &backend_.shared_memory());
  (void)sum_gradients(state, state.exponents, {0, 1}, sums, {});  // warms caches and pages
  const auto begin = std::chrono::steady_clock::now();
  (void)sum_gradients(state, state.exponents, {0, 1}, sums, {});
  const auto passed = std::chrono::steady_clock::now() - begin;
  return 1 +
         static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(passed).count());
}

}  // namespace ufab
