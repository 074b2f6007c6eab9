#include "kernels/gpt2.h"

#include <algorithm>
#include <new>

#include "kernels/assert.h"
#include "kernels/integer.h"

namespace ufab::kernels {
namespace {

// Indices into gpt2_parameters(): the layer's tensors follow one another in this order.
enum LayerTensor {
  kLn1Weight,
  kLn1Bias,
  kAttnWeight,
  kAttnBias,
  kAttnProjWeight,
  kAttnProjBias,
  kLn2Weight,
  kLn2Bias,
  kFcWeight,
  kFcBias,
  kMlpProjWeight,
  kMlpProjBias,
  kLayerTensors
};
constexpr std::size_t kWte = 0, kWpe = 1, kFirstLayer = 2;

// Where the head's logits exist for a block of rows at a time: at most this many bytes, but at least one row.
constexpr std::size_t kLogitsBytes = std::size_t{32} << 20;

// The gradient of the tied wte needs the logits' gradient and, last of all, that of the embedding. With few
// rows it takes less memory to keep the logits until then, and to make the gradient in parts, than to keep
// the gradient of the head while the pass goes back to the embedding.
bool keeps_logits(int rows, int width) {
  return rows <= width;
}

// Rows of a block: as even as multiples of an integer format's block allow where there are as many, so that
// the blocks of the head's weight gradient are those of one product over all rows; else of 8.
int logits_block(int rows, int vocab) {
  const std::size_t row_bytes = static_cast<std::size_t>(vocab) * sizeof(float);
  const int most = static_cast<int>(std::clamp<std::size_t>(kLogitsBytes / row_bytes, 1, 1 << 20));
  if (rows <= most) return rows;
  const int blocks = (rows + most - 1) / most;
  const int even = (rows + blocks - 1) / blocks;
  const int unit = most >= kIntegerBlock ? kIntegerBlock : 8;
  return std::min((even + unit - 1) / unit * unit, std::max(most / unit * unit, 1));
}

struct ArenaFree {
  void operator()(float* p) const { ::operator delete (p, std::align_val_t{64}); }
};

// What the backward pass needs of one layer. The outputs of layer norm and GELU are computed again.
struct LayerActivations {
  float *input, *ln1_mean, *ln1_rstd, *qkv, *logsumexp, *attention, *middle, *ln2_mean, *ln2_rstd, *fc;
};

// What a buffer of the arena is for; the names are gpt2_memory()'s.
enum ArenaKind {
  kResidual,
  kQkv,
  kAttention,
  kMlp,
  kStatistics,
  kLogits,
  kWteGradient,
  kWeightGradient,
  kWorking,
  kArenaKinds
};
constexpr const char* kArenaNames[kArenaKinds] = {
    "residual stream",           "queries, keys, values", "attention's outputs",
    "MLP's inputs to GELU",      "statistics of rows",    "logits",
    "gradient of the tied head", "gradient of a tensor",  "working rows beside the logits"};

// The buffers of one micro-batch and where they lie.
struct Arena {
  int rows, width, logits_rows;
  bool training, keep_logits;
  std::size_t arena_floats = 0;
  std::size_t floats_of[kArenaKinds] = {};  // add up to arena_floats

  std::vector<LayerActivations> layers;  // one for evaluation only, or one a layer
  float *last, *lnf_mean, *lnf_rstd;     // input of the final layer norm
  float *normal, *normal_f, *narrow, *wide, *logits, *losses;
  float *dresidual, *dnarrow, *dwide, *dweight, *dwte;  // training only; dwte null where logits are kept
  std::size_t dweight_floats = 0;

  Arena(const Gpt2Config& config, int batch, int seq, bool for_training)
      : rows(batch * seq),
        width(config.width),
        training(for_training),
        keep_logits(training && keeps_logits(rows, width)) {
    UFAB_KERNELS_ASSERT(!config.validate() && batch >= 1 && seq >= 1 && seq <= config.context);
    logits_rows = keep_logits ? rows : logits_block(rows, config.vocab_size);
    layers.resize(training ? static_cast<std::size_t>(config.layers) : 1);
    plan(config, nullptr);
  }

