#include "fabric/net/printable.h"
#include "jobs/rpc/client.h"

namespace ufab::jobs {

namespace {

constexpr std::size_t error_size_max = 1024;

}  // namespace

Result<Answer> PeerPool::call(const Endpoint& endpoint, const std::vector<PublicKey>& keys,
                              const Request& request, std::chrono::milliseconds timeout) {
  std::string name = endpoint.str();
  for (const PublicKey& key : keys) name += " " + key.hex();
  const AllowPeer allow = allow_any_of(keys);
  std::shared_ptr<Peer> peer;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = peers_[name];
    if (!slot) slot = std::make_shared<Peer>();
    peer = slot;
  }
  const std::lock_guard lock(peer->mutex);
  const bool reused = peer->client != nullptr;
  for (int attempt = 0;; ++attempt) {
    if (!peer->client) {
      UFAB_ASSIGN(LinkPtr link, connect_tls(endpoint, credentials_, allow, deadline_in(timeout)));
      peer->client = std::make_unique<RpcClient>(std::move(link));
    }
    auto answer = peer->client->call(request, timeout);
    if (!peer->client->is_broken()) {
      if (answer.ok()) return answer;
      return Error{answer.error().code, printable_line(answer.error().message, error_size_max)};
    }
    peer->client.reset();
    // A kept link may have died while idle; a fresh one that fails is an answer. A timeout is not repeated.
    const bool retry = reused && attempt == 0 && answer.error().code == ErrorCode::unavailable;
    if (!retry) return answer;
  }
}

}  // namespace ufab::jobs
