#include "kernels/model.h"

#include <algorithm>
#include <memory_resource>

#include "kernels/assert.h"
#include "kernels/model_arena.h"
#include "kernels/model_layout.h"
#include "kernels/rope_table.h"

namespace ufab::kernels {
namespace {

// Floats of a memory resource, not initialised.
class Floats {
 public:
  Floats(std::pmr::memory_resource& memory, std::size_t count)
      : memory_(&memory), count_(count), data_(static_cast<float*>(memory.allocate(bytes(), 64))) {}
  ~Floats() { memory_->deallocate(data_, bytes(), 64); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  [[nodiscard]] float* data() const { return data_; }

 private:
  [[nodiscard]] std::size_t bytes() const { return count_ * sizeof(float); }
  std::pmr::memory_resource* memory_;
  std::size_t count_;
  float* data_;
};

}  // namespace

struct Model::State : Arena {
  ModelConfig config;
  int batch, seq;
  Backend& backend;
  MatmulFormat format;
  std::vector<ParameterTensor> tensors;
  ModelLayout layout;
  Floats device, shared;
  std::pmr::vector<std::int32_t> inputs, targets;  // of the pass that runs
  std::span<const float> params;                   // of the pass that runs

  State(const ModelConfig& model, int batch_size, int seq_len, Backend& operators, MatmulFormat products,
        bool for_training, bool recomputes)
      : Arena(model, batch_size, seq_len, for_training, recomputes, operators.logits_bytes()),
        config(model),
        batch(batch_size),
        seq(seq_len),
        backend(operators),
        format(products),
        tensors(model_parameters(model)),
        layout(model),
        device(backend.device_memory(), device_floats),
        shared(backend.shared_memory(), shared_floats),
        inputs(static_cast<std::size_t>(rows), &backend.shared_memory()),
        targets(static_cast<std::size_t>(rows), &backend.shared_memory()) {
    plan(config, seq, device.data(), shared.data());
    if (!rotary()) return;
    const RopeTable table = rope_table(seq, config.head_width(), config.rope_theta);
    std::copy(table.cosine.begin(), table.cosine.end(), cosine);
    std::copy(table.sine.begin(), table.sine.end(), sine);
  }

  [[nodiscard]] bool gpt2() const { return config.family == ModelFamily::gpt2; }
  [[nodiscard]] bool rotary() const { return !gpt2(); }

  [[nodiscard]] const float* at(std::size_t tensor) const { return params.data() + tensors[tensor].offset; }
  [[nodiscard]] std::size_t elements(int per_row) const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(per_row);
  }

  ~State() { backend.wait(); }  // before the memory goes
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // `wanted`, the targets, may be empty where no loss is asked for.
  void begin(std::span<const float> parameters, std::span<const std::int32_t> tokens,
             std::span<const std::int32_t> wanted) {
    check_tokens(tokens);
    set_parameters(parameters);
    backend.wait();  // the pass before may read its tokens still
    std::copy(tokens.begin(), tokens.end(), inputs.begin());
    if (wanted.empty()) return;
    check_tokens(wanted);
    std::copy(wanted.begin(), wanted.end(), targets.begin());
  }
  void set_parameters(std::span<const float> parameters) {
    UFAB_KERNELS_ASSERT(parameters.size() == tensors.back().offset + tensors.back().count);
    params = parameters;
  }
  void check_tokens(std::span<const std::int32_t> tokens) const {
    UFAB_KERNELS_ASSERT(tokens.size() == static_cast<std::size_t>(rows));
    for (const std::int32_t token : tokens) UFAB_KERNELS_ASSERT(token >= 0 && token < config.vocab_size);
  }

  // ---- the parts of a layer, forward ----

