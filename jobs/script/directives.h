// Directive lines of a batch script (DESIGN section 8): "#SBATCH" as Slurm reads it, and "#UFAB" beside it.
//
//   script     = "#!" interpreter NEWLINE { line }
//   line       = directive | comment | blank | command
//   directive  = ("#SBATCH" | "#UFAB") at column 0, then arguments
//   argument   = characters up to white space or an unquoted #, which begins a comment; '…' and "…" quote; a
//                backslash takes the next character as it is, inside either quote too, except that unquoted
//                white space still ends the argument
//
// sbatch's own reading where a shell's would differ: no white space is needed behind #SBATCH; an empty
// argument
// ("") ends the line; an argument must not begin with an unquoted colon. "#SBATCH hetjob" (or packjob) begins
// the next component of a heterogeneous job; what else stands on that line is ignored. Reading stops at the
// first command. Scripts with a DOS line end or a NUL byte anywhere, or over 4 MiB, are refused, as sbatch
// refuses them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

inline constexpr std::size_t max_script_bytes = 4u << 20;
inline constexpr std::size_t max_components = 128;  // of a heterogeneous job; Slurm's bound

enum class DirectiveFamily { sbatch, ufab };

struct Directive {
  int line = 0;  // 1-based
  DirectiveFamily family = DirectiveFamily::sbatch;
  std::size_t component = 0;  // of a heterogeneous job, from 0
  std::vector<std::string> arguments;
};

struct ScriptDirectives {
  std::vector<Directive> directives;  // none without arguments
  std::size_t components = 1;
};

// Errors begin with "line N: ".
[[nodiscard]] Result<ScriptDirectives> parse_directives(std::string_view script);

}  // namespace ufab::jobs
