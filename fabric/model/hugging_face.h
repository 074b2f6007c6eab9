// GPT-2 in Hugging Face's words: the names and shapes of its tensors, and config.json.
//
// Tensors carry the names of kernels/model.h. The weights of c_attn, c_proj and c_fc are stored transposed,
// [in][out], because that library's Conv1D holds them so; all others as here. A file of the bare model begins
// its names with "h.0...", one of the language model with "transformer.h.0...". Older files also hold
// constants (h.N.attn.bias, the causal mask, and h.N.attn.masked_bias) and the head, lm_head.weight, which is
// wte.weight.
//
// config.json, the keys that decide a GPT-2 and what each must be (absent ones have that library's defaults):
//   model_type "gpt2"; n_layer, n_head, n_embd, vocab_size, n_positions or n_ctx: needed; n_inner null or
//   4 * n_embd; activation_function "gelu_new"; layer_norm_epsilon 1e-5; scale_attn_weights true;
//   scale_attn_by_inverse_layer_idx, add_cross_attention false; tie_word_embeddings true
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fabric/model/safetensors.h"
#include "kernels/model.h"

namespace ufab {

struct HuggingFaceTensor {
  std::string name;                  // without "transformer."
  std::vector<std::uint64_t> shape;  // in the file
  bool transposed = false;
  std::size_t offset = 0, count = 0;  // in the parameter vector
};

// In the order of the parameter vector. The config must be valid.
[[nodiscard]] std::vector<HuggingFaceTensor> hugging_face_tensors(const kernels::ModelConfig& config);

inline constexpr std::string_view kHuggingFacePrefix = "transformer.";
inline constexpr const char* kHuggingFaceHead = "lm_head.weight";
// Whether `name` (without the prefix) is a constant of a layer, which carries no parameters.
[[nodiscard]] bool is_hugging_face_constant(std::string_view name, int layers);

// The text of config.json; it ends in a newline.
[[nodiscard]] std::string hugging_face_config(const kernels::ModelConfig& config);
// The model of a config.json; one that this version cannot compute is ErrorCode::invalid. The result is
// valid.
[[nodiscard]] Result<kernels::ModelConfig> parse_hugging_face_config(std::string_view text);

// Copies a matrix of `rows` x `columns`, transposed, in pieces: `piece` holds the rows [first, first + count)
// of the transpose, `count` of them, each of `rows` values.
void transpose_out(std::span<const float> matrix, std::size_t rows, std::size_t columns, std::size_t first,
                   std::span<float> piece);
// The inverse: writes the piece into its place in `matrix`.
void transpose_in(std::span<const float> piece, std::size_t rows, std::size_t columns, std::size_t first,
                  std::span<float> matrix);

}  // namespace ufab
