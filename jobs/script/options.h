// The options of a submission: Slurm's sbatch options and the fabric's own, from script, environment and
// command line. Later sources win: script, then SBATCH_* and UFAB_* variables, then the command line
// (DESIGN section 8).
//
// Reading is pure: the moment and the folder of the reading come in as `Reading`; only the local time zone
// and the user and group names of --uid and --gid are looked up. Held against what sbatch itself makes of a
// corpus of scripts (tests/corpus/sbatch).
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

// When and where options are read: what --begin=now+1hour and relative file names mean.
struct Reading {
  std::int64_t now_s = 0;  // seconds since 1970
  std::string folder;      // absolute; empty: relative names stay as they are
};

enum class ValueKind { text, number, flag };

// One option in force, under its long name: its value in Slurm's spelling.
struct OptionInForce {
  std::string value;
  ValueKind kind = ValueKind::text;
  bool has_effect = true;
  friend bool operator==(const OptionInForce&, const OptionInForce&) = default;
};

struct VerifyRequest {
  bool none = false;               // --verify=none: no window is re-executed
  std::uint32_t rate_ppm = 50000;  // share of windows that are re-executed
};

struct SubmitOptions {
  // Slurm's words.
  std::string job_name;                 // default: the script's file name
  std::string output = "slurm-%j.out";  // of an array: "slurm-%A_%a.out"
  std::string error;                    // empty: as output
  std::string input = "/dev/null";
  std::string working_folder;  // empty: the folder of the submission
  std::string comment;
  std::optional<std::uint32_t> time_limit_minutes = 60;  // nullopt: none
  std::uint32_t tasks = 1;                               // ranks on each provider, as Slurm derives them
  bool tasks_given = false;                              // by --ntasks
  std::uint32_t cpus_per_task = 1;                       // threads of a rank
  std::uint64_t memory_mib = 0;                          // 0: no limit
  std::uint64_t memory_per_cpu_mib = 0;
  bool requeue = true;
  bool hold = false;
  bool append_output = false;
  std::optional<SignalRequest> signal;
  std::vector<std::string> export_names = {"ALL"};  // --export
  std::string export_file;                          // --export-file: NAME=VALUE, each ended by a NUL byte
  bool user_environment = false;                    // --get-user-env: a login shell's
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
  GenericResources gres;             // on each node
  GenericResources gpus_per_node;    // on each node
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

  // Of the components behind the first of a heterogeneous job ("#SBATCH hetjob"), each with its own options.
  std::vector<SubmitOptions> components;

  // Of the command line only.
  bool parsable = false;
  bool wait = false;
  bool test_only = false;
  bool quiet = false;
  bool json = false;

  // Every option in force, by long name: Slurm's, and the fabric's own.
  std::map<std::string, OptionInForce> in_force;
  std::map<std::string, OptionInForce> fabric_in_force;

  // Total MiB that the job may use on one provider; 0: no limit.
  [[nodiscard]] std::uint64_t memory_limit_mib() const {
    if (memory_mib != 0) return memory_mib;
    const std::uint64_t processors = std::uint64_t{tasks} * cpus_per_task;
    return processors != 0 && memory_per_cpu_mib > max_total_memory_mib / processors
               ? max_total_memory_mib
               : memory_per_cpu_mib * processors;
  }
  static constexpr std::uint64_t max_total_memory_mib = std::uint64_t{1} << 56;  // more than any provider has
};

// What of these options the fabric cannot do; a submission that asks for it is refused with this line, while
// --test-only still shows what was read. nullopt: nothing.
[[nodiscard]] std::optional<std::string> beyond_the_fabric(const SubmitOptions& options);

// Names of the options in force that are kept without effect here (account, partition, mail-type …).
[[nodiscard]] std::vector<std::string> without_effect(const SubmitOptions& options);

// Splits a command line's words into option words and the rest without applying them, so that the script can
// be read before its options are overridden. A ":" of its own begins the next component of a heterogeneous
// job. Errors are ErrorCode::usage.
struct CommandLineWords {
  std::vector<std::vector<std::string>> component_words = {{}};  // at least one
  std::vector<std::string> rest;
};
[[nodiscard]] Result<CommandLineWords> split_command_line(std::span<const std::string> words);

// Only what the command line says, without script and environment: enough to know --wrap. Checks nothing that
// depends on the rest.
[[nodiscard]] Result<SubmitOptions> command_line_options(std::span<const std::string> option_words,
                                                         const Reading& reading);

// All of it, in order of precedence. `script` is the script's text. Errors name line and option; those of the
// command line are ErrorCode::usage.
[[nodiscard]] Result<SubmitOptions> resolve_options(std::string_view script,
                                                    const std::map<std::string, std::string>& environment,
                                                    const CommandLineWords& line, const Reading& reading);

// One line per option for `ufab submit --help`.
[[nodiscard]] std::string options_help();

}  // namespace ufab::jobs
