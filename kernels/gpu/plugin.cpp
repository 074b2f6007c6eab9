// Loads the plug-ins of kernels/gpu/plugin.h; and says so where this build has no host executor.
#include "kernels/gpu/plugin.h"

#include <dlfcn.h>

#include <filesystem>

#include "kernels/assert.h"
#include "kernels/gpu/gpu_backend.h"

namespace ufab::kernels::gpu {
namespace {

// Stays loaded to the end of the program: the libraries under it do not like to be unloaded.
class Plugin {
 public:
  Plugin(const char* name, const char* file) {
    std::error_code failed;
    const auto folder = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
    for (const auto& path : {folder / file, folder.parent_path() / "bin" / file}) {
      if (!std::filesystem::exists(path, failed)) continue;
      void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) {
        why_not_ = std::string(name).append(": ").append(dlerror());
        return;
      }
      const auto ask = reinterpret_cast<decltype(&ufab_gpu_why_not)>(dlsym(library, "ufab_gpu_why_not"));
      make_ = reinterpret_cast<decltype(make_)>(dlsym(library, "ufab_gpu_make_backend"));
      UFAB_KERNELS_ASSERT(ask != nullptr && make_ != nullptr);
      why_not_ = ask();
      return;
    }
    why_not_ =
        std::string("this build has no ").append(name).append(": it was not found when it was configured");
  }
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  [[nodiscard]] std::unique_ptr<Backend> make(int threads, int device) const {
    UFAB_KERNELS_ASSERT(why_not_.empty());
    return std::unique_ptr<Backend>(make_(threads, device));
  }

 private:
  std::string why_not_;
  decltype(&ufab_gpu_make_backend) make_ = nullptr;
};

const Plugin& cuda() {
  static const Plugin plugin("CUDA", "ufab-cuda.so");
  return plugin;
}
const Plugin& hip() {
  static const Plugin plugin("HIP", "ufab-hip.so");
  return plugin;
}

}  // namespace

std::string why_no_cuda() {
  return cuda().why_not();
}
std::unique_ptr<Backend> make_cuda_backend(int threads, int device) {
  return cuda().make(threads, device);
}
std::string why_no_hip() {
  return hip().why_not();
}
std::unique_ptr<Backend> make_hip_backend(int threads, int device) {
  return hip().make(threads, device);
}

#if !defined(UFAB_KERNELS_GPU_HOST)
std::string why_no_host_executor() {
  return "this build has no host executor for the GPU's kernels: Boost.Context was not found";
}
std::unique_ptr<Backend> make_host_executor_backend(int, host_executor::ThreadOrder, IntegerUnit) {
  assert_failed("a host executor", __FILE__, __LINE__);
}
#endif

}  // namespace ufab::kernels::gpu
