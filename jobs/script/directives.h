// Directive lines of a batch script (DESIGN section 8): "#SBATCH" as Slurm reads it, and "#UFAB" beside it.
//
//   script     = "#!" interpreter NEWLINE { line }
//   line       = directive | comment | blank | command
//   directive  = ("#SBATCH" | "#UFAB") at column 0, then arguments
//   argument   = characters up to white space; '…' and "…" quote, a backslash outside '…' takes the next
//                character as it is; an argument that begins with # starts a comment
// Reading stops at the first command. Carriage returns, NUL bytes and scripts over 4 MiB are refused, as
// sbatch refuses them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

inline constexpr std::size_t max_script_bytes = 4u << 20;

enum class DirectiveFamily { sbatch, ufab };

struct Directive {
  int line = 0;  // 1-based
  DirectiveFamily family = DirectiveFamily::sbatch;
  std::vector<std::string> arguments;
};

// Errors begin with "line N: ".
[[nodiscard]] Result<std::vector<Directive>> parse_directives(std::string_view script);

}  // namespace ufab::jobs
