// Answers requests on a Unix socket and on a TLS port. One thread accepts on each, one thread serves each
// connection; at most max_connections are served on each kind of door at a time, further ones are closed at
// once. The doors do not count together: strangers that hold every TLS connection must not lock the owner
// out. Nor does a connection count while it is in its TLS handshake: of those there are at most
// max_handshakes, and when one more comes the oldest is ended, so that strangers who stall keep nobody out.
//
// The TLS port may serve one more protocol, told by its first frame: OtherProtocol. The keys that it expects
// have max_expected connections each of their own, whatever they use them for, so that strangers who hold
// every other one do not part the validators of a chain.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "fabric/net/local.h"
#include "fabric/net/tls.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// Who asks: nullopt is the owner on the local socket.
using Caller = std::optional<PublicKey>;
// Called from several threads at a time.
using Handler = std::function<Result<Answer>(const Caller& caller, const Request& request)>;

// Both functions are called from several threads at a time, and outlive the server.
struct OtherProtocol {
  std::uint16_t first_frame = 0;  // its type
  AllowPeer expects;
  // Runs in the connection's thread until the link is of no more use. Must return soon after the link was
  // interrupted. Also called for peers that are not expected, which it turns away.
  std::function<void(Link& link, const Frame& first)> serve;
};

class RpcServer {
 public:
  static constexpr std::size_t max_connections = 64;
  static constexpr std::size_t max_handshakes = 64;
  static constexpr std::size_t max_expected = 4;

  RpcServer(Credentials credentials, AllowPeer allow, Handler handler,
            std::optional<OtherProtocol> other = std::nullopt);
  // Stops accepting, ends every connection and joins all threads.
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  void serve(LocalListener listener);
  void serve(Listener listener);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ufab::jobs
