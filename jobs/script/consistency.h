// What sbatch and its controller conclude from all options of one component together: what excludes what,
// what needs what, and what follows from what. Private to jobs/script.
#pragma once

#include "jobs/script/options.h"

namespace ufab::jobs {

// Refuses what Slurm refuses; fills in what Slurm derives: `tasks` from nodes, tasks by node, by GPU …,
// `nodes` within the tasks, default output names, and the values of options that are two names for one thing.
// Errors name an option.
[[nodiscard]] Status conclude(SubmitOptions& options, const Reading& reading);

}  // namespace ufab::jobs
