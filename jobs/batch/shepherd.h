// The supervisor of one local run: `ufabd shepherd RUN_FOLDER`.
//
// It detaches from its caller (own session, own process group, adopted by init), becomes the reaper of every
// process that the script leaves behind, and starts the script in a child which first becomes the request's
// user, checks the script's digest if the request names one (exit code 126 when it is another), and enters
// the request's sandbox. A user or a sandbox that cannot be had ends the run without the script having
// started (node_fail). Until all processes are gone the supervisor, which keeps the node's rights,
// - measures processor time and memory over the whole tree,
// - sends the warning signal, and TERM then KILL at the time limit, over the memory limit, or when RUN/cancel
// exists,
// - records the end in RUN/status.json, durably, as its last act.
// Processes that leave the session (setsid) stay its descendants and are ended too. When the supervisor
// itself is killed, the script's first process is killed with it; what that process had started goes on
// unsupervised, unless it is in a sandbox, which ends as a whole.
#pragma once

#include <string>

namespace ufab::jobs {

// Returns the exit status of the launching process: 0 once the shepherd's own identity is durable in
// status.json.
[[nodiscard]] int shepherd_main(const std::string& run_folder);

}  // namespace ufab::jobs
