// The models in Hugging Face's words: the names and shapes of their tensors, and config.json.
//
// Tensors carry the names of kernels/model.h. Llama's are that library's, shapes included; old files also
// hold a constant, model.layers.N.self_attn.rotary_emb.inv_freq, and files of a tied model may hold the head.
//
// Of GPT-2 the weights of c_attn, c_proj and c_fc are stored transposed,
// [in][out], because that library's Conv1D holds them so; all others as here. A file of the bare model begins
// its names with "h.0...", one of the language model with "transformer.h.0...". Older files also hold
// constants (h.N.attn.bias, the causal mask, and h.N.attn.masked_bias) and the head, lm_head.weight, which is
// wte.weight.
//
// config.json, the keys that decide a GPT-2 and what each must be (absent ones have that library's defaults):
//   model_type "gpt2"; n_layer, n_head, n_embd, vocab_size, n_positions or n_ctx: needed; n_inner null or
//   4 * n_embd; activation_function "gelu_new"; layer_norm_epsilon 1e-5; scale_attn_weights true;
//   scale_attn_by_inverse_layer_idx, add_cross_attention false; tie_word_embeddings true
// and of a Llama:
//   model_type "llama"; num_hidden_layers, num_attention_heads, hidden_size, intermediate_size,
//   max_position_embeddings, vocab_size: needed; num_key_value_heads (num_attention_heads), rms_norm_eps
//   (1e-6), tie_word_embeddings (false), rope_theta (10000) or rope_parameters with rope_type "default";
//   hidden_act "silu"; attention_bias, mlp_bias false; rope_scaling null; head_dim null or hidden_size /
//   num_attention_heads
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
// The token embedding, which a tied head is.
[[nodiscard]] const char* hugging_face_embedding(const kernels::ModelConfig& config);
// Whether `name` (without the prefix) is a constant of a layer, which carries no parameters.
[[nodiscard]] bool is_hugging_face_constant(std::string_view name, const kernels::ModelConfig& config);

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
