// What a step does, as pure functions of the definition: its learning rate, which samples it draws, which
// sequences an evaluation reads. The arithmetic is binary64 additions, multiplications and fma in the order
// written (no library cosine), so it gives the same bits on every machine.
#pragma once

#include <cstdint>
#include <span>

#include "fabric/train/definition.h"

namespace ufab {

// cos(pi * x) for x in [0, 1], within 1e-15.
[[nodiscard]] double cosine_pi(double x);

// Linear warm-up from learning_rate / (warmup + 1), then a half cosine down to min_learning_rate at the last
// step. step counts from 1.
[[nodiscard]] float learning_rate_at(const JobDefinition& definition, std::uint64_t step);

// The corpus's first part trains, the rest evaluates.
struct Split {
  std::uint64_t train_tokens = 0;
  std::uint64_t eval_tokens = 0;
};
// An error when either part is shorter than one sequence and its target (no evaluation: eval_fraction 0).
[[nodiscard]] Result<Split> split_corpus(const JobDefinition& definition, std::uint64_t tokens);

// First token of sequence `sequence` (0 .. micro_batch - 1) of micro-batch `micro_batch` of `step`, uniform
// over the train part: the high half of word * range, word from the Philox block (fabric's key of the seed;
// step, sample number). Sequences are drawn with replacement.
[[nodiscard]] std::uint64_t sample_start(const JobDefinition& definition, const Split& split,
                                         std::uint64_t step, std::uint64_t micro_batch,
                                         std::uint64_t sequence);
// First token of an evaluation's sequence, evenly spaced over the evaluation part (over the train part when
// nothing is held out): every evaluation of a job reads the same ones.
[[nodiscard]] std::uint64_t eval_start(const JobDefinition& definition, const Split& split,
                                       std::uint64_t batch, std::uint64_t sequence);

}  // namespace ufab
