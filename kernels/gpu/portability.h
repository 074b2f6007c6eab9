// The few words in which the GPU's kernels are written, for three targets. Exactly one of UFAB_GPU_CUDA,
// UFAB_GPU_HIP and UFAB_GPU_HOST is defined where this is included.
//
//   UFAB_KERNEL(threads) void f(...)   a kernel, launched with that many threads a block
//   UFAB_DEVICE T f(...)               what kernels call
//   UFAB_SHARED(T, name, count)        an array that a block's threads share, not initialised, aligned to 16
//                                      bytes
//   UFAB_UNROLL                        before a loop whose counter indexes registers
//   thread_index(), block_index(), grid_blocks()
//   block_barrier()                    every thread of the block, the same times
//   exchange_xor<width>(x, mask)       x of the thread whose index differs by `mask` (< width) inside its
//                                      group of width = 16 or 32 neighbours; all of the group, the same times
//   dot4(a, b, c)                      c + the products of four signed bytes
//   multiply_tile(c, a, b)             c[i][j] += a[i] * b[j], over 32 threads: 16 x 32 by 32 x 8 bytes each,
//                                      signed, where c are integers, 16 x 16 by 16 x 8 bfloat16 where they
//                                      are binary32; where UFAB_GPU_HAS_TILES says that there are units for
//                                      it
//   copy_async<words>(to, from, inside) 1 or 4 words of 32 bits, at multiples of their size, from the grid's
//                                      memory to a shared array, or zeros, and then `from` is not read; it
//                                      may take until this thread's next await_copies(), and others see it
//                                      after a barrier after that
//   pack_bf16(low, high)               a word of the two, rounded to bfloat16
//   exp2_fast(x)                       2^x within a few units of the last place, where UFAB_GPU_HAS_TILES
//   atomic_or, atomic_max, atomic_add  on integers, of the whole grid
// Blocks and grids have one dimension. A warp is 32 threads or 64: nothing may depend on which.
//
// Of the host's side there is a Device (kernels/gpu/device.h, kernels/gpu/device_host_executor.h), which
// where UFAB_GPU_HAS_LIBRARY is defined may know a library for products in bfloat16 (kernels/gpu/cublaslt.h).
#pragma once

#include <cstdint>

#include "kernels/bf16.h"

#if defined(UFAB_GPU_CUDA)
#include <cuda_runtime.h>
#define UFAB_GPU_NAMESPACE gpu_cuda
#if __has_include(<cublasLt.h>)
#define UFAB_GPU_HAS_LIBRARY
#endif
#elif defined(UFAB_GPU_HIP)
#include <hip/hip_runtime.h>
#define UFAB_GPU_NAMESPACE gpu_hip
#elif defined(UFAB_GPU_HOST)
#include "kernels/gpu/host_executor.h"
#define UFAB_GPU_NAMESPACE gpu_host
#else
#error "kernels/gpu/portability.h: no target"
#endif

#if defined(UFAB_GPU_HOST)

