// A reliable, ordered, private byte stream to one peer, with frames on top. Two implementations: TLS 1.3
// between organisations (fabric/net/tls.h) and a Unix socket for the owner of a node (fabric/net/local.h).
//
// Every operation blocks until done or until its deadline. One sender and one receiver thread may use a Link
// at the same time; interrupt() may come from any thread. After any error, a timeout included, the stream
// is in an unknown position: the Link refuses further use with the same error, and its owner drops it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "fabric/base/bytes.h"
#include "fabric/base/sign.h"
#include "fabric/net/endpoint.h"
#include "fabric/net/frame.h"

namespace ufab {

class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  virtual ~Link() = default;

  // Precondition: frame.payload.size() <= kFramePayloadMax.
  [[nodiscard]] Status send(const Frame& frame, Deadline deadline);
  // ErrorCode::limit when the peer announces more than max_payload bytes; nothing is allocated for it then.
  // ErrorCode::unavailable when the peer closed the link (between frames or inside one).
  [[nodiscard]] Result<Frame> recv(std::size_t max_payload, Deadline deadline);

  // Raw bytes without a frame around them, for large transfers whose size both ends know. All or an error.
  [[nodiscard]] virtual Status send_bytes(ByteView bytes, Deadline deadline) = 0;
  [[nodiscard]] virtual Status recv_bytes(std::span<std::uint8_t> into, Deadline deadline) = 0;

  // The key that the peer proved to hold; nullopt on a local link, whose peer is this user.
  [[nodiscard]] virtual std::optional<PublicKey> peer() const = 0;
  // The peer's address for messages, for example "127.0.0.1:40112" or "local".
  [[nodiscard]] virtual std::string peer_address() const = 0;
  // Tells the peer that nothing more follows: its next recv says unavailable. Receiving stays possible.
  virtual void shutdown() = 0;
  // Ends pending and future operations at once, with ErrorCode::unavailable. Thread-safe.
  virtual void interrupt() = 0;
};

using LinkPtr = std::unique_ptr<Link>;

}  // namespace ufab
