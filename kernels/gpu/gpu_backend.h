// The GPU backends. One text (kernels/gpu/*.h) is compiled for CUDA, for HIP and for the host executor; a
// build leaves out those whose compiler it did not find.
#pragma once

#include <memory>
#include <string>

#include "kernels/backend.h"
#include "kernels/gpu/host_executor.h"

namespace ufab::kernels::gpu {

// What multiplies packed operands: the best that the device has, or at most units for tiles of one warp, or a
// word's products at a time (tests want all).
enum class IntegerUnit { best, tiles, dot4 };

// Empty when the backend can be made here, or why not in one line.
[[nodiscard]] std::string why_no_host_executor();
[[nodiscard]] std::string why_no_cuda();
[[nodiscard]] std::string why_no_hip();

// Of what can be made (asserted). `threads` runs the host executor's blocks; a device has its own, and its
// backend only returns the number.
[[nodiscard]] std::unique_ptr<Backend> make_host_executor_backend(
    int threads, host_executor::ThreadOrder order = host_executor::ThreadOrder::ascending,
    IntegerUnit unit = IntegerUnit::best);
[[nodiscard]] std::unique_ptr<Backend> make_cuda_backend(int threads, int device);
[[nodiscard]] std::unique_ptr<Backend> make_hip_backend(int threads, int device);

}  // namespace ufab::kernels::gpu
