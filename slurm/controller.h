// What is asked of a cluster's Slurm, behind an interface so that tests can stand in for it.
//
// CommandController speaks through Slurm's own commands: their options and output formats last for years,
// while libslurm's binary interface changes with each release (a plug-in linked to it serves one version).
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "jobs/batch/batch_system.h"
#include "slurm/run_step.h"

namespace ufab::slurm {

struct SlurmSettings {
  std::string conf;         // slurm.conf; empty: Slurm's own default
  std::string partition;    // empty: the default one
  std::string account;      // empty: the user's default
  std::string qos;          // empty: the default one
  std::string reservation;  // empty: none
};

using SubmitOutcome = std::variant<Accepted, Refused, Unanswered>;

class Controller {
 public:
  virtual ~Controller() = default;
  // `launcher` is the script that Slurm is given; it becomes the run's own.
  [[nodiscard]] virtual SubmitOutcome submit(const jobs::RunRequest& request, const std::string& tag,
                                             const std::string& launcher) = 0;
  // Every job of this user and of `others` that slurmctld remembers. An error: it did not answer.
  [[nodiscard]] virtual Result<std::vector<SlurmJob>> queue(const std::set<std::string>& others) = 0;
  // Jobs with these tags in the accounting database, submitted since then. An error: it did not answer.
  [[nodiscard]] virtual Result<std::vector<SlurmJob>> accounts(std::span<const std::string> tags,
                                                               std::int64_t since_us) = 0;
  [[nodiscard]] virtual Status cancel(std::uint64_t job) = 0;
};

[[nodiscard]] std::unique_ptr<Controller> make_command_controller(SlurmSettings settings);

// --- the parts that need no Slurm, for tests ---
// sbatch's command line for a run.
[[nodiscard]] std::vector<std::string> sbatch_words(const SlurmSettings& settings,
                                                    const jobs::RunRequest& request, const std::string& tag);
// Parts of it that every way of submitting needs. In Slurm's file names a percent sign begins a pattern.
[[nodiscard]] std::string plain_path(const std::string& path);
[[nodiscard]] std::string job_comment(const jobs::RunRequest& request);
[[nodiscard]] std::uint64_t memory_per_processor_mib(const jobs::RunRequest& request);
[[nodiscard]] std::string warn_signal(const jobs::RunRequest& request);
// What sbatch's end means. `error` is its standard error.
[[nodiscard]] SubmitOutcome sbatch_outcome(int exit_code, bool timed_out, std::string_view output,
                                           std::string_view error);
// What Slurm's words for an error mean: refused for good, or in doubt.
[[nodiscard]] SubmitOutcome submit_error_outcome(std::string_view error);
// The lines of squeue as queue() calls it; lines that are none of it are left out.
[[nodiscard]] std::vector<SlurmJob> parse_queue(std::string_view output);

}  // namespace ufab::slurm
