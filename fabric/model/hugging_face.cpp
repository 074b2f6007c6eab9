#include "fabric/model/hugging_face.h"

#include <fmt/format.h>

namespace ufab {

namespace {

bool is_transposed(std::string_view name) {
  for (const char* layer : {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"}) {
    if (name.ends_with(layer)) return true;
  }
  return false;
}

}  // namespace

std::vector<HuggingFaceTensor> hugging_face_tensors(const kernels::ModelConfig& config) {
  std::vector<HuggingFaceTensor> tensors;
  for (const kernels::ParameterTensor& tensor : kernels::model_parameters(config)) {
    std::vector<std::uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
    const bool transposed = config.family == kernels::ModelFamily::gpt2 && is_transposed(tensor.name);
    if (transposed) std::swap(shape[0], shape[1]);
    tensors.push_back({tensor.name, std::move(shape), transposed, tensor.offset, tensor.count});
  }
  return tensors;
}

bool is_hugging_face_constant(std::string_view name, const kernels::ModelConfig& config) {
  const bool gpt2 = config.family == kernels::ModelFamily::gpt2;
  const std::string_view prefix = gpt2 ? "h." : "model.layers.";
  for (const std::string_view suffix :
       {".attn.bias", ".attn.masked_bias", ".self_attn.rotary_emb.inv_freq"}) {
    if (!name.ends_with(suffix) || gpt2 != suffix.starts_with(".attn")) continue;
    const std::string_view layer = name.substr(0, name.size() - suffix.size());
    for (int i = 0; i < config.layers; ++i) {
      if (layer == fmt::format("{}{}", prefix, i)) return true;
    }
  }
  return false;
}

const char* hugging_face_embedding(const kernels::ModelConfig& config) {
  return config.family == kernels::ModelFamily::gpt2 ? "wte.weight" : "model.embed_tokens.weight";
}

void transpose_out(std::span<const float> matrix, std::size_t rows, std::size_t columns, std::size_t first,
                   std::span<float> piece) {
  const std::size_t count = piece.size() / rows;
  UFAB_ASSERT(matrix.size() == rows * columns && piece.size() % rows == 0 && first + count <= columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < count; ++c) piece[c * rows + r] = matrix[r * columns + first + c];
  }
}

void transpose_in(std::span<const float> piece, std::size_t rows, std::size_t columns, std::size_t first,
                  std::span<float> matrix) {
  const std::size_t count = piece.size() / rows;
  UFAB_ASSERT(matrix.size() == rows * columns && piece.size() % rows == 0 && first + count <= columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < count; ++c) matrix[r * columns + first + c] = piece[c * rows + r];
  }
}

}  // namespace ufab
