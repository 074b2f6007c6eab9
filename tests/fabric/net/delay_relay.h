// A TCP relay on loopback that delivers every byte `delay` after it came, in both directions: a long line, as
// far as the programs at its ends can tell. One connection after another.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <thread>

#include "fabric/net/endpoint.h"

namespace ufab {

class DelayRelay {
 public:
  DelayRelay(const Endpoint& target, std::chrono::milliseconds delay) : target_(target), delay_(delay) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    ::bind(listening_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listening_, 16);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    endpoint = {"127.0.0.1", ntohs(address.sin_port)};
    thread_ = std::thread([this] { run(); });
  }
  DelayRelay(const DelayRelay&) = delete;
  DelayRelay& operator=(const DelayRelay&) = delete;
  ~DelayRelay() {
    ending_ = true;
    thread_.join();
    ::close(listening_);
  }

  Endpoint endpoint;

 private:
  using Clock = std::chrono::steady_clock;
  struct Direction {
    int from, to;
    struct Chunk {
      Clock::time_point due;
      std::string bytes;
    };
    std::deque<Chunk> chunks;
  };

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void run() {
    while (!ending_) {
      pollfd entry{listening_, POLLIN, 0};
      if (::poll(&entry, 1, 20) <= 0) continue;
      const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address = loopback(target_.port);
      if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
        relay(client, server);
      ::close(client);
      ::close(server);
    }
  }

  // What arrives is taken at once, so that only the delay holds it up.
  void relay(int client, int server) {
    std::array<Direction, 2> both{Direction{client, server, {}}, Direction{server, client, {}}};
    std::string buffer(1 << 18, '\0');
    while (!ending_) {
      std::array<pollfd, 2> entries{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      ::poll(entries.data(), entries.size(), 1);
      for (std::size_t i = 0; i < both.size(); ++i) {
        if (entries[i].revents != 0) {
          const ssize_t got = ::recv(both[i].from, buffer.data(), buffer.size(), MSG_DONTWAIT);
          if (got == 0 || (got < 0 && errno != EAGAIN)) return;
          if (got > 0)
            both[i].chunks.push_back(
                {Clock::now() + delay_, buffer.substr(0, static_cast<std::size_t>(got))});
        }
        if (!deliver_due(both[i])) return;
      }
    }
  }

  static bool deliver_due(Direction& direction) {
    while (!direction.chunks.empty() && direction.chunks.front().due <= Clock::now()) {
      std::string& bytes = direction.chunks.front().bytes;
      const ssize_t sent = ::send(direction.to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN;
      bytes.erase(0, static_cast<std::size_t>(sent));
      if (!bytes.empty()) return true;
      direction.chunks.pop_front();
    }
    return true;
  }

  const Endpoint target_;
  const std::chrono::milliseconds delay_;
  const int listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace ufab
