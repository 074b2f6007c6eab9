// Fuzz target: the lines of Slurm's hooks. What is read has its numbers in their bounds and every job once; a
// line that is none is counted.
#include "accounting/audit/reconcile/telemetry.h"

#include <cstdlib>
#include <tuple>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ufab::TelemetryReader reader;
  reader.add({reinterpret_cast<const char*>(data), size}, "input");
  const ufab::Telemetry read = reader.take();
  if (read.lines_bad > read.lines || (read.lines_bad == 0) != read.first_bad.empty()) std::abort();
  if (read.jobs.size() > read.lines - read.lines_bad) std::abort();
  for (std::size_t i = 0; i < read.jobs.size(); ++i) {
    const ufab::TelemetryJob& job = read.jobs[i];
    if (job.cluster.empty() || job.id == 0 || job.submit_us == 0 || job.submit_us > ufab::usage_number_max)
      std::abort();
    if (i == 0) continue;
    const ufab::TelemetryJob& before = read.jobs[i - 1];
    if (std::tie(before.cluster, before.id, before.submit_us) >= std::tie(job.cluster, job.id, job.submit_us))
      std::abort();
  }
  return 0;
}
