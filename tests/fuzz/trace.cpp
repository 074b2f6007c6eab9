// Fuzz target: traces in the Standard Workload Format. What is read is within its bounds and in order; what
// is not is one clear line that names the line.
#include <cstdlib>

#include "jobs/queue/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto trace = ufab::jobs::parse_trace({reinterpret_cast<const char*>(data), size});
  if (!trace.ok()) {
    const std::string& message = trace.error().message;
    if (!message.starts_with("line ") || message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  ufab::jobs::Seconds last_s = 0;
  for (const ufab::jobs::TraceJob& job : trace->jobs) {
    if (job.submit_s < last_s || job.run_s < 1 || job.slots == 0 || job.requested_s < 0) std::abort();
    last_s = job.submit_s;
  }
  return 0;
}
