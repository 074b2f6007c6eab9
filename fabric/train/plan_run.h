// The plan of a run that is about to start on these ranks, and the room that this one has for it.
#pragma once

#include "fabric/train/inputs.h"
#include "fabric/train/plan.h"
#include "fabric/train/trainer.h"

namespace ufab {

struct RunPlan {
  TrainPlan plan;
  MemoryLeft left;
};

// Collective; every rank gets its own. The ranks must not take the planned memory before all of them have
// looked (Group::agree on check_fit), or the slower ones would see less.
[[nodiscard]] RunPlan plan_run(const Group& group, const TrainOptions& options, const RunInputs& inputs);

}  // namespace ufab
