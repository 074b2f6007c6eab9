// A Llama's weights out and in again, held against code that shares nothing with the product's: its own
// reading and writing of safetensors, its own list of Hugging Face's names, and the model in binary64.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "fabric/model/hugging_face.h"
#include "fabric/model/model_files.h"
#include "fabric/train/checkpoint.h"
#include "kernels/gradient.h"
#include "tests/fabric/support/process.h"
#include "tests/fabric/support/safetensors.h"
#include "tests/kernels/float64_llama.h"

namespace ufab::testing {
namespace {

namespace float64 = kernels::float64;

constexpr kernels::LlamaShape kUntied{.vocab_size = 13,
                                      .context = 7,
                                      .layers = 2,
                                      .heads = 4,
                                      .kv_heads = 2,
                                      .width = 16,
                                      .hidden = 20,
                                      .norm_epsilon = 1e-6F,
                                      .rope_theta = 500000};
kernels::ModelConfig model_of(bool tied) {
  kernels::LlamaShape shape = kUntied;
  shape.tied = tied;
  return shape;
}
constexpr int kBatch = 2, kLength = 6;

// Names and shapes, written down from that library's model of these extents.
using Names = std::vector<std::pair<std::string, std::string>>;
Names names(bool tied) {
  Names list{{"model.embed_tokens.weight", "13,16"}};
  for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
    const std::string l = layer;
    for (const auto& [name, shape] : Names{{"input_layernorm.weight", "16"},
                                           {"self_attn.q_proj.weight", "16,16"},
                                           {"self_attn.k_proj.weight", "8,16"},
                                           {"self_attn.v_proj.weight", "8,16"},
                                           {"self_attn.o_proj.weight", "16,16"},
                                           {"post_attention_layernorm.weight", "16"},
                                           {"mlp.gate_proj.weight", "20,16"},
                                           {"mlp.up_proj.weight", "20,16"},
                                           {"mlp.down_proj.weight", "16,20"}}) {
      list.emplace_back(l + name, shape);
    }
  }
  list.emplace_back("model.norm.weight", "16");
  if (!tied) list.emplace_back("lm_head.weight", "13,16");
  return list;
}

std::vector<std::int32_t> tokens(int shift) {
  std::vector<std::int32_t> list;
  for (int i = 0; i < kBatch * kLength; ++i) list.push_back((i * 7 + shift) % 13);
  return list;
}

// The loss that binary64 finds for a file's tensors.
double loss_of_file(const Tensors& tensors, bool tied) {
  Values params;
  for (const auto& [name, shape] : names(tied)) {
    EXPECT_EQ(tensors.at(name).shape, shape) << name;
    const Values values = values_of(tensors.at(name));
    params.insert(params.end(), values.begin(), values.end());
  }
  const float64::LlamaModel model{13, 2, 4, 2, 16, 20, 1e-6, 500000, tied};
  return float64::llama_loss<double>(model, params, tokens(0), tokens(3), kBatch, kLength);
}

double loss_of_checkpoint(const Checkpoint& checkpoint) {
  const auto backend = kernels::make_backend(kernels::BackendKind::cpu, 1);
  kernels::Model model(checkpoint.info.model, kBatch, kLength, *backend);
  return static_cast<double>(model.forward(checkpoint.state.params, tokens(0), tokens(3)));
}

// A trained-looking model: nothing is zero or one, so that no exchange of tensors goes unseen.
Checkpoint example(const kernels::ModelConfig& model) {
  Checkpoint checkpoint;
  checkpoint.info.model = model;
  TrainState& state = checkpoint.state;
  state.step = 40;
  state.params.resize(kernels::model_parameter_count(model));
  for (std::size_t i = 0; i < state.params.size(); ++i) {
    state.params[i] = 0.3F * std::sin(static_cast<float>(i) * 1.7F + static_cast<float>(i % 101));
  }
  state.m.assign(state.params.size(), 0.25F);
  state.v.assign(state.params.size(), 0.5F);
  state.exponents.assign(kernels::model_parameters(model).size(), 3);
  checkpoint.info.digests = state_digest(state);
  return checkpoint;
}

// Weights of independent code.
Tensors independent_weights(bool tied) {
  Tensors tensors;
  double x = 0.1;
  for (const auto& [name, shape] : names(tied)) {
    std::size_t count = 1;
    for (std::size_t at = 0; at < shape.size();) {
      const std::size_t end = std::min(shape.find(',', at), shape.size());
      count *= std::stoull(shape.substr(at, end - at));
      at = end + 1;
    }
    Values values;
    for (std::size_t i = 0; i < count; ++i) {
      x = 3.9 * x * (1 - x);  // the logistic map, in (0, 1)
      values.push_back(x - 0.4);
    }
    tensors[name] = f32(shape, values);
  }
  return tensors;
}

// As that library writes it, less what does not decide the model.
std::string config_text(bool tied) {
  return fmt::format(R"({{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":16,
    "intermediate_size":20,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
    "max_position_embeddings":7,"vocab_size":13,"hidden_act":"silu","rms_norm_eps":1e-06,"rope_theta":500000.0,
    "rope_scaling":null,"attention_bias":false,"mlp_bias":false,"tie_word_embeddings":{},"use_cache":true}})",
                     tied);
}

class LlamaFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"out", "in"}) ASSERT_TRUE(make_folders(folder_ / name).ok());
  }
  void write_input(const Tensors& tensors, const std::string& config) {
    write_independently(folder_ / "in/model.safetensors", tensors);
    std::ofstream(folder_ / "in/config.json") << config;
  }
  Result<ModelFile> import_input(int heads = 0) {
    return import_model(folder_ / "in/model.safetensors", init_, heads);
  }
  TemporaryFolder folder_;
  const std::string checkpoint_ = folder_ / "trained.h5", weights_ = folder_ / "out/model.safetensors",
                    init_ = folder_ / "init.h5";
};

TEST_F(LlamaFilesTest, TheWeightsComeBackToTheSameDigestAndAnIndependentReaderFindsTheSameLoss) {
  for (const bool tied : {false, true}) {
    const TemporaryFolder folder;
    const std::string weights = folder / "model.safetensors", back = folder / "back.h5";
    const Checkpoint saved = example(model_of(tied));
    ASSERT_TRUE(save_checkpoint_alone(checkpoint_, saved).ok());
    const auto exported = export_model(checkpoint_, weights);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported->tensors, names(tied).size());

    const Tensors tensors = read_independently(weights);
    EXPECT_EQ(tensors.size(), names(tied).size());
    const double ours = loss_of_checkpoint(saved), theirs = loss_of_file(tensors, tied);
    EXPECT_NEAR(ours / theirs, 1, 1e-5);
    EXPECT_GT(theirs, 1);

    const auto imported = import_model(weights, back);
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    EXPECT_EQ(imported->parameters_digest, saved.info.digests.parameters);
    const auto loaded = load_checkpoint(back);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->info.model, model_of(tied));
    EXPECT_EQ(loaded->state.params, saved.state.params);
  }
}

TEST_F(LlamaFilesTest, WeightsOfIndependentCodeHaveTheSameLossHere) {
  for (const bool tied : {false, true}) {
    for (const bool extras : {false, true}) {
      Tensors tensors = independent_weights(tied);
      if (extras) tensors["model.layers.1.self_attn.rotary_emb.inv_freq"] = f32("2", {1, 0.5});
      if (extras && tied) tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight");
      write_input(tensors, config_text(tied));
      const auto imported = import_input();
      ASSERT_TRUE(imported.ok()) << imported.error().message;
      EXPECT_EQ(imported->model, model_of(tied));
      EXPECT_NEAR(loss_of_checkpoint(*load_checkpoint(init_)) / loss_of_file(tensors, tied), 1, 1e-5);
    }
  }
}

