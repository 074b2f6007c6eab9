#include "fabric/base/result.h"

#include <cstdio>
#include <cstdlib>

namespace ufab {

void assert_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "ufab: internal error: %s does not hold (%s:%d)\n", expression, file, line);
  std::abort();
}

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage: return "usage";
    case ErrorCode::invalid: return "invalid";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::denied: return "denied";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::limit: return "limit";
    case ErrorCode::io: return "io";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::timeout: return "timeout";
  }
  return "unknown";
}

int Error::exit_status() const {
  switch (code) {
    case ErrorCode::usage: return 2;
    case ErrorCode::unavailable:
    case ErrorCode::timeout: return 3;
    default: return 1;
  }
}

}  // namespace ufab
