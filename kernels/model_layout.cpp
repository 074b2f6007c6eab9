#include "kernels/model_layout.h"

#include "kernels/assert.h"

namespace ufab::kernels {

ModelLayout::ModelLayout(const ModelConfig& config) {
  const int c = config.width, qkv_width = c + 2 * config.kv_width();
  const bool gpt2 = config.family == ModelFamily::gpt2;
  std::size_t next = 0;
  const auto take = [&](std::size_t count) {
    const std::size_t first = next;
    next += count;
    return first;
  };
  const auto take_norm = [&] { return take(gpt2 ? 2 : 1); };
  const auto take_linear = [&](int parts, int in_width, int out_width) {
    return Linear{take(static_cast<std::size_t>(parts + (gpt2 ? 1 : 0))), parts, gpt2, in_width, out_width};
  };
  tokens = take(1);
  if (gpt2) positions = take(1);
  const std::size_t layers_from = next;
  first_layer.norm1 = take_norm();
  first_layer.qkv = take_linear(gpt2 ? 1 : 3, c, qkv_width);
  first_layer.attention_out = take_linear(1, c, c);
  first_layer.norm2 = take_norm();
  first_layer.mlp_in = gpt2 ? take_linear(1, c, config.hidden) : take_linear(2, c, 2 * config.hidden);
  first_layer.mlp_out = take_linear(1, config.hidden, c);
  layer_tensors = next - layers_from;
  next = layers_from + layer_tensors * static_cast<std::size_t>(config.layers);
  final_norm = take_norm();
  head = config.tied ? tokens : take(1);
  UFAB_KERNELS_ASSERT(next == model_parameters(config).size());
}

LayerLayout ModelLayout::layer(int index) const {
  LayerLayout result = first_layer;
  const std::size_t shift = layer_tensors * static_cast<std::size_t>(index);
  result.norm1 += shift;
  result.norm2 += shift;
  for (Linear* linear : {&result.qkv, &result.attention_out, &result.mlp_in, &result.mlp_out}) {
    linear->weight += shift;
  }
  return result;
}

}  // namespace ufab::kernels
