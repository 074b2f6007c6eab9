// Weights out and in again, held against code that shares nothing with the product's: its own few lines of
// reading and writing safetensors, its own list of Hugging Face's names, and GPT-2 in binary64.
#include "fabric/model/model_files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "fabric/base/file.h"
#include "fabric/model/hugging_face.h"
#include "fabric/train/checkpoint.h"
#include "kernels/gradient.h"
#include "tests/fabric/support/process.h"
#include "tests/fabric/support/safetensors.h"
#include "tests/kernels/float64.h"

namespace ufab::testing {
namespace {

namespace float64 = kernels::float64;

const kernels::ModelConfig kModel = kernels::Gpt2Shape{13, 7, 2, 2, 8};
constexpr std::size_t kBatch = 2, kLength = 6;

// Names and shapes of a GPT-2 of kModel's extents, written down from that library's model; `matrix` marks
// what its Conv1D holds as [in][out].
struct Name {
  std::string name;
  int first, second;  // second 0: a vector
  bool matrix;
};
std::vector<Name> names() {
  std::vector<Name> list{{"wte.weight", 13, 8, false}, {"wpe.weight", 7, 8, false}};
  for (const char* layer : {"h.0.", "h.1."}) {
    const std::string h = layer;
    for (const Name& name : std::vector<Name>{{h + "ln_1.weight", 8, 0, false},
                                              {h + "ln_1.bias", 8, 0, false},
                                              {h + "attn.c_attn.weight", 8, 24, true},
                                              {h + "attn.c_attn.bias", 24, 0, false},
                                              {h + "attn.c_proj.weight", 8, 8, true},
                                              {h + "attn.c_proj.bias", 8, 0, false},
                                              {h + "ln_2.weight", 8, 0, false},
                                              {h + "ln_2.bias", 8, 0, false},
                                              {h + "mlp.c_fc.weight", 8, 32, true},
                                              {h + "mlp.c_fc.bias", 32, 0, false},
                                              {h + "mlp.c_proj.weight", 32, 8, true},
                                              {h + "mlp.c_proj.bias", 8, 0, false}}) {
      list.push_back(name);
    }
  }
  list.push_back({"ln_f.weight", 8, 0, false});
  list.push_back({"ln_f.bias", 8, 0, false});
  return list;
}
std::string shape_of(const Name& name) {
  return name.second == 0 ? std::to_string(name.first) : fmt::format("{},{}", name.first, name.second);
}

std::vector<std::int32_t> tokens(std::size_t shift) {
  std::vector<std::int32_t> list;
  for (std::size_t i = 0; i < kBatch * kLength; ++i)
    list.push_back(static_cast<std::int32_t>((i * 7 + shift) % 13));
  return list;
}

// The loss that binary64 finds for a file's tensors.
double loss_of_file(const Tensors& tensors) {
  Values params;
  for (const Name& name : names()) {
    const Tensor& tensor = tensors.at(name.name);
    EXPECT_EQ(tensor.shape, shape_of(name)) << name.name;
    const Values values = values_of(tensor);
    if (!name.matrix) {
      params.insert(params.end(), values.begin(), values.end());
      continue;
    }
    for (int out = 0; out < name.second; ++out) {
      for (int in = 0; in < name.first; ++in) params.push_back(values[float64::index(in, name.second, out)]);
    }
  }
  return float64::gpt2_loss<double>({13, 7, 2, 2, 8}, params, tokens(0), tokens(3), kBatch, kLength);
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
  checkpoint.info.definition = sha256("definition");
  checkpoint.info.corpus = sha256("corpus");
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

class ModelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"out", "in"}) ASSERT_TRUE(make_folders(folder_ / name).ok());
  }
  Checkpoint save(const kernels::ModelConfig& model = kModel) {
    Checkpoint checkpoint = example(model);
    EXPECT_TRUE(save_checkpoint_alone(checkpoint_, checkpoint).ok());
    return checkpoint;
  }
  // A checkpoint's weights in `weights_`, and their tensors.
  Tensors exported() {
    save();
    const auto file = export_model(checkpoint_, weights_);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return read_independently(weights_);
  }
  // The line that refuses in/model.safetensors, and its code.
  std::string refusal(ErrorCode code = ErrorCode::invalid, int heads = 0) {
    const auto imported = import_model(folder_ / "in/model.safetensors", init_, heads);
    if (imported.ok()) return "accepted";
    EXPECT_EQ(imported.error().code, code) << imported.error().message;
    EXPECT_EQ(imported.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(file_exists(init_));
    return imported.error().message;
  }
  void write_config(const std::string& text) { std::ofstream(folder_ / "in/config.json") << text; }

  TemporaryFolder folder_;
  const std::string checkpoint_ = folder_ / "trained.h5", weights_ = folder_ / "out/model.safetensors",
                    init_ = folder_ / "init.h5";
};

