// Invariants of this library, on in release builds too. kernels/ stands alone, hence its own.
#pragma once

namespace ufab::kernels {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
}

#define UFAB_KERNELS_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::ufab::kernels::assert_failed(#expression, __FILE__, __LINE__))
