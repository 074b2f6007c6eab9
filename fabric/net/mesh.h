// The network between the validators of one chain: short messages pushed to every peer at once, for
// consensus. Each node keeps one link to each peer, over TLS 1.3 with both keys proved (fabric/net/tls.h),
// opened by the one that sends on it; so two nodes share two links, one for each direction. mesh_wire.h has
// what goes over them, mesh_queue.h what waits for them, peer_score.h how a peer that misbehaves fares.
//
// The mesh listens on no port of its own: whoever does hands a link whose first frame is a hello to serve().
//
// Delivery: in order within a channel, at most once. What waits when a queue is full, what is on its way when
// a link breaks, and what is sent to a banned peer is lost: the protocol above repeats what it needs. While a
// peer is away its queue keeps what is latest, and is sent when the peer returns.
//
// Latency: what waits is put together and written at once, at most mesh_write_max bytes, without Nagle's
// delay; large messages go in pieces, more urgent ones between them; at most mesh_unsent_max bytes wait in
// the kernel. So a vote has at most that and one write before it, whatever else is being sent. Nothing waits
// for acknowledgements.
//
// Cost: three threads a peer: one that connects and sends, one that reads the pongs of its link, and the one
// that calls serve(), by which a peer that blocks holds up nobody else. They sleep nearly always; at 100
// peers they take some ten MB. A queue holds MeshQueue::Limits::bytes at the most, of which a broadcast is
// one copy for all peers; reassembly three messages a link.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fabric/net/mesh_queue.h"
#include "fabric/net/peer_score.h"
#include "fabric/net/tls.h"

namespace ufab {

inline constexpr std::size_t mesh_peers_max = 512;
inline constexpr std::size_t mesh_write_max = std::size_t{80} << 10;  // five TLS records
inline constexpr std::size_t mesh_unsent_max = std::size_t{128} << 10;
// For what no correct peer sends; three times within a minute and it is banned.
inline constexpr std::uint32_t mesh_violation_points = 40;

struct MeshPeer {
  PublicKey key;  // by which it is known here, and which it shows on the links that it opens
  Endpoint endpoint;
  // Who may answer there; empty: that key alone. A port shared with another protocol shows that one's key.
  std::vector<PublicKey> answers{};

  friend bool operator==(const MeshPeer&, const MeshPeer&) = default;
};

// In order of urgency. A message waits for those of its own channel that were sent before it: large ones do
// not belong on the first.
enum class MeshChannel : std::uint8_t { consensus, chain, records };

struct MeshOptions {
  MeshHello hello;  // this side's versions, chain and features
  MeshQueue::Limits queue;
  PeerScoreLimits score;
  std::size_t message_max = (std::size_t{8} << 20) + (std::size_t{64} << 10);  // bytes, both ways
  std::chrono::milliseconds connect_max{10'000};                               // until the other side's hello
  // Between attempts to connect: from the first up to the second, doubling, each cut at random by up to a
  // half; from the first again after a link that lived for the third.
  std::chrono::milliseconds backoff_min{100};
  std::chrono::milliseconds backoff_max{10'000};
  std::chrono::milliseconds settled{10'000};
  std::chrono::milliseconds ping_every{5000};
  // Without a byte, or without one write done, for so long: the link is given up.
  std::chrono::milliseconds silence_max{30'000};
};

// All counters since the peer came into the list.
struct MeshPeerStatus {
  PublicKey key;
  Endpoint endpoint;
  // Of the link to the peer; while there is none, nullopt and 0.
  std::optional<std::chrono::system_clock::time_point> connected_since;
  std::uint32_t version = 0;
  std::uint64_t features = 0;                    // as the peer says
  bool connected_from = false;                   // the peer's link to this node is up
  std::optional<std::chrono::microseconds> rtt;  // of the last ping that came back
  std::uint64_t bytes_out = 0, bytes_in = 0;     // frames, before TLS
  std::uint64_t messages_in = 0;
  MeshQueue::Counts messages_out{}, dropped{};  // by channel
  std::size_t queued_messages = 0, queued_bytes = 0;
  std::uint64_t links = 0;  // how often a link to it came about
  std::uint32_t points = 0;
  std::chrono::milliseconds ban_left{0};
  std::string last_error;  // of either link; empty when there was none
};

// Thread-safe, except that nothing may run into the destructor: the server that calls serve() ends first.
class Mesh {
 public:
  // Called from as many threads as there are peers, in order for each channel of a peer. It may block: then
  // that peer's messages wait, in the end on the peer's side; after silence_max the link is given up.
  using Handler = std::function<void(const PublicKey& from, MeshChannel channel, Bytes message)>;

  // Precondition: options.message_max <= kFramePayloadMax, hello.version_min <= hello.version_max.
  Mesh(Credentials credentials, const MeshOptions& options, Handler handler);
  // Ends all links and returns when every serve() has, within a second unless the handler or the resolution
  // of a host's name takes longer.
  ~Mesh();
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  // The whole list. Links to and from peers that are no more in it end; a peer that stays keeps its queue and
  // score, and is connected again if its endpoint is another. The own key and repetitions are passed over.
  // ErrorCode::limit, and nothing changed, above mesh_peers_max.
  Status set_peers(const std::vector<MeshPeer>& peers);
  [[nodiscard]] bool is_peer(const PublicKey& key) const;

  // Never wait. False when nothing was queued: no such peer, banned, or longer than message_max.
  // Precondition: a message is not empty, and nobody changes it.
  bool send(const PublicKey& peer, MeshChannel channel, SharedBytes message);
  bool send(const PublicKey& peer, MeshChannel channel, Bytes message) {
    return send(peer, channel, std::make_shared<const Bytes>(std::move(message)));
  }
  void broadcast(MeshChannel channel, const SharedBytes& message);

  // For what the layer above finds wrong in a peer's messages. `why` is what status() says of it.
  void penalise(const PublicKey& peer, std::uint32_t points, const std::string& why);

  // Serves a link that somebody opened to this node and whose first frame is `first`, until it ends. Who is
  // no peer, is banned, or does not fit is told so. At most two links a peer, of which the older is ended.
  void serve(Link& link, const Frame& first);

  [[nodiscard]] std::vector<MeshPeerStatus> status() const;  // by key

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ufab
