// What must have happened before a job may start: the value of sbatch's --dependency.
//
//   dependency = term { ("," | "?") term }       "," all of them, "?" any of them; one "?" makes all "?"
//   term       = KIND ":" job { ":" job } | "singleton" | N        N alone: afterany:N
//   job        = N [ "_" TASK | "_*" | "_[" LIST "]" ] [ "+" MINUTES ]
//   KIND       = after | afterany | afterok | afternotok | aftercorr | afterburstbuffer      (any case)
//
// MINUTES delay the term's effect and hold for the jobs behind it in the same term until another is named, as
// in Slurm. A job that nobody knows any more is as good as ended well, as in Slurm.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

enum class DependencyKind {
  after,               // has begun or was cancelled
  after_any,           // has ended
  after_ok,            // has ended with exit status 0
  after_not_ok,        // has ended otherwise
  after_corr,          // the array task with the same index has ended with exit status 0
  after_burst_buffer,  // has ended and its staging out is through (the fabric: as after_any)
  singleton            // no earlier job of the same name and owner is left
};

struct Dependency {
  DependencyKind kind = DependencyKind::after_any;
  std::uint64_t job = 0;              // 0 for singleton; else a job or an array
  std::optional<std::uint32_t> task;  // of an array; nullopt: the job, or every task of the array
  std::uint32_t delay_minutes = 0;    // after the event
  friend bool operator==(const Dependency&, const Dependency&) = default;
};

inline constexpr std::size_t max_dependencies = 4096;

struct DependencyRequest {
  std::vector<Dependency> terms;  // in the order written, equal ones once
  bool any_of = false;            // one fulfilled term is enough; otherwise all are needed

  [[nodiscard]] bool empty() const { return terms.empty(); }
  friend bool operator==(const DependencyRequest&, const DependencyRequest&) = default;
};

[[nodiscard]] Result<DependencyRequest> parse_dependency(std::string_view text);
// "afterok:7,afterany:8_3,after:9+5", "afterok:7?singleton".
[[nodiscard]] std::string format_dependency(const DependencyRequest& request);
// "afterok".
[[nodiscard]] std::string_view dependency_kind_name(DependencyKind kind);

}  // namespace ufab::jobs
