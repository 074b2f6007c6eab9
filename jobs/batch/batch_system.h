// What the node asks of a provider's batch system. Implementations: jobs/batch/local.h here; Slurm's is a
// plug-in (jobs/batch/plugin.h, slurm/).
//
// A run is one execution of one script on one provider. Its name is chosen by the caller and is the key of
// every call: starting a name that exists already returns without starting it again, so a node that died
// between the call and its own notes adopts the run by asking for the name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/base/result.h"
#include "jobs/batch/run_user.h"
#include "jobs/batch/sandbox.h"

namespace ufab::jobs {

enum class RunState { pending, running, ended };

// How a run ended; the two-letter codes are Slurm's.
enum class RunResult {
  none,           // has not ended
  completed,      // CD: exit code 0
  failed,         // F:  another exit code or a signal
  cancelled,      // CA
  timeout,        // TO
  out_of_memory,  // OOM
  node_fail,      // NF: its supervisor or its node vanished, or the batch system would not take it
  preempted,      // PR
  deadline,       // DL
  boot_fail,      // BF
};

// The provider's machines or its batch system ended the run, not the script: another attempt may do better.
[[nodiscard]] constexpr bool is_machines_fault(RunResult result) {
  return result == RunResult::node_fail || result == RunResult::preempted || result == RunResult::boot_fail;
}
[[nodiscard]] const char* run_result_code(RunResult result);
[[nodiscard]] const char* run_result_name(RunResult result);

struct RunRequest {
  std::string name;    // [a-z0-9-]{1,64}
  std::string script;  // absolute path of an executable file
  std::vector<std::string> arguments;
  std::string folder;  // working folder
  std::string input;   // absolute paths
  std::string output;
  std::string error;
  bool append_output = false;
  std::map<std::string, std::string> environment;  // the whole of it
  std::string job_name;                            // what people see; empty: the run's name
  std::optional<Digest> script_digest;             // checked before the script is started
  std::uint32_t slots = 1;                         // processors that it occupies: tasks x cpus_per_task
  std::uint32_t tasks = 1;
  std::uint32_t cpus_per_task = 1;
  std::uint32_t nodes = 0;             // machines to spread the tasks over; 0: as the batch system likes
  std::uint32_t gpus = 0;              // in all
  std::uint64_t time_limit_s = 0;      // 0: none
  std::uint64_t grace_s = 30;          // between TERM and KILL
  std::uint64_t memory_limit_mib = 0;  // 0: none
  int warn_signal = 0;                 // --signal; 0: none
  std::uint64_t warn_before_s = 60;
  bool warn_shell_only = false;
  // As whom the script runs; nullopt: as the node itself. The account is looked up again when it starts, and
  // must still have the same number.
  std::optional<RunUser> user;
  std::optional<Sandbox> sandbox;  // nullopt: it sees what its user may see
  // For a batch system that has a launcher of its own (Slurm's): a folder of the user, whose parent is the
  // node's alone, through which the two speak. Empty where no user is given.
  std::string launch_folder;
};

struct RunStatus {
  RunState state = RunState::pending;
  RunResult result = RunResult::none;
  std::string reason;         // one line for people, empty when there is nothing to say
  int exit_code = 0;          // as from wait(2): 0..255
  int signal = 0;             // that ended the script, 0: none
  std::int64_t start_us = 0;  // microseconds since 1970, 0: not yet
  std::int64_t end_us = 0;
  // Measured over every process of the run, ended ones included.
  std::uint64_t cpu_us = 0;
  std::uint64_t max_rss_kib = 0;  // largest sum over the run's processes seen at one time
  // What a provider's own batch system calls the run, and what else it measured; all zero for the local one.
  std::string cluster;
  std::uint64_t external_id = 0;
  std::int64_t submit_us = 0;
  std::int64_t elapsed_us = 0;  // without the time that it was suspended
  std::uint32_t nodes = 0;
  std::uint32_t processors = 0;
  std::uint32_t gpus = 0;
  std::uint64_t gpu_us = 0;
  std::uint64_t energy_j = 0;
  std::uint64_t billing_s = 0;  // TRES-weighted: Slurm's "billing" times the elapsed seconds
  std::string user;             // as whom it ran there
  std::string partition;

  friend bool operator==(const RunStatus&, const RunStatus&) = default;
};

// [a-z0-9-]{1,64}, else ErrorCode::invalid.
[[nodiscard]] Status check_run_name(const std::string& name);

class BatchSystem {
 public:
  virtual ~BatchSystem() = default;
  [[nodiscard]] virtual Status start(const RunRequest& request) = 0;
  [[nodiscard]] virtual Result<RunStatus> status(const std::string& name) = 0;
  // Asks for the end of a run: TERM, grace, KILL. Idempotent; a run that has ended stays as it is.
  [[nodiscard]] virtual Status cancel(const std::string& name) = 0;
  [[nodiscard]] virtual Result<std::vector<std::string>> list() = 0;
  // Removes what is kept of a run that has ended: from then on it is as if it had never been, and could be
  // started again under its name. conflict while it has not; an unknown name is ok.
  [[nodiscard]] virtual Status forget(const std::string& name) = 0;
  // Processors that runs may occupy at a time; a batch system that knows its own ignores it.
  virtual void set_slots(std::uint32_t slots) = 0;
  // Whether scripts find SLURM_JOB_ID and its like set by the batch system itself; else the node sets them.
  [[nodiscard]] virtual bool sets_slurm_variables() const = 0;
  // Whether an ended run's status comes with its own job number and its accounting's figures.
  [[nodiscard]] virtual bool keeps_accounts() const = 0;
  // Work that needs a regular push (starting what waits); called about five times a second.
  virtual void tick() = 0;
};

}  // namespace ufab::jobs
