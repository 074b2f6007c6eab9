// %-patterns in the names of a job's files (sbatch(1), "filename pattern").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ufab::jobs {

// What the patterns stand for.
struct NameValues {
  std::uint64_t job = 0;
  std::string job_name;
  std::string user;
  std::string node;
  std::optional<std::uint64_t> array_job;  // of a task of an array
  std::optional<std::uint32_t> array_task;
};

// %A the array's number (a job that is no task: its own), %a the task's index (no task: 4294967294, as Slurm
// has it), %j the job's number, %J the same (a batch script is no step), %N short host name, %n and %t 0, %s
// "batch", %u user, %x job name, %% percent; a width of at most 10 pads numbers with zeros (%4j). Anything
// else stays as it is. A backslash anywhere turns patterns off and is removed.
[[nodiscard]] std::string expand_file_name(std::string_view pattern, const NameValues& values);
// sbatch's default: "slurm-%j.out", of an array "slurm-%A_%a.out".
[[nodiscard]] std::string_view default_output(bool array);

}  // namespace ufab::jobs
