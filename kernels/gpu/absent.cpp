// The GPU backends that this build left out.
#include "kernels/assert.h"
#include "kernels/gpu/gpu_backend.h"

namespace ufab::kernels::gpu {

#if !defined(UFAB_KERNELS_GPU_HOST)
std::string why_no_host_executor() {
  return "this build has no host executor for the GPU's kernels (it needs Boost.Context)";
}
std::unique_ptr<Backend> make_host_executor_backend(int) {
  assert_failed("no host executor", __FILE__, __LINE__);
}
#endif

#if !defined(UFAB_KERNELS_CUDA)
std::string why_no_cuda() {
  return "this build has no CUDA: none was found when it was configured";
}
std::unique_ptr<Backend> make_cuda_backend(int) {
  assert_failed("no CUDA", __FILE__, __LINE__);
}
#endif

#if !defined(UFAB_KERNELS_HIP)
std::string why_no_hip() {
  return "this build has no HIP: none was found when it was configured";
}
std::unique_ptr<Backend> make_hip_backend(int) {
  assert_failed("no HIP", __FILE__, __LINE__);
}
#endif

}  // namespace ufab::kernels::gpu
