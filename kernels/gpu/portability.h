// The few words in which the GPU's kernels are written, for three targets. Exactly one of UFAB_GPU_CUDA,
// UFAB_GPU_HIP and UFAB_GPU_HOST is defined where this is included.
//
//   UFAB_KERNEL(threads) void f(...)   a kernel, launched with that many threads a block
//   UFAB_KERNEL_BESIDE(threads, n)     the same, held to the registers that let n such blocks run side by
//   side UFAB_DEVICE T f(...)               what kernels call UFAB_SHARED(T, name, count)        an array
//   that a block's threads share, not initialised, aligned to 16
//                                      bytes
//   UFAB_UNROLL                        before a loop whose counter indexes registers
//   load_four(p), store_four(p, x)     four neighbours of 32 bits at once, at a multiple of 16 bytes
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
//   close_copies(), await_copies_but<n>()  a thread's copies up to here are a group; waits for all but the
//   last
//                                      n groups
// Where UFAB_GPU_HAS_GROUPS is defined, and the Device says has_groups(), 128 threads (from a multiple of 128
// on) multiply out of shared memory. A line there is 32 words, at a multiple of 1024 bytes for every eight
// lines; its four words i are kept where in_line(line, i) says:
//   start_products(c, a, b, fresh)     c = the products of 64 lines a with 128 lines b, of signed bytes where
//   c
//                                      are integers, of bfloat16 where they are binary32; unless `fresh` they
//                                      are added to c. Thread t has c[i] of line t / 32 * 16 + t % 32 / 4 + i
//                                      % 4 / 2 * 8 of a and i / 4 * 8 + t % 4 * 2 + i % 2 of b. It may take
//                                      until await_products: then a and b may be written and c is there
//   await_products<n>()                waits for all but the last n of these; await_products<n>(c) where c is
//   read
//                                      next
//   publish_shared()                   what the thread has written to shared memory, copies that it has
//   awaited
//                                      too, is for products after the next barrier
//   UFAB_SHARED_LARGE(T, name, count)  a kernel's one array of more than 48 KiB, at a multiple of 1024 bytes;
//                                      the kernel is started by launch_large()
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
#include "kernels/host_device.h"

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

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

// Where the i-th four words of a line of 32 are kept, so that those of eight lines lie in different banks.
UFAB_HOST_DEVICE inline int in_line(int line, int i) {
  return line * 32 + (i ^ (line % 8)) * 4;
}

template <class T>
struct alignas(16) Four {
  static_assert(sizeof(T) == 4);
  T v[4];
};

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#if defined(UFAB_GPU_HOST)

