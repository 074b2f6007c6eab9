// Where the run of an isolated provider lives: apart from the node's home, which its script never reaches.
//
//   RUNS/                 the node's, 0711: IsolationConfig::runs_root
//     job-N-A/            of attempt A of job N: the run's user's, 0700; a stranger's script is started in it
//       input/            script, definition.toml, corpus.h5, gang.json, bridge.key, resume.h5 as far as the
//       job has
//                         them: prepared by the node before the run exists, and never read by it again
//       output error out/ what the script writes
//     job-N-A.launch/     the run's user's, 0700, for Slurm's launcher
//   HOME/jobs/N/attempt-A/run, HOME/jobs/N/run       links to job-N-A: of that attempt, of the newest
//
// The folder is complete, and its user's, before the links are made; without the first link nothing has been
// started in it, and it is made anew. From then on everything below it may be a trap: the node reads it only
// through fabric/base/foreign_file.h, and writes nothing into it.
//
// Without isolation there is none of this: a run lives in HOME/jobs/N, as the node's user.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "fabric/train/gang.h"
#include "jobs/batch/batch_system.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

struct RunPlace {
  std::string folder;  // job-N-A
  [[nodiscard]] std::string script() const { return folder + "/input/script"; }
  [[nodiscard]] std::string definition() const { return folder + "/input/definition.toml"; }
  [[nodiscard]] std::string corpus() const { return folder + "/input/corpus.h5"; }
  [[nodiscard]] std::string gang() const { return folder + "/input/gang.json"; }
  [[nodiscard]] std::string bridge_key() const { return folder + "/input/bridge.key"; }
  [[nodiscard]] std::string resume() const { return folder + "/input/resume.h5"; }
  [[nodiscard]] std::string output() const { return folder + "/output"; }
  [[nodiscard]] std::string error() const { return folder + "/error"; }
  [[nodiscard]] std::string out() const { return folder + "/out"; }
  [[nodiscard]] std::string launch() const { return folder + ".launch"; }
};

// What a training job's trainer is given.
struct TrainingInputs {
  Gang gang;                      // bridge_secret and resume are set by prepare_run_place
  std::optional<JobFile> resume;  // the checkpoint from which it goes on
};

// Makes the folder, or returns the one that the attempt's link names.
[[nodiscard]] Result<RunPlace> prepare_run_place(const NodeContext& node, JobId job, std::uint32_t attempt,
                                                 const std::optional<RunUser>& user,
                                                 const std::optional<TrainingInputs>& training);

// The run's variables for that place and that user: paths of its inputs, HOME, USER, LOGNAME, SHELL, TMPDIR.
// Pure.
void move_environment(std::map<std::string, std::string>& environment, const RunPlace& place,
                      const std::optional<RunUser>& user, bool sandboxed, bool own_job);

// What a run may see with bubblewrap. `folder`: where the script works. Pure.
[[nodiscard]] Sandbox sandbox_of(const NodeContext& node, const RunPlace& place, const std::string& folder,
                                 bool training);

// For `ufab provider check`, which has no run yet: the sandbox that each will get, but for its own folder.
[[nodiscard]] Sandbox sandbox_of_any_run(const IsolationConfig& isolation, const std::string& home,
                                         const std::string& program_folder, const std::string& trainer);

}  // namespace ufab::jobs