#define UFAB_UNROLL
#define UFAB_KERNEL(threads) inline
#define UFAB_DEVICE inline
// One object of this name per place in the text: its address is the array's key.
#define UFAB_SHARED(T, name, count)                                             \
  static const char name##_key = 0;                                             \
  T* const name = static_cast<T*>(::ufab::kernels::host_executor::shared_array( \
      &name##_key, sizeof(T) * static_cast<std::size_t>(count)))

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

UFAB_DEVICE int thread_index() {
  return host_executor::thread_index();
}
UFAB_DEVICE unsigned block_index() {
  return host_executor::block_index();
}
UFAB_DEVICE unsigned grid_blocks() {
  return host_executor::grid_blocks();
}
UFAB_DEVICE void block_barrier() {
  host_executor::block_barrier();
}
template <int width, class T>
UFAB_DEVICE T exchange_xor(T x, int mask) {
  static_assert(width == 16 || width == 32);
  return host_executor::exchange<width>(x, mask);
}
UFAB_DEVICE void atomic_or(std::uint32_t* at, std::uint32_t bits) {
  __atomic_fetch_or(at, bits, __ATOMIC_RELAXED);
}
UFAB_DEVICE void atomic_add(std::uint64_t* at, std::uint64_t x) {
  __atomic_fetch_add(at, x, __ATOMIC_RELAXED);
}
UFAB_DEVICE void atomic_max(std::uint64_t* at, std::uint64_t x) {
  std::uint64_t seen = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (seen < x && !__atomic_compare_exchange_n(at, &seen, x, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}
UFAB_DEVICE std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c) {
  return host_executor::dot4(a, b, c);
}
template <int rows, int columns, class Sum>
UFAB_DEVICE void multiply_tile(Sum (&c)[rows][columns][4], const std::uint32_t (&a)[rows][4],
                               const std::uint32_t (&b)[columns][2]) {
  host_executor::multiply_tile(c[0][0], a[0], b[0], rows, columns);
}
#define UFAB_GPU_HAS_TILES
UFAB_DEVICE std::uint32_t pack_bf16(float low, float high) {
  return bf16_bits(low) | bf16_bits(high) << 16;
}
UFAB_DEVICE float exp2_fast(float x) {
  return __builtin_exp2f(x);
}
template <int words>
UFAB_DEVICE void copy_async(void* to, const void* from, bool inside) {
  static_assert(words == 1 || words == 4);
  host_executor::copy_async(to, from, sizeof(std::uint32_t) * words, inside);
}
UFAB_DEVICE void await_copies() {
  host_executor::await_copies();
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#else

#define UFAB_UNROLL _Pragma("unroll")
#define UFAB_KERNEL(threads) __global__ __launch_bounds__(threads) static
#define UFAB_DEVICE __device__ __forceinline__
#define UFAB_SHARED(T, name, count) __shared__ __attribute__((aligned(16))) T name[count]

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

UFAB_DEVICE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
UFAB_DEVICE unsigned block_index() {
  return blockIdx.x;
}
UFAB_DEVICE unsigned grid_blocks() {
  return gridDim.x;
}
UFAB_DEVICE void block_barrier() {
  __syncthreads();
}
template <int width, class T>
UFAB_DEVICE T exchange_xor(T x, int mask) {
  static_assert(width == 16 || width == 32);
#if defined(UFAB_GPU_CUDA)
  return __shfl_xor_sync(0xFFFFFFFFU, x, mask, width);
#else
  return __shfl_xor(x, mask, width);
#endif
}
UFAB_DEVICE void atomic_or(std::uint32_t* at, std::uint32_t bits) {
  atomicOr(at, bits);
}
UFAB_DEVICE void atomic_add(std::uint64_t* at, std::uint64_t x) {
  atomicAdd(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(x));
}
UFAB_DEVICE void atomic_max(std::uint64_t* at, std::uint64_t x) {
  atomicMax(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(x));
}

#if defined(UFAB_GPU_CUDA)
UFAB_DEVICE std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c) {
  return __dp4a(static_cast<int>(a), static_cast<int>(b), c);
}
// PTX ISA, mma.m16n8k32 and mma.m16n8k16: tensor cores of compute capability 8.0 and later.
template <int rows, int columns>
UFAB_DEVICE void multiply_tile(std::int32_t (&c)[rows][columns][4], const std::uint32_t (&a)[rows][4],
                               const std::uint32_t (&b)[columns][2]) {
  UFAB_UNROLL
  for (int i = 0; i < rows; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < columns; ++j) {
      asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};\n"
          : "+r"(c[i][j][0]), "+r"(c[i][j][1]), "+r"(c[i][j][2]), "+r"(c[i][j][3])
          : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
    }
  }
}
template <int rows, int columns>
UFAB_DEVICE void multiply_tile(float (&c)[rows][columns][4], const std::uint32_t (&a)[rows][4],
                               const std::uint32_t (&b)[columns][2]) {
  UFAB_UNROLL
  for (int i = 0; i < rows; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < columns; ++j) {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};\n"
          : "+f"(c[i][j][0]), "+f"(c[i][j][1]), "+f"(c[i][j][2]), "+f"(c[i][j][3])
          : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
    }
  }
}
#define UFAB_GPU_HAS_TILES
UFAB_DEVICE std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t word = 0;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
UFAB_DEVICE float exp2_fast(float x) {
  float y = 0;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}
// PTX ISA, cp.async: what the source does not give of the bytes becomes zeros.
template <int words>
UFAB_DEVICE void copy_async(void* to, const void* from, bool inside) {
  static_assert(words == 1 || words == 4);
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const std::size_t source = __cvta_generic_to_global(from);
  if constexpr (words == 4) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared), "l"(source),
                 "r"(inside ? 16 : 0)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(shared), "l"(source),
                 "r"(inside ? 4 : 0)
                 : "memory");
  }
}
UFAB_DEVICE void await_copies() {
  asm volatile("cp.async.wait_all;\n" ::: "memory");
}
#else
UFAB_DEVICE std::uint32_t pack_bf16(float low, float high) {
  return bf16_bits(low) | bf16_bits(high) << 16;
}
template <int words>
UFAB_DEVICE void copy_async(void* to, const void* from, bool inside) {
  static_assert(words == 1 || words == 4);
  if constexpr (words == 4) {
    *static_cast<uint4*>(to) = inside ? *static_cast<const uint4*>(from) : uint4{};
  } else {
    *static_cast<std::uint32_t*>(to) = inside ? *static_cast<const std::uint32_t*>(from) : 0U;
  }
}
UFAB_DEVICE void await_copies() {}
UFAB_DEVICE std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c) {
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx1030__)
  return __builtin_amdgcn_sdot4(static_cast<int>(a), static_cast<int>(b), c, false);
#else
  for (int i = 0; i < 4; ++i) {
    c += static_cast<int>(static_cast<signed char>(a >> (8 * i))) *
         static_cast<int>(static_cast<signed char>(b >> (8 * i)));
  }
  return c;
#endif
}
#endif

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#endif
