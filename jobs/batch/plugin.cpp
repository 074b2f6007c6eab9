#include "jobs/batch/plugin.h"

#include <dlfcn.h>

#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/batch/local.h"

namespace ufab::jobs {

Result<std::unique_ptr<BatchSystem>> make_batch_system(const std::string& name, const BatchConfig& config) {
  if (name == "local") return make_local_batch({config.folder, config.program, config.slots});
  const std::string path =
      (std::filesystem::path(config.program).parent_path() / ("ufab-batch-" + name + ".so")).string();
  if (!file_exists(path)) {
    return Error{ErrorCode::not_found, "batch system '" + name + "': this build has no " + path};
  }
  // Stays loaded to the end of the program: what it made must not outlive its code.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Error{ErrorCode::io, std::string("batch system: ") + ::dlerror()};
  const auto make = reinterpret_cast<MakeBatchSystem>(::dlsym(library, batch_plugin_symbol));
  if (make == nullptr) {
    return Error{ErrorCode::conflict,
                 path + " is of another version of ufab: build and install both together"};
  }
  return make(config);
}

}  // namespace ufab::jobs
