// The machine's clock as records have it.
#pragma once

#include <chrono>
#include <cstdint>

namespace ufab {

// Microseconds since 1970, by this machine's clock, which may jump.
[[nodiscard]] inline std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace ufab
