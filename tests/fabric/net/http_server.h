// A server for tests that answers every request alike, on a free port of loopback.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

namespace ufab::test {

class HttpServer {
 public:
  // Sends `raw` as it is instead when it is not empty; "silence" sends nothing.
  HttpServer(unsigned status, std::string body, std::string raw = {})
      : answer_(raw.empty() ? "HTTP/1.1 " + std::to_string(status) +
                                  " WORD\r\nConnection: Close\r\nContent-Length: " +
                                  std::to_string(body.size()) + "\r\n\r\n" + body
                            : std::move(raw)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 8) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    stopping_ = true;
    thread_.join();
    ::close(fd_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string last_request() const {
    const std::lock_guard lock(mutex_);
    return request_;
  }

 private:
  [[nodiscard]] bool readable(int fd) const {
    while (!stopping_) {
      pollfd one{fd, POLLIN, 0};
      if (::poll(&one, 1, 20) > 0) return true;
    }
    return false;
  }
  // Head and as many bytes of body as it says.
  [[nodiscard]] std::string receive(int fd) const {
    std::string text;
    char buffer[4096];
    while (readable(fd)) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::size_t length = text.find("Content-Length: ");
      const std::size_t body = length < end ? std::stoul(text.substr(length + 16)) : 0;
      if (text.size() >= end + 4 + body) break;
    }
    return text;
  }
  void serve() {
    while (readable(fd_)) {
      const int fd = ::accept(fd_, nullptr, nullptr);
      if (fd < 0) continue;
      std::string request = receive(fd);
      {
        const std::lock_guard lock(mutex_);
        request_ = std::move(request);
      }
      if (answer_ == "silence") {
        while (!stopping_) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      } else {
        static_cast<void>(::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL));
      }
      ::close(fd);
    }
  }

  const std::string answer_;
  int fd_ = -1;
  unsigned port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::string request_;
  std::thread thread_;
};

}  // namespace ufab::test