  void norm_forward(float* out, const NormStatistics& statistics, const float* in, std::size_t norm) {
    if (gpt2()) {
      return backend.layernorm_forward(out, statistics.mean, statistics.rstd, in, at(norm), at(norm + 1),
                                       rows, width);
    }
    backend.rmsnorm_forward(out, statistics.rstd, in, at(norm), config.norm_epsilon, rows, width);
  }
  void linear_forward(float* out, const float* in, const Linear& linear) {
    const float* bias = linear.biased ? at(linear.weight + static_cast<std::size_t>(linear.parts)) : nullptr;
    backend.matmul_forward(out, in, at(linear.weight), bias, rows, linear.in_width, linear.out_width, format);
  }
  void rotate(float* qkv, bool back) {
    if (!rotary()) return;
    const auto apply = back ? &Backend::rope_backward : &Backend::rope_forward;
    (backend.*apply)(qkv, cosine, sine, batch, seq, config.heads, config.kv_heads, config.head_width());
  }
  // mlp -> wide.
  void activation_forward(const LayerActivations& a) {
    if (gpt2()) return backend.gelu_forward(wide, a.mlp, elements(config.hidden));
    backend.swiglu_forward(wide, a.mlp, rows, config.hidden);
  }

  // layer.input -> what the backward pass needs of the layer.
  void layer_activations(const LayerLayout& layer, const LayerActivations& a) {
    norm_forward(normal, a.norm1, a.input, layer.norm1);
    linear_forward(a.qkv, normal, layer.qkv);
    rotate(a.qkv, false);
    backend.attention_forward(a.attention, a.logsumexp, a.qkv, batch, seq, config.heads, config.kv_heads,
                              config.head_width(), format);
    linear_forward(narrow, a.attention, layer.attention_out);
    backend.residual_forward(a.middle, a.input, narrow, elements(width));
    norm_forward(normal, a.norm2, a.middle, layer.norm2);
    linear_forward(a.mlp, normal, layer.mlp_in);
  }
  // The rest: to `output`, which may be layer.input itself when nothing is kept for a backward pass.
  void layer_output(const LayerLayout& layer, const LayerActivations& a, float* output) {
    activation_forward(a);
    linear_forward(narrow, wide, layer.mlp_out);
    backend.residual_forward(output, a.middle, narrow, elements(width));
  }

  // Tokens to normal_f, the output of the final norm.
  void trunk_forward(bool keep) {
    backend.embedding_forward(layers[0].input, at(layout.tokens), gpt2() ? at(layout.positions) : nullptr,
                              inputs.data(), batch, seq, width);
    for (int layer = 0; layer < config.layers; ++layer) {
      const LayerActivations& a = layers[keep ? static_cast<std::size_t>(layer) : 0];
      const bool is_last = layer + 1 == config.layers;
      float* output = is_last ? last : keep ? layers[static_cast<std::size_t>(layer) + 1].input : a.input;
      layer_activations(layout.layer(layer), a);
      layer_output(layout.layer(layer), a, output);
    }
    norm_forward(normal_f, final_norm, last, layout.final_norm);
  }

  // The head in blocks of rows: losses, and with `gradient` dnarrow = d normal_f and, unless the logits'
  // gradient is kept for it, dhead.
  void head(bool gradient) {
    const float* weight = at(layout.head);
    const int vocab = config.vocab_size;
    for (int row = 0; row < rows; row += logits_rows) {
      const int count = std::min(logits_rows, rows - row);
      const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(row) * width;
      backend.matmul_forward(logits, normal_f + offset, weight, nullptr, count, width, vocab, format);
      backend.softmax_cross_entropy(losses + row, logits, targets.data() + row, count, vocab, rows, gradient);
      if (!gradient) continue;
      backend.matmul_backward_input(dnarrow + offset, logits, weight, count, width, vocab, format);
      if (keep_logits) continue;
      backend.matmul_backward_weight(dhead, normal_f + offset, logits, count, width, vocab, vocab, row > 0,
                                     format);
    }
  }
  // Of head(), once all is done.
  float mean_loss() {
    backend.wait();
    double sum = 0;
    for (int row = 0; row < rows; ++row) sum += static_cast<double>(losses[row]);
    return static_cast<float>(sum / rows);
  }

  // ---- gradients of parameters ----

