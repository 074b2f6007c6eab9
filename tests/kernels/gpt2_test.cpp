// The whole model: against an independent binary64 implementation, across backends, and its promises.
#include "kernels/gpt2.h"

#include <gtest/gtest.h>

#include <array>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "tests/kernels/float64.h"
#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;

struct Batch {
  std::vector<std::int32_t> inputs, targets;
};
// Text with structure to learn: seven times of eight the next token is a function of the last.
Batch make_batch(Random& random, int batch, int seq, int vocab) {
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

constexpr AdamWConfig kAdamW{
    .lr = 1e-2F, .beta1 = 0.9F, .beta2 = 0.99F, .eps = 1e-8F, .weight_decay = 0.1F, .clip = 1};

// A trainer in twenty lines: what fabric's does, on one rank.
class Trainer {
 public:
  Trainer(const Gpt2Config& config, int batch, int seq, Backend& backend)
      : backend_(backend), tensors_(gpt2_parameters(config)), model_(config, batch, seq, backend) {
    params.resize(gpt2_parameter_count(config));
    m_.resize(params.size());
    v_.resize(params.size());
    sums_.resize(params.size());
    exponents_.assign(tensors_.size(), kFirstExponent);
    gpt2_init(config, 5, params);
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
  std::vector<float> params;

 private:
  double add_gradients(std::span<const Batch> micro_batches, std::vector<std::uint64_t>& peaks) {
    std::fill(sums_.begin(), sums_.end(), 0);
    peaks.assign(tensors_.size(), 0);
    double loss = 0;
    for (const Batch& batch : micro_batches) {
      loss += static_cast<double>(model_.forward_backward(
          params, batch.inputs, batch.targets,
          [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
            const auto sums = part(sums_, tensor).subspan(first, gradient.size());
            const auto result =
                quantize_add(backend_, gradient, exponents_[tensor], tensors_[tensor].offset + first, sums);
            peaks[tensor] += result.peak;  // of parts: at least the tensor's
            EXPECT_FALSE(result.non_finite);
          }));
    }
    return loss;
  }
  template <class T>
  std::span<T> part(std::vector<T>& whole, std::size_t tensor) {
    return std::span(whole).subspan(tensors_[tensor].offset, tensors_[tensor].count);
  }
  Backend& backend_;
  std::vector<ParameterTensor> tensors_;
  Gpt2 model_;
  std::vector<float> m_, v_;
  std::vector<std::int32_t> sums_;
  std::vector<int> exponents_;
  std::uint64_t steps_ = 0;
};

// The same training in binary64 on the tape, from the papers' formulas.
class Float64Trainer {
 public:
  Float64Trainer(const Gpt2Config& config, int batch, int seq)
      : model_{config.vocab_size, config.context, config.layers, config.heads, config.width},
        batch_(batch),
        seq_(seq),
        tensors_(gpt2_parameters(config)),
        params_(gpt2_parameter_count(config)) {
    std::vector<float> initial(params_.size());
    gpt2_init(config, 5, initial);
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
      const float64::Var value =
          float64::gpt2_loss(model_, variables, std::span<const std::int32_t>(batch.inputs),
                             std::span<const std::int32_t>(batch.targets), batch_, seq_);
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
  float64::Model model_;
  int batch_, seq_;
  std::vector<ParameterTensor> tensors_;
  std::vector<double> params_, m_, v_;
  int steps_ = 0;
};

void check_against_float64(const Gpt2Config& config, int kSeq) {
  const auto backend = make_backend(BackendKind::automatic, 2);
  Trainer trainer(config, 1, kSeq, *backend);
  Float64Trainer exact(config, 1, kSeq);
  Random random(3);
  double first = 0, last = 0, worst = 0;
  for (int step = 0; step < 50; ++step) {
    const std::array<Batch, 2> batches{make_batch(random, 1, kSeq, config.vocab_size),
                                       make_batch(random, 1, kSeq, config.vocab_size)};
    const double expected = exact.step(batches), got = trainer.step(batches);
    ASSERT_NEAR(got, expected, 1e-4 * expected) << "step " << step;
    worst = std::max(worst, std::fabs(got - expected) / expected);
    if (step == 0) first = got;
    last = got;
  }
  testing::Test::RecordProperty("worst_relative_deviation_1e-9", std::to_string(worst * 1e9));
  EXPECT_LT(last, first - 0.5)
      << "the training must have learnt something for the comparison to mean anything";
}

TEST(Gpt2, FollowsAnIndependentFloat64TrainingForFiftySteps) {
  // 72 positions: more than one key tile.
  check_against_float64({.vocab_size = 29, .context = 80, .layers = 2, .heads = 2, .width = 16}, 72);
}

TEST(Gpt2, FollowsItWithFewRowsTooWhereTheHeadsGradientIsMadeInParts) {
  check_against_float64({.vocab_size = 150, .context = 20, .layers = 1, .heads = 2, .width = 24}, 20);
}

void check_backends(const Gpt2Config& config, int kBatch, int kSeq) {
  const auto train = [&](BackendKind kind, int threads) {
    const auto backend = make_backend(kind, threads);
    Trainer trainer(config, kBatch, kSeq, *backend);
    Random random(8);
    for (int step = 0; step < 3; ++step) {
      const std::array<Batch, 2> batches{make_batch(random, kBatch, kSeq, config.vocab_size),
                                         make_batch(random, kBatch, kSeq, config.vocab_size)};
      trainer.step(batches);
    }
    return trainer.params;
  };
  const std::vector<float> expected = train(BackendKind::reference, 1);
  for (const test::Variant& variant : test::optimised_variants()) {
    EXPECT_EQ(test::first_difference(expected, train(variant.kind, variant.threads)), -1)
        << test::variant_name(variant);
  }
}

TEST(Gpt2, TrainsToTheSameBitsOnEveryBackendAndThreadCount) {
  check_backends({.vocab_size = 61, .context = 70, .layers = 2, .heads = 3, .width = 48}, 3, 66);
  check_backends({.vocab_size = 205, .context = 12, .layers = 1, .heads = 3, .width = 48}, 3, 11);
}

struct Fixture {
  Gpt2Config config;
  int batch = 2, seq;
  std::unique_ptr<Backend> backend = make_backend(BackendKind::automatic, 2);
  std::vector<float> params;
  Random random{1};
  Batch data;
  Gpt2 model;
  explicit Fixture(int seq_len = 20, int vocab = 37)
      : config{.vocab_size = vocab, .context = 24, .layers = 2, .heads = 2, .width = 32},
        seq(seq_len),
        params(gpt2_parameter_count(config)),
        data(make_batch(random, batch, seq, config.vocab_size)),
        model(config, batch, seq, *backend) {
    gpt2_init(config, 9, params);
  }
};

TEST(Gpt2, HandsEveryTensorsGradientToTheSinkExactlyOnceInReverseOrder) {
  for (const bool parts : {false, true}) {
    Fixture f(parts ? 16 : 20, parts ? 150 : 37);
    const auto tensors = gpt2_parameters(f.config);
    std::vector<std::size_t> seen(tensors.size()), order;
    int calls = 0;
    f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                             [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
                               EXPECT_EQ(first, seen[tensor]);
                               seen[tensor] += gradient.size();
                               order.push_back(tensor);
                               ++calls;
                             });
    for (std::size_t t = 0; t < tensors.size(); ++t) EXPECT_EQ(seen[t], tensors[t].count);
    EXPECT_EQ(calls, static_cast<int>(tensors.size()) + (parts ? 1 : 0));  // wte in two
    order.erase(std::unique(order.begin(), order.end()), order.end());
    EXPECT_EQ(tensors[order.front()].name, "ln_f.weight");
    EXPECT_EQ(tensors[order[order.size() - 2]].name, "wpe.weight");
    EXPECT_EQ(tensors[order.back()].name, "wte.weight");
  }
}

TEST(Gpt2, ASinkMayOverwriteItsTensorsParametersWithoutChangingLaterGradients) {
  for (const bool parts : {false, true}) {
    Fixture f(parts ? 16 : 20, parts ? 150 : 37);
    std::vector<float> untouched, overwritten;
    f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                             [&](std::size_t, std::size_t, std::span<const float> g) {
                               untouched.insert(untouched.end(), g.begin(), g.end());
                             });
    const auto tensors = gpt2_parameters(f.config);
    f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                             [&](std::size_t t, std::size_t, std::span<const float> g) {
                               overwritten.insert(overwritten.end(), g.begin(), g.end());
                               for (std::size_t i = 0; i < tensors[t].count; ++i)
                                 f.params[tensors[t].offset + i] = NAN;
                             });
    EXPECT_EQ(test::first_difference(untouched, overwritten), -1);
  }
}

