// The models: decoders of two families, which differ in a few parts and share one text (kernels/model.cpp).
//
//            norm before each block   positions          MLP                         biases  head
//   gpt2     layer norm               learned            GELU, tanh form             yes     tied
//   llama    RMS norm                 rotary             SwiGLU                      no      tied or its own
//
// GPT-2: Radford et al. 2019. Llama: Touvron et al. 2023, with grouped-query attention (Ainslie et al. 2023)
// where kv_heads < heads. No dropout. A linear layer's weight is row-major [out][in] (Hugging Face's GPT-2
// files hold the transpose).
//
// Parameters are one float vector. C is the width, D = C / heads, K = kv_heads * D, H = hidden.
// GPT-2: wte.weight [V][C], wpe.weight [T][C], then per layer i
//   h.i.ln_1.weight [C], .bias [C], h.i.attn.c_attn.weight [3C][C] (rows: all q, all k, all v), .bias [3C],
//   h.i.attn.c_proj.weight [C][C], .bias [C], h.i.ln_2.weight [C], .bias [C], h.i.mlp.c_fc.weight [4C][C],
//   .bias [4C], h.i.mlp.c_proj.weight [C][4C], .bias [C],
// then ln_f.weight [C], ln_f.bias [C].
// Llama, in Hugging Face's names: model.embed_tokens.weight [V][C], then per layer i, with the prefix
// model.layers.i.,
//   input_layernorm.weight [C], self_attn.q_proj.weight [C][C], self_attn.k_proj.weight [K][C],
//   self_attn.v_proj.weight [K][C], self_attn.o_proj.weight [C][C], post_attention_layernorm.weight [C],
//   mlp.gate_proj.weight [H][C], mlp.up_proj.weight [H][C], mlp.down_proj.weight [C][H],
// then model.norm.weight [C] and, where the head is not tied, lm_head.weight [V][C].
// Tensors of two dimensions decay, others do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/backend.h"
#include "kernels/parameters.h"
#include "kernels/semantics.h"

namespace ufab::kernels {

enum class ModelFamily { gpt2, llama };
// "gpt2", "llama", and its exact inverse.
[[nodiscard]] const char* family_name(ModelFamily family);
[[nodiscard]] std::optional<ModelFamily> family_from_name(std::string_view name);

struct ModelConfig {
  ModelFamily family = ModelFamily::gpt2;
  int vocab_size = 0;
  int context = 0;  // longest sequence
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;  // a divisor of heads; gpt2: heads
  int width = 0;     // model width, a multiple of heads
  int hidden = 0;    // of the MLP; gpt2: 4 * width
  float norm_epsilon = kLayerNormEpsilon;
  double rope_theta = 0;  // llama only; gpt2: 0
  bool tied = true;       // the head is the token embedding

