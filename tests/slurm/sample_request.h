// A run with something of everything that submission passes on, for the tests of each way of submitting.
#pragma once

#include "jobs/batch/batch_system.h"

namespace ufab::slurm::test {

inline jobs::RunRequest sample_request() {
  jobs::RunRequest run;
  run.name = "job-7-1";
  run.job_name = "train|gpt\n";
  run.folder = "/home/ada/100%";
  run.input = "/dev/null";
  run.output = "/home/ada/100%/out";
  run.error = run.output;
  run.tasks = 3;
  run.cpus_per_task = 2;
  run.memory_limit_mib = 1000;
  run.time_limit_s = 61;
  run.warn_signal = 10;
  run.warn_before_s = 90;
  return run;
}

}  // namespace ufab::slurm::test
