// The GPU's kernels for the host executor.
#define UFAB_GPU_HOST

#include "kernels/gpu/backend_text.h"
#include "kernels/gpu/device_host_executor.h"
#include "kernels/gpu/gpu_backend.h"

namespace ufab::kernels::gpu {

std::string why_no_host_executor() {
  return {};
}
std::unique_ptr<Backend> make_host_executor_backend(int threads, host_executor::ThreadOrder order,
                                                    IntegerUnit unit) {
  return std::make_unique<gpu_host::GpuBackend<gpu_host::Device>>(unit, threads, order);
}

}  // namespace ufab::kernels::gpu
