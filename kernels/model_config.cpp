#include <cmath>

#include "kernels/assert.h"
#include "kernels/math.h"
#include "kernels/model.h"
#include "kernels/philox.h"

namespace ufab::kernels {
namespace {

// Bounds that keep every index and product of this library inside its type.
constexpr int kMaxVocab = 1 << 20, kMaxContext = 1 << 16, kMaxLayers = 256, kMaxWidth = 1 << 14;
constexpr int kMaxHeadWidth = 1024, kMaxHidden = 1 << 16;

std::optional<std::string> check_range(const char* name, int value, int high) {
  if (value >= 1 && value <= high) return std::nullopt;
  return std::string(name) + " is " + std::to_string(value) + ", must be 1 to " + std::to_string(high);
}

std::optional<std::string> check_gpt2(const ModelConfig& config) {
  if (config.kv_heads != config.heads) return "kv_heads is not heads: GPT-2 has a key for every query";
  if (config.hidden != 4 * config.width) return "hidden is not 4 * width, as GPT-2's is";
  if (config.norm_epsilon != kLayerNormEpsilon) return "norm_epsilon is not 1e-5, as GPT-2's is";
  if (config.rope_theta != 0) return "rope_theta is set, but GPT-2 learns its positions";
  if (!config.tied) return "tied is false, but GPT-2's head is its token embedding";
  return std::nullopt;
}

std::optional<std::string> check_llama(const ModelConfig& config) {
  if (config.kv_heads < 1 || config.heads % config.kv_heads != 0) {
    return "kv_heads " + std::to_string(config.kv_heads) + " does not divide heads " +
           std::to_string(config.heads);
  }
  if (config.head_width() % 2 != 0) {
    return "width / heads is " + std::to_string(config.head_width()) +
           ", must be even: rotary positions turn pairs";
  }
  if (auto wrong = check_range("hidden", config.hidden, kMaxHidden)) return wrong;
  if (!(config.norm_epsilon >= 1e-12F && config.norm_epsilon <= 1)) {
    return "norm_epsilon must be 1e-12 to 1";
  }
  if (!(config.rope_theta >= 1 && config.rope_theta <= 1e9)) return "rope_theta must be 1 to 1e9";
  return std::nullopt;
}

}  // namespace

const char* family_name(ModelFamily family) {
  return family == ModelFamily::gpt2 ? "gpt2" : "llama";
}
std::optional<ModelFamily> family_from_name(std::string_view name) {
  for (const ModelFamily family : {ModelFamily::gpt2, ModelFamily::llama}) {
    if (name == family_name(family)) return family;
  }
  return std::nullopt;
}

std::optional<std::string> ModelConfig::validate() const {
  if (auto wrong = check_range("vocab_size", vocab_size, kMaxVocab)) return wrong;
  if (auto wrong = check_range("context", context, kMaxContext)) return wrong;
  if (auto wrong = check_range("layers", layers, kMaxLayers)) return wrong;
  if (auto wrong = check_range("width", width, kMaxWidth)) return wrong;
  if (auto wrong = check_range("heads", heads, width)) return wrong;
  if (width % heads != 0) {
    return "width " + std::to_string(width) + " is not a multiple of heads " + std::to_string(heads);
  }
  if (auto wrong = check_range("width / heads", head_width(), kMaxHeadWidth)) return wrong;
  return family == ModelFamily::gpt2 ? check_gpt2(*this) : check_llama(*this);
}

namespace {

// Takes tensors in their order and adds up their offsets.
class TensorList {
 public:
  void add(std::string name, std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    const bool decay = shape.size() == 2;
    tensors_.push_back({std::move(name), std::move(shape), offset_, count, decay});
    offset_ += count;
  }
  void add_with_bias(const std::string& name, std::vector<std::int64_t> shape) {
    const std::int64_t outputs = shape[0];
    add(name + ".weight", std::move(shape));
    add(name + ".bias", {outputs});
  }
  std::vector<ParameterTensor> take() { return std::move(tensors_); }

 private:
  std::vector<ParameterTensor> tensors_;
  std::size_t offset_ = 0;
};

std::vector<ParameterTensor> gpt2_parameters(const ModelConfig& config) {
  TensorList list;
  const std::int64_t c = config.width;
  list.add("wte.weight", {config.vocab_size, c});
  list.add("wpe.weight", {config.context, c});
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "h." + std::to_string(layer) + ".";
    list.add_with_bias(prefix + "ln_1", {c});
    list.add_with_bias(prefix + "attn.c_attn", {3 * c, c});
    list.add_with_bias(prefix + "attn.c_proj", {c, c});
    list.add_with_bias(prefix + "ln_2", {c});
    list.add_with_bias(prefix + "mlp.c_fc", {4 * c, c});
    list.add_with_bias(prefix + "mlp.c_proj", {c, 4 * c});
  }
  list.add_with_bias("ln_f", {c});
  return list.take();
}

std::vector<ParameterTensor> llama_parameters(const ModelConfig& config) {
  TensorList list;
  const std::int64_t c = config.width, k = config.kv_width(), h = config.hidden;
  list.add("model.embed_tokens.weight", {config.vocab_size, c});
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    list.add(prefix + "input_layernorm.weight", {c});
    list.add(prefix + "self_attn.q_proj.weight", {c, c});
    list.add(prefix + "self_attn.k_proj.weight", {k, c});
    list.add(prefix + "self_attn.v_proj.weight", {k, c});
    list.add(prefix + "self_attn.o_proj.weight", {c, c});
    list.add(prefix + "post_attention_layernorm.weight", {c});
    list.add(prefix + "mlp.gate_proj.weight", {h, c});
    list.add(prefix + "mlp.up_proj.weight", {h, c});
    list.add(prefix + "mlp.down_proj.weight", {c, h});
  }
  list.add("model.norm.weight", {c});
  if (!config.tied) list.add("lm_head.weight", {config.vocab_size, c});
  return list.take();
}

}  // namespace

std::vector<ParameterTensor> model_parameters(const ModelConfig& config) {
  UFAB_KERNELS_ASSERT(!config.validate());
  return config.family == ModelFamily::gpt2 ? gpt2_parameters(config) : llama_parameters(config);
}

std::size_t model_parameter_count(const ModelConfig& config) {
  const ParameterTensor last = model_parameters(config).back();
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

// The projections into the residual stream.
bool is_residual(const std::string& name) {
  for (const char* suffix : {".c_proj.weight", ".o_proj.weight", ".down_proj.weight"}) {
    if (std::string_view(name).ends_with(suffix)) return true;
  }
  return false;
}

}  // namespace

void model_init(const ModelConfig& config, std::uint64_t seed, std::span<float> params) {
  const std::vector<ParameterTensor> tensors = model_parameters(config);
  UFAB_KERNELS_ASSERT(params.size() == model_parameter_count(config));
  const float residual_deviation = 0.02F / std::sqrt(2.0F * static_cast<float>(config.layers));
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const ParameterTensor& tensor = tensors[t];
    const std::span<float> values = params.subspan(tensor.offset, tensor.count);
    if (tensor.shape.size() == 2) {
      fill_normal(values, seed, t, is_residual(tensor.name) ? residual_deviation : 0.02F);
    } else {
      const float value = std::string_view(tensor.name).ends_with(".bias") ? 0.0F : 1.0F;
      for (float& v : values) v = value;
    }
  }
}

}  // namespace ufab::kernels