  void emit(const GradientSink& sink, std::size_t tensor, const float* gradient) {
    sink(tensor, 0, {gradient, tensors[tensor].count});
  }
  // A tensor [vocab][width] in parts that fit dweight: body(part, first_token, count) makes each.
  template <class Body>
  void emit_by_tokens(const GradientSink& sink, std::size_t tensor, const Body& body) {
    const std::size_t row = static_cast<std::size_t>(width);
    const int part = static_cast<int>(dweight_floats / row), vocab = config.vocab_size;
    for (int first = 0; first < vocab; first += part) {
      const int count = std::min(part, vocab - first);
      body(dweight, first, count);
      sink(tensor, static_cast<std::size_t>(first) * row, {dweight, static_cast<std::size_t>(count) * row});
    }
  }
  // The gradient of the head's rows [first, first + count), of the logits that were kept.
  void head_rows_gradient(float* gradient, int first, int count) {
    backend.matmul_backward_weight(gradient, normal_f, logits + first, rows, width, count, config.vocab_size,
                                   false, format);
  }
  // dresidual, the gradient of the embedding's output, added to rows [first, first + count) of `gradient`.
  void add_token_gradient(float* gradient, int first, int count) {
    backend.embedding_backward_tokens(gradient, dresidual, inputs.data(), rows, width, first, count);
  }
  // A head of its own is done with as soon as the logits are.
  void untied_head_gradient(const GradientSink& sink) {
    if (!keep_logits) return emit(sink, layout.head, dhead);
    emit_by_tokens(sink, layout.head,
                   [&](float* part, int first, int count) { head_rows_gradient(part, first, count); });
  }
  void token_gradient(const GradientSink& sink) {
    if (config.tied && !keep_logits) {
      add_token_gradient(dhead, 0, config.vocab_size);
      return emit(sink, layout.tokens, dhead);
    }
    emit_by_tokens(sink, layout.tokens, [&](float* part, int first, int count) {
      if (config.tied) {
        head_rows_gradient(part, first, count);
      } else {
        backend.zero(part, static_cast<std::size_t>(count) * static_cast<std::size_t>(width) * sizeof(float));
      }
      add_token_gradient(part, first, count);
    });
  }
  void position_gradient(const GradientSink& sink) {
    if (rotary()) return;
    // Positions past seq_len were not used.
    const std::size_t used = static_cast<std::size_t>(seq) * static_cast<std::size_t>(width);
    backend.embedding_backward_positions(dweight, dresidual, batch, seq, width);
    if (used < tensors[layout.positions].count) {
      backend.zero(dweight + used, (tensors[layout.positions].count - used) * sizeof(float));
    }
    emit(sink, layout.positions, dweight);
  }
  // Weights and bias of one linear layer, once everything that reads them is done.
  void linear_gradients(const GradientSink& sink, const Linear& linear, const float* in, const float* dout) {
    std::ptrdiff_t column = 0;
    for (int part = 0; part < linear.parts; ++part) {
      const std::size_t tensor = linear.weight + static_cast<std::size_t>(part);
      const int part_rows = static_cast<int>(tensors[tensor].shape[0]);
      backend.matmul_backward_weight(dweight, in, dout + column, rows, linear.in_width, part_rows,
                                     linear.out_width, false, format);
      emit(sink, tensor, dweight);
      column += part_rows;
    }
    if (!linear.biased) return;
    backend.bias_backward(dweight, dout, rows, linear.out_width);
    emit(sink, linear.weight + static_cast<std::size_t>(linear.parts), dweight);
  }
  // dnarrow is the gradient of the norm's output; that of its input is added to dresidual.
  void norm_backward(const GradientSink& sink, std::size_t norm, const float* in,
                     const NormStatistics& statistics) {
    const float *mean = statistics.mean, *rstd = statistics.rstd;
    if (gpt2()) {
      backend.layernorm_backward_input(dresidual, dnarrow, in, at(norm), mean, rstd, rows, width);
      backend.layernorm_backward_parameters(dweight, dweight + width, dnarrow, in, mean, rstd, rows, width);
      emit(sink, norm, dweight);
      return emit(sink, norm + 1, dweight + width);
    }
    backend.rmsnorm_backward_input(dresidual, dnarrow, in, at(norm), rstd, rows, width);
    backend.rmsnorm_backward_parameters(dweight, dnarrow, in, rstd, rows, width);
    emit(sink, norm, dweight);
  }

  // ---- a layer, backward ----

  void linear_backward_input(float* din, const float* dout, const Linear& linear) {
    backend.matmul_backward_input(din, dout, at(linear.weight), rows, linear.in_width, linear.out_width,
                                  format);
  }
  // dwide, the gradient of the activation's output, to that of its input, which is returned. SwiGLU's is
  // twice as wide and takes the place of its input.
  float* activation_backward(const LayerActivations& a) {
    if (gpt2()) {
      backend.gelu_backward(dwide, dwide, a.mlp, elements(config.hidden));
      return dwide;
    }
    backend.swiglu_backward(a.mlp, dwide, a.mlp, rows, config.hidden);
    return a.mlp;
  }

