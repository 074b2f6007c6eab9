// Fuzz target: batch scripts. Whatever resolves is within its bounds; whatever does not is one clear line.
#include <algorithm>
#include <cstdlib>

#include "jobs/script/options.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view script(reinterpret_cast<const char*>(data), size);
  const auto options = ufab::jobs::resolve_options(script, {}, {}, {});
  if (!options.ok()) {
    const std::string& message = options.error().message;
    if (message.empty() || message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  if (options->tasks == 0 || options->cpus_per_task == 0) std::abort();
  if (options->providers.min == 0 || options->providers.min > options->providers.max) std::abort();
  if (options->verify.rate_ppm > 1'000'000) std::abort();
  return 0;
}
