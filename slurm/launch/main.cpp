// ufab-slurm-launch RUN_FOLDER: becomes a run's script, inside its Slurm job. RUN_FOLDER is the batch
// system's folder of the run, or for a run of another user its launch folder (slurm/slurm_batch.h).
//
// It claims the run for this job (only one Slurm job may ever run it), checks the script against the digest
// that its owner signed, sets the run's variables beside Slurm's own, and calls exec: the script is the batch
// shell itself, so signals, limits and accounting are Slurm's. Exit status when it does not come to that: 75
// when the script has been started already, 126 when the script is not the one that was signed, 127 for the
// rest.
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "fabric/base/digest.h"
#include "jobs/batch/run_files.h"
#include "slurm/record_file.h"

extern char** environ;

namespace {

int fail(int status, const std::string& line) {
  std::fprintf(stderr, "ufab: %s\n", line.c_str());
  return status;
}

// Slurm's own variables say what it gave the job; these few describe the submission, which is the fabric's.
bool is_the_fabrics(std::string_view name) {
  return name == "SLURM_JOB_NAME" || name == "SLURM_RESTART_COUNT" || name == "SLURM_SUBMIT_DIR" ||
         name.starts_with("SLURM_ARRAY_");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fail(2, "usage: ufab-slurm-launch RUN_FOLDER");
  const std::string folder = argv[1];
  const char* id = std::getenv("SLURM_JOB_ID");
  const std::uint64_t job = id == nullptr ? 0 : std::strtoull(id, nullptr, 10);
  if (job == 0) return fail(2, "ufab-slurm-launch runs inside a Slurm job");
  const auto request = ufab::jobs::load_request(folder);
  if (!request) return fail(127, request.error().message);
  if (request->user) {
    // Slurm has made this process the user's; if it has not, the script does not run with somebody else's
    // rights.
    if (::geteuid() != request->user->uid || ::getuid() != request->user->uid)
      return fail(127, "run-as: Slurm did not start this as user '" + request->user->name + "'");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(127, "no_new_privs");
    ::umask(077);
  }
  if (const ufab::Status claimed = ufab::slurm::claim_run(folder, job); !claimed.ok()) {
    return fail(claimed.error().code == ufab::ErrorCode::conflict ? ufab::slurm::launch_refused : 127,
                claimed.error().message);
  }
  if (request->script_digest) {
    const auto digest = ufab::sha256_file(request->script);
    if (!digest) return fail(127, digest.error().message);
    if (*digest != *request->script_digest)
      return fail(126, request->script + " is not the script that its owner signed");
  }
  for (const auto& [name, value] : request->environment) {
    if (!name.starts_with("SLURM_") || is_the_fabrics(name)) ::setenv(name.c_str(), value.c_str(), 1);
  }
  // What sbatch was told to export would bind the script's own srun as well: its steps get the script's
  // variables.
  ::unsetenv("SLURM_EXPORT_ENV");
  ::unsetenv("UFAB_RUN");
  std::vector<std::string> words{request->script};
  words.insert(words.end(), request->arguments.begin(), request->arguments.end());
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(pointers[0], pointers.data());
  return fail(127, request->script + ": " + std::strerror(errno));
}