TEST_F(ModelFilesTest, TheWeightsComeBackToTheSameDigestAndStartAtStepZero) {
  const Checkpoint saved = save();
  const auto exported = export_model(checkpoint_, weights_);
  ASSERT_TRUE(exported.ok()) << exported.error().message;
  EXPECT_EQ(exported->parameters, saved.state.params.size());
  EXPECT_EQ(exported->tensors, 28U);
  EXPECT_EQ(exported->step, 40U);
  EXPECT_EQ(exported->parameters_digest, saved.info.digests.parameters);

  const auto imported = import_model(weights_, init_);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ(imported->parameters_digest, saved.info.digests.parameters);
  EXPECT_EQ(imported->config, folder_ / "out/config.json");
  const auto loaded = load_checkpoint(init_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->info.model, kModel);
  EXPECT_EQ(loaded->info.corpus, saved.info.corpus);
  EXPECT_TRUE(loaded->info.definition.is_zero());
  EXPECT_EQ(loaded->state.step, 0U);
  EXPECT_EQ(loaded->state.params, saved.state.params);
  EXPECT_EQ(loaded->state.m, std::pmr::vector<float>(saved.state.params.size()));
  EXPECT_EQ(loaded->state.v, std::pmr::vector<float>(saved.state.params.size()));
  EXPECT_EQ(loaded->state.exponents, std::vector<int>(28, kernels::kFirstExponent));
}

TEST_F(ModelFilesTest, TheSameModelMakesTheSameFileAndHasItsDigestsInTheMetadata) {
  const Checkpoint saved = save();
  ASSERT_TRUE(export_model(checkpoint_, weights_).ok());
  const std::string first = bytes_of(weights_);
  ASSERT_TRUE(export_model(checkpoint_, weights_).ok());
  EXPECT_TRUE(bytes_of(weights_) == first);
  const auto file = SafetensorsFile::open(weights_);
  EXPECT_EQ(file->header().metadata,
            (SafetensorsMetadata{{"format", "pt"},
                                 {"ufab.step", "40"},
                                 {"ufab.parameters_digest", saved.info.digests.parameters.str()},
                                 {"ufab.definition", saved.info.definition.str()},
                                 {"ufab.corpus", saved.info.corpus.str()}}));
}

TEST_F(ModelFilesTest, AnIndependentReaderComputesTheSameLossFromWhatIsWritten) {
  const Tensors tensors = exported();
  EXPECT_EQ(tensors.size(), names().size());
  const double ours = loss_of_checkpoint(example(kModel)), theirs = loss_of_file(tensors);
  EXPECT_NEAR(ours / theirs, 1, 1e-5);
  EXPECT_GT(theirs, 1);
}

// Weights of independent code, as the file of a language model that older versions of that library wrote.
Tensors independent_weights() {
  Tensors tensors;
  double x = 0.1;
  for (const Name& name : names()) {
    Values values;
    for (int i = 0; i < name.first * std::max(name.second, 1); ++i) {
      x = 3.9 * x * (1 - x);  // the logistic map, in (0, 1)
      values.push_back(x - 0.4);
    }
    tensors[name.name] = f32(shape_of(name), values);
  }
  return tensors;
}
Tensors as_language_model(const Tensors& tensors) {
  Tensors result;
  for (const auto& [name, tensor] : tensors) result["transformer." + name] = tensor;
  result["lm_head.weight"] = tensors.at("wte.weight");
  for (const char* layer : {"transformer.h.0.attn.", "transformer.h.1.attn."}) {
    result[std::string(layer) + "bias"] = {"BOOL", "1,1,7,7", std::string(49, '\1')};
    result[std::string(layer) + "masked_bias"] = f32("", {-1e4});
  }
  return result;
}

