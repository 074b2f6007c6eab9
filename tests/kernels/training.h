// What the tests of whole models share: data with structure, a trainer on one rank, and the same training in
// binary64.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "tests/kernels/float64.h"
#include "tests/kernels/support.h"

namespace ufab::kernels::test {

struct Batch {
  std::pmr::vector<std::int32_t> inputs, targets;
};
// Text with structure to learn: seven times of eight the next token is a function of the last.
inline Batch make_batch(Random& random, int batch, int seq, int vocab) {
  Batch result;
  for (int b = 0; b < batch; ++b) {
    std::int32_t last = random.below(vocab);
    for (int t = 0; t < seq; ++t) {
      const std::int32_t next = random.below(8) == 0 ? random.below(vocab) : (3 * last + 1) % vocab;
      result.inputs.push_back(last);
      result.targets.push_back(next);
      last = next;
    }
  }
  return result;
}

inline constexpr AdamWConfig kAdamW{
    .lr = 1e-2F, .beta1 = 0.9F, .beta2 = 0.99F, .eps = 1e-8F, .weight_decay = 0.1F, .clip = 1};

// A trainer in twenty lines: what fabric's does, on one rank.
class Trainer {
 public:
  Trainer(const ModelConfig& config, int batch, int seq, Backend& backend,
          MatmulFormat format = MatmulFormat::f32, bool recompute = false)
      : backend_(backend),
        tensors_(model_parameters(config)),
        model_(config, batch, seq, backend, format, recompute) {
    params.resize(model_parameter_count(config));
    m_.resize(params.size());
    v_.resize(params.size());
    sums_.resize(params.size());
    exponents_.assign(tensors_.size(), kFirstExponent);
    model_init(config, 5, params);
  }
  // Mean loss over the micro-batches.
  double step(std::span<const Batch> micro_batches) {
    std::vector<std::uint64_t> peaks;
    double loss = add_gradients(micro_batches, peaks);
    ++steps_;
    while (adjust_exponents(steps_, peaks, exponents_)) loss = add_gradients(micro_batches, peaks);
    const int count = static_cast<int>(micro_batches.size());
    const double norm = gradient_norm(backend_, tensors_, sums_, exponents_, count);
    const float scale = gradient_clip_scale(norm, kAdamW.clip);
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      adamw_step(backend_, kAdamW, steps_, exponents_[t], count, scale, tensors_[t].decay, part(sums_, t),
                 part(params, t), part(m_, t), part(v_, t));
      exponents_[t] = next_exponent(exponents_[t], peaks[t]);
    }
    return loss / count;
  }
  std::pmr::vector<float> params;

 private:
  double add_gradients(std::span<const Batch> micro_batches, std::vector<std::uint64_t>& peaks) {
    peaks.assign(tensors_.size(), 0);
    double loss = 0;
    for (const Batch& batch : micro_batches) {
      loss += static_cast<double>(model_.forward_backward(
          params, batch.inputs, batch.targets,
          [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
            const auto sums = part(sums_, tensor).subspan(first, gradient.size());
            const auto result =
                quantize_add(backend_, gradient, exponents_[tensor], tensors_[tensor].offset + first, sums,
                             &batch == micro_batches.data());
            peaks[tensor] += result.peak;  // of parts: at least the tensor's
            EXPECT_FALSE(result.non_finite);
          }));
    }
    return loss;
  }
  template <class T>
  std::span<T> part(std::pmr::vector<T>& whole, std::size_t tensor) {
    return std::span(whole).subspan(tensors_[tensor].offset, tensors_[tensor].count);
  }
  Backend& backend_;
  std::vector<ParameterTensor> tensors_;
  Model model_;
  std::pmr::vector<float> m_, v_;
  std::pmr::vector<std::int32_t> sums_;
  std::vector<int> exponents_;
  std::uint64_t steps_ = 0;
};

// The same training in binary64 on the tape, from the papers' formulas.
template <class Loss>
class Float64Trainer {
 public:
  // loss(params, inputs, targets) of float64::Var: the mean loss of a micro-batch.
  Float64Trainer(const ModelConfig& config, Loss loss)
      : loss_(std::move(loss)), tensors_(model_parameters(config)), params_(model_parameter_count(config)) {
    std::pmr::vector<float> initial(params_.size());
    model_init(config, 5, initial);
    params_.assign(initial.begin(), initial.end());
    m_.resize(params_.size());
    v_.resize(params_.size());
  }
  double step(std::span<const Batch> micro_batches) {
    std::vector<double> gradient(params_.size());
    double loss = 0;
    for (const Batch& batch : micro_batches) {
      float64::Tape::current().clear();
      std::vector<float64::Var> variables;
      for (const double p : params_) variables.push_back(float64::Var::variable(p));
      const float64::Var value = loss_(variables, std::span<const std::int32_t>(batch.inputs),
                                       std::span<const std::int32_t>(batch.targets));
      loss += value.value;
      const std::vector<double> adjoint = float64::Tape::current().gradient(value.node);
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += adjoint[i];
    }
    const double count = static_cast<double>(micro_batches.size());
    double norm = 0;
    for (double& g : gradient) {
      g /= count;
      norm += g * g;
    }
    norm = std::sqrt(norm);
    const double beta1 = static_cast<double>(kAdamW.beta1), beta2 = static_cast<double>(kAdamW.beta2);
    ++steps_;
    for (const ParameterTensor& tensor : tensors_) {
      for (std::size_t i = tensor.offset; i < tensor.offset + tensor.count; ++i) {
        const double g = norm > 1 ? gradient[i] / norm : gradient[i];
        m_[i] = beta1 * m_[i] + (1 - beta1) * g;
        v_[i] = beta2 * v_[i] + (1 - beta2) * g * g;
        const double m_hat = m_[i] / (1 - std::pow(beta1, steps_)),
                     v_hat = v_[i] / (1 - std::pow(beta2, steps_));
        const double decay = tensor.decay ? static_cast<double>(kAdamW.weight_decay) * params_[i] : 0;
        params_[i] -= static_cast<double>(kAdamW.lr) *
                      (m_hat / (std::sqrt(v_hat) + static_cast<double>(kAdamW.eps)) + decay);
      }
    }
    return loss / count;
  }

 private:
  Loss loss_;
  std::vector<ParameterTensor> tensors_;
  std::vector<double> params_, m_, v_;
  int steps_ = 0;
};

// Trains both for `steps` steps and expects losses within 1e-4; returns the largest relative deviation.
template <class Loss>
double follow_float64(const ModelConfig& config, int seq, int steps, Loss exact_loss) {
  const auto backend = make_backend(BackendKind::cpu, 2);
  Trainer trainer(config, 1, seq, *backend);
  Float64Trainer exact(config, std::move(exact_loss));
  Random random(3);
  double first = 0, last = 0, worst = 0;
  for (int step = 0; step < steps; ++step) {
    const std::array<Batch, 2> batches{make_batch(random, 1, seq, config.vocab_size),
                                       make_batch(random, 1, seq, config.vocab_size)};
    const double expected = exact.step(batches), got = trainer.step(batches);
    EXPECT_NEAR(got, expected, 1e-4 * expected) << "step " << step;
    worst = std::max(worst, std::fabs(got - expected) / expected);
    if (step == 0) first = got;
    last = got;
  }
  EXPECT_LT(last, first - 0.5)
      << "the training must have learnt something for the comparison to mean anything";
  return worst;
}

}  // namespace ufab::kernels::test
