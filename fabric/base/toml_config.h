// What toml++ is compiled with; fabric/base/toml.h is the way to it. Its parser asserts where it should
// report
// ("a.b/c = 1" ends the process, found by tests/fuzz/definition.cpp): definitions come from other
// organisations, so a failed assertion is an exception, which whoever parses catches.
#pragma once

#include <stdexcept>

#define TOML_ASSERT(expr) \
  (static_cast<bool>(expr) ? static_cast<void>(0) : throw std::logic_error("malformed near a key"))