TEST_F(ModelFilesTest, AModelOfNoJobNamesNone) {
  write_independently(folder_ / "in/model.safetensors", independent_weights());
  ASSERT_TRUE(import_model(folder_ / "in/model.safetensors", init_, 2).ok());
  ASSERT_TRUE(export_model(init_, weights_).ok());
  const auto file = SafetensorsFile::open(weights_);
  EXPECT_EQ(file->header().metadata.size(), 3U);
  EXPECT_FALSE(file->header().metadata.contains("ufab.definition"));
  EXPECT_FALSE(file->header().metadata.contains("ufab.corpus"));
}

TEST_F(ModelFilesTest, WeightsOfIndependentCodeHaveTheSameLossHere) {
  const Tensors tensors = independent_weights();
  for (const bool language_model : {false, true}) {
    write_independently(folder_ / "in/model.safetensors",
                        language_model ? as_language_model(tensors) : tensors);
    const auto imported = import_model(folder_ / "in/model.safetensors", init_, 2);
    ASSERT_TRUE(imported.ok()) << imported.error().message;
    EXPECT_EQ(imported->model, kModel);
    EXPECT_EQ(imported->config, "");
    const auto loaded = load_checkpoint(init_);
    ASSERT_TRUE(loaded.ok());
    EXPECT_TRUE(loaded->info.corpus.is_zero());
    EXPECT_NEAR(loss_of_checkpoint(*loaded) / loss_of_file(tensors), 1, 1e-5);
  }
}

TEST_F(ModelFilesTest, MatricesOfManyPiecesAreTransposedElementByElement) {
  const kernels::ModelConfig wide =
      kernels::Gpt2Shape{40, 16, 1, 5, 600};  // c_fc takes six pieces of a megabyte, of unequal size
  const Checkpoint saved = save(wide);
  ASSERT_TRUE(export_model(checkpoint_, weights_).ok());
  const Tensors tensors = read_independently(weights_);
  for (const auto& tensor : kernels::model_parameters(wide)) {
    if (tensor.name.find(".c_") == std::string::npos || tensor.shape.size() != 2) continue;
    const auto rows = static_cast<std::size_t>(tensor.shape[0]),
               columns = static_cast<std::size_t>(tensor.shape[1]);
    EXPECT_EQ(tensors.at(tensor.name).shape, fmt::format("{},{}", columns, rows));
    const Values values = values_of(tensors.at(tensor.name));
    std::size_t wrong = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        wrong +=
            values[c * rows + r] != static_cast<double>(saved.state.params[tensor.offset + r * columns + c]);
      }
    }
    EXPECT_EQ(wrong, 0U) << tensor.name;
  }
  const auto imported = import_model(weights_, init_);
  ASSERT_TRUE(imported.ok()) << imported.error().message;
  EXPECT_EQ(imported->parameters_digest, saved.info.digests.parameters);
}

TEST_F(ModelFilesTest, HalvesAndBrainFloatsAreImported) {
  for (const char* dtype : {"F16", "BF16"}) {
    Tensors tensors = independent_weights();
    const char* one = dtype == std::string("F16") ? "\x00\x3c" : "\x80\x3f";
    for (auto& [name, tensor] : tensors) {
      Tensor half{dtype, tensor.shape, {}};
      for (std::size_t i = 0; i < tensor.bytes.size() / 4; ++i) half.bytes.append(one, 2);
      tensor = half;
    }
    write_independently(folder_ / "in/model.safetensors", tensors);
    ASSERT_TRUE(import_model(folder_ / "in/model.safetensors", init_, 2).ok());
    const auto loaded = load_checkpoint(init_);
    EXPECT_EQ(loaded->state.params, std::pmr::vector<float>(loaded->state.params.size(), 1.0F));
  }
}

