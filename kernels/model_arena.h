// The buffers of one micro-batch: which there are, how large, and where they lie in two pieces of memory.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/model.h"

namespace ufab::kernels {

// What a buffer of the arena is for; the names are model_memory()'s.
enum ArenaKind {
  kResidual,
  kQkv,
  kAttention,
  kMlp,
  kStatistics,
  kPositions,
  kLogits,
  kWteGradient,
  kWeightGradient,
  kWorking,
  kArenaKinds
};

// Of a norm's rows. RMS norm has no mean.
struct NormStatistics {
  float *mean = nullptr, *rstd = nullptr;
};

// What the backward pass needs of one layer. The outputs of norms and activations are computed again. Rows of
// qkv are rotated where positions are rotary; `mlp` is what enters the activation.
struct LayerActivations {
  float* input;
  NormStatistics norm1;
  float *qkv, *logsumexp, *attention, *middle;
  NormStatistics norm2;
  float* mlp;
};

struct Arena {
  int rows, width, qkv_width, mlp_width, logits_rows;
  bool training, keep_logits, recompute;
  std::size_t device_floats = 0, shared_floats = 0;
  std::size_t floats_of[kArenaKinds] = {};  // add up to both

  // One for evaluation only, or one a layer; with `recompute` these share all buffers but their input.
  std::vector<LayerActivations> layers;
  float* last;                    // input of the final norm
  float *cosine, *sine, *losses;  // in shared memory; the table of rotary positions may be null
  NormStatistics final_norm;
  float *normal, *normal_f, *narrow, *wide, *logits;
  float *dresidual, *dnarrow, *dwide, *dweight, *dhead;  // training only; dhead null where logits are kept
  std::size_t dweight_floats = 0;

  Arena(const ModelConfig& config, int batch, int seq, bool training, bool recompute);
  // Lays every buffer out after `device`, those that the host uses too after `shared`; with null only the
  // sizes are of use.
  void plan(const ModelConfig& config, int seq, float* device, float* shared);
};

}  // namespace ufab::kernels
