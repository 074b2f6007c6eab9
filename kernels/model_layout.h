// Where the tensors of a model stand in model_parameters(): what the passes of kernels/model.cpp need to know
// of a family's parameters.
#pragma once

#include <cstddef>

#include "kernels/model.h"

namespace ufab::kernels {

// A linear layer: `parts` weights that follow one another, as one matrix [out_width][in_width] (rows of the
// first, then of the second, ...), and the bias after them or none.
struct Linear {
  std::size_t weight;
  int parts;
  bool biased;
  int in_width, out_width;
};

// Norms are named by their first tensor: weight, and for layer norm the bias after it.
struct LayerLayout {
  std::size_t norm1;
  Linear qkv, attention_out;
  std::size_t norm2;
  Linear mlp_in, mlp_out;
};

struct ModelLayout {
  std::size_t tokens = 0;
  std::size_t positions = 0;  // only where they are learned
  LayerLayout first_layer{};
  std::size_t layer_tensors = 0;
  std::size_t final_norm = 0;
  std::size_t head = 0;  // tokens where it is tied

  explicit ModelLayout(const ModelConfig& config);
  [[nodiscard]] LayerLayout layer(int index) const;
};

}  // namespace ufab::kernels
