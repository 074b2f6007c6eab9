// What both kinds of Link stand on: a non-blocking stream socket, waiting with a deadline, and the one error
// that ended it. Internal to fabric/net.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "fabric/base/result.h"
#include "fabric/net/endpoint.h"

namespace ufab {

class Socket {
 public:
  // Takes over a connected or listening descriptor and makes it non-blocking.
  explicit Socket(int fd);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  [[nodiscard]] int fd() const { return fd_; }
  // Until `events` (POLLIN, POLLOUT), a hang-up, or an interruption. `doing` completes "timed out ...".
  [[nodiscard]] Status wait(short events, Deadline deadline, const char* doing);
  void interrupt();
  // Records the first error and returns it; the socket is of no use from then on.
  Error fail(Error error);
  // The recorded error or the interruption, or success.
  [[nodiscard]] Status usable() const;

 private:
  int fd_;
  std::atomic<bool> interrupted_{false};
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace ufab
