// The table behind jobs/script/options.h: every sbatch option of Slurm 22.05 and every #UFAB option, with
// what this fabric does with it. Private to jobs/script.
#pragma once

#include <string>
#include <string_view>

#include "fabric/base/result.h"
#include "jobs/script/options.h"

namespace ufab::jobs {

enum class ArgumentKind { none, required, optional };

// Sets one option from its argument (empty when there is none).
using OptionSetter = Status (*)(SubmitOptions& options, std::string_view argument);

enum class Scope { slurm, fabric, command_line };

struct OptionEntry {
  const char* name;  // long name
  char letter;       // short name or 0
  ArgumentKind argument;
  Scope scope;
  OptionSetter set;      // null: accepted without effect
  const char* help;      // null: not in --help's first list
  bool refused = false;  // known to Slurm, but this fabric would do something else: an error that says so
};

// Exact long name, or its only completion; the Error lists the candidates.
[[nodiscard]] Result<const OptionEntry*> find_option(std::string_view long_name);
[[nodiscard]] const OptionEntry* find_option(char letter);
[[nodiscard]] std::span<const OptionEntry> all_options();

}  // namespace ufab::jobs
