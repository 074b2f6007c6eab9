// What a run of a job stands on, for the trainer, its plan and the verifier alike: kernels that this
// processor runs, and a corpus that the definition fits.
#pragma once

#include <memory>
#include <string>

#include "fabric/data/corpus.h"
#include "fabric/train/definition.h"
#include "fabric/train/group.h"
#include "fabric/train/schedule.h"
#include "fabric/train/sum_exchange.h"
#include "kernels/backend.h"

namespace ufab {

struct RunInputs {
  std::unique_ptr<kernels::Backend> backend;
  Corpus corpus;
  Split split;
  kernels::ModelConfig model;
};

// What the rank's devices offer for sums between them.
[[nodiscard]] DeviceOffer device_offer(kernels::Backend& backend);

// Collective. threads 0: cores / ranks on this machine, whose GPUs the ranks take in turn. An error names
// what is missing or wrong.
[[nodiscard]] Result<RunInputs> load_inputs(const Group& group, const JobDefinition& definition,
                                            const std::string& corpus, kernels::BackendKind kind,
                                            int threads);

}  // namespace ufab
