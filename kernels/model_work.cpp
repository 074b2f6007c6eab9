#include "kernels/assert.h"
#include "kernels/model.h"
#include "kernels/model_layout.h"

namespace ufab::kernels {
namespace {

std::uint64_t elements(const Linear& linear) {
  return static_cast<std::uint64_t>(linear.in_width) * static_cast<std::uint64_t>(linear.out_width);
}

}  // namespace

std::vector<ModelWork> model_work(const ModelConfig& config) {
  UFAB_KERNELS_ASSERT(!config.validate());
  const auto c = static_cast<std::uint64_t>(config.width), l = static_cast<std::uint64_t>(config.layers);
  const auto v = static_cast<std::uint64_t>(config.vocab_size),
             t = static_cast<std::uint64_t>(config.context);
  const auto hidden = static_cast<std::uint64_t>(config.hidden);
  const LayerLayout layer = ModelLayout(config).first_layer;
  const std::uint64_t matrices =
      elements(layer.qkv) + elements(layer.attention_out) + elements(layer.mlp_in) + elements(layer.mlp_out);
  // Operations an element: a norm's forward pass twice and its gradients; the activation twice and its
  // gradient, GELU each with a tanh, SwiGLU with an exp; exp and what surrounds it; one an addition.
  constexpr std::uint64_t kLayerNorm = 7 + 7 + 11 + 5, kRmsNorm = 4 + 4 + 8 + 3;
  constexpr std::uint64_t kGelu = 45 + 45 + 55, kSwiglu = 25 + 25 + 55, kRope = 2 * 3, kSoftmax = 30;
  std::vector<ModelWork> work = {{"matmuls of the layers", 6 * l * matrices, true},
                                 {"matmul of the head", 6 * v * c, true},
                                 {"attention", 12 * l * t * c, true}};
  if (config.family == ModelFamily::gpt2) {
    work.push_back({"layer norm", kLayerNorm * (2 * l + 1) * c, false});
    work.push_back({"GELU", kGelu * hidden * l, false});
  } else {
    work.push_back({"RMS norm", kRmsNorm * (2 * l + 1) * c, false});
    work.push_back({"SwiGLU", kSwiglu * hidden * l, false});
    work.push_back(
        {"rotary positions", kRope * l * (c + static_cast<std::uint64_t>(config.kv_width())), false});
  }
  const std::uint64_t biases = config.family == ModelFamily::gpt2 ? 9 : 0;
  work.push_back({"softmax and loss", kSoftmax * v, false});
  work.push_back({biases > 0 ? "residuals, embeddings, biases" : "residuals, embeddings",
                  (2 + biases) * l * c + 3 * c, false});
  return work;
}

std::uint64_t model_recompute_flop(const ModelConfig& config) {
  UFAB_KERNELS_ASSERT(!config.validate());
  const LayerLayout layer = ModelLayout(config).first_layer;
  const std::uint64_t matrices = elements(layer.qkv) + elements(layer.attention_out) + elements(layer.mlp_in);
  const auto attention =
      static_cast<std::uint64_t>(config.context) * static_cast<std::uint64_t>(config.width);
  return static_cast<std::uint64_t>(config.layers - 1) * (2 * matrices + 4 * attention);
}

std::uint64_t model_train_flop(const ModelConfig& config, std::uint64_t tokens) {
  std::uint64_t per_token = 0;
  for (const ModelWork& work : model_work(config)) per_token += work.paid ? work.flop : 0;
  return tokens * per_token;
}

}  // namespace ufab::kernels
