// The table behind jobs/script/options.h: every sbatch option of Slurm 22.05 and every #UFAB option, with
// what this fabric does with it. Private to jobs/script.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fabric/base/result.h"
#include "jobs/script/options.h"

namespace ufab::jobs {

enum class ArgumentKind { none, required, optional };

// Sets one option from its argument (empty when there is none) and answers the value in Slurm's spelling.
using OptionSetter = Result<std::string> (*)(SubmitOptions& options, std::string_view argument,
                                             const Reading& reading);

enum class Scope { slurm, fabric, command_line };  // command_line: sbatch's, and no property of the job

struct OptionEntry {
  const char* name;  // long name
  char letter;       // short name or 0
  ArgumentKind argument;
  Scope scope;
  ValueKind kind;
  bool has_effect;  // false: checked and kept; a fabric of whole clusters has nothing that it could change
  OptionSetter set;
  const char* help;  // null: listed by name only
};

// Where an option stands decides which there are: sbatch's on #SBATCH lines, the fabric's on #UFAB lines,
// both on the command line, where the fabric's come first of two with one name (--prefer).
enum class Place { sbatch_line, ufab_line, command_line };

// Exact long name, or its only completion; the Error lists the candidates.
[[nodiscard]] Result<const OptionEntry*> find_option(std::string_view long_name, Place place);
[[nodiscard]] const OptionEntry* find_option(char letter);
[[nodiscard]] std::span<const OptionEntry> all_options();

}  // namespace ufab::jobs