  // Lays every buffer out after `base`; with null only the sizes are of use.
  void plan(const Gpt2Config& config, float* base) {
    std::size_t used = 0;
    std::fill_n(floats_of, kArenaKinds, std::size_t{0});
    const auto take = [&](ArenaKind kind, std::size_t floats) {
      float* at = base == nullptr ? nullptr : base + used;
      const std::size_t padded = (floats + 15) & ~std::size_t{15};
      used += padded;
      floats_of[kind] += padded;
      return at;
    };
    const auto r = static_cast<std::size_t>(rows), c = static_cast<std::size_t>(width);
    const std::size_t v = static_cast<std::size_t>(config.vocab_size);
    for (LayerActivations& layer : layers) {
      layer.input = take(kResidual, r * c);
      layer.ln1_mean = take(kStatistics, r);
      layer.ln1_rstd = take(kStatistics, r);
      layer.qkv = take(kQkv, r * 3 * c);
      layer.logsumexp = take(kStatistics, r * static_cast<std::size_t>(config.heads));
      layer.attention = take(kAttention, r * c);
      layer.middle = take(kResidual, r * c);
      layer.ln2_mean = take(kStatistics, r);
      layer.ln2_rstd = take(kStatistics, r);
      layer.fc = take(kMlp, r * 4 * c);
    }
    last = take(kResidual, r * c);
    lnf_mean = take(kStatistics, r);
    lnf_rstd = take(kStatistics, r);
    normal_f = take(kWorking, r * c);
    losses = take(kStatistics, r);
    if (training) dnarrow = take(kWorking, r * c);
    dwte = training && !keep_logits ? take(kWteGradient, v * c) : nullptr;
    // Logits that are not kept live only inside head(), the rest only outside: they share their memory.
    const std::size_t shared = used;
    logits = take(kLogits, static_cast<std::size_t>(logits_rows) * v);
    const std::size_t after_logits = used;
    if (!keep_logits) used = shared;
    normal = take(kWorking, r * c);
    narrow = take(kWorking, r * c);
    wide = take(kWorking, r * 4 * c);
    if (training) {
      dresidual = take(kWorking, r * c);
      dwide = take(kWorking, r * 4 * c);
      dweight_floats = std::max(4 * c * c, static_cast<std::size_t>(config.context) * c);
      dweight = take(kWeightGradient, dweight_floats);
    }
    // What is shared counts once, as logits.
    std::size_t twice = keep_logits ? 0 : std::min(after_logits, used) - shared;
    for (const ArenaKind kind : {kWorking, kWeightGradient}) {
      const std::size_t counted = std::min(twice, floats_of[kind]);
      floats_of[kind] -= counted;
      twice -= counted;
    }
    used = std::max(used, after_logits);
    arena_floats = used;
  }
};

}  // namespace

struct Gpt2::State : Arena {
  Gpt2Config config;
  int batch, seq;
  Backend& backend;
  MatmulFormat format;
  std::vector<ParameterTensor> tensors;
  std::unique_ptr<float, ArenaFree> arena;

  State(const Gpt2Config& model, int batch_size, int seq_len, Backend& operators, MatmulFormat products,
        bool for_training)
      : Arena(model, batch_size, seq_len, for_training),
        config(model),
        batch(batch_size),
        seq(seq_len),
        backend(operators),
        format(products),
        tensors(gpt2_parameters(model)) {
    arena.reset(static_cast<float*>(::operator new (arena_floats * sizeof(float), std::align_val_t{64})));
    plan(config, arena.get());
  }

  std::size_t index(int layer, LayerTensor tensor) const {
    return kFirstLayer + static_cast<std::size_t>(layer) * std::size_t{kLayerTensors} + std::size_t{tensor};
  }
  std::size_t index_lnf() const { return tensors.size() - 2; }
  const float* at(std::span<const float> params, std::size_t tensor) const {
    return params.data() + tensors[tensor].offset;
  }
  std::size_t elements(int per_row) const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(per_row);
  }

