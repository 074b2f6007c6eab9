// GPT-2 (Radford et al. 2019): pre-norm decoder, learned positions, GELU (tanh form), head tied to wte.
// No dropout. Every linear layer has a bias and its weight is row-major [out][in] (Hugging Face's GPT-2 files
// hold the transpose).
//
// Parameters are one float vector. Order: wte.weight [V][C], wpe.weight [T][C], then per layer i
//   h.i.ln_1.weight [C], .bias [C], h.i.attn.c_attn.weight [3C][C] (rows: all q, all k, all v), .bias [3C],
//   h.i.attn.c_proj.weight [C][C], .bias [C], h.i.ln_2.weight [C], .bias [C], h.i.mlp.c_fc.weight [4C][C],
//   .bias [4C], h.i.mlp.c_proj.weight [C][4C], .bias [C],
// then ln_f.weight [C], ln_f.bias [C]. Tensors of two dimensions decay, others do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/parameters.h"

namespace ufab::kernels {

struct Gpt2Config {
  int vocab_size = 0;
  int context = 0;  // longest sequence
  int layers = 0;
  int heads = 0;
  int width = 0;  // model width, a multiple of heads

  // nullopt, or one line that says what is wrong and what would be right.
  [[nodiscard]] std::optional<std::string> validate() const;
  friend bool operator==(const Gpt2Config&, const Gpt2Config&) = default;
};

// The functions below need a config that validate() accepts (asserted).
[[nodiscard]] std::vector<ParameterTensor> gpt2_parameters(const Gpt2Config& config);
[[nodiscard]] std::size_t gpt2_parameter_count(const Gpt2Config& config);

// Initial values: normal(0, 0.02) for matrices, and 0.02 / sqrt(2 * layers) for the two projections into the
// residual stream; layer norms 1 and 0, biases 0. Elements 4j .. 4j+3 of tensor t (its index in
// gpt2_parameters) come from the Philox block of key `seed` at position (t, j): Box-Muller on words (0, 1)
// and (2, 3), the cosine first, with this project's own logarithm, sine and cosine, so the values are the
// same everywhere. params.size() == gpt2_parameter_count.
void gpt2_init(const Gpt2Config& config, std::uint64_t seed, std::span<float> params);

// Work of training on `tokens` tokens, which is what a job pays for: forward plus twice that for backward,
// multiply and add counted as two. Forward per token: 2 * (12 * L * C^2 + V * C) for the matmuls and
// 4 * L * T * C for attention over a full context T (queries with keys, probabilities with values; the causal
// half is counted as the usual formula does, whole). Hence 6 * (12 L C^2 + V C) + 12 L T C per token: the
// paid lines of gpt2_work().
[[nodiscard]] std::uint64_t gpt2_train_flop(const Gpt2Config& config, std::uint64_t tokens);

// The work of training on one token, by kind of operator. What is not paid is small beside the rest and
// counted roughly: so many operations an element, with what the backward pass computes again.
struct Gpt2Work {
  const char* name;
  std::uint64_t flop;
  bool paid;
};
[[nodiscard]] std::vector<Gpt2Work> gpt2_work(const Gpt2Config& config);

// One kind of memory that a Gpt2 takes for a micro-batch.
struct Gpt2Memory {
  const char* name;
  std::size_t bytes;
};
// What Gpt2(config, batch, seq_len, ...) takes, without taking it: from the function that lays its arena out,
// so that the pieces add up to arena_bytes(). Working rows in the memory of the logits count as logits.
[[nodiscard]] std::vector<Gpt2Memory> gpt2_memory(const Gpt2Config& config, int batch, int seq_len);

// The activations of one micro-batch and the passes over it. All memory is planned and taken in the
// constructor. Not thread-safe; uses the backend's threads.
class Gpt2 {
 public:
  // 1 <= seq_len <= config.context, batch >= 1 (asserted). The backend must outlive the object. `format` is
  // that of the linear layers' products, the tied head's included, in both directions.
  Gpt2(const Gpt2Config& config, int batch, int seq_len, Backend& backend,
       MatmulFormat format = MatmulFormat::f32);
  ~Gpt2();
  Gpt2(Gpt2&&) noexcept;
  Gpt2& operator=(Gpt2&&) noexcept;

  // Receives each tensor's gradient exactly once, from the calling thread, in a fixed order (the reverse of
  // the forward pass, wpe and wte last): whole, or in parts of which `first` is the element of the tensor
  // that the part starts with, ascending. The span is valid only during the call. By then the pass reads the
  // tensor's parameters no more: the sink may update them in place.
  using GradientSink =
      std::function<void(std::size_t tensor_index, std::size_t first, std::span<const float> gradient)>;

  // Mean cross-entropy over batch * seq_len positions; the gradients are those of this mean.
  // inputs, targets: [batch][seq_len], each in [0, vocab_size) (asserted). params: the whole vector.
  float forward_backward(std::span<const float> params, std::span<const std::int32_t> inputs,
                         std::span<const std::int32_t> targets, const GradientSink& sink);

  // The same loss, bit for bit, without gradients.
  [[nodiscard]] float forward(std::span<const float> params, std::span<const std::int32_t> inputs,
                              std::span<const std::int32_t> targets);

  // logits [vocab_size] of the token after context_tokens (1 .. config.context of them; independent of the
  // constructor's batch and seq_len, for which it takes memory of its own while it runs).
  void next_token_logits(std::span<const float> params, std::span<const std::int32_t> context_tokens,
                         std::span<float> logits);

  [[nodiscard]] const Gpt2Config& config() const;
  [[nodiscard]] std::size_t arena_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ufab::kernels
