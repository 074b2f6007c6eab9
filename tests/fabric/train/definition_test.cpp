#include "fabric/train/definition.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ufab {
namespace {

const std::string kModel = "[model]\nlayers = 2\nheads = 4\nwidth = 64\ncontext = 32\n";
const std::string kLlama = "[model]\nfamily = \"llama\"\nlayers = 2\nheads = 4\nwidth = 64\ncontext = 32\n";

TEST(DefinitionTest, DefaultsAreTheDocumentedOnes) {
  const auto parsed = parse_definition(kModel + "[train]\nsteps = 10\n", "job.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  JobDefinition expected;
  expected.layers = 2;
  expected.heads = 4;
  expected.width = 64;
  expected.context = 32;
  expected.seq_len = 32;
  expected.steps = 10;
  EXPECT_EQ(*parsed, expected);
  EXPECT_EQ(parsed->window_count(), 1U);
  EXPECT_EQ(parsed->tokens_per_step(), 4U * 8 * 32);
}

TEST(DefinitionTest, WhatALlamaLeavesOutHasTheDocumentedValues) {
  const auto parsed = parse_definition(kLlama + "[train]\nsteps = 10\n", "job.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->model(256), kernels::ModelConfig(kernels::LlamaShape{.vocab_size = 256,
                                                                         .context = 32,
                                                                         .layers = 2,
                                                                         .heads = 4,
                                                                         .kv_heads = 4,
                                                                         .width = 64,
                                                                         .hidden = 192,
                                                                         .norm_epsilon = 1e-5F,
                                                                         .rope_theta = 10000,
                                                                         .tied = false}));
  const auto given = parse_definition(kLlama +
                                          "kv_heads = 2\nhidden = 100\nrope_theta = 5e5\nnorm_epsilon = "
                                          "1e-6\ntied = true\n[train]\nsteps = 10\n",
                                      "job.toml");
  ASSERT_TRUE(given.ok()) << given.error().message;
  EXPECT_EQ(given->model(9), kernels::ModelConfig(kernels::LlamaShape{.vocab_size = 9,
                                                                      .context = 32,
                                                                      .layers = 2,
                                                                      .heads = 4,
                                                                      .kv_heads = 2,
                                                                      .width = 64,
                                                                      .hidden = 100,
                                                                      .norm_epsilon = 1e-6F,
                                                                      .rope_theta = 500000,
                                                                      .tied = true}));
}

TEST(DefinitionTest, OverridesComeLastAndMayGiveWhatTheFileLacks) {
  const auto parsed =
      parse_definition(kModel + "[data]\ncorpus = \"c.h5\"\n[train]\nseed = 3\n", "dir/job.toml",
                       {{"train.steps", "50"}, {"train.learning_rate", "1e-4"}, {"train.seed", "9"}});
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->steps, 50);
  EXPECT_EQ(parsed->learning_rate, 1e-4);
  EXPECT_EQ(parsed->seed, 9);
  EXPECT_EQ(parsed->corpus, "dir/c.h5");
}

