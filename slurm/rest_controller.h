// Submission through slurmrestd, for sites that keep its door and no other open to submit by. What it is
// asked for is what sbatch_words() (controller.h) asks sbatch for; watching, accounts and cancelling stay
// with Slurm's commands.
//
// Of slurmrestd's interfaces this speaks v0.0.38, that of Slurm 22.05. It cannot express `--signal=B:`, and
// another user's job would need another token: such runs go to sbatch.
#pragma once

#include <memory>

#include "fabric/net/http.h"
#include "slurm/controller.h"

namespace ufab::slurm {

struct RestSettings {
  std::string server;      // as fabric/net/http.h has it
  std::string token_file;  // a JWT, or `scontrol token`'s SLURM_JWT=… line; read for each submission; empty:
                           // none (slurmrestd's rest_auth/local goes by the socket's peer)
};

// `commands` does everything that is no submission, and submissions that cannot be expressed.
[[nodiscard]] std::unique_ptr<Controller> make_rest_controller(RestSettings rest, SlurmSettings settings,
                                                               std::unique_ptr<Controller> commands);

// --- the parts that need no server, for tests ---
// The body of POST /slurm/v0.0.38/job/submit.
[[nodiscard]] std::string rest_job(const SlurmSettings& settings, const jobs::RunRequest& request,
                                   const std::string& tag, const std::string& launcher);
// What an answer means. slurmrestd adds remarks to jobs that it has accepted: a job id is what counts.
[[nodiscard]] SubmitOutcome rest_outcome(const HttpAnswer& answer);

}  // namespace ufab::slurm
