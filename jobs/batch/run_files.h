// The files through which the local batch system and its shepherds speak (see jobs/batch/local.h). JSON,
// because they never leave the machine and operators read them.
#pragma once

#include <string>

#include "jobs/batch/batch_system.h"

namespace ufab::jobs {

[[nodiscard]] Status save_request(const std::string& run_folder, const RunRequest& request);
// Renames the folder, so that no crash leaves half a run, and removes it.
[[nodiscard]] Status forget_run_folder(const std::string& run_folder);
// Removes what a crash in there has left below the batch system's folder.
void remove_forgotten(const std::string& batch_folder);
[[nodiscard]] Result<RunRequest> load_request(const std::string& run_folder);

// status.json also names the shepherd, so that its death can be told: process id and start time (field 22 of
// /proc/PID/stat), which together are unique until the next reboot.
struct ShepherdIdentity {
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;
  [[nodiscard]] static ShepherdIdentity of_this_process();
  [[nodiscard]] bool is_alive() const;
};

struct RunFile {
  RunStatus status;
  ShepherdIdentity shepherd;
};
[[nodiscard]] Status save_status(const std::string& run_folder, const RunFile& file);
[[nodiscard]] Result<RunFile> load_status(const std::string& run_folder);

[[nodiscard]] std::string cancel_path(const std::string& run_folder);

}  // namespace ufab::jobs