TEST_F(ModelFilesTest, ConfigurationsComeBackAndOthersAreRefusedByTheirFirstDifference) {
  const auto parsed = parse_hugging_face_config(hugging_face_config(kModel));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, kModel);
  const std::string least = R"({"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"vocab_size":13)";
  for (const char* rest :
       {R"(,"n_positions":7})", R"(,"n_ctx":7})", R"(,"n_ctx":9,"n_positions":7,"n_inner":32})",
        R"(,"n_ctx":7,"layer_norm_epsilon":0.00001,"n_inner":null,"resid_pdrop":0.1})"}) {
    const auto config = parse_hugging_face_config(least + rest);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(*config, kModel);
  }
  const struct {
    std::string text;
    const char* expected;
  } cases[] = {
      {"", "not a JSON object in UTF-8"},
      {"[1]", "not a JSON object in UTF-8"},
      {"{\"\xff\":1}", "not a JSON object in UTF-8"},
      {"{}", "model_type is missing, this version computes \"gpt2\""},
      {R"({"model_type":"llama\n"})", R"(model_type is "llama\n", this version)"},
      {least + "}", "n_positions is missing"},
      {least + R"(,"n_ctx":0})", "n_ctx is 0, a whole number from 1 is wanted"},
      {least + R"(,"n_ctx":7.5})", "n_ctx is 7.5E0, a whole number"},
      {least + R"(,"n_ctx":"7"})", "n_ctx is \"7\", a whole number"},
      {least + R"(,"n_ctx":4294967303})", "n_ctx is 4294967303, a whole number"},
      {least + R"(,"n_ctx":7,"n_inner":33})", "n_inner is 33, this version computes 4 * n_embd"},
      {least + R"(,"n_ctx":7,"activation_function":"relu"})", "activation_function is \"relu\""},
      {least + R"(,"n_ctx":7,"layer_norm_epsilon":1e-6})", "layer_norm_epsilon is 1E-6"},
      {least + R"(,"n_ctx":7,"scale_attn_weights":false})", "scale_attn_weights is false"},
      {least + R"(,"n_ctx":7,"scale_attn_by_inverse_layer_idx":true})",
       "scale_attn_by_inverse_layer_idx is true"},
      {least + R"(,"n_ctx":7,"add_cross_attention":true})", "add_cross_attention is true"},
      {least + R"(,"n_ctx":7,"tie_word_embeddings":false})", "tie_word_embeddings is false"},
      {R"({"model_type":"gpt2","n_layer":2,"n_head":3,"n_embd":8,"vocab_size":13,"n_ctx":7})", "heads"},
  };
  for (const auto& test : cases) {
    const auto config = parse_hugging_face_config(test.text);
    ASSERT_FALSE(config.ok()) << test.text;
    EXPECT_NE(config.error().message.find(test.expected), std::string::npos) << config.error().message;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos) << config.error().message;
  }
}

TEST_F(ModelFilesTest, WeightsThatAreNotTheModelAreRefusedInOneLine) {
  const auto expect = [&](const std::function<void(Tensors&)>& change, const char* expected) {
    Tensors tensors = independent_weights();
    change(tensors);
    write_independently(folder_ / "in/model.safetensors", tensors);
    const std::string message = refusal(ErrorCode::invalid, 2);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  };
  expect([](Tensors& t) { t.erase("h.1.mlp.c_fc.bias"); }, "tensor 'h.1.mlp.c_fc.bias' is missing");
  expect([](Tensors& t) { t.erase("wte.weight"); }, "not a GPT-2");
  expect([](Tensors& t) { t["wpe.weight"].shape = "56"; }, "not a GPT-2");
  expect([](Tensors& t) { t["wpe.weight"] = f32("0,8", {}); }, "context is 0");
  expect([](Tensors& t) { t["h.0.attn.c_attn.weight"].shape = "24,8"; },
         "tensor 'h.0.attn.c_attn.weight' has shape [24, 8], the model's is [8, 24]");
  expect([](Tensors& t) { t["ln_f.bias"].shape = "8,1"; },
         "'ln_f.bias' has shape [8, 1], the model's is [8]");
  expect(
      [](Tensors& t) {
        t["score.weight"] = f32("2", {1, 2});
      },
      "tensor 'score.weight' is none of a GPT-2 of 2 layers");
  expect([](Tensors& t) { t["h.2.attn.bias"] = f32("2", {1, 2}); }, "'h.2.attn.bias' is none of");
  expect([](Tensors& t) { t["transformer.ln_f.bias"] = t["ln_f.bias"]; },
         "tensor 'ln_f.bias' is there with and without 'transformer.'");
  expect(
      [](Tensors& t) {
        t["ln_f.bias"] = {"F64", "8", std::string(64, '\0')};
      },
      "tensor 'ln_f.bias' is F64; F32, F16 and BF16 can be read");
  expect([](Tensors& t) { t["ln_f.bias"] = f32("8", Values(8, std::nan(""))); },
         "tensor 'ln_f.bias' holds a value that is not finite");
  expect([](Tensors& t) { t["lm_head.weight"] = t["h.0.mlp.c_fc.bias"]; }, "'lm_head.weight' has shape [32]");
  expect(
      [](Tensors& t) {
        t["lm_head.weight"] = t["wte.weight"];
        t["lm_head.weight"].bytes[400] ^= 1;
      },
      "lm_head.weight differs from wte.weight");
}