TEST(Gpt2, EvaluationGivesTheTrainingLossBitForBit) {
  Fixture f;
  const float trained = f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                                                 [](std::size_t, std::size_t, std::span<const float>) {});
  EXPECT_EQ(trained, f.model.forward(f.params, f.data.inputs, f.data.targets));
}

TEST(Gpt2, TheMemoryThatIsAnnouncedIsWhatTheArenaTakes) {
  const auto backend = make_backend(BackendKind::automatic, 1);
  // Logits kept; not kept and smaller than the working rows; not kept and larger.
  for (const auto& [vocab, seq] : {std::pair{150, 16}, {11, 64}, {5000, 64}}) {
    const Gpt2Config config{.vocab_size = vocab, .context = 64, .layers = 2, .heads = 2, .width = 32};
    for (const int batch : {1, 3}) {
      std::size_t sum = 0, logits = 0;
      for (const Gpt2Memory& piece : gpt2_memory(config, batch, seq)) {
        sum += piece.bytes;
        if (std::string_view(piece.name) == "logits") logits = piece.bytes;
      }
      EXPECT_EQ(sum, Gpt2(config, batch, seq, *backend).arena_bytes()) << vocab << " " << batch;
      EXPECT_GE(logits, sizeof(float) * static_cast<std::size_t>(vocab));
    }
  }
}

