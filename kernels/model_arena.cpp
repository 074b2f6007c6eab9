#include "kernels/model_arena.h"

#include <algorithm>

#include "kernels/assert.h"
#include "kernels/integer.h"
#include "kernels/model_layout.h"
#include "kernels/semantics.h"

namespace ufab::kernels {
namespace {

constexpr const char* kArenaNames[kArenaKinds] = {"residual stream",
                                                  "queries, keys, values",
                                                  "attention's outputs",
                                                  "MLP's inputs",
                                                  "statistics of rows",
                                                  "rotary positions",
                                                  "logits",
                                                  "gradient of the head",
                                                  "gradient of a tensor",
                                                  "working rows beside the logits"};

// The gradient of a tied head needs the logits' gradient and, last of all, that of the embedding. With few
// rows it takes less memory to keep the logits until then, and to make the gradient in parts, than to keep
// the gradient of the head while the pass goes back to the embedding. A head of its own is done with at once,
// but in parts too it takes less.
bool keeps_logits(int rows, int width) {
  return rows <= width;
}

// Rows of a block: as even as multiples of an integer format's block allow where there are as many, so that
// the blocks of the head's weight gradient are those of one product over all rows; else of 8.
// Those blocks are the same for any logits_bytes of at least kLogitsBytes: where kLogitsBytes holds fewer
// rows than an integer format's block, that is what counts.
int logits_block(int rows, int vocab, std::size_t logits_bytes) {
  const std::size_t row_bytes = static_cast<std::size_t>(vocab) * sizeof(float);
  const auto rows_in = [&](std::size_t bytes) {
    return static_cast<int>(std::clamp<std::size_t>(bytes / row_bytes, 1, 1 << 20));
  };
  const int usual = rows_in(kLogitsBytes);
  const int most = usual >= kIntegerBlock ? std::max(usual, rows_in(logits_bytes)) : usual;
  if (rows <= most) return rows;
  const int blocks = (rows + most - 1) / most;
  const int even = (rows + blocks - 1) / blocks;
  const int unit = most >= kIntegerBlock ? kIntegerBlock : 8;
  return std::min((even + unit - 1) / unit * unit, std::max(most / unit * unit, 1));
}

// The largest tensor whose gradient is made whole: all but the token embedding and the head.
std::size_t largest_gradient(const ModelConfig& config) {
  const auto c = static_cast<std::size_t>(config.width);
  std::size_t largest = std::max(c, static_cast<std::size_t>(config.hidden)) * c;
  if (config.family == ModelFamily::gpt2) {
    largest = std::max(largest, static_cast<std::size_t>(config.context) * c);
  }
  return largest;
}

}  // namespace

Arena::Arena(const ModelConfig& config, int batch, int seq, bool for_training, bool recomputes,
             std::size_t logits_bytes)
    : rows(batch * seq),
      width(config.width),
      qkv_width(config.width + 2 * config.kv_width()),
      mlp_width(config.family == ModelFamily::gpt2 ? config.hidden : 2 * config.hidden),
      training(for_training),
      keep_logits(training && keeps_logits(rows, width)),
      recompute(training && recomputes) {
  UFAB_KERNELS_ASSERT(!config.validate() && batch >= 1 && seq >= 1 && seq <= config.context);
  logits_rows = keep_logits ? rows : logits_block(rows, config.vocab_size, logits_bytes);
  layers.resize(training ? static_cast<std::size_t>(config.layers) : 1);
  plan(config, seq, nullptr, nullptr);
}

void Arena::plan(const ModelConfig& config, int seq, float* device, float* host_too) {
  std::size_t used = 0;
  shared_floats = 0;
  std::fill_n(floats_of, kArenaKinds, std::size_t{0});
  const auto take_from = [&](float* base, std::size_t& position, ArenaKind kind, std::size_t floats) {
    float* at = base == nullptr ? nullptr : base + position;
    const std::size_t padded = (floats + 15) & ~std::size_t{15};
    position += padded;
    floats_of[kind] += padded;
    return at;
  };
  const auto take = [&](ArenaKind kind, std::size_t floats) { return take_from(device, used, kind, floats); };
  const auto take_shared = [&](ArenaKind kind, std::size_t floats) {
    return take_from(host_too, shared_floats, kind, floats);
  };
  const auto r = static_cast<std::size_t>(rows), c = static_cast<std::size_t>(width);
  const auto v = static_cast<std::size_t>(config.vocab_size),
             hidden = static_cast<std::size_t>(config.hidden);
  const auto qkv = static_cast<std::size_t>(qkv_width), mlp = static_cast<std::size_t>(mlp_width);
  const bool gpt2 = config.family == ModelFamily::gpt2;
  const auto take_statistics = [&] {
    NormStatistics statistics;
    if (gpt2) statistics.mean = take(kStatistics, r);
    statistics.rstd = take(kStatistics, r);
    return statistics;
  };
  for (LayerActivations& layer : layers) {
    float* const input = take(kResidual, r * c);
    if (recompute && &layer != &layers.front()) {
      layer = layers.front();
      layer.input = input;
      continue;
    }
    layer.input = input;
    layer.norm1 = take_statistics();
    layer.qkv = take(kQkv, r * qkv);
    layer.logsumexp = take(kStatistics, r * static_cast<std::size_t>(config.heads));
    layer.attention = take(kAttention, r * c);
    layer.middle = take(kResidual, r * c);
    layer.norm2 = take_statistics();
    layer.mlp = take(kMlp, r * mlp);
  }
  last = take(kResidual, r * c);
  final_norm = take_statistics();
  const std::size_t angles =
      gpt2 ? 0 : static_cast<std::size_t>(seq) * static_cast<std::size_t>(config.head_width() / 2);
  cosine = gpt2 ? nullptr : take_shared(kPositions, angles);
  sine = gpt2 ? nullptr : take_shared(kPositions, angles);
  normal_f = take(kWorking, r * c);
  losses = take_shared(kStatistics, r);
  if (training) dnarrow = take(kWorking, r * c);
  dhead = training && !keep_logits ? take(kWteGradient, v * c) : nullptr;
  // Logits that are not kept live only inside head(), the rest only outside: they share their memory.
  const std::size_t shared = used;
  logits = take(kLogits, static_cast<std::size_t>(logits_rows) * v);
  const std::size_t after_logits = used;
  if (!keep_logits) used = shared;
  normal = take(kWorking, r * c);
  narrow = take(kWorking, r * c);
  wide = take(kWorking, r * hidden);
  if (training) {
    dresidual = take(kWorking, r * c);
    dwide = take(kWorking, r * std::max(hidden, qkv));
    dweight_floats = largest_gradient(config);
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
  device_floats = used;
}

std::vector<ModelMemory> model_memory(const ModelConfig& config, int batch, int seq_len, bool recompute,
                                      std::size_t logits_bytes) {
  const Arena arena(config, batch, seq_len, true, recompute, logits_bytes);
  std::vector<ModelMemory> pieces;
  for (int kind = 0; kind < kArenaKinds; ++kind) {
    if (arena.floats_of[kind] == 0) continue;
    pieces.push_back({kArenaNames[kind], arena.floats_of[kind] * sizeof(float)});
  }
  return pieces;
}

ScratchQuestion model_scratch(const ModelConfig& config, int batch, int seq_len, MatmulFormat format,
                              std::size_t logits_bytes) {
  const Arena arena(config, batch, seq_len, true, false, logits_bytes);
  const ModelLayout layout(config);
  ScratchQuestion question;
  question.format = format;
  question.rows = arena.rows;
  question.seq = seq_len;
  question.heads = config.heads;
  question.kv_heads = config.kv_heads;
  question.head_width = config.head_width();
  for (const Linear& linear : {layout.first_layer.qkv, layout.first_layer.attention_out,
                               layout.first_layer.mlp_in, layout.first_layer.mlp_out}) {
    question.products.push_back({arena.rows, linear.in_width, linear.out_width});
    question.widest = std::max(question.widest, linear.out_width);
  }
  question.products.push_back({arena.logits_rows, arena.width, config.vocab_size});
  for (const ParameterTensor& tensor : model_parameters(config)) {
    question.norm_blocks += (tensor.count + kNormBlock - 1) / kNormBlock;
  }
  return question;
}

}  // namespace ufab::kernels