TEST(DefinitionTest, EachBadInputIsOneLineThatNamesItsPlace) {
  const struct {
    std::string text;
    const char* expected;
  } cases[] = {
      {kModel + "[train]\nsteps = 10\nstep_size = 1\n",
       "job.toml:8: unknown key 'train.step_size'; known here: steps"},
      {"a.b/c = 1\n", "job.toml"},
      {"train.steps = t\n\n", "job.toml:1"},
      {"\"a\\nb\" = 1\n", "job.toml:1: unknown key 'a?b'"},
      {"speed = 1\n" + kModel, "job.toml:1: unknown key 'speed'"},
      {"[network]\nx = 1\n", "unknown key 'network'"},
      {kModel + "[train]\nsteps = \"ten\"\n", "job.toml:7: train.steps must be a whole number"},
      {kModel + "[train]\nsteps = 0\n", "job.toml:7: train.steps is 0; 1 to"},
      {kModel + "[train]\nsteps = 1.5\n", "must be a whole number"},
      {kModel + "[train]\nsteps = 10\nbeta1 = nan\n", "job.toml:8: train.beta1 is nan"},
      {kModel + "[train]\nsteps = 10\nlearning_rate = -1\n", "train.learning_rate is -1"},
      {kModel + "[train]\nsteps = 10\nlearning_rate = 1e-5\n", "train.min_learning_rate 0.0001 is above"},
      {kModel + "[train]\nsteps = 10\nseq_len = 64\n", "train.seq_len is 64, more than model.context 32"},
      {kModel + "[train]\nsteps = 10\nwarmup_steps = 11\n",
       "train.warmup_steps 11 is more than train.steps 10"},
      {kModel + "[train]\nmicro_batch = 2\n", "job.toml: train.steps is missing"},
      {kModel + "init_digest = 7\n[train]\nsteps = 1\n", "job.toml:6: model.init_digest must be text"},
      {kModel + "init_digest = \"init.h5\"\n[train]\nsteps = 1\n",
       "job.toml: model.init_digest is 'init.h5'; sha256: and 64 hexadecimal digits are wanted"},
      {"[train]\nsteps = 1\n", "job.toml: model.layers is missing"},
      {"precision = \"half\"\n" + kModel + "[train]\nsteps = 1\n", "precision is 'half'; exact and fast"},
      {"precision = \"fast\"\n" + kModel + "[train]\nsteps = 1\nformat = \"int8\"\n",
       "precision is 'fast', but train.format 'int8' is exact"},
      {"precision = \"exact\"\n" + kModel + "[train]\nsteps = 1\nformat = \"bf16\"\n",
       "precision is 'exact', but train.format 'bf16' is not exact"},
      {"[model]\nfamily = \"bert\"\nlayers = 2\nheads = 4\nwidth = 64\ncontext = 32\n[train]\nsteps = 1\n",
       "model.family is 'bert'; gpt2 and llama are possible"},
      {kModel + "kv_heads = 2\n[train]\nsteps = 1\n",
       "job.toml: model.kv_heads is of the family llama, model.family is 'gpt2'"},
      {kModel + "tied = true\n[train]\nsteps = 1\n", "model.tied is of the family llama"},
      {kLlama + "kv_heads = 3\n[train]\nsteps = 1\n", "job.toml: kv_heads 3 does not divide heads 4"},
      {kLlama + "kv_heads = 0\n[train]\nsteps = 1\n", "job.toml:7: model.kv_heads is 0; 1 to"},
      {kLlama + "tied = 1\n[train]\nsteps = 1\n", "job.toml:7: model.tied must be true or false"},
      {kLlama + "rope_theta = 0.5\n[train]\nsteps = 1\n", "job.toml:7: model.rope_theta is 0.5; 1 to"},
      {kLlama + "norm_epsilon = nan\n[train]\nsteps = 1\n", "job.toml:7: model.norm_epsilon is nan"},
      {"[model]\nfamily = \"llama\"\nlayers = 2\nheads = 4\nwidth = 20\ncontext = 32\n[train]\nsteps = 1\n",
       "width / heads is 5, must be even"},
      {"[model]\nlayers = 2\nheads = 5\nwidth = 64\ncontext = 32\n[train]\nsteps = 1\n", "job.toml: "},
      {kModel + "[train]\nsteps = 1\nformat = \"int4\"\n", "f32, int12, int8 and bf16"},
      {"[model\n", "job.toml:1: "},
      {"a = 1\na = 2\n", "job.toml:2: "},
      {std::string("\0\xff", 2), "job.toml:1: "},
  };
  for (const auto& test : cases) {
    const auto parsed = parse_definition(test.text, "job.toml");
    ASSERT_FALSE(parsed.ok()) << test.text;
    const std::string& message = parsed.error().message;
    EXPECT_NE(message.find(test.expected), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(DefinitionTest, PrecisionAndFormatFollowEachOther) {
  const std::string train = "[train]\nsteps = 10\n";
  const auto parsed = [&](const std::string& text, const DefinitionOverrides& overrides = {}) {
    const auto definition = parse_definition(text, "job.toml", overrides);
    return definition.ok() ? definition->precision + " " + definition->format : definition.error().message;
  };
  EXPECT_EQ(parsed(kModel + train), "exact f32");
  EXPECT_EQ(parsed("precision = \"fast\"\n" + kModel + train), "fast bf16");
  EXPECT_EQ(parsed(kModel + train + "format = \"bf16\"\n"), "fast bf16");
  EXPECT_EQ(parsed(kModel + train, {{"train.format", "bf16"}}), "fast bf16");
  EXPECT_EQ(parsed(kModel + train, {{"precision", "fast"}}), "fast bf16");
  EXPECT_EQ(parsed(kModel + train + "format = \"int8\"\n"), "exact int8");
}

TEST(DefinitionTest, BadOverridesAreUsageErrors) {
  const std::string text = kModel + "[train]\nsteps = 10\n";
  for (const auto& [key, value] : DefinitionOverrides{{"train.speed", "1"},
                                                      {"train.steps", "ten"},
                                                      {"train.steps", "5\nseed = 2"},
                                                      {"train.steps", ""},
                                                      {"model.tied", "yes"},
                                                      {"train.steps", "0"}}) {
    const auto parsed = parse_definition(text, "job.toml", {{key, value}});
    ASSERT_FALSE(parsed.ok()) << value;
    EXPECT_EQ(parsed.error().code, ErrorCode::usage);
  }
}

TEST(DefinitionTest, ALlamasDigestChangesWithEveryKeyOfItsFamilyAndNotWithADefaultWrittenOut) {
  const auto digest = [&](const DefinitionOverrides& overrides) {
    return definition_digest(*parse_definition(kLlama + "[train]\nsteps = 10\n", "job.toml", overrides), {});
  };
  const Digest plain = digest({});
  for (const auto& [key, value] : DefinitionOverrides{{"model.kv_heads", "2"},
                                                      {"model.hidden", "160"},
                                                      {"model.rope_theta", "500000"},
                                                      {"model.norm_epsilon", "1e-6"},
                                                      {"model.tied", "true"}}) {
    EXPECT_NE(digest({{key, value}}), plain) << key;
  }
  for (const auto& [key, value] : DefinitionOverrides{{"model.kv_heads", "4"},
                                                      {"model.hidden", "192"},
                                                      {"model.rope_theta", "1e4"},
                                                      {"model.norm_epsilon", "0.00001"},
                                                      {"model.tied", "false"}}) {
    EXPECT_EQ(digest({{key, value}}), plain) << key;
  }
}

TEST(DefinitionTest, DigestChangesWithEveryValueAndTheCorpusButNotWithItsPath) {
  const std::string base = kModel + "[train]\nsteps = 10\n";
  const auto digest = [&](const DefinitionOverrides& overrides, const Digest& corpus = {}) {
    return definition_digest(*parse_definition(base, "job.toml", overrides), corpus);
  };
  const Digest plain = digest({});
  EXPECT_EQ(digest({{"data.corpus", "elsewhere.h5"}}), plain);
  EXPECT_EQ(digest({{"train.learning_rate", "0.001"}}), plain);
  EXPECT_NE(digest({}, sha256("another corpus")), plain);
  for (const char* key :
       {"train.steps", "train.seed", "train.window", "model.layers", "train.micro_batches"}) {
    EXPECT_NE(digest({{key, "16"}}), plain) << key;
  }
  for (const char* key : {"train.learning_rate", "train.beta2", "train.weight_decay", "data.eval_fraction"}) {
    EXPECT_NE(digest({{key, "0.25"}}), plain) << key;
  }
  EXPECT_EQ(digest({{"train.format", "f32"}}), plain);
  EXPECT_NE(digest({{"train.format", "int8"}}), plain);
  const Digest from_given = digest({{"model.init_digest", sha256("parameters").str()}});
  EXPECT_NE(from_given, plain);
  EXPECT_NE(digest({{"model.init_digest", sha256("others").str()}}), from_given);
  EXPECT_EQ(digest({{"model.init_digest", ""}}), plain);
  // Golden: ledgers record this digest, so its encoding may not change unnoticed. It covers the kernels'
  // semantics version: a new version brings a new value.
  EXPECT_EQ(plain.hex(), "0a644109079470d0dcda45e4c365f6e85fe50210d95c2f3d1239bd8593bda657");
}

}  // namespace
}  // namespace ufab
