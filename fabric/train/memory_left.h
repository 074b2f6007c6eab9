// How much memory this process may still take, as the machine and its owner's limits say.
//
// The smallest of
//   --memory        what the job may use on this machine, less what its ranks occupy; shared by the ranks
//   cgroup          limit less use of every memory control group (version 1 or 2) from the process's own up
//   to
//                   the root; pages of files do not count as use, since the kernel drops them; shared
//   MemAvailable    of /proc/meminfo; shared
//   RLIMIT_AS       the address space's limit less its size; each process's own
//   GPU             what is free on a device, where the kernels run on one; shared by the ranks that use it
// What is shared is divided evenly by the ranks on this machine. Files that are absent or unreadable set no
// limit.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "kernels/backend.h"

namespace ufab {

struct MemoryQuestion {
  std::uint64_t option_bytes = 0;  // of --memory; 0: not given
  std::uint64_t own_bytes = 0;     // resident now, without the corpus's pages
  int local_ranks = 1;
  std::string root;  // before /proc and every mount point: a test's folder
  std::optional<kernels::DeviceMemoryLeft> device = std::nullopt;
};

struct MemoryLeft {
  std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();  // for this process
  std::string source = "nothing";                                   // the limit that decides
  int sharers = 1;

  [[nodiscard]] bool limited() const { return bytes != std::numeric_limits<std::uint64_t>::max(); }
};

[[nodiscard]] MemoryLeft memory_left(const MemoryQuestion& question);
// Resident memory of this process, and the part of it that is mapped from files.
struct ResidentMemory {
  std::uint64_t bytes = 0, file_bytes = 0;
};
[[nodiscard]] ResidentMemory resident_memory(const std::string& root = "");

}  // namespace ufab
