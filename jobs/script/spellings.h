// Options whose values are words from a fixed set: each function refuses what sbatch refuses and gives
// Slurm's own spelling of the rest (as `sbatch --verbose` lists it). The fabric keeps them; a provider's
// Slurm uses them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

[[nodiscard]] Result<std::string> spell_accounting_frequency(std::string_view text);  // "task=30,energy=10"
[[nodiscard]] Result<std::string> spell_cpu_frequency(std::string_view text);         // "Low-High:OnDemand"
[[nodiscard]] Result<std::string> spell_distribution(std::string_view text);          // "block:cyclic,pack"
[[nodiscard]] Result<std::string> spell_exclusive(std::string_view text);             // "exclusive", "user"
[[nodiscard]] Result<std::string> spell_extra_node_info(std::string_view text);       // "2:4:1"
[[nodiscard]] Result<std::string> spell_gpu_bind(std::string_view text);
[[nodiscard]] Result<std::string> spell_gpu_frequency(std::string_view text);
[[nodiscard]] Result<std::string> spell_gres_flags(std::string_view text);
[[nodiscard]] Result<std::string> spell_hint(std::string_view text);
[[nodiscard]] Result<std::string> spell_mail_type(
    std::string_view text);  // in Slurm's order, ALL spelled out
[[nodiscard]] Result<std::string> spell_memory_bind(std::string_view text);
[[nodiscard]] Result<std::string> spell_no_kill(std::string_view text);  // "set" or "unset"
[[nodiscard]] Result<std::string> spell_power(std::string_view text);
[[nodiscard]] Result<std::string> spell_profile(std::string_view text);
[[nodiscard]] Result<std::string> spell_propagate(std::string_view text);
[[nodiscard]] Result<std::string> spell_switches(std::string_view text);  // "2@00:10:00"
[[nodiscard]] Result<std::string> spell_user_environment(std::string_view text);

// Cut at the separator; "a,,b" has an empty part in the middle.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace ufab::jobs
