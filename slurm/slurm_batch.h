// Slurm as a provider's batch system, behind jobs/batch/batch_system.h.
//
// On disk, a folder for each run:  request.json (jobs/batch/run_files.h; durable before anything else
// happens), record.json (slurm/run_step.h; durable before each action), claim (the launcher's,
// slurm/launch/). One worker thread asks Slurm, so that a controller that hangs never stops the node: start,
// status and cancel only touch the folder and what the worker knows. Runs that have ended are read from disk
// when asked for.
//
// A run of another user (RunRequest::user): its launcher cannot enter the folder above, so the request's copy
// and the claim are in RunRequest::launch_folder, which is that user's. Its script may write there too: a
// claim names a job only if slurmctld or the accounts say that this job has the run's tag and user, and jobs
// of other users with the tag are nobody's.
//
// Folders of runs must be on a file system that the compute nodes see at the same path.
// Thread-safe. One process at a time may use a folder.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "jobs/batch/batch_system.h"
#include "slurm/controller.h"

namespace ufab::slurm {

struct SlurmBatchConfig {
  std::string folder;
  std::string launcher;  // path of ufab-slurm-launch
  std::string chain;     // eight hexadecimal digits
  std::function<void(const std::string&)> log;
  StepLimits limits;
  std::int64_t poll_us = 1'000'000;  // between two questions to slurmctld while a run is under way
};

[[nodiscard]] Result<std::unique_ptr<jobs::BatchSystem>> make_slurm_batch(
    SlurmBatchConfig config, std::unique_ptr<Controller> controller);

// "ufab:CHAIN:RUN:DIGEST": all that adoption and reconciling need is in Slurm's job name, which its
// accounting keeps whatever else a site leaves out. DIGEST: the first 16 digits of SHA-256 of request.json.
[[nodiscard]] std::string run_tag(const std::string& chain, const std::string& run, const Digest& request);

}  // namespace ufab::slurm