TEST(Gpt2, PaidWorkFollowsTheUsualFormula) {
  const Gpt2Config c{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
  const std::uint64_t l = 12, w = 768, t = 1024, v = 50257;
  EXPECT_EQ(gpt2_train_flop(c, 3), 3 * (6 * (12 * l * w * w + v * w) + 12 * l * t * w));
  std::uint64_t paid = 0, left_out = 0;
  for (const Gpt2Work& work : gpt2_work(c)) (work.paid ? paid : left_out) += work.flop;
  EXPECT_EQ(paid, gpt2_train_flop(c, 1));
  EXPECT_LT(left_out, paid / 50);
}

TEST(Gpt2, LaterPositionsDoNotChangeEarlierAttentionEvenWhenTheyAreNotNumbers) {
  // Attention is the only operator in which positions meet.
  constexpr int kSeq = 70, kHeads = 2, kHeadWidth = 8, kRow = kHeads * kHeadWidth;
  for (const BackendKind kind : {BackendKind::reference, BackendKind::avx2, BackendKind::avx512}) {
    const auto backend = make_backend(kind, 2);
    if (backend == nullptr) continue;
    Random random(6);
    const std::vector<float> qkv = random.floats(std::size_t{kSeq} * 3 * kRow);
    const auto attend = [&](const std::vector<float>& input) {
      std::vector<float> out(std::size_t{kSeq} * kRow), logsumexp(std::size_t{kSeq} * kHeads);
      backend->attention_forward(out.data(), logsumexp.data(), input.data(), 1, kSeq, kHeads, kHeads,
                                 kHeadWidth);
      return out;
    };
    const std::vector<float> expected = attend(qkv);
    for (const std::size_t length : {1U, 7U, 8U, 63U, 64U, 65U, 69U}) {
      std::vector<float> changed = qkv;
      for (std::size_t i = length * 3 * kRow; i < changed.size(); ++i)
        changed[i] = i % 3 == 0 ? NAN : INFINITY;
      const std::vector<float> out = attend(changed);
      EXPECT_EQ(test::first_difference(std::span(expected).first(length * kRow),
                                       std::span(out).first(length * kRow)),
                -1)
          << backend_name(kind) << " after " << length;
    }
  }
}

TEST(Gpt2, TheLossOfASequenceIsThatOfEachTokenPredictedFromItsPrefixAlone) {
  Fixture f;
  const std::vector<std::int32_t> tokens(f.data.inputs.begin(), f.data.inputs.begin() + f.seq);
  std::vector<float> logits(static_cast<std::size_t>(f.config.vocab_size));
  double sum = 0;
  for (std::size_t n = 1; n <= tokens.size(); ++n) {
    f.model.next_token_logits(f.params, std::span(tokens).first(n), logits);
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    sum += std::log(total) - static_cast<double>(logits[static_cast<std::size_t>(f.data.targets[n - 1])]);
  }
  Gpt2 single(f.config, 1, f.seq, *f.backend);
  const auto targets = std::span(f.data.targets).first(tokens.size());
  EXPECT_NEAR(single.forward(f.params, tokens, targets), sum / f.seq, 1e-5);
}

TEST(Gpt2, InitialValuesHaveTheStatedDistributionAndDependOnTheSeed) {
  const Gpt2Config config{.vocab_size = 500, .context = 64, .layers = 8, .heads = 4, .width = 64};
  std::vector<float> params(gpt2_parameter_count(config)), other(params.size());
  gpt2_init(config, 1, params);
  gpt2_init(config, 2, other);
  EXPECT_NE(params, other);
  for (const ParameterTensor& tensor : gpt2_parameters(config)) {
    double sum = 0, squares = 0;
    for (std::size_t i = tensor.offset; i < tensor.offset + tensor.count; ++i) {
      sum += static_cast<double>(params[i]);
      squares += static_cast<double>(params[i]) * static_cast<double>(params[i]);
    }
    const double count = static_cast<double>(tensor.count), mean = sum / count;
    const double deviation = std::sqrt(squares / count - mean * mean);
    if (tensor.shape.size() == 1) {
      EXPECT_EQ(mean, tensor.name.ends_with(".bias") ? 0.0 : 1.0) << tensor.name;
      EXPECT_EQ(deviation, 0.0) << tensor.name;
    } else {
      const double expected = tensor.name.ends_with("c_proj.weight") ? 0.02 / 4 : 0.02;
      EXPECT_NEAR(deviation, expected, 4 * expected / std::sqrt(2 * count)) << tensor.name;
      EXPECT_NEAR(mean, 0, 4 * expected / std::sqrt(count)) << tensor.name;
    }
  }
}

TEST(Gpt2, The124MModelHasThePublishedNumberOfParameters) {
  const Gpt2Config config{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
  EXPECT_EQ(gpt2_parameter_count(config), 124439808U);
  const std::uint64_t matmul = 6ULL * (12ULL * 12 * 768 * 768 + 50257ULL * 768);
  EXPECT_EQ(gpt2_train_flop(config, 10), 10 * (matmul + 12ULL * 12 * 1024 * 768));
}

TEST(Gpt2, ImpossibleConfigurationsAreRefusedInOneLine) {
  const Gpt2Config good{.vocab_size = 256, .context = 64, .layers = 4, .heads = 4, .width = 128};
  EXPECT_EQ(good.validate(), std::nullopt);
  const auto expect_refused = [&](int Gpt2Config::*field, int value, const char* mentions) {
    Gpt2Config bad = good;
    bad.*field = value;
    const auto wrong = bad.validate();
    ASSERT_TRUE(wrong.has_value());
    EXPECT_NE(wrong->find(mentions), std::string::npos) << *wrong;
    EXPECT_EQ(wrong->find('\n'), std::string::npos);
  };
  expect_refused(&Gpt2Config::vocab_size, 0, "vocab_size");
  expect_refused(&Gpt2Config::context, -1, "context");
  expect_refused(&Gpt2Config::layers, 100000, "layers");
  expect_refused(&Gpt2Config::heads, 0, "heads");
  expect_refused(&Gpt2Config::heads, 3, "multiple");
  expect_refused(&Gpt2Config::width, 1 << 20, "width");
}

}  // namespace
}  // namespace ufab::kernels