  void check_tokens(std::span<const std::int32_t> tokens, int count) const {
    UFAB_KERNELS_ASSERT(tokens.size() == static_cast<std::size_t>(count));
    for (const std::int32_t token : tokens) UFAB_KERNELS_ASSERT(token >= 0 && token < config.vocab_size);
  }

  // layer.input -> output, which may be layer.input itself when nothing is kept for a backward pass.
  void layer_forward(std::span<const float> params, int layer, const LayerActivations& a, float* output) {
    const auto p = [&](LayerTensor tensor) { return at(params, index(layer, tensor)); };
    const int head_width = width / config.heads;
    backend.layernorm_forward(normal, a.ln1_mean, a.ln1_rstd, a.input, p(kLn1Weight), p(kLn1Bias), rows,
                              width);
    backend.matmul_forward(a.qkv, normal, p(kAttnWeight), p(kAttnBias), rows, width, 3 * width, format);
    backend.attention_forward(a.attention, a.logsumexp, a.qkv, batch, seq, config.heads, config.heads,
                              head_width);
    backend.matmul_forward(narrow, a.attention, p(kAttnProjWeight), p(kAttnProjBias), rows, width, width,
                           format);
    backend.residual_forward(a.middle, a.input, narrow, elements(width));
    backend.layernorm_forward(normal, a.ln2_mean, a.ln2_rstd, a.middle, p(kLn2Weight), p(kLn2Bias), rows,
                              width);
    backend.matmul_forward(a.fc, normal, p(kFcWeight), p(kFcBias), rows, width, 4 * width, format);
    backend.gelu_forward(wide, a.fc, elements(4 * width));
    backend.matmul_forward(narrow, wide, p(kMlpProjWeight), p(kMlpProjBias), rows, 4 * width, width, format);
    backend.residual_forward(output, a.middle, narrow, elements(width));
  }

  // Tokens to normal_f, the output of the final layer norm.
  void trunk_forward(std::span<const float> params, std::span<const std::int32_t> inputs, bool keep) {
    UFAB_KERNELS_ASSERT(params.size() == tensors.back().offset + tensors.back().count);
    backend.embedding_forward(layers[0].input, at(params, kWte), at(params, kWpe), inputs.data(), batch, seq,
                              width);
    for (int layer = 0; layer < config.layers; ++layer) {
      const LayerActivations& a = layers[keep ? static_cast<std::size_t>(layer) : 0];
      const bool is_last = layer + 1 == config.layers;
      float* output = is_last ? last : keep ? layers[static_cast<std::size_t>(layer) + 1].input : a.input;
      layer_forward(params, layer, a, output);
    }
    backend.layernorm_forward(normal_f, lnf_mean, lnf_rstd, last, at(params, index_lnf()),
                              at(params, index_lnf() + 1), rows, width);
  }

  // The tied head in blocks of rows: losses, and with `gradient` dnarrow = d normal_f and, unless the logits'
  // gradient is kept for it, dwte's head part.
  float head(std::span<const float> params, std::span<const std::int32_t> targets, bool gradient) {
    const float* wte = at(params, kWte);
    const int vocab = config.vocab_size;
    for (int row = 0; row < rows; row += logits_rows) {
      const int count = std::min(logits_rows, rows - row);
      const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(row) * width;
      backend.matmul_forward(logits, normal_f + offset, wte, nullptr, count, width, vocab, format);
      backend.softmax_cross_entropy(losses + row, logits, targets.data() + row, count, vocab, rows, gradient);
      if (!gradient) continue;
      backend.matmul_backward_input(dnarrow + offset, logits, wte, count, width, vocab, format);
      if (keep_logits) continue;
      backend.matmul_backward_weight(dwte, normal_f + offset, logits, count, width, vocab, vocab, row > 0,
                                     format);
    }
    double sum = 0;
    for (int row = 0; row < rows; ++row) sum += static_cast<double>(losses[row]);
    return static_cast<float>(sum / rows);
  }