  [[nodiscard]] int head_width() const { return width / heads; }
  [[nodiscard]] int kv_width() const { return kv_heads * head_width(); }
  // nullopt, or one line that says what is wrong and what would be right.
  [[nodiscard]] std::optional<std::string> validate() const;
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// What there is to choose of each family.
struct Gpt2Shape {
  int vocab_size = 0, context = 0, layers = 0, heads = 0, width = 0;
  constexpr operator ModelConfig() const {  // NOLINT(google-explicit-constructor): it is one, in short
    return {.family = ModelFamily::gpt2,
            .vocab_size = vocab_size,
            .context = context,
            .layers = layers,
            .heads = heads,
            .kv_heads = heads,
            .width = width,
            .hidden = 4 * width};
  }
};
struct LlamaShape {
  int vocab_size = 0, context = 0, layers = 0, heads = 0, kv_heads = 0, width = 0, hidden = 0;
  float norm_epsilon = 1e-5F;
  double rope_theta = 10000;
  bool tied = false;
  constexpr operator ModelConfig() const {  // NOLINT(google-explicit-constructor)
    return {ModelFamily::llama, vocab_size, context, layers, heads, kv_heads, width, hidden,
            norm_epsilon,       rope_theta, tied};
  }
};

// The functions below need a config that validate() accepts (asserted).
[[nodiscard]] std::vector<ParameterTensor> model_parameters(const ModelConfig& config);
[[nodiscard]] std::size_t model_parameter_count(const ModelConfig& config);

// Initial values: normal(0, 0.02) for matrices, and 0.02 / sqrt(2 * layers) for the two projections into the
// residual stream (c_proj; o_proj and down_proj); norms 1 and 0, biases 0. Elements 4j .. 4j+3 of tensor t
// (its index in model_parameters) come from the Philox block of key `seed` at position (t, j): Box-Muller on
// words (0, 1) and (2, 3), the cosine first, with this project's own logarithm, sine and cosine, so the
// values are the same everywhere. params.size() == model_parameter_count.
void model_init(const ModelConfig& config, std::uint64_t seed, std::span<float> params);

// Work of training on `tokens` tokens, which is what a job pays for: forward plus twice that for backward,
// multiply and add counted as two. Forward per token: 2 * (M + V * C) for the matmuls, M the elements of the
// layers' matrices (GPT-2: 12 * L * C^2), and 4 * L * T * C for attention over a full context T (queries with
// keys, probabilities with values; the causal half is counted as the usual formula does, whole). Hence
// 6 * (M + V C) + 12 L T C per token: the paid lines of model_work(). What a rank computes again because it
// kept less (Model's `recompute`) is its own affair.
[[nodiscard]] std::uint64_t model_train_flop(const ModelConfig& config, std::uint64_t tokens);

// The work of training on one token, by kind of operator. What is not paid is small beside the rest and
// counted roughly: so many operations an element, with what the backward pass computes again.
struct ModelWork {
  const char* name;
  std::uint64_t flop;
  bool paid;
};
[[nodiscard]] std::vector<ModelWork> model_work(const ModelConfig& config);

// What `recompute` adds, on one token: the forward passes of all layers but the last, each up to its MLP's
// activation.
[[nodiscard]] std::uint64_t model_recompute_flop(const ModelConfig& config);

// One kind of memory that a Model takes for a micro-batch.
struct ModelMemory {
  const char* name;
  std::size_t bytes;
};
// What Model(config, batch, seq_len, ..., recompute) takes on a backend of these logits_bytes(), without
// taking it: from the function that lays its arena out, so that the pieces add up to arena_bytes(). Working
// rows in the memory of the logits count as logits.
[[nodiscard]] std::vector<ModelMemory> model_memory(const ModelConfig& config, int batch, int seq_len,
                                                    bool recompute = false,
                                                    std::size_t logits_bytes = kLogitsBytes);
// What such a model's training and its optimizer ask of the backend's working memory.
[[nodiscard]] ScratchQuestion model_scratch(const ModelConfig& config, int batch, int seq_len,
                                            MatmulFormat format, std::size_t logits_bytes = kLogitsBytes);

// The activations of one micro-batch and the passes over it. All memory is planned and taken in the
// constructor. Not thread-safe; uses the backend's threads.
class Model {
 public:
  // 1 <= seq_len <= config.context, batch >= 1 (asserted). The backend must outlive the object. `format` is
  // that of the linear layers' products, the head's included, in both directions. `recompute` keeps of each
  // layer its input alone and computes the rest again in the backward pass (Chen et al. 2016): the same bits,
  // less memory, about a third more work.
  Model(const ModelConfig& config, int batch, int seq_len, Backend& backend,
        MatmulFormat format = MatmulFormat::f32, bool recompute = false);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // Receives each tensor's gradient exactly once, from the calling thread, in a fixed order (the reverse of
  // the forward pass by layers, positions and token embedding last): whole, or in parts of which `first` is
  // the element of the tensor that the part starts with, ascending. The span lies in the backend's
  // device_memory() and is for its operators; it is valid only until the call returns. By then the pass reads
  // the tensor's parameters no more: the sink may update them in place.
  using GradientSink =
      std::function<void(std::size_t tensor_index, std::size_t first, std::span<const float> gradient)>;

  // Mean cross-entropy over batch * seq_len positions; the gradients are those of this mean.
  // inputs, targets: [batch][seq_len], each in [0, vocab_size) (asserted), in any memory of the host. params:
  // the whole vector, in the backend's memory. Waits for the backend: what the sink called is done too.
  float forward_backward(std::span<const float> params, std::span<const std::int32_t> inputs,
                         std::span<const std::int32_t> targets, const GradientSink& sink);

  // The same loss, bit for bit, without gradients.
  [[nodiscard]] float forward(std::span<const float> params, std::span<const std::int32_t> inputs,
                              std::span<const std::int32_t> targets);

  // logits [vocab_size] of the token after context_tokens (1 .. config.context of them; independent of the
  // constructor's batch and seq_len, for which it takes memory of its own while it runs).
  void next_token_logits(std::span<const float> params, std::span<const std::int32_t> context_tokens,
                         std::span<float> logits);

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] std::size_t arena_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ufab::kernels
