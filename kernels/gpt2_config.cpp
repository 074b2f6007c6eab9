#include <cmath>

#include "kernels/assert.h"
#include "kernels/gpt2.h"
#include "kernels/math.h"
#include "kernels/philox.h"

namespace ufab::kernels {
namespace {

// Bounds that keep every index and product of this library inside its type.
constexpr int kMaxVocab = 1 << 20, kMaxContext = 1 << 16, kMaxLayers = 256, kMaxWidth = 1 << 14;
constexpr int kMaxHeadWidth = 1024;

std::optional<std::string> check_range(const char* name, int value, int high) {
  if (value >= 1 && value <= high) return std::nullopt;
  return std::string(name) + " is " + std::to_string(value) + ", must be 1 to " + std::to_string(high);
}

}  // namespace

std::optional<std::string> Gpt2Config::validate() const {
  if (auto wrong = check_range("vocab_size", vocab_size, kMaxVocab)) return wrong;
  if (auto wrong = check_range("context", context, kMaxContext)) return wrong;
  if (auto wrong = check_range("layers", layers, kMaxLayers)) return wrong;
  if (auto wrong = check_range("width", width, kMaxWidth)) return wrong;
  if (auto wrong = check_range("heads", heads, width)) return wrong;
  if (width % heads != 0) {
    return "width " + std::to_string(width) + " is not a multiple of heads " + std::to_string(heads);
  }
  return check_range("width / heads", width / heads, kMaxHeadWidth);
}

std::vector<ParameterTensor> gpt2_parameters(const Gpt2Config& config) {
  UFAB_KERNELS_ASSERT(!config.validate());
  std::vector<ParameterTensor> tensors;
  std::size_t offset = 0;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    const bool decay = shape.size() == 2;
    tensors.push_back({std::move(name), std::move(shape), offset, count, decay});
    offset += count;
  };
  const std::int64_t c = config.width;
  add("wte.weight", {config.vocab_size, c});
  add("wpe.weight", {config.context, c});
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "h." + std::to_string(layer) + ".";
    const auto add_pair = [&](const char* name, std::vector<std::int64_t> shape) {
      const std::int64_t outputs = shape[0];
      add(prefix + name + ".weight", std::move(shape));
      add(prefix + name + ".bias", {outputs});
    };
    add_pair("ln_1", {c});
    add_pair("attn.c_attn", {3 * c, c});
    add_pair("attn.c_proj", {c, c});
    add_pair("ln_2", {c});
    add_pair("mlp.c_fc", {4 * c, c});
    add_pair("mlp.c_proj", {c, 4 * c});
  }
  add("ln_f.weight", {c});
  add("ln_f.bias", {c});
  return tensors;
}

std::size_t gpt2_parameter_count(const Gpt2Config& config) {
  const ParameterTensor last = gpt2_parameters(config).back();
  return last.offset + last.count;
}

namespace {

// Two independent standard normal values of two words: Box and Muller, 1958.
void normal_pair(std::uint32_t word0, std::uint32_t word1, float& first, float& second) {
  const float uniform = static_cast<float>((word0 >> 8) + 1U) * 0x1p-24F;  // (0, 1], exact
  const float radius = std::sqrt(-2.0F * log(Lane{uniform}).v);
  float cosine, sine;
  cos_sin_turns(static_cast<float>(word1 >> 8) * 0x1p-24F, cosine, sine);
  first = radius * cosine;
  second = radius * sine;
}

void fill_normal(std::span<float> values, std::uint64_t seed, std::uint64_t tensor, float deviation) {
  for (std::size_t i = 0; i < values.size(); i += 4) {
    const PhiloxCounter words = philox_block(seed, tensor, i / 4);
    float normal[4];
    normal_pair(words[0], words[1], normal[0], normal[1]);
    normal_pair(words[2], words[3], normal[2], normal[3]);
    for (std::size_t j = 0; j < 4 && i + j < values.size(); ++j) values[i + j] = deviation * normal[j];
  }
}

bool ends_with(const std::string& text, const char* suffix) {
  return std::string_view(text).ends_with(suffix);
}

}  // namespace

void gpt2_init(const Gpt2Config& config, std::uint64_t seed, std::span<float> params) {
  const std::vector<ParameterTensor> tensors = gpt2_parameters(config);
  UFAB_KERNELS_ASSERT(params.size() == gpt2_parameter_count(config));
  const float residual_deviation = 0.02F / std::sqrt(2.0F * static_cast<float>(config.layers));
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const ParameterTensor& tensor = tensors[t];
    const std::span<float> values = params.subspan(tensor.offset, tensor.count);
    if (tensor.shape.size() == 2) {
      const bool residual = ends_with(tensor.name, ".c_proj.weight");
      fill_normal(values, seed, t, residual ? residual_deviation : 0.02F);
    } else {
      const float value = ends_with(tensor.name, ".bias") ? 0.0F : 1.0F;
      for (float& v : values) v = value;
    }
  }
}

std::vector<Gpt2Work> gpt2_work(const Gpt2Config& config) {
  UFAB_KERNELS_ASSERT(!config.validate());
  const auto c = static_cast<std::uint64_t>(config.width), l = static_cast<std::uint64_t>(config.layers);
  const auto v = static_cast<std::uint64_t>(config.vocab_size),
             t = static_cast<std::uint64_t>(config.context);
  // Operations an element: layer norm's forward pass twice and its two gradients; GELU twice and its
  // gradient, each with a tanh; exp and what surrounds it; one an addition.
  constexpr std::uint64_t kNorm = 7 + 7 + 11 + 5, kGelu = 45 + 45 + 55, kSoftmax = 30;
  return {{"matmuls of the layers", 6 * 12 * l * c * c, true},
          {"matmul of the head", 6 * v * c, true},
          {"attention", 12 * l * t * c, true},
          {"layer norm", kNorm * (2 * l + 1) * c, false},
          {"GELU", kGelu * 4 * l * c, false},
          {"softmax and loss", kSoftmax * v, false},
          {"residuals, embeddings, biases", (2 + 9) * l * c + 3 * c, false}};
}

std::uint64_t gpt2_train_flop(const Gpt2Config& config, std::uint64_t tokens) {
  std::uint64_t per_token = 0;
  for (const Gpt2Work& work : gpt2_work(config)) per_token += work.paid ? work.flop : 0;
  return tokens * per_token;
}

}  // namespace ufab::kernels