  // dresidual: from the gradient of the layer's output to that of its input.
  void layer_backward(int index, const GradientSink& sink) {
    const LayerLayout layer = layout.layer(index);
    const LayerActivations& a = layers[static_cast<std::size_t>(index)];
    // The last layer's are there still.
    if (recompute && index + 1 < config.layers) layer_activations(layer, a);

    linear_backward_input(dwide, dresidual, layer.mlp_out);
    activation_forward(a);
    linear_gradients(sink, layer.mlp_out, wide, dresidual);
    const float* dmlp = activation_backward(a);
    linear_backward_input(dnarrow, dmlp, layer.mlp_in);
    norm_forward(normal, a.norm2, a.middle, layer.norm2);
    linear_gradients(sink, layer.mlp_in, normal, dmlp);
    norm_backward(sink, layer.norm2, a.middle, a.norm2);

    linear_backward_input(dnarrow, dresidual, layer.attention_out);
    linear_gradients(sink, layer.attention_out, a.attention, dresidual);
    float* dqkv = dwide;
    backend.attention_backward(dqkv, dnarrow, a.attention, a.logsumexp, a.qkv, batch, seq, config.heads,
                               config.kv_heads, config.head_width(), format);
    rotate(dqkv, true);
    linear_backward_input(dnarrow, dqkv, layer.qkv);
    norm_forward(normal, a.norm1, a.input, layer.norm1);
    linear_gradients(sink, layer.qkv, normal, dqkv);
    norm_backward(sink, layer.norm1, a.input, a.norm1);
  }

  // From dnarrow = d normal_f to the last gradient.
  void backward(const GradientSink& sink) {
    if (!config.tied) untied_head_gradient(sink);
    backend.zero(dresidual, elements(width) * sizeof(float));
    norm_backward(sink, layout.final_norm, last, final_norm);
    for (int layer = config.layers - 1; layer >= 0; --layer) layer_backward(layer, sink);
    position_gradient(sink);
    token_gradient(sink);
  }
};

Model::Model(const ModelConfig& config, int batch, int seq_len, Backend& backend, MatmulFormat format,
             bool recompute)
    : state_(std::make_unique<State>(config, batch, seq_len, backend, format, true, recompute)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

float Model::forward_backward(std::span<const float> params, std::span<const std::int32_t> inputs,
                              std::span<const std::int32_t> targets, const GradientSink& sink) {
  State& s = *state_;
  s.begin(params, inputs, targets);
  s.trunk_forward(true);
  s.head(true);
  s.backward(sink);
  return s.mean_loss();
}

float Model::forward(std::span<const float> params, std::span<const std::int32_t> inputs,
                     std::span<const std::int32_t> targets) {
  State& s = *state_;
  s.begin(params, inputs, targets);
  s.trunk_forward(false);
  s.head(false);
  return s.mean_loss();
}

void Model::next_token_logits(std::span<const float> params, std::span<const std::int32_t> context_tokens,
                              std::span<float> logits) {
  const ModelConfig& config = state_->config;
  UFAB_KERNELS_ASSERT(!context_tokens.empty() &&
                      context_tokens.size() <= static_cast<std::size_t>(config.context));
  UFAB_KERNELS_ASSERT(logits.size() == static_cast<std::size_t>(config.vocab_size));
  State s(config, 1, static_cast<int>(context_tokens.size()), state_->backend, state_->format, false, false);
  s.begin(params, context_tokens, {});
  s.trunk_forward(false);
  const float* last_row = s.normal_f + static_cast<std::ptrdiff_t>(s.rows - 1) * s.width;
  std::pmr::vector<float> row(logits.size(), &s.backend.shared_memory());
  s.backend.matmul_forward(row.data(), last_row, s.at(s.layout.head), nullptr, 1, s.width, config.vocab_size,
                           s.format);
  s.backend.wait();
  std::copy(row.begin(), row.end(), logits.begin());
}

const ModelConfig& Model::config() const {
  return state_->config;
}
std::size_t Model::arena_bytes() const {
  return (state_->device_floats + state_->shared_floats) * sizeof(float);
}

}  // namespace ufab::kernels
