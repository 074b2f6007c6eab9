// What a provider's Slurm has to offer, asked of sinfo.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct ClusterCapacity {
  std::uint32_t nodes = 0;  // that are not down or drained
  std::uint32_t processors = 0;
  std::uint64_t memory_mib = 0;  // of all nodes together
  std::uint32_t gpus = 0;
};

// Of the partition that the settings name (conf, partition), or of the default one. Errors: unavailable when
// slurmctld does not answer or there is no sinfo, not_found when it answers that no such node is up.
[[nodiscard]] Result<ClusterCapacity> slurm_capacity(const std::map<std::string, std::string>& settings);

// Lines of `sinfo --Node --Format` as slurm_capacity() calls it.
[[nodiscard]] ClusterCapacity parse_capacity(std::string_view output);

}  // namespace ufab::jobs
