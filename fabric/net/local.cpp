#include "fabric/net/local.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fabric/net/socket.h"

namespace ufab {

namespace {

class LocalLink final : public Link {
 public:
  explicit LocalLink(int fd) : socket_(fd) {}

  Status send_bytes(ByteView bytes, Deadline deadline) override {
    UFAB_TRY(socket_.usable());
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
      } else {
        UFAB_TRY(retry(errno, POLLOUT, deadline, "sending"));
      }
    }
    return {};
  }

  Status recv_bytes(std::span<std::uint8_t> into, Deadline deadline) override {
    UFAB_TRY(socket_.usable());
    while (!into.empty()) {
      const ssize_t got = ::recv(socket_.fd(), into.data(), into.size(), 0);
      if (got > 0) {
        into = into.subspan(static_cast<std::size_t>(got));
      } else if (got == 0) {
        return socket_.fail({ErrorCode::unavailable, "the peer closed the link"});
      } else {
        UFAB_TRY(retry(errno, POLLIN, deadline, "receiving"));
      }
    }
    return {};
  }

  std::optional<PublicKey> peer() const override { return std::nullopt; }
  std::string peer_address() const override { return "local"; }
  void shutdown() override { ::shutdown(socket_.fd(), SHUT_WR); }
  void interrupt() override { socket_.interrupt(); }

 private:
  Status retry(int error, short events, Deadline deadline, const char* doing) {
    if (error == EINTR) return {};
    if (error != EAGAIN && error != EWOULDBLOCK) {
      return socket_.fail({ErrorCode::unavailable,
                           std::string("the link broke while ") + doing + ": " + std::strerror(error)});
    }
    if (const Status ready = socket_.wait(events, deadline, doing); !ready)
      return socket_.fail(ready.error());
    return {};
  }

  Socket socket_;
};

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::limit, path + ": a socket's path has 1 to " +
                                       std::to_string(sizeof address.sun_path - 1) + " bytes"};
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

bool peer_is_this_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

Error system_error(const std::string& path, int error) {
  return {error == EACCES ? ErrorCode::denied : ErrorCode::unavailable, path + ": " + std::strerror(error)};
}

}  // namespace

Result<LinkPtr> connect_local(const std::string& path, Deadline deadline) {
  UFAB_ASSIGN(const sockaddr_un address, socket_address(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return system_error(path, errno);
  auto link = std::make_unique<LocalLink>(fd);
  // EAGAIN: the listener's queue is full; it has no descriptor to wait on, so ask again shortly.
  while (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR) return system_error(path, errno);
    if (Deadline::clock::now() >= deadline) return Error{ErrorCode::timeout, path + ": timed out connecting"};
    ::poll(nullptr, 0, 10);
  }
  if (!peer_is_this_user(fd)) return Error{ErrorCode::denied, path + ": another user listens there"};
  return LinkPtr(std::move(link));
}

struct LocalListener::State {
  State(int fd, std::string socket_path) : socket(fd), path(std::move(socket_path)) {}
  Socket socket;
  std::string path;
  bool bound = false;
  ~State() {
    if (bound) ::unlink(path.c_str());
  }
};

LocalListener::LocalListener(std::unique_ptr<State> state) : state_(std::move(state)) {}
LocalListener::LocalListener(LocalListener&&) noexcept = default;
LocalListener& LocalListener::operator=(LocalListener&&) noexcept = default;
LocalListener::~LocalListener() = default;

Result<LocalListener> LocalListener::bind(const std::string& path) {
  UFAB_ASSIGN(const sockaddr_un address, socket_address(path));
  if (const auto other = connect_local(path, deadline_in(std::chrono::milliseconds(200)));
      other || other.error().code == ErrorCode::timeout) {
    return Error{ErrorCode::conflict, path + ": somebody listens there already"};
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return Error{ErrorCode::conflict, path + ": exists and is not a socket"};
    ::unlink(path.c_str());
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error(path, errno);
  auto state = std::make_unique<State>(fd, path);
  // The descriptor's mode becomes the file's: never open to others, not even for a moment.
  if (::fchmod(fd, 0600) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return system_error(path, errno);
  }
  state->bound = true;
  if (::chmod(path.c_str(), 0600) != 0 || ::listen(fd, 128) != 0) return system_error(path, errno);
  return LocalListener(std::move(state));
}

Result<LinkPtr> LocalListener::accept(Deadline deadline) {
  for (;;) {
    UFAB_TRY(state_->socket.wait(POLLIN, deadline, "waiting for a connection"));
    const int fd = ::accept4(state_->socket.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      auto link = std::make_unique<LocalLink>(fd);
      if (peer_is_this_user(fd)) return LinkPtr(std::move(link));
      continue;
    }
    if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) continue;
    return state_->socket.fail({ErrorCode::unavailable, std::string("accept: ") + std::strerror(errno)});
  }
}

void LocalListener::interrupt() {
  state_->socket.interrupt();
}

}  // namespace ufab
