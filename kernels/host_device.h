// Marks functions that a GPU backend compiles for its device too, and the few operations that a device's
// compiler spells in its own way; nothing for a plain C++ compiler.
#pragma once

#if defined(__CUDACC__) || defined(__HIPCC__)
#define UFAB_HOST_DEVICE __host__ __device__
#else
#define UFAB_HOST_DEVICE
#endif

namespace ufab::kernels {

// Rounded once, to nearest even, on every machine.
[[gnu::always_inline]] inline UFAB_HOST_DEVICE float fma_once(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
[[gnu::always_inline]] inline UFAB_HOST_DEVICE double fma_once(double a, double b, double c) {
#if defined(__CUDA_ARCH__)
  return __fma_rn(a, b, c);
#else
  return __builtin_fma(a, b, c);
#endif
}
[[gnu::always_inline]] inline UFAB_HOST_DEVICE float sqrt_once(float a) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#elif defined(__HIP_DEVICE_COMPILE__)
  return ::sqrtf(a);  // rounded correctly: -fhip-fp32-correctly-rounded-divide-sqrt
#else
  return __builtin_sqrtf(a);
#endif
}
// To the nearest integer, ties to even.
[[gnu::always_inline]] inline UFAB_HOST_DEVICE float round_even(float a) {
#if defined(__CUDA_ARCH__)
  return ::rintf(a);
#else
  return __builtin_rintf(a);
#endif
}

}  // namespace ufab::kernels