#define UFAB_UNROLL
#define UFAB_KERNEL(threads) inline
#define UFAB_KERNEL_BESIDE(threads, n) inline
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
  host_executor::await_copies(0);
}
UFAB_DEVICE void close_copies() {
  host_executor::close_copies();
}
template <int groups>
UFAB_DEVICE void await_copies_but() {
  host_executor::await_copies(groups);
}
#define UFAB_GPU_HAS_GROUPS
#define UFAB_SHARED_LARGE(T, name, count) UFAB_SHARED(T, name, count)
template <class Sum>
UFAB_DEVICE void start_products(Sum (&c)[64], const std::uint32_t* a, const std::uint32_t* b, bool fresh) {
  host_executor::start_products(c, a, b, fresh);
}
template <int products, class... Sums>
UFAB_DEVICE void await_products(const Sums&...) {
  host_executor::await_products(products);
}
UFAB_DEVICE void publish_shared() {}
template <class T>
UFAB_DEVICE Four<T> load_four(const T* p) {
  Four<T> x;
  host_executor::move_four(&x, p);
  return x;
}
template <class T>
UFAB_DEVICE void store_four(T* p, const Four<T>& x) {
  host_executor::move_four(p, &x);
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#else

#define UFAB_UNROLL _Pragma("unroll")
#define UFAB_KERNEL(threads) __global__ __launch_bounds__(threads) static
#if defined(UFAB_GPU_CUDA)
#define UFAB_KERNEL_BESIDE(threads, n) __global__ __launch_bounds__(threads, n) static
#else
#define UFAB_KERNEL_BESIDE(threads, n) UFAB_KERNEL(threads)
#endif
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
template <class T>
UFAB_DEVICE Four<T> load_four(const T* p) {
  return *reinterpret_cast<const Four<T>*>(p);
}
template <class T>
UFAB_DEVICE void store_four(T* p, const Four<T>& x) {
  *reinterpret_cast<Four<T>*>(p) = x;
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
UFAB_DEVICE void close_copies() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}
template <int groups>
UFAB_DEVICE void await_copies_but() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(groups) : "memory");
}
// PTX ISA, wgmma: compute capability 9.0 alone.
#define UFAB_GPU_HAS_GROUPS
#define UFAB_SHARED_LARGE(T, name, count)                                             \
  extern __shared__ __attribute__((aligned(1024))) unsigned char ufab_shared_large[]; \
  T* const name = reinterpret_cast<T*>(ufab_shared_large)
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// Lines of 128 bytes, swizzled over 128 bytes, eight of them 1024 bytes apart from the next eight.
UFAB_DEVICE std::uint64_t line_descriptor(const std::uint32_t* lines) {
  const std::uint64_t address = static_cast<std::uint64_t>(__cvta_generic_to_shared(lines));
  return (address & 0x3FFFFU) >> 4 | std::uint64_t{1} << 16 | std::uint64_t{64} << 32 |
         std::uint64_t{1} << 62;
}
#define UFAB_SUMS(kind)                                                                                     \
  kind(c[0]), kind(c[1]), kind(c[2]), kind(c[3]), kind(c[4]), kind(c[5]), kind(c[6]), kind(c[7]),           \
      kind(c[8]), kind(c[9]), kind(c[10]), kind(c[11]), kind(c[12]), kind(c[13]), kind(c[14]), kind(c[15]), \
      kind(c[16]), kind(c[17]), kind(c[18]), kind(c[19]), kind(c[20]), kind(c[21]), kind(c[22]),            \
      kind(c[23]), kind(c[24]), kind(c[25]), kind(c[26]), kind(c[27]), kind(c[28]), kind(c[29]),            \
      kind(c[30]), kind(c[31]), kind(c[32]), kind(c[33]), kind(c[34]), kind(c[35]), kind(c[36]),            \
      kind(c[37]), kind(c[38]), kind(c[39]), kind(c[40]), kind(c[41]), kind(c[42]), kind(c[43]),            \
      kind(c[44]), kind(c[45]), kind(c[46]), kind(c[47]), kind(c[48]), kind(c[49]), kind(c[50]),            \
      kind(c[51]), kind(c[52]), kind(c[53]), kind(c[54]), kind(c[55]), kind(c[56]), kind(c[57]),            \
      kind(c[58]), kind(c[59]), kind(c[60]), kind(c[61]), kind(c[62]), kind(c[63])
UFAB_DEVICE void multiply_lines(std::int32_t (&c)[64], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, p;\n}\n"
      : UFAB_SUMS("+r")
      : "l"(a), "l"(b), "r"(add ? 1 : 0));
}
UFAB_DEVICE void multiply_lines(float (&c)[64], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
      : UFAB_SUMS("+f")
      : "l"(a), "l"(b), "r"(add ? 1 : 0));
}
template <class Sum>
UFAB_DEVICE void start_products(Sum (&c)[64], const std::uint32_t* a, const std::uint32_t* b, bool fresh) {
  const std::uint64_t of_a = line_descriptor(a), of_b = line_descriptor(b);
  asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory");
  UFAB_UNROLL
  for (int part = 0; part < 4; ++part) {  // 32 bytes of every line
    multiply_lines(c, of_a + 2 * static_cast<unsigned>(part), of_b + 2 * static_cast<unsigned>(part),
                   part > 0 || !fresh);
  }
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}
template <int products>
UFAB_DEVICE void await_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(products) : "memory");
}
template <int products>
UFAB_DEVICE void await_products(std::int32_t (&c)[64]) {
  asm volatile("wgmma.wait_group.sync.aligned %64;\n" : UFAB_SUMS("+r") : "n"(products) : "memory");
}
template <int products>
UFAB_DEVICE void await_products(float (&c)[64]) {
  asm volatile("wgmma.wait_group.sync.aligned %64;\n" : UFAB_SUMS("+f") : "n"(products) : "memory");
}
#undef UFAB_SUMS
UFAB_DEVICE void publish_shared() {
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
}
#else
template <class Sum>
UFAB_DEVICE void start_products(Sum (&)[64], const std::uint32_t*, const std::uint32_t*, bool) {
  __trap();
}
template <int products, class... Sums>
UFAB_DEVICE void await_products(const Sums&...) {}
UFAB_DEVICE void publish_shared() {}
#endif
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
UFAB_DEVICE void close_copies() {}
template <int groups>
UFAB_DEVICE void await_copies_but() {}
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
