// record.json of a run: slurm/run_step.h's RunRecord, replaced atomically.
#pragma once

#include <string>

#include "slurm/run_step.h"

namespace ufab::slurm {

[[nodiscard]] Status save_record(const std::string& run_folder, const RunRecord& record);
[[nodiscard]] Result<RunRecord> load_record(const std::string& run_folder);

// The launcher's claim: which Slurm job runs the script; 0 when none has claimed it. Written once, by
// claim_run(): conflict when it is there, even if it is this job's: a script starts once.
[[nodiscard]] std::uint64_t claimed_by(const std::string& run_folder);
// The same, and whether the file is this process's user's. In the folder of a run of another user, whose
// script may write there, only such a claim is more than that script's word.
struct Claim {
  std::uint64_t job = 0;
  bool own = false;
};
[[nodiscard]] Claim read_claim(const std::string& run_folder);
[[nodiscard]] Status claim_run(const std::string& run_folder, std::uint64_t job);
// Whether claim_run() has refused the very job that holds the claim: Slurm launched it twice.
[[nodiscard]] bool launched_again(const std::string& run_folder);

}  // namespace ufab::slurm
