// The options of a submission: Slurm's sbatch options and the fabric's own, from script, environment and
// command line. Later sources win: script, then SBATCH_* and UFAB_* variables, then the command line
// (DESIGN section 8).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"
#include "jobs/script/array.h"
#include "jobs/script/dependency.h"
#include "jobs/script/directives.h"
#include "jobs/script/moment.h"
#include "jobs/script/tres.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

struct VerifyRequest {
  bool none = false;               // --verify=none: no window is re-executed
  std::uint32_t rate_ppm = 50000;  // share of windows that are re-executed
};

struct SubmitOptions {
  // Slurm's words.
  std::string job_name;  // default: the script's file name
  std::string output = "slurm-%j.out";
  std::string error;  // empty: as output
  std::string input = "/dev/null";
  std::string working_folder;  // empty: the folder of the submission
  std::string comment;
  std::optional<std::uint32_t> time_limit_minutes = 60;  // nullopt: none
  std::uint32_t tasks = 1;                               // ranks on each provider
  std::uint32_t cpus_per_task = 1;                       // threads of a rank
  std::uint64_t memory_mib = 0;                          // 0: no limit
  std::uint64_t memory_per_cpu_mib = 0;
  bool requeue = true;
  bool hold = false;
  bool append_output = false;
  std::optional<SignalRequest> signal;
  std::vector<std::string> export_names = {"ALL"};  // --export
  std::string wrap;                                 // --wrap: a command instead of a script

  // Slurm's words for when a job may start.
  std::optional<ArrayRequest> array;
  DependencyRequest dependencies;
  std::optional<bool> kill_on_invalid_dependency;  // a dependency that can never hold ends the job
  std::optional<std::int64_t> begin;               // not before, seconds since 1970
  std::optional<std::int64_t> deadline;            // ended by then or removed, seconds since 1970
  std::optional<std::uint32_t> priority;           // --priority; among this organisation's jobs
  std::int32_t nice = 0;                           // lowers the priority; below 0: raises it

  // Slurm's words for how much a job wants on one provider.
  std::optional<CountRange> nodes;
  std::optional<std::uint32_t> tasks_per_node;
  GenericResources gres;             // --gres and --gpus-per-node: on each node
  GenericResources gpus;             // --gpus: in all
  GenericResources gpus_per_task;    // for each task
  GenericResources gpus_per_socket;  // for each socket
  std::uint64_t memory_per_gpu_mib = 0;
  std::uint64_t temporary_disk_mib = 0;
  std::optional<std::uint32_t> time_min_minutes;  // --time-min

  // The fabric's words.
  CountRange providers{1, 1};
  std::uint64_t budget_micro = 0;     // 0: the offer's price
  std::uint64_t max_price_micro = 0;  // per TFLOP; 0: any
  VerifyRequest verify;
  std::vector<std::string> prefer;    // organisations, best first
  std::string train;                  // job definition (TOML); empty: an ordinary batch script
  std::string data;                   // corpus; empty: the definition's own
  std::vector<std::uint32_t> shares;  // relative shares of the providers; empty: by measured speed
  std::string idempotency_key;

  // Of the command line only.
  bool parsable = false;
  bool wait = false;
  bool test_only = false;
  bool quiet = false;
  bool json = false;

  // Accepted as Slurm would, without effect on this fabric (account, partition, mail-type…): long name to
  // value.
  std::map<std::string, std::string> without_effect;

  // Total MiB that the job may use on one provider; 0: no limit.
  [[nodiscard]] std::uint64_t memory_limit_mib() const {
    return memory_mib != 0 ? memory_mib : memory_per_cpu_mib * tasks * cpus_per_task;
  }
};

// What a command line leaves after its options: the script and its arguments.
struct SubmitCommandLine {
  SubmitOptions options;
  std::vector<std::string> script_and_arguments;
};

// Applies one script's directives. Errors name line and option.
[[nodiscard]] Status apply_directives(std::span<const Directive> directives, SubmitOptions& options);

// Applies SBATCH_* and UFAB_* variables (SBATCH_JOB_NAME, SBATCH_TIMELIMIT, …, UFAB_PROVIDERS, UFAB_BUDGET
// …); those of the fabric not inside a job, whose script finds its own job described by the same names.
[[nodiscard]] Status apply_environment(const std::map<std::string, std::string>& environment,
                                       SubmitOptions& options);

// Splits a command line's words into option words and the rest without applying them, so that the script can
// be read before its options are overridden. Errors are ErrorCode::usage.
struct CommandLineWords {
  std::vector<std::string> option_words;
  std::vector<std::string> rest;
};
[[nodiscard]] Result<CommandLineWords> split_command_line(std::span<const std::string> words);
[[nodiscard]] Status apply_command_line(std::span<const std::string> option_words, SubmitOptions& options);

// All of it, in order of precedence. `script` is the script's text.
[[nodiscard]] Result<SubmitOptions> resolve_options(std::string_view script,
                                                    const std::map<std::string, std::string>& environment,
                                                    std::span<const std::string> option_words);

// One line per option for `ufab submit --help`.
[[nodiscard]] std::string options_help();

}  // namespace ufab::jobs
