// A TCP address as people write it, and the deadlines that every network operation takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab {

// The moment at which an operation gives up with ErrorCode::timeout.
using Deadline = std::chrono::steady_clock::time_point;
[[nodiscard]] inline Deadline deadline_in(std::chrono::milliseconds duration) {
  return std::chrono::steady_clock::now() + duration;
}

struct Endpoint {
  std::string host;  // a name or a numeric address, without brackets
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  // "127.0.0.1:4000", "node.example:4000" or "[::1]:4000"; port 1 to 65535 without leading zeros.
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  // Exact inverse of parse.
  [[nodiscard]] std::string str() const;
};

}  // namespace ufab
