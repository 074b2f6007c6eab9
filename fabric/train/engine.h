// One rank's share of the arithmetic of training: gradients of some micro-batches as integer sums, the
// optimizer step, evaluation losses. Knows nothing of other ranks, files or clocks: the trainer and
// the verifier both stand on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "fabric/data/corpus.h"
#include "fabric/train/definition.h"
#include "fabric/train/schedule.h"
#include "fabric/train/state.h"
#include "kernels/model.h"

namespace ufab {

struct MicroBatchRange {
  std::uint32_t first = 0, count = 0;
};

// What a rank learns while it adds up its micro-batches.
struct ShareReport {
  bool non_finite = false;
  std::vector<std::uint64_t> peaks;  // per tensor, added up over the micro-batches (kernels/gradient.h)
  std::int64_t loss = 0;             // sum of the micro-batches' mean losses, in units of 2^-32
  std::vector<std::uint64_t> fingerprints;  // one per micro-batch of the range
};

inline constexpr double kLossUnit = 1.0 / 4294967296.0;

class Engine {
 public:
  // Called after each micro-batch was added to the sums; see trainer.h for who would want to change them.
  using AfterMicroBatch = std::function<void(std::uint64_t step, std::uint32_t micro_batch,
                                             std::span<std::int32_t> sums, std::uint64_t& fingerprint)>;

  // `backend` and `corpus` must outlive the engine; the definition must fit the corpus. `recompute`: less
  // memory and more work for the same bits (kernels::Model).
  Engine(const JobDefinition& definition, const Corpus& corpus, const Split& split, kernels::Backend& backend,
         bool recompute = false);

  [[nodiscard]] const kernels::ModelConfig& model() const { return model_config_; }
  [[nodiscard]] std::size_t parameter_count() const { return parameter_count_; }
  [[nodiscard]] std::size_t tensor_count() const { return tensors_.size(); }
  // Step 0: initial parameters, moments zero.
  [[nodiscard]] TrainState initial_state() const;

  // The memory that states and sums must lie in for the functions below.
  [[nodiscard]] std::pmr::memory_resource& memory() const { return backend_.shared_memory(); }
  // Sums of nothing.
  void clear(std::span<std::int32_t> sums);
  // `sums` become those of the gradients of `range` of step state.step + 1, in fixed point at
  // 2^exponents[tensor].
  [[nodiscard]] ShareReport sum_gradients(const TrainState& state, std::span<const int> exponents,
                                          MicroBatchRange range, std::span<std::int32_t> sums,
                                          const AfterMicroBatch& after);
  // AdamW with the step's total; advances state.step and chooses the next exponents by the step's peaks.
  // Returns the gradient's norm.
  double apply(TrainState& state, std::span<const int> exponents, std::span<const std::uint64_t> peaks,
               std::span<const std::int32_t> sums);
  // Sum of the mean losses of evaluation batches first, first + stride, ..., in units of 2^-32.
  [[nodiscard]] std::int64_t evaluate(const TrainState& state, std::uint64_t first, std::uint64_t stride);
  // Time of one micro-batch, forward and backward, on scratch values.
  [[nodiscard]] std::uint64_t measure_us();

 private:
  JobDefinition definition_;
  const Corpus& corpus_;
  Split split_;
  kernels::Backend& backend_;
  kernels::ModelConfig model_config_;
  std::vector<kernels::ParameterTensor> tensors_;
  std::size_t parameter_count_;
  kernels::Model model_;
  std::vector<std::int32_t> sequence_, inputs_, targets_;

  // Sequence `sequence` of the micro-batch, seq_len inputs and the same shifted by one as targets.
  void load_sequence(std::uint64_t start, std::uint64_t sequence);
};

}  // namespace ufab
