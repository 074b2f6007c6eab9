// Calls to a node: over its Unix socket (the owner's commands) or TLS (other organisations' nodes).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fabric/net/tls.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// One link, one call at a time. After an error of the link every further call fails; make a new client.
class RpcClient {
 public:
  explicit RpcClient(LinkPtr link) : link_(std::move(link)) {}
  // ErrorCode::unavailable with a line that says how to start the node.
  [[nodiscard]] static Result<RpcClient> connect_home(const std::string& socket_path);

  // The other side's Error is returned as it is; unavailable or timeout when the link failed (is_broken()).
  [[nodiscard]] Result<Answer> call(const Request& request, std::chrono::milliseconds timeout);
  [[nodiscard]] bool is_broken() const { return broken_; }

 private:
  LinkPtr link_;
  std::uint64_t next_id_ = 1;
  bool broken_ = false;
};

// Keeps one link to each peer and opens it again when it broke. Thread-safe; calls to one peer take turns.
// Peers are strangers: what an error of theirs says is one printable line of bounded length.
class PeerPool {
 public:
  explicit PeerPool(Credentials credentials) : credentials_(std::move(credentials)) {}

  [[nodiscard]] Result<Answer> call(const Endpoint& endpoint, const PublicKey& key, const Request& request,
                                    std::chrono::milliseconds timeout) {
    return call(endpoint, std::vector{key}, request, timeout);
  }
  // The same where the peer may show any of these keys. A link that was made with a key that is not among
  // them any more is not used.
  [[nodiscard]] Result<Answer> call(const Endpoint& endpoint, const std::vector<PublicKey>& keys,
                                    const Request& request, std::chrono::milliseconds timeout);

 private:
  struct Peer {
    std::mutex mutex;
    std::unique_ptr<RpcClient> client;
  };
  Credentials credentials_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Peer>> peers_;  // by endpoint and keys
};

}  // namespace ufab::jobs