TEST_F(LlamaFilesTest, WeightsThatAreNotTheModelAreRefusedInOneLine) {
  const auto expect = [&](bool tied, const std::function<void(Tensors&)>& change, const char* expected,
                          int heads = 0) {
    Tensors tensors = independent_weights(tied);
    change(tensors);
    write_input(tensors, config_text(tied));
    const auto refused = import_input(heads);
    ASSERT_FALSE(refused.ok()) << expected;
    EXPECT_NE(refused.error().message.find(expected), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(file_exists(init_));
  };
  expect(
      false, [](Tensors& t) { t.erase("lm_head.weight"); }, "tensor 'lm_head.weight' is missing");
  expect(
      true,
      [](Tensors& t) {
        t["lm_head.weight"] = t["model.embed_tokens.weight"];
        t["lm_head.weight"].bytes[100] ^= 1;
      },
      "lm_head.weight differs from model.embed_tokens.weight, to which the model's head is tied");
  expect(
      false, [](Tensors& t) { t["model.layers.0.self_attn.k_proj.weight"] = f32("16,16", Values(256, 1)); },
      "'model.layers.0.self_attn.k_proj.weight' has shape [16, 16], the model's is [8, 16]");
  expect(
      false, [](Tensors& t) { t["model.layers.0.self_attn.q_proj.bias"] = f32("16", Values(16, 1)); },
      "'model.layers.0.self_attn.q_proj.bias' is none of a Llama of 2 layers");
  expect(
      false,
      [](Tensors& t) {
        t["model.layers.2.self_attn.rotary_emb.inv_freq"] = f32("2", {1, 1});
      },
      "is none of a Llama");
  expect(
      false, [](Tensors&) {}, "says num_attention_heads 4", 2);
  std::filesystem::remove(folder_ / "in/config.json");
  EXPECT_NE(import_input(4).error().message.find("a Llama, whose shape config.json must give"),
            std::string::npos);
}

TEST_F(LlamaFilesTest, ConfigurationsComeBackAndOthersAreRefusedByTheirFirstDifference) {
  for (const bool tied : {false, true}) {
    for (const std::string& text : {hugging_face_config(model_of(tied)), config_text(tied)}) {
      const auto parsed = parse_hugging_face_config(text);
      ASSERT_TRUE(parsed.ok()) << parsed.error().message;
      EXPECT_EQ(*parsed, model_of(tied));
    }
  }
  const std::string least =
      R"({"model_type":"llama","hidden_size":16,"intermediate_size":20,"num_hidden_layers":2,)"
      R"("num_attention_heads":4,"max_position_embeddings":7,"vocab_size":13)";
  const auto defaults = parse_hugging_face_config(least + "}");
  ASSERT_TRUE(defaults.ok()) << defaults.error().message;
  EXPECT_EQ(*defaults,
            kernels::ModelConfig(kernels::LlamaShape{13, 7, 2, 4, 4, 16, 20, 1e-6F, 10000, false}));
  const auto newer =
      parse_hugging_face_config(least + R"(,"rope_parameters":{"rope_theta":500000,"rope_type":"default"}})");
  ASSERT_TRUE(newer.ok()) << newer.error().message;
  EXPECT_EQ(newer->rope_theta, 500000);
  const struct {
    const char* rest;
    const char* expected;
  } cases[] = {
      {R"(,"num_key_value_heads":3})", "kv_heads 3 does not divide heads 4"},
      {R"(,"hidden_act":"gelu"})", "hidden_act is \"gelu\", this version computes \"silu\""},
      {R"(,"attention_bias":true})", "attention_bias is true"},
      {R"(,"mlp_bias":true})", "mlp_bias is true"},
      {R"(,"head_dim":8})", "head_dim is 8, this version computes 4"},
      {R"(,"rope_scaling":{"factor":8.0}})", "rope_scaling is {\"factor\":8E0}, this version computes null"},
      {R"(,"rope_parameters":{"rope_type":"llama3"}})", "rope_parameters: rope_type is \"llama3\""},
      {R"(,"rope_parameters":7})", "rope_parameters is 7, an object is wanted"},
      {R"(,"rope_theta":"x"})", "rope_theta is \"x\", a number is wanted"},
      {R"(,"rope_theta":0})", "rope_theta must be 1 to 1e9"},
      {R"(,"rms_norm_eps":0})", "norm_epsilon must be"},
      {R"(,"tie_word_embeddings":1})", "tie_word_embeddings is 1, true or false is wanted"},
  };
  for (const auto& test : cases) {
    const auto config = parse_hugging_face_config(least + test.rest);
    ASSERT_FALSE(config.ok()) << test.rest;
    EXPECT_NE(config.error().message.find(test.expected), std::string::npos) << config.error().message;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos) << config.error().message;
  }
}

}  // namespace
}  // namespace ufab::testing