  void emit(const GradientSink& sink, std::size_t tensor, const float* gradient) {
    sink(tensor, 0, {gradient, tensors[tensor].count});
  }
  // dresidual: the gradient of the embedding's output.
  void wte_gradient(const GradientSink& sink, std::span<const std::int32_t> inputs) {
    const int vocab = config.vocab_size;
    if (!keep_logits) {
      backend.embedding_backward_tokens(dwte, dresidual, inputs.data(), rows, width, 0, vocab);
      return emit(sink, kWte, dwte);
    }
    const int part = static_cast<int>(dweight_floats) / width;
    for (int first = 0; first < vocab; first += part) {
      const int count = std::min(part, vocab - first);
      backend.matmul_backward_weight(dweight, normal_f, logits + first, rows, width, count, vocab, false,
                                     format);
      backend.embedding_backward_tokens(dweight, dresidual, inputs.data(), rows, width, first, count);
      const std::size_t row = static_cast<std::size_t>(width);
      sink(kWte, static_cast<std::size_t>(first) * row, {dweight, static_cast<std::size_t>(count) * row});
    }
  }
  // Weight and bias of one linear layer, once everything that reads the weight is done.
  void linear_gradients(const GradientSink& sink, std::size_t weight, const float* in, const float* dout,
                        int in_width, int out_width) {
    backend.matmul_backward_weight(dweight, in, dout, rows, in_width, out_width, out_width, false, format);
    emit(sink, weight, dweight);
    backend.bias_backward(dweight, dout, rows, out_width);
    emit(sink, weight + 1, dweight);
  }
  void layernorm_gradients(const GradientSink& sink, std::size_t weight, const float* in, const float* dout,
                           const float* mean, const float* rstd) {
    backend.layernorm_backward_parameters(dweight, dweight + width, dout, in, mean, rstd, rows, width);
    emit(sink, weight, dweight);
    emit(sink, weight + 1, dweight + width);
  }

  // dresidual: from the gradient of the layer's output to that of its input.
  void layer_backward(std::span<const float> params, int layer, const GradientSink& sink) {
    const LayerActivations& a = layers[static_cast<std::size_t>(layer)];
    const auto p = [&](LayerTensor tensor) { return at(params, index(layer, tensor)); };
    const int head_width = width / config.heads;

    backend.matmul_backward_input(dwide, dresidual, p(kMlpProjWeight), rows, 4 * width, width, format);
    backend.gelu_forward(wide, a.fc, elements(4 * width));
    linear_gradients(sink, index(layer, kMlpProjWeight), wide, dresidual, 4 * width, width);
    backend.gelu_backward(dwide, dwide, a.fc, elements(4 * width));
    backend.matmul_backward_input(dnarrow, dwide, p(kFcWeight), rows, width, 4 * width, format);
    backend.layernorm_forward(normal, a.ln2_mean, a.ln2_rstd, a.middle, p(kLn2Weight), p(kLn2Bias), rows,
                              width);
    linear_gradients(sink, index(layer, kFcWeight), normal, dwide, width, 4 * width);
    backend.layernorm_backward_input(dresidual, dnarrow, a.middle, p(kLn2Weight), a.ln2_mean, a.ln2_rstd,
                                     rows, width);
    layernorm_gradients(sink, index(layer, kLn2Weight), a.middle, dnarrow, a.ln2_mean, a.ln2_rstd);

    backend.matmul_backward_input(dnarrow, dresidual, p(kAttnProjWeight), rows, width, width, format);
    linear_gradients(sink, index(layer, kAttnProjWeight), a.attention, dresidual, width, width);
    float* dqkv = dwide;
    backend.attention_backward(dqkv, dnarrow, a.attention, a.logsumexp, a.qkv, batch, seq, config.heads,
                               config.heads, head_width);
    backend.matmul_backward_input(dnarrow, dqkv, p(kAttnWeight), rows, width, 3 * width, format);
    backend.layernorm_forward(normal, a.ln1_mean, a.ln1_rstd, a.input, p(kLn1Weight), p(kLn1Bias), rows,
                              width);
    linear_gradients(sink, index(layer, kAttnWeight), normal, dqkv, width, 3 * width);
    backend.layernorm_backward_input(dresidual, dnarrow, a.input, p(kLn1Weight), a.ln1_mean, a.ln1_rstd, rows,
                                     width);
    layernorm_gradients(sink, index(layer, kLn1Weight), a.input, dnarrow, a.ln1_mean, a.ln1_rstd);
  }
};

