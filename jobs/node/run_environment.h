// The environment in which a provider runs a job's script: Slurm's variables as sbatch sets them, and the
// fabric's.
//
//   UFAB_JOB_ID UFAB_ATTEMPT        the ledger's numbers
//   UFAB_PROVIDER UFAB_PROVIDERS    this organisation; how many train together
//   UFAB_RANKS UFAB_THREADS         ranks here, threads of each
//   UFAB_TRAINER                    path of ufab-train
//   UFAB_DEFINITION UFAB_DATA       job definition and corpus (training jobs)
//   UFAB_GANG UFAB_OUT              gang.json and the trainer's output folder (training jobs)
#pragma once

#include <map>
#include <string>

#include "jobs/node/job_files.h"
#include "jobs/node/job_spec.h"
#include "jobs/script/file_name.h"

namespace ufab::jobs {

[[nodiscard]] std::map<std::string, std::string> run_environment(const NodeContext& node, const JobSpec& spec,
                                                                 JobId job, const AttemptEntry& attempt,
                                                                 bool own_job);
[[nodiscard]] std::string short_host_name();
// What %-patterns in the script's file names stand for.
[[nodiscard]] NameValues name_values(const JobSpec& spec, JobId job);

}  // namespace ufab::jobs
