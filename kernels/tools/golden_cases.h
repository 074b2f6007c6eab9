// The golden cases: every operator of kernels/backend.h over awkward shapes and difficult values, and some
// training. A case draws its inputs, runs on a backend and adds all results to a checksum. Its vectors lie in
// the default memory resource, which is the backend's shared memory.
//
// A name is OPERATOR[.FORMAT][.VARIANT].VALUES; names and shapes hold no blanks, and a name with its shape is
// used once.
#pragma once

#include <functional>
#include <memory_resource>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/tools/checksum.h"
#include "kernels/tools/golden_inputs.h"

namespace ufab::kernels {

struct GoldenCase {
  std::string name, shape;
  std::function<void(Backend& backend, Inputs& inputs, Checksum& results)> run;
};
using GoldenCases = std::vector<GoldenCase>;

void add_matmul_cases(GoldenCases& cases);
void add_row_cases(GoldenCases& cases);       // layer norm, elementwise, cross entropy
void add_sequence_cases(GoldenCases& cases);  // attention, embeddings
void add_optimizer_cases(GoldenCases& cases);
void add_llama_cases(GoldenCases& cases);  // RMS norm, SwiGLU, rotary positions, grouped attention
void add_training_cases(GoldenCases& cases);

[[nodiscard]] GoldenCases golden_cases();

}  // namespace ufab::kernels