Gpt2::Gpt2(const Gpt2Config& config, int batch, int seq_len, Backend& backend, MatmulFormat format)
    : state_(std::make_unique<State>(config, batch, seq_len, backend, format, true)) {}
Gpt2::~Gpt2() = default;
Gpt2::Gpt2(Gpt2&&) noexcept = default;
Gpt2& Gpt2::operator=(Gpt2&&) noexcept = default;

float Gpt2::forward_backward(std::span<const float> params, std::span<const std::int32_t> inputs,
                             std::span<const std::int32_t> targets, const GradientSink& sink) {
  State& s = *state_;
  s.check_tokens(inputs, s.rows);
  s.check_tokens(targets, s.rows);
  s.trunk_forward(params, inputs, true);
  const float loss = s.head(params, targets, true);

  std::fill_n(s.dresidual, s.elements(s.width), 0.0F);
  s.backend.layernorm_backward_input(s.dresidual, s.dnarrow, s.last, s.at(params, s.index_lnf()), s.lnf_mean,
                                     s.lnf_rstd, s.rows, s.width);
  s.layernorm_gradients(sink, s.index_lnf(), s.last, s.dnarrow, s.lnf_mean, s.lnf_rstd);
  for (int layer = s.config.layers - 1; layer >= 0; --layer) s.layer_backward(params, layer, sink);

  // Positions past seq_len were not used.
  const std::size_t used = static_cast<std::size_t>(s.seq) * static_cast<std::size_t>(s.width);
  s.backend.embedding_backward_positions(s.dweight, s.dresidual, s.batch, s.seq, s.width);
  std::fill(s.dweight + used, s.dweight + s.tensors[kWpe].count, 0.0F);
  s.emit(sink, kWpe, s.dweight);
  s.wte_gradient(sink, inputs);
  return loss;
}

float Gpt2::forward(std::span<const float> params, std::span<const std::int32_t> inputs,
                    std::span<const std::int32_t> targets) {
  State& s = *state_;
  s.check_tokens(inputs, s.rows);
  s.check_tokens(targets, s.rows);
  s.trunk_forward(params, inputs, false);
  return s.head(params, targets, false);
}

void Gpt2::next_token_logits(std::span<const float> params, std::span<const std::int32_t> context_tokens,
                             std::span<float> logits) {
  const Gpt2Config& config = state_->config;
  UFAB_KERNELS_ASSERT(!context_tokens.empty() &&
                      context_tokens.size() <= static_cast<std::size_t>(config.context));
  UFAB_KERNELS_ASSERT(logits.size() == static_cast<std::size_t>(config.vocab_size));
  State s(config, 1, static_cast<int>(context_tokens.size()), state_->backend, state_->format, false);
  s.check_tokens(context_tokens, s.rows);
  s.trunk_forward(params, context_tokens, false);
  const float* last_row = s.normal_f + static_cast<std::ptrdiff_t>(s.rows - 1) * s.width;
  s.backend.matmul_forward(logits.data(), last_row, s.at(params, kWte), nullptr, 1, s.width,
                           config.vocab_size, s.format);
}

const Gpt2Config& Gpt2::config() const {
  return state_->config;
}
std::size_t Gpt2::arena_bytes() const {
  return state_->arena_floats * sizeof(float);
}

std::vector<Gpt2Memory> gpt2_memory(const Gpt2Config& config, int batch, int seq_len) {
  const Arena arena(config, batch, seq_len, true);
  std::vector<Gpt2Memory> pieces;
  for (int kind = 0; kind < kArenaKinds; ++kind) {
    if (arena.floats_of[kind] == 0) continue;
    pieces.push_back({kArenaNames[kind], arena.floats_of[kind] * sizeof(float)});
  }
  return pieces;
}

}  // namespace ufab::kernels
