// The whole model: against an independent binary64 implementation, across backends, and its promises.
#include "kernels/model.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/kernels/training.h"

namespace ufab::kernels {
namespace {

using test::Batch;
using test::make_batch;
using test::Random;
using test::Trainer;

void check_against_float64(const ModelConfig& config, int seq) {
  const float64::Model model{config.vocab_size, config.context, config.layers, config.heads, config.width};
  const double worst =
      test::follow_float64(config, seq, 50, [&](const auto& params, auto inputs, auto targets) {
        return float64::gpt2_loss(model, params, inputs, targets, 1, seq);
      });
  testing::Test::RecordProperty("worst_relative_deviation_1e-9", std::to_string(worst * 1e9));
}

TEST(Gpt2, FollowsAnIndependentFloat64TrainingForFiftySteps) {
  // 72 positions: more than one key tile.
  check_against_float64(Gpt2Shape{.vocab_size = 29, .context = 80, .layers = 2, .heads = 2, .width = 16}, 72);
}

TEST(Gpt2, FollowsItWithFewRowsTooWhereTheHeadsGradientIsMadeInParts) {
  check_against_float64(Gpt2Shape{.vocab_size = 150, .context = 20, .layers = 1, .heads = 2, .width = 24},
                        20);
}

void check_backends(const ModelConfig& config, int kBatch, int kSeq) {
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
  check_backends(Gpt2Shape{.vocab_size = 61, .context = 70, .layers = 2, .heads = 3, .width = 48}, 3, 66);
  check_backends(Gpt2Shape{.vocab_size = 205, .context = 12, .layers = 1, .heads = 3, .width = 48}, 3, 11);
}

struct Fixture {
  ModelConfig config;
  int batch = 2, seq;
  std::unique_ptr<Backend> backend = make_backend(BackendKind::cpu, 2);
  std::vector<float> params;
  Random random{1};
  Batch data;
  Model model;
  explicit Fixture(int seq_len = 20, int vocab = 37)
      : config(Gpt2Shape{.vocab_size = vocab, .context = 24, .layers = 2, .heads = 2, .width = 32}),
        seq(seq_len),
        params(model_parameter_count(config)),
        data(make_batch(random, batch, seq, config.vocab_size)),
        model(config, batch, seq, *backend) {
    model_init(config, 9, params);
  }
};

TEST(Gpt2, HandsEveryTensorsGradientToTheSinkExactlyOnceInReverseOrder) {
  for (const bool parts : {false, true}) {
    Fixture f(parts ? 16 : 20, parts ? 150 : 37);
    const auto tensors = model_parameters(f.config);
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
    const auto tensors = model_parameters(f.config);
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
  const auto backend = make_backend(BackendKind::cpu, 1);
  // Logits kept; not kept and smaller than the working rows; not kept and larger.
  for (const auto& [vocab, seq] : {std::pair{150, 16}, {11, 64}, {5000, 64}}) {
    const ModelConfig config =
        Gpt2Shape{.vocab_size = vocab, .context = 64, .layers = 2, .heads = 2, .width = 32};
    for (const int batch : {1, 3}) {
      std::size_t sum = 0, logits = 0;
      for (const ModelMemory& piece : model_memory(config, batch, seq)) {
        sum += piece.bytes;
        if (std::string_view(piece.name) == "logits") logits = piece.bytes;
      }
      EXPECT_EQ(sum, Model(config, batch, seq, *backend).arena_bytes()) << vocab << " " << batch;
      EXPECT_GE(logits, sizeof(float) * static_cast<std::size_t>(vocab));
    }
  }
}

TEST(Gpt2, PaidWorkFollowsTheUsualFormula) {
  const ModelConfig c =
      Gpt2Shape{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
  const std::uint64_t l = 12, w = 768, t = 1024, v = 50257;
  EXPECT_EQ(model_train_flop(c, 3), 3 * (6 * (12 * l * w * w + v * w) + 12 * l * t * w));
  std::uint64_t paid = 0, left_out = 0;
  for (const ModelWork& work : model_work(c)) (work.paid ? paid : left_out) += work.flop;
  EXPECT_EQ(paid, model_train_flop(c, 1));
  EXPECT_LT(left_out, paid / 50);
}

TEST(Gpt2, LaterPositionsDoNotChangeEarlierAttentionEvenWhenTheyAreNotNumbers) {
  // Attention is the only operator in which positions meet.
  constexpr int kSeq = 70, kHeads = 2, kHeadWidth = 8, kRow = kHeads * kHeadWidth;
  for (const BackendKind kind : {BackendKind::reference, BackendKind::cpu_avx2, BackendKind::cpu_avx512}) {
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
  Model single(f.config, 1, f.seq, *f.backend);
  const auto targets = std::span(f.data.targets).first(tokens.size());
  EXPECT_NEAR(single.forward(f.params, tokens, targets), sum / f.seq, 1e-5);
}

TEST(Gpt2, InitialValuesHaveTheStatedDistributionAndDependOnTheSeed) {
  const ModelConfig config =
      Gpt2Shape{.vocab_size = 500, .context = 64, .layers = 8, .heads = 4, .width = 64};
  std::vector<float> params(model_parameter_count(config)), other(params.size());
  model_init(config, 1, params);
  model_init(config, 2, other);
  EXPECT_NE(params, other);
  for (const ParameterTensor& tensor : model_parameters(config)) {
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
  const ModelConfig config =
      Gpt2Shape{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
  EXPECT_EQ(model_parameter_count(config), 124439808U);
  const std::uint64_t matmul = 6ULL * (12ULL * 12 * 768 * 768 + 50257ULL * 768);
  EXPECT_EQ(model_train_flop(config, 10), 10 * (matmul + 12ULL * 12 * 1024 * 768));
}

TEST(Gpt2, ImpossibleConfigurationsAreRefusedInOneLine) {
  const ModelConfig good = Gpt2Shape{.vocab_size = 256, .context = 64, .layers = 4, .heads = 4, .width = 128};
  EXPECT_EQ(good.validate(), std::nullopt);
  const auto expect_refused = [&](int ModelConfig::*field, int value, const char* mentions) {
    ModelConfig bad = good;
    bad.*field = value;
    const auto wrong = bad.validate();
    ASSERT_TRUE(wrong.has_value());
    EXPECT_NE(wrong->find(mentions), std::string::npos) << *wrong;
    EXPECT_EQ(wrong->find('\n'), std::string::npos);
  };
  expect_refused(&ModelConfig::vocab_size, 0, "vocab_size");
  expect_refused(&ModelConfig::context, -1, "context");
  expect_refused(&ModelConfig::layers, 100000, "layers");
  expect_refused(&ModelConfig::heads, 0, "heads");
  expect_refused(&ModelConfig::heads, 3, "multiple");
  expect_refused(&ModelConfig::width, 1 << 20, "width");
}

}  // namespace
}  // namespace ufab::kernels
