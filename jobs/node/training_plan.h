// What a training job's definition and corpus come to: the figures that the order states and the price
// follows from.
#pragma once

#include <cstdint>
#include <string>

#include "fabric/base/digest.h"

namespace ufab::jobs {

struct TrainingPlan {
  std::string corpus_path;        // absolute
  Digest definition_digest;       // of the canonical definition
  Digest definition_file_digest;  // of the file's bytes
  Digest data_content_digest;
  Digest data_file_digest;
  std::uint32_t semantics_version = 0;
  std::uint64_t steps = 0;
  std::uint32_t window_steps = 0;
  std::uint32_t micro_batches = 0;
  std::uint64_t flop_per_micro_batch = 0;
  std::uint64_t parameters = 0;
  std::uint64_t exchange_bytes = 0;  // between two members of a gang, each step and way
};

// `data` overrides the definition's corpus when not empty; relative corpora are looked for beside the
// definition. A definition with model.init_digest is ErrorCode::usage: providers are not sent that file.
[[nodiscard]] Result<TrainingPlan> plan_training(const std::string& definition_path, const std::string& data);

}  // namespace ufab::jobs
