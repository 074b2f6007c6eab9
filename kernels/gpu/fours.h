// Memory four neighbours at a time, which is how a device moves the most of it; one at a time where the place
// does not allow that.
#pragma once

#include <cstdint>

#include "kernels/gpu/portability.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

// x = the n neighbours from p on, and back. n: 4, at a multiple of 16 bytes, or 1.
template <int n, class T>
UFAB_DEVICE void load(T (&x)[n], const T* p) {
  if constexpr (n == 4) {
    const Four<T> four = load_four(p);
    UFAB_UNROLL
    for (int i = 0; i < 4; ++i) x[i] = four.v[i];
  } else {
    static_assert(n == 1);
    x[0] = p[0];
  }
}
template <int n, class T>
UFAB_DEVICE void store(T* p, const T (&x)[n]) {
  if constexpr (n == 4) {
    store_four(p, Four<T>{{x[0], x[1], x[2], x[3]}});
  } else {
    static_assert(n == 1);
    p[0] = x[0];
  }
}
// Whether all of these are multiples of 16 bytes.
template <class... Pointers>
UFAB_DEVICE bool in_fours(Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) | ...) & 15U) == 0;
}
}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
