// What one run sees of the machine under bubblewrap (bwrap(1)), and the command line that makes it so.
//
// A run sees: the system's programs and libraries, read-only; of /etc only what programs need to start,
// because that folder holds keys; /proc of its own processes alone; a /dev of the harmless devices, an own
// /dev/shm, and the GPUs' device nodes where there are any; an empty /tmp; and the folders named below. It
// has no capability and gains none, and sees and signals no process but its own. The network is the machine's
// unless it is cut off.
//
// bwrap's own process stays outside as the run's first process, and a reaper of bwrap's is process 1 inside;
// the script is number 2 there. When any of the three dies the kernel ends everything inside. The exit code
// of a script that a signal ended is 128 + the signal, as bwrap reports it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fabric/base/result.h"
#include "jobs/batch/run_user.h"

namespace ufab::jobs {

struct Sandbox {
  // Absolute paths, none of them "/". Later kinds lie over earlier ones.
  std::vector<std::string> readable;  // what the operator lets every run see
  std::vector<std::string> writable;  // the submitter's own folder, for a job of the node's organisation
  std::vector<std::string> hidden;    // folders that nothing above may uncover: the node's home, other runs
  std::vector<std::string> own_writable;  // the run's folder
  std::vector<std::string> own_readable;  // its inputs; the fabric's programs
  bool network = true;

  friend bool operator==(const Sandbox&, const Sandbox&) = default;
};

inline constexpr int sandbox_script_pid = 2;  // of the script, inside

// What of the machine a sandbox is built from.
struct SandboxHost {
  std::vector<std::string> shown;                             // files and folders, shown read-only
  std::vector<std::pair<std::string, std::string>> symlinks;  // path, target
  std::vector<std::string> devices;                           // GPUs
  bool root = false;  // whoever starts bwrap is root, and needs no user namespace for it
};
[[nodiscard]] SandboxHost look_at_host();

// bwrap and its arguments, up to the command that is to run inside. Pure.
[[nodiscard]] std::vector<std::string> sandbox_words(const Sandbox& sandbox, const SandboxHost& host,
                                                     const std::string& working_folder);

// The path of bwrap; not_found, with the cure, where there is none.
[[nodiscard]] Result<std::string> find_bubblewrap();
// Runs /bin/true inside, as this process: an error says why no run could. Bounded time.
[[nodiscard]] Status try_sandbox(const Sandbox& sandbox, const std::string& working_folder);
// The same in a child process that becomes `user` first, if one is given.
[[nodiscard]] Status try_sandbox_as(const std::optional<RunUser>& user, const Sandbox& sandbox,
                                    const std::string& working_folder);

}  // namespace ufab::jobs
