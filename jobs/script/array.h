// Job arrays: the value of sbatch's --array.
//
//   array = item { "," item } [ "%" THROTTLE ]      item = N | FIRST "-" LAST [ ":" STEP ]
//
// Slurm's own reading is kept where scripts rely on it: brackets around the list, empty items, any order,
// repeated indices (once each), a range that ends with its last full step. A throttle that is no number is no
// throttle. On the fabric a task is a job of its own (one order, one escrow, one number); the array's number
// is its first task's, and task 3 of array 7 is shown as 7_3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

// Slurm's default MaxArraySize: indices below it, and so at most as many tasks.
inline constexpr std::uint32_t max_array_size = 1001;

struct ArrayRequest {
  std::vector<std::uint32_t> tasks;  // ascending, each once, at least one
  std::uint32_t throttle = 0;        // at most so many tasks run at a time; 0: any number
  std::uint32_t step = 1;            // of the list's last range (SLURM_ARRAY_TASK_STEP)

  [[nodiscard]] std::uint32_t first() const { return tasks.front(); }
  [[nodiscard]] std::uint32_t last() const { return tasks.back(); }
  friend bool operator==(const ArrayRequest&, const ArrayRequest&) = default;
};

[[nodiscard]] Result<ArrayRequest> parse_array(std::string_view text);
// "0-3,7,9%2" as scontrol shows it; without the throttle when that is 0.
[[nodiscard]] std::string format_array(const ArrayRequest& array);

}  // namespace ufab::jobs
