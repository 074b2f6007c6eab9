// A GPU plug-in (kernels/gpu/plugin.h), whose one source says for which target.
#pragma once

#include "kernels/gpu/backend_text.h"
#include "kernels/gpu/device.h"
#include "kernels/gpu/plugin.h"

namespace target = ufab::kernels::UFAB_GPU_NAMESPACE;

extern "C" const char* ufab_gpu_why_not() {
  static const std::string why = target::Device::why_not();
  return why.c_str();
}
extern "C" ufab::kernels::Backend* ufab_gpu_make_backend(int threads, int device) {
  return new target::GpuBackend<target::Device>(ufab::kernels::gpu::IntegerUnit::best, threads, device);
}
