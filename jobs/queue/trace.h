// Traces of real machines in the Standard Workload Format, version 2.2 (S. Chapin et al., "Benchmarks and
// standards for the evaluation of parallel job schedulers", JSSPP 1999): a line a job, 18 decimal numbers
// separated by blanks, −1 for what is unknown; lines that begin with ";" are comments, of which "; MaxProcs:"
// names the machine's size. Plain or gzip, told apart by the first two bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"
#include "jobs/queue/queue.h"

namespace ufab::jobs {

struct TraceJob {
  std::uint64_t number = 0;
  Seconds submit_s = 0;  // since the trace's begin
  Seconds run_s = 0;     // at least 1
  std::uint32_t slots = 0;
  Seconds requested_s = 0;  // 0: not in the trace
  std::uint64_t user = 0;
  std::uint64_t group = 0;
  std::uint64_t program = 0;
};

struct Trace {
  std::vector<TraceJob> jobs;  // by submit time
  std::uint32_t slots = 0;     // of the machine; 0: the header does not say
  std::uint64_t left_out = 0;  // jobs without processors or without a run time
};

inline constexpr std::size_t trace_size_max = 1u << 30;  // bytes, unpacked

// Errors name the line: "line 12: 17 numbers, not 18".
[[nodiscard]] Result<Trace> parse_trace(std::string_view text);
[[nodiscard]] Result<Trace> load_trace(const std::string& path);

}  // namespace ufab::jobs