TEST_F(ModelFilesTest, ConfigurationAndHeadsMustFitTheWeights) {
  write_independently(folder_ / "in/model.safetensors", independent_weights());
  EXPECT_NE(refusal(ErrorCode::usage).find("no config.json beside it; give --heads N"), std::string::npos);
  EXPECT_NE(refusal(ErrorCode::invalid, 3).find("width 8 is not a multiple of heads 3"), std::string::npos);
  write_config(hugging_face_config(kernels::Gpt2Shape{13, 7, 3, 2, 8}));
  EXPECT_NE(refusal().find("tensor 'h.2.ln_1.weight' is missing"), std::string::npos);
  write_config(hugging_face_config(kernels::Gpt2Shape{13, 7, 1, 2, 8}));
  EXPECT_NE(refusal().find("is none of a GPT-2 of 1 layers"), std::string::npos);
  write_config(hugging_face_config(kernels::Gpt2Shape{14, 7, 2, 2, 8}));
  EXPECT_NE(refusal().find("'wte.weight' has shape [13, 8], the model's is [14, 8]"), std::string::npos);
  write_config(hugging_face_config(kModel));
  EXPECT_NE(refusal(ErrorCode::usage, 4).find("says n_head 2"), std::string::npos);
  write_config("{");
  EXPECT_NE(refusal().find("config.json: not a JSON object"), std::string::npos);
  write_config(hugging_face_config(kModel));
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(ModelFilesTest, AChangedParameterUnderOurMetadataIsDamage) {
  Tensors tensors = exported();
  const std::string metadata =
      fmt::format(R"("__metadata__":{{"format":"pt","ufab.parameters_digest":"{}"}})",
                  example(kModel).info.digests.parameters.str());
  tensors["ln_f.bias"].bytes[2] ^= 1;
  write_independently(folder_ / "in/model.safetensors", tensors, metadata);
  EXPECT_NE(refusal(ErrorCode::corrupt, 2).find("damaged, or changed by a program"), std::string::npos);
  write_independently(folder_ / "in/model.safetensors", tensors,
                      R"("__metadata__":{"ufab.parameters_digest":"x"})");
  EXPECT_EQ(refusal(ErrorCode::corrupt, 2), "accepted");
}

TEST_F(ModelFilesTest, AnExportReplacesNoConfigurationOfAnotherModelAndLeavesNothingWhenItFails) {
  save();
  std::ofstream(folder_ / "out/config.json") << R"({"name":"a website"})";
  const auto refused = export_model(checkpoint_, weights_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_NE(refused.error().message.find("out/config.json: is there and describes another model"),
            std::string::npos);
  EXPECT_FALSE(file_exists(weights_));
  std::ofstream(folder_ / "out/config.json")
      << R"({"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"n_ctx":7,"vocab_size":13})";
  const std::string before = bytes_of(folder_ / "out/config.json");
  EXPECT_TRUE(export_model(checkpoint_, weights_).ok());
  EXPECT_EQ(bytes_of(folder_ / "out/config.json"), before);

  EXPECT_EQ(export_model(checkpoint_, folder_ / "in/config.json").error().code, ErrorCode::usage);
  EXPECT_EQ(export_model(folder_ / "absent.h5", folder_ / "in/a").error().code, ErrorCode::not_found);
  EXPECT_EQ(export_model(weights_, folder_ / "in/a").error().code, ErrorCode::corrupt);
  EXPECT_FALSE(export_model(checkpoint_, folder_ / "absent/a").ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "in"));
  EXPECT_FALSE(import_model(weights_, folder_ / "absent/init.h5").ok());
}

}  // namespace
}  // namespace ufab::testing
