// Fuzz target: sacct's text. What is handed out has numbers in their bounds, and any split of the text gives
// as many jobs.
#include "accounting/audit/reconcile/sacct.h"

#include <cstdlib>

namespace {

struct Outcome {
  bool ok = false;
  std::uint64_t jobs = 0;
};

Outcome read(std::string_view text, std::size_t first) {
  constexpr std::uint64_t most = std::uint64_t{1} << 53;
  ufab::SacctReader reader([](const ufab::SacctJob& job) {
    for (const std::uint64_t value :
         {job.id, job.submit_us, job.start_us, job.end_us, job.elapsed_us, job.cpu_us, job.gpu_us,
          job.memory_peak_bytes, job.energy_j, job.billing_s}) {
      if (value > most) std::abort();
    }
    return ufab::Status{};
  });
  if (!reader.feed(text.substr(0, first)).ok() || !reader.feed(text.substr(first)).ok()) return {};
  const bool ok = reader.finish().ok();
  return {ok, reader.counts().jobs};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(text, size);
  const Outcome halves = read(text, size / 2);
  if (whole.ok != halves.ok || whole.jobs != halves.jobs) std::abort();
  return 0;
}
