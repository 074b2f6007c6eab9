// Training steps of one model on one batch, as a job takes them on one rank: integer sums of all tensors,
// their norm, clipping, AdamW.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "kernels/philox.h"
#include "tests/bench/kernels/support.h"

namespace ufab::bench {

class TrainingRun {
 public:
  TrainingRun(const kernels::ModelConfig& config, kernels::MatmulFormat format, int batch, int seq,
              kernels::Backend& backend)
      : backend_(backend),
        tensors_(kernels::model_parameters(config)),
        model_(config, batch, seq, backend, format),
        exponents_(tensors_.size(), kernels::kFirstExponent) {
    params_.resize(kernels::model_parameter_count(config));
    kernels::model_init(config, 1, params_);
    m_.resize(params_.size());
    v_.resize(params_.size());
    sums_.resize(params_.size());
    for (int i = 0; i < batch * seq; ++i) {
      const kernels::PhiloxCounter words = kernels::philox_block(1, 1, static_cast<std::uint64_t>(i));
      const auto vocab = static_cast<std::uint32_t>(config.vocab_size);
      inputs_.push_back(static_cast<std::int32_t>(words[0] % vocab));
      targets_.push_back(static_cast<std::int32_t>(words[1] % vocab));
    }
  }
  // Seconds.
  double step() {
    ++steps_;
    return time_once([&] { run_step(); });
  }

 private:
  void run_step() {
    std::vector<std::uint64_t> peaks(tensors_.size());
    const auto sink = [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
      const std::size_t at = tensors_[tensor].offset + first;
      const auto result = kernels::quantize_add(backend_, gradient, exponents_[tensor], at,
                                                std::span(sums_).subspan(at, gradient.size()), true);
      peaks[tensor] = std::max(peaks[tensor], result.peak);
      if (result.peak < kernels::kPeakLimit && !result.non_finite) return;
      std::fprintf(stderr, "bench_train: a gradient left the fixed-point range\n");
      std::exit(1);
    };
    model_.forward_backward(params_, inputs_, targets_, sink);
    const double norm = kernels::gradient_norm(backend_, tensors_, sums_, exponents_, 1);
    const float scale = kernels::gradient_clip_scale(norm, 1.0F);
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      const auto part = [&](auto& whole) {
        return std::span(whole).subspan(tensors_[t].offset, tensors_[t].count);
      };
      kernels::adamw_step(backend_, config_, steps_, exponents_[t], 1, scale, tensors_[t].decay, part(sums_),
                          part(params_), part(m_), part(v_));
      exponents_[t] = kernels::next_exponent(exponents_[t], peaks[t]);
    }
  }

  kernels::AdamWConfig config_;
  kernels::Backend& backend_;
  std::vector<kernels::ParameterTensor> tensors_;
  kernels::Model model_;
  std::vector<int> exponents_;
  std::vector<float> params_, m_, v_;
  std::vector<std::int32_t> sums_;
  std::vector<std::int32_t> inputs_, targets_;
  std::uint64_t steps_ = 0;
};

}  // namespace ufab::bench
