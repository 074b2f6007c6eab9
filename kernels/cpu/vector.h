// Sixteen binary32 (F16) and 32-bit integer lanes (I16), eight binary64 (D8) and eight 64-bit integer lanes
// (L8), for AVX-512, with VNNI or BF16 or without, and for AVX2 + FMA. Included only by translation units
// compiled for one of them: everything lives in a namespace of that instruction set, so that no inline
// function of one can stand in for another's at link time.
//
// load_n/store_n touch the first n lanes (1 <= n <= 16) and no byte beyond; loaded lanes past n are +0.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#if defined(__AVX512BF16__)
#define UFAB_KERNELS_ISA avx512bf16
#elif defined(__AVX512VNNI__)
#define UFAB_KERNELS_ISA avx512vnni
#elif defined(__AVX512F__)
#define UFAB_KERNELS_ISA avx512
#else
#define UFAB_KERNELS_ISA avx2
#endif
#define UFAB_INLINE [[gnu::always_inline]] inline

#if defined(__AVX512F__)
#include "kernels/cpu/vector_avx512.h"
#else
#include "kernels/cpu/vector_avx2.h"
#endif

namespace ufab::kernels::UFAB_KERNELS_ISA {

// a > b ? a : b
UFAB_INLINE F16 maximum(F16 a, F16 b) {
  return select_less(b, a, a, b);
}
UFAB_INLINE int smaller(int a, int b) {
  return a < b ? a : b;
}
UFAB_INLINE std::size_t smaller(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
