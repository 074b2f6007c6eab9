// The live descendants of a process, read from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace ufab::jobs {

struct ProcessSample {
  pid_t pid = 0;
  std::uint64_t rss_kib = 0;
};

// Every living descendant of `root` (not root itself, not zombies), in no particular order.
[[nodiscard]] std::vector<ProcessSample> descendants_of(pid_t root);

// The descendant of `root` that has this process id in a PID namespace below ours (its innermost); 0 when
// there is none.
[[nodiscard]] pid_t descendant_with_inner_pid(pid_t root, pid_t inner);

}  // namespace ufab::jobs
