// Fuzz target: job definitions. What is accepted can be counted and digested; what is not is one line that
// names the file.
#include "fabric/train/definition.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view toml(reinterpret_cast<const char*>(data), size);
  const auto definition = ufab::parse_definition(toml, "job.toml");
  if (!definition.ok()) {
    const std::string& message = definition.error().message;
    if (message.find("job.toml") == std::string::npos || message.find('\n') != std::string::npos) {
      std::abort();
    }
    return 0;
  }
  if (definition->window_count() == 0 || definition->tokens_per_step() == 0) std::abort();
  if (definition->width % definition->heads != 0) std::abort();
  (void)ufab::definition_digest(*definition, {});
  return 0;
}
