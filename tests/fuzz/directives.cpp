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
  if (options->components.size() >= ufab::jobs::max_components) std::abort();
  std::vector<const ufab::jobs::SubmitOptions*> components{&*options};
  for (const auto& component : options->components) components.push_back(&component);
  for (const auto* component : components) {
    if (component->tasks == 0 || component->cpus_per_task == 0) std::abort();
    if (component->memory_limit_mib() > ufab::jobs::SubmitOptions::max_total_memory_mib) std::abort();
    if (component->nodes && (component->nodes->min == 0 || component->nodes->min > component->nodes->max))
      std::abort();
    if (component->dependencies.terms.size() > ufab::jobs::max_dependencies) std::abort();
    // What is written of what was read is read as the same.
    if (component->array && ufab::jobs::parse_array(ufab::jobs::format_array(*component->array))->tasks !=
                                component->array->tasks)
      std::abort();
    if (!component->dependencies.empty()) {
      const auto again = ufab::jobs::parse_dependency(ufab::jobs::format_dependency(component->dependencies));
      if (!again.ok() || again->terms != component->dependencies.terms) std::abort();
    }
  }
  if (options->providers.min == 0 || options->providers.min > options->providers.max) std::abort();
  if (options->verify.rate_ppm > 1'000'000) std::abort();
  return 0;
}
