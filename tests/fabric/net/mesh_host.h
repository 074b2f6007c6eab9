// A node with a mesh and an open port, as the tests of the mesh need it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "fabric/net/mesh.h"

namespace ufab {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline Deadline soon() {
  return deadline_in(seconds(10));
}

// Waits until it holds; false after ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
  for (const auto end = soon(); Deadline::clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return condition();
}

inline MeshOptions mesh_options() {
  MeshOptions options;
  options.hello.chain = sha256("chain of the tests");
  options.backoff_max = milliseconds(400);
  return options;
}

inline SharedBytes shared(Bytes bytes) {
  return std::make_shared<const Bytes>(std::move(bytes));
}

class MeshHost {
 public:
  explicit MeshHost(const MeshOptions& options = mesh_options(), Mesh::Handler handler = {})
      : credentials(*Credentials::create(key)),
        mesh(
            credentials, options,
            handler ? std::move(handler) : [this](const PublicKey& from, MeshChannel channel, Bytes bytes) {
              const std::lock_guard lock(mutex_);
              received_.push_back({from, channel, std::move(bytes)});
            }) {
    listener_ = std::make_unique<Listener>(Listener::bind_for_later("127.0.0.1").value());
    endpoint = listener_->endpoint();
    accept_thread_ = std::thread([this] { accept(); });
  }
  ~MeshHost() { close(); }
  MeshHost(const MeshHost&) = delete;
  MeshHost& operator=(const MeshHost&) = delete;

  // Nobody listens any more, and every link that was accepted ends.
  void close() {
    if (!listener_) return;
    closing_ = true;
    listener_->interrupt();
    accept_thread_.join();
    {
      const std::lock_guard lock(mutex_);
      for (Connection& one : connections_) {
        one.stop.request_stop();
        if (one.link) one.link->interrupt();
      }
    }
    for (Connection& one : connections_) one.thread.join();
    connections_.clear();
    listener_.reset();
    closing_ = false;
  }
  void open() {
    listener_ = std::make_unique<Listener>(Listener::bind(endpoint).value());
    accept_thread_ = std::thread([this] { accept(); });
  }

  [[nodiscard]] MeshPeer as_peer() const { return {key.public_key(), endpoint}; }
  [[nodiscard]] const PublicKey& id() const { return key.public_key(); }
  [[nodiscard]] MeshPeerStatus status_of(const MeshHost& other) const {
    for (const MeshPeerStatus& one : mesh.status()) {
      if (one.key == other.id()) return one;
    }
    return {};
  }

  struct Received {
    PublicKey from;
    MeshChannel channel;
    Bytes bytes;
  };
  [[nodiscard]] std::vector<Received> received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  [[nodiscard]] std::size_t received_count() const {
    const std::lock_guard lock(mutex_);
    return received_.size();
  }

  KeyPair key = KeyPair::generate();
  Credentials credentials;
  Mesh mesh;
  Endpoint endpoint;

 private:
  struct Connection {
    std::stop_source stop;
    LinkPtr link;
    std::thread thread;
  };

  void accept() {
    while (!closing_) {
      auto pending = listener_->accept(deadline_in(seconds(1)));
      if (!pending) continue;
      const std::lock_guard lock(mutex_);
      Connection& own = connections_.emplace_back();
      own.thread = std::thread([this, &own, held = std::make_shared<PendingLink>(*std::move(pending))] {
        serve(own, std::move(*held));
      });
    }
  }
  void serve(Connection& own, PendingLink pending) {
    const auto any = [](const PublicKey&) { return true; };
    auto link = std::move(pending).handshake(credentials, any, soon(), {own.stop.get_token(), {}});
    if (!link) return;
    Link& raw = **link;
    {
      const std::lock_guard lock(mutex_);
      own.link = *std::move(link);
      if (own.stop.stop_requested()) raw.interrupt();
    }
    const auto first = raw.recv(1 << 20, soon());
    if (first) mesh.serve(raw, *first);
    const std::lock_guard lock(mutex_);
    own.link.reset();
  }

  mutable std::mutex mutex_;
  std::vector<Received> received_;
  std::atomic<bool> closing_{false};
  std::unique_ptr<Listener> listener_;
  std::list<Connection> connections_;
  std::thread accept_thread_;
};

// Everybody knows everybody.
inline void introduce(const std::vector<MeshHost*>& hosts) {
  std::vector<MeshPeer> peers;
  for (const MeshHost* host : hosts) peers.push_back(host->as_peer());
  for (MeshHost* host : hosts) ASSERT_TRUE(host->mesh.set_peers(peers).ok());
}

}  // namespace ufab
