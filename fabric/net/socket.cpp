#include "fabric/net/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ufab {

namespace {

Error interruption() {
  return {ErrorCode::unavailable, "the link was interrupted"};
}

}  // namespace

Socket::Socket(int fd) : fd_(fd) {
  UFAB_ASSERT(fd >= 0);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

Socket::~Socket() {
  ::close(fd_);
}

Status Socket::wait(short events, Deadline deadline, const char* doing) {
  for (;;) {
    if (interrupted_) return interruption();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Deadline::clock::now()).count();
    pollfd entry{fd_, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<long>(left, 0, 3'600'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR)
      return Error{ErrorCode::io, std::string("poll: ") + std::strerror(errno)};
    if (ready == 0 && left <= 0) return Error{ErrorCode::timeout, std::string("timed out ") + doing};
  }
}

void Socket::interrupt() {
  interrupted_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

Error Socket::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = interrupted_ ? interruption() : std::move(error);
  return *error_;
}

Status Socket::usable() const {
  const std::lock_guard lock(mutex_);
  if (error_) return *error_;
  if (interrupted_) return interruption();
  return {};
}

}  // namespace ufab
