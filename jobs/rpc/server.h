// Answers requests on a Unix socket and on a TLS port. One thread accepts on each, one thread serves each
// connection; at most max_connections are served on each kind of door at a time, further ones are closed at
// once. The doors do not count together: strangers that hold every TLS connection must not lock the owner
// out.
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

class RpcServer {
 public:
  static constexpr std::size_t max_connections = 64;

  RpcServer(Credentials credentials, AllowPeer allow, Handler handler);
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
