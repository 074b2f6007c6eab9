// The completion hook's line: what slurmctld's jobcomp/script plug-in says of a job that has ended, as one
// line of "ufab.completion/1" (accounting/audit/reconcile/telemetry.h). Pure.
#pragma once

#include <map>
#include <string>

#include "fabric/base/result.h"

namespace ufab::slurm {

// `variables` are those that jobcomp/script sets (Slurm 22.05: JOBID, CLUSTER, SUBMIT, START, END, JOBSTATE,
// EXITCODE, DERIVED_EC, USERNAME, ACCOUNT, PARTITION, JOBNAME, PROCS, NODECNT …). Times are seconds since
// 1970 or "Unknown"; EXITCODE is a status as wait(2) gives it, or "CODE:SIGNAL". An Error when the job's
// identity is not there.
[[nodiscard]] Result<std::string> completion_line(const std::map<std::string, std::string>& variables);

}  // namespace ufab::slurm
