// TLS 1.3 links between organisations, mutually authenticated by Ed25519 keys.
//
// Each side shows a self-signed X.509 certificate that it made in memory from its key pair; names and dates
// in it mean nothing. The peer is its public key, which the handshake proves it to hold and which the caller
// expects or allows; anything but Ed25519, and keys that PublicKey::is_acceptable refuses, are turned away.
// No session tickets, no renegotiation, no older protocol. In TLS 1.3 a client finishes before the server
// has judged it, so the server sends one byte, 0x01, when it has: connect() returns after reading it, and a
// client that is refused learns it there.
//
// Sockets and addresses are Boost.Asio's. TLS runs on OpenSSL directly over the native socket, because
// asio::ssl::stream offers neither blocking operations with a deadline nor a sender and a receiver thread.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "fabric/net/link.h"

namespace ufab {

// This side's key and certificate. Cheap to copy (shared, immutable); thread-safe.
class Credentials {
 public:
  [[nodiscard]] static Result<Credentials> create(const KeyPair& key);
  [[nodiscard]] const PublicKey& public_key() const;

  struct State;
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  explicit Credentials(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// Called during the handshake with the peer's key; false refuses it.
using AllowPeer = std::function<bool(const PublicKey&)>;
[[nodiscard]] AllowPeer allow_only(const PublicKey& key);
[[nodiscard]] AllowPeer allow_any_of(std::vector<PublicKey> keys);

struct ConnectOptions {
  // Ends the attempt within 50 ms, with ErrorCode::unavailable. Only the resolution of a host's name cannot
  // be cut short.
  std::stop_token stop;
  // How many bytes may wait in the kernel that have not left the machine (TCP_NOTSENT_LOWAT), so that what is
  // urgent does not wait behind them; 0: as many as the kernel likes. What is under way does not count.
  int unsent_max = 0;
};
// ErrorCode::unavailable: nobody listens there; timeout; denied: the peer has another key or refuses ours.
[[nodiscard]] Result<LinkPtr> connect_tls(const Endpoint& endpoint, const Credentials& credentials,
                                          const AllowPeer& allow, Deadline deadline,
                                          const ConnectOptions& options = {});

struct AcceptOptions {
  // Ends the handshake at once, with ErrorCode::unavailable.
  std::stop_token stop;
  // Asked once the peer has proved to hold its key, which it has not yet when AllowPeer is asked: for what a
  // key that others merely show must not take. False refuses the peer.
  AllowPeer admit;
};
// A TCP connection whose TLS handshake has not begun. To be handed to the thread that will own the link, so
// that a peer which stalls in its handshake holds up nobody else.
class PendingLink {
 public:
  struct State;
  explicit PendingLink(std::unique_ptr<State> state);
  PendingLink(PendingLink&&) noexcept;
  PendingLink& operator=(PendingLink&&) noexcept;
  ~PendingLink();

  [[nodiscard]] std::string peer_address() const;
  // Consumes the connection.
  [[nodiscard]] Result<LinkPtr> handshake(const Credentials& credentials, const AllowPeer& allow,
                                          Deadline deadline, const AcceptOptions& options = {}) &&;

 private:
  std::unique_ptr<State> state_;
};

class Listener {
 public:
  // Port 0 takes a free one: see endpoint(). ErrorCode::conflict when the port is taken.
  [[nodiscard]] static Result<Listener> bind(const Endpoint& endpoint);
  // On a free port that this or another process is to listen on later, after this listener is gone: one from
  // which the system takes no port of an outgoing connection, so that chance does not take it meanwhile.
  [[nodiscard]] static Result<Listener> bind_for_later(const std::string& host);
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;
  ~Listener();

  [[nodiscard]] Endpoint endpoint() const;
  [[nodiscard]] Result<PendingLink> accept(Deadline deadline);
  // Ends pending and future accepts with ErrorCode::unavailable. Thread-safe.
  void interrupt();

 private:
  struct State;
  explicit Listener(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ufab
