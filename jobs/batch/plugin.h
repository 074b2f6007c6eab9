// Which batch system a provider has: the local one, or a plug-in beside the programs (ufab-batch-NAME.so), so
// that one build serves clusters with Slurm and without.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "jobs/batch/batch_system.h"

namespace ufab::jobs {

struct BatchConfig {
  std::string folder;       // where it keeps what must survive the node
  std::string program;      // path of ufabd; helper programs are beside it
  std::uint32_t slots = 1;  // of the local batch system
  std::string chain;        // first eight hexadecimal digits of the chain's id: runs of two chains never mix
  std::map<std::string, std::string> settings;  // the [provider.NAME] section of config.toml
  std::function<void(const std::string&)> log;  // thread-safe; one line
};

// What a plug-in exports, under this name. The version changes with any type that crosses the border; node
// and plug-in are of one build.
inline constexpr const char* batch_plugin_symbol = "ufab_make_batch_system_1";
using MakeBatchSystem = Result<std::unique_ptr<BatchSystem>> (*)(const BatchConfig& config);

// "local", or the name of a plug-in. Errors: not_found when this build has no such plug-in; invalid when one
// of its settings is wrong.
[[nodiscard]] Result<std::unique_ptr<BatchSystem>> make_batch_system(const std::string& name,
                                                                     const BatchConfig& config);

}  // namespace ufab::jobs
