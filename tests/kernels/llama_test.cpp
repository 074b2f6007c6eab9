// The Llama family whole: against an independent binary64 implementation, across backends, with and without
// recomputation of activations, and its promises.
#include <gtest/gtest.h>

#include "tests/kernels/float64_llama.h"
#include "tests/kernels/training.h"

namespace ufab::kernels {
namespace {

using test::Batch;
using test::make_batch;
using test::Random;
using test::Trainer;

constexpr LlamaShape kGrouped{
    .vocab_size = 37, .context = 80, .layers = 2, .heads = 4, .kv_heads = 2, .width = 24, .hidden = 40};

float64::LlamaModel exact_model(const ModelConfig& c) {
  return {c.vocab_size, c.layers, c.heads, c.kv_heads, c.width, c.hidden, static_cast<double>(c.norm_epsilon),
          c.rope_theta, c.tied};
}

void check_against_float64(const ModelConfig& config, int seq) {
  const float64::LlamaModel model = exact_model(config);
  const double worst =
      test::follow_float64(config, seq, 25, [&](const auto& params, auto inputs, auto targets) {
        return float64::llama_loss(model, params, inputs, targets, 1, seq);
      });
  testing::Test::RecordProperty("worst_relative_deviation_1e-9", std::to_string(worst * 1e9));
}

TEST(Llama, FollowsAnIndependentFloat64TrainingWithGroupedQueriesAndAHeadOfItsOwn) {
  check_against_float64(kGrouped, 68);  // more than one key tile
}

TEST(Llama, FollowsItWithATiedHeadAndFewRows) {
  check_against_float64(LlamaShape{.vocab_size = 90,
                                   .context = 20,
                                   .layers = 1,
                                   .heads = 3,
                                   .kv_heads = 1,
                                   .width = 24,
                                   .hidden = 33,
                                   .norm_epsilon = 1e-6F,
                                   .rope_theta = 500000,
                                   .tied = true},
                        20);
}

std::vector<float> train(const ModelConfig& config, int batch, int seq, Backend& backend, MatmulFormat format,
                         bool recompute) {
  Trainer trainer(config, batch, seq, backend, format, recompute);
  Random random(8);
  for (int step = 0; step < 3; ++step) {
    const std::array<Batch, 2> batches{make_batch(random, batch, seq, config.vocab_size),
                                       make_batch(random, batch, seq, config.vocab_size)};
    trainer.step(batches);
  }
  return trainer.params;
}

TEST(Llama, TrainsToTheSameBitsOnEveryBackendAndThreadCount) {
  for (const bool tied : {false, true}) {
    for (const int seq : {66, 11}) {
      LlamaShape shape = kGrouped;
      shape.tied = tied;
      const auto reference = make_backend(BackendKind::reference, 1);
      const auto expected = train(shape, 2, seq, *reference, MatmulFormat::f32, false);
      for (const test::Variant& variant : test::optimised_variants()) {
        const auto backend = make_backend(variant.kind, variant.threads);
        EXPECT_EQ(test::first_difference(expected, train(shape, 2, seq, *backend, MatmulFormat::f32, false)),
                  -1)
            << test::variant_name(variant);
      }
    }
  }
}

// Of both families: the option is the model's, not the family's.
const ModelConfig kBoth[] = {
    kGrouped, Gpt2Shape{.vocab_size = 61, .context = 70, .layers = 3, .heads = 3, .width = 24}};

TEST(Recompute, GivesTheSameBitsInEveryFormatOfBothFamilies) {
  const auto backend = make_backend(BackendKind::cpu, 2);
  for (const ModelConfig& config : kBoth) {
    for (const MatmulFormat format : {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8}) {
      for (const int seq : {66, 7}) {
        EXPECT_EQ(test::first_difference(train(config, 2, seq, *backend, format, false),
                                         train(config, 2, seq, *backend, format, true)),
                  -1)
            << family_name(config.family) << " " << format_name(format) << " " << seq;
      }
    }
  }
}

TEST(Recompute, TakesLessMemoryAndWhatIsAnnounced) {
  const auto backend = make_backend(BackendKind::cpu, 1);
  for (ModelConfig config : kBoth) {
    config.layers = 8;
    std::size_t sum = 0;
    for (const ModelMemory& piece : model_memory(config, 3, 64, true)) sum += piece.bytes;
    const Model whole(config, 3, 64, *backend), lean(config, 3, 64, *backend, MatmulFormat::f32, true);
    EXPECT_EQ(sum, lean.arena_bytes());
    EXPECT_LT(lean.arena_bytes(), whole.arena_bytes() / 2) << family_name(config.family);
  }
}

struct Fixture {
  ModelConfig config;
  int batch = 2, seq;
  std::unique_ptr<Backend> backend = make_backend(BackendKind::cpu, 2);
  std::vector<float> params;
  Random random{1};
  Batch data;
  Model model;
  Fixture(bool tied, int seq_len, int vocab, bool recompute)
      : config(LlamaShape{.vocab_size = vocab,
                          .context = 24,
                          .layers = 3,
                          .heads = 4,
                          .kv_heads = 2,
                          .width = 32,
                          .hidden = 48,
                          .tied = tied}),
        seq(seq_len),
        params(model_parameter_count(config)),
        data(make_batch(random, batch, seq, config.vocab_size)),
        model(config, batch, seq, *backend, MatmulFormat::f32, recompute) {
    model_init(config, 9, params);
  }
};

TEST(Llama, HandsEveryTensorsGradientToTheSinkExactlyOnceAndLastTheEmbedding) {
  for (const bool tied : {false, true}) {
    for (const bool parts : {false, true}) {
      Fixture f(tied, parts ? 16 : 20, parts ? 150 : 37, false);
      const auto tensors = model_parameters(f.config);
      std::vector<std::size_t> seen(tensors.size()), order;
      f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                               [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
                                 EXPECT_EQ(first, seen[tensor]);
                                 seen[tensor] += gradient.size();
                                 order.push_back(tensor);
                               });
      for (std::size_t t = 0; t < tensors.size(); ++t) EXPECT_EQ(seen[t], tensors[t].count);
      EXPECT_EQ(tensors[order.front()].name, tied ? "model.norm.weight" : "lm_head.weight");
      EXPECT_EQ(tensors[order.back()].name, "model.embed_tokens.weight");
    }
  }
}

TEST(Llama, ASinkMayOverwriteItsTensorsParametersWithoutChangingLaterGradients) {
  for (const bool tied : {false, true}) {
    for (const bool parts : {false, true}) {
      for (const bool recompute : {false, true}) {
        Fixture f(tied, parts ? 16 : 20, parts ? 150 : 37, recompute);
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
  }
}

TEST(Llama, EvaluationGivesTheTrainingLossBitForBitAndPrefixesAgreeWithIt) {
  Fixture f(false, 20, 37, true);
  const float trained = f.model.forward_backward(f.params, f.data.inputs, f.data.targets,
                                                 [](std::size_t, std::size_t, std::span<const float>) {});
  EXPECT_EQ(trained, f.model.forward(f.params, f.data.inputs, f.data.targets));

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
  EXPECT_NEAR(single.forward(f.params, tokens, std::span(f.data.targets).first(tokens.size())), sum / f.seq,
              1e-5);
}

TEST(Llama, The7BModelHasThePublishedNumberOfParametersAndNormsDoNotDecay) {
  const ModelConfig config = LlamaShape{.vocab_size = 32000,
                                        .context = 2048,
                                        .layers = 32,
                                        .heads = 32,
                                        .kv_heads = 32,
                                        .width = 4096,
                                        .hidden = 11008};
  EXPECT_EQ(model_parameter_count(config), 6738415616U);
  for (const ParameterTensor& tensor : model_parameters(config)) {
    EXPECT_EQ(tensor.decay, !tensor.name.ends_with("norm.weight")) << tensor.name;
  }
}

TEST(Llama, PaidWorkFollowsTheUsualFormula) {
  const ModelConfig c = LlamaShape{.vocab_size = 128256,
                                   .context = 2048,
                                   .layers = 16,
                                   .heads = 32,
                                   .kv_heads = 8,
                                   .width = 2048,
                                   .hidden = 8192,
                                   .tied = true};
  const std::uint64_t matrices = 2048ULL * (2048 + 2 * 512) + 2048ULL * 2048 + 3ULL * 2048 * 8192;
  const std::uint64_t expected = 6 * (16 * matrices + 128256ULL * 2048) + 12ULL * 16 * 2048 * 2048;
  EXPECT_EQ(model_train_flop(c, 3), 3 * expected);
  std::uint64_t left_out = 0;
  for (const ModelWork& work : model_work(c)) left_out += work.paid ? 0 : work.flop;
  EXPECT_LT(left_out, expected / 50);
}

TEST(Llama, ImpossibleConfigurationsAreRefusedInOneLine) {
  EXPECT_EQ(ModelConfig(kGrouped).validate(), std::nullopt);
  const auto expect_refused = [&](auto change, const char* mentions) {
    LlamaShape bad = kGrouped;
    change(bad);
    const auto wrong = ModelConfig(bad).validate();
    ASSERT_TRUE(wrong.has_value()) << mentions;
    EXPECT_NE(wrong->find(mentions), std::string::npos) << *wrong;
    EXPECT_EQ(wrong->find('\n'), std::string::npos);
  };
  expect_refused([](LlamaShape& s) { s.kv_heads = 3; }, "does not divide");
  expect_refused([](LlamaShape& s) { s.kv_heads = 0; }, "kv_heads");
  expect_refused([](LlamaShape& s) { s.heads = s.kv_heads = 8; }, "even");
  expect_refused([](LlamaShape& s) { s.hidden = 0; }, "hidden");
  expect_refused([](LlamaShape& s) { s.norm_epsilon = 0; }, "norm_epsilon");
  expect_refused([](LlamaShape& s) { s.norm_epsilon = NAN; }, "norm_epsilon");
  expect_refused([](LlamaShape& s) { s.rope_theta = 0.5; }, "rope_theta");
  ModelConfig gpt2 = Gpt2Shape{.vocab_size = 9, .context = 8, .layers = 1, .heads = 2, .width = 8};
  gpt2.tied = false;
  EXPECT_TRUE(gpt2.validate().has_value());
}

TEST(Llama, FamilyNamesAreInverseAndUnknownNamesAreRefused) {
  for (const ModelFamily family : {ModelFamily::gpt2, ModelFamily::llama}) {
    EXPECT_EQ(family_from_name(family_name(family)), family);
  }
  EXPECT_EQ(family_from_name("gpt3"), std::nullopt);
}

}  // namespace
}  // namespace ufab::kernels
