// UFAB_ASSERT guards invariants of this program, in release builds too. It never checks input:
// input that is wrong gets an Error (fabric/base/result.h).
#pragma once

namespace ufab {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
}

#define UFAB_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::ufab::assert_failed(#expression, __FILE__, __LINE__))
