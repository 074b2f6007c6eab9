#include "fabric/net/tls.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>

#include "fabric/net/socket.h"

namespace ufab {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyHandle = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, Freer<X509_free>>;
using ContextHandle = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using SslHandle = std::unique_ptr<SSL, Freer<SSL_free>>;

Error openssl_error(const char* doing) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return {ErrorCode::unavailable, std::string(doing) + ": " + (reason ? reason : "connection closed")};
}

std::string address_text(const tcp::endpoint& endpoint) {
  return Endpoint{endpoint.address().to_string(), endpoint.port()}.str();
}

// What the verification callback needs to know of one handshake, hung on the SSL object.
struct PeerCheck {
  const AllowPeer* allow = nullptr;
  std::optional<PublicKey> key;
  bool refused = false;
};

// Decides about the certificate that the peer shows. TLS itself proves that the peer holds its key.
int verify_peer(X509_STORE_CTX* store, void*) {
  const auto* ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* check = static_cast<PeerCheck*>(SSL_get_app_data(ssl));
  const X509* certificate = X509_STORE_CTX_get0_cert(store);
  const EVP_PKEY* key = certificate == nullptr ? nullptr : X509_get0_pubkey(certificate);
  PublicKey peer;
  std::size_t size = peer.bytes.size();
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, peer.bytes.data(), &size) != 1 || size != peer.bytes.size() ||
      !peer.is_acceptable() || !(*check->allow)(peer)) {
    check->refused = true;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  check->key = peer;
  return 1;
}

// OpenSSL's socket BIO, but writing to a closed connection is an error, not a SIGPIPE that ends the process.
int write_without_signal(BIO* bio, const char* data, int size) {
  int fd = -1;
  BIO_get_fd(bio, &fd);
  errno = 0;
  const auto sent = static_cast<int>(::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL));
  BIO_clear_retry_flags(bio);
  if (sent <= 0 && BIO_sock_should_retry(sent) != 0) BIO_set_retry_write(bio);
  return sent;
}

const BIO_METHOD* socket_bio_method() {
  static const BIO_METHOD* const method = [] {
    const BIO_METHOD* base = BIO_s_socket();
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "ufab");
    UFAB_ASSERT(made != nullptr);
    BIO_meth_set_write(made, write_without_signal);
    BIO_meth_set_read(made, BIO_meth_get_read(base));
    BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(base));
    BIO_meth_set_create(made, BIO_meth_get_create(base));
    BIO_meth_set_destroy(made, BIO_meth_get_destroy(base));
    return made;
  }();
  return method;
}

Result<CertificateHandle> make_certificate(EVP_PKEY* key) {
  CertificateHandle certificate(X509_new());
  X509* x509 = certificate.get();
  const auto* name = reinterpret_cast<const unsigned char*>("ufab");
  if (x509 == nullptr || X509_set_version(x509, X509_VERSION_3) != 1 ||
      ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) != 1 ||
      ASN1_TIME_set_string(X509_getm_notBefore(x509), "20000101000000Z") != 1 ||
      ASN1_TIME_set_string(X509_getm_notAfter(x509), "99991231235959Z") != 1 ||
      X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, name, -1, -1, 0) != 1 ||
      X509_set_issuer_name(x509, X509_get_subject_name(x509)) != 1 || X509_set_pubkey(x509, key) != 1 ||
      X509_sign(x509, key, nullptr) == 0) {
    return openssl_error("cannot make a certificate");
  }
  return certificate;
}

Result<ContextHandle> make_context(const SSL_METHOD* method, EVP_PKEY* key, X509* certificate) {
  ContextHandle context(SSL_CTX_new(method));
  SSL_CTX* ctx = context.get();
  if (ctx == nullptr || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(
          ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1 ||
      SSL_CTX_set1_sigalgs_list(ctx, "ed25519") != 1 || SSL_CTX_use_certificate(ctx, certificate) != 1 ||
      SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1) {
    return openssl_error("cannot prepare TLS");
  }
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_max_cert_list(ctx, 16384);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(ctx, verify_peer, nullptr);
  SSL_CTX_set_default_read_buffer_len(ctx, std::size_t{1} << 17);
  SSL_CTX_set_read_ahead(ctx, 1);
  return context;
}

}  // namespace

struct Credentials::State {
  PublicKey key;
  ContextHandle client, server;
};

Result<Credentials> Credentials::create(const KeyPair& pair) {
  auto seed = pair.seed();
  const KeyHandle key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  OPENSSL_cleanse(seed.data(), seed.size());
  if (!key) return openssl_error("cannot use the key");
  UFAB_ASSIGN(const CertificateHandle certificate, make_certificate(key.get()));
  auto state = std::make_shared<State>();
  state->key = pair.public_key();
  UFAB_ASSIGN(state->client, make_context(TLS_client_method(), key.get(), certificate.get()));
  UFAB_ASSIGN(state->server, make_context(TLS_server_method(), key.get(), certificate.get()));
  return Credentials(std::move(state));
}

const PublicKey& Credentials::public_key() const {
  return state_->key;
}

AllowPeer allow_only(const PublicKey& key) {
  return [key](const PublicKey& peer) { return peer == key; };
}

AllowPeer allow_any_of(std::vector<PublicKey> keys) {
  return [keys = std::move(keys)](const PublicKey& peer) {
    return std::find(keys.begin(), keys.end(), peer) != keys.end();
  };
}

namespace {

class TlsLink final : public Link {
 public:
  TlsLink(int fd, std::string address) : socket_(fd), address_(std::move(address)) {}

  // `admit`: AcceptOptions; of a server only.
  Status handshake(SSL_CTX* context, bool server, const AllowPeer& allow, const AllowPeer& admit,
                   Deadline deadline, const std::stop_token& stop) {
    const std::stop_callback on_stop(stop, [this] { interrupt(); });
    ssl_.reset(SSL_new(context));
    BIO* bio = BIO_new(socket_bio_method());
    if (!ssl_ || bio == nullptr) {
      BIO_free(bio);
      return openssl_error("cannot start TLS");
    }
    BIO_set_fd(bio, socket_.fd(), BIO_NOCLOSE);
    SSL_set_bio(ssl_.get(), bio, bio);  // takes it over
    PeerCheck check{&allow, {}, false};
    SSL_set_app_data(ssl_.get(), &check);
    const auto step = [&] { return server ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get()); };
    auto done = run(step, deadline, "in the TLS handshake");
    SSL_set_app_data(ssl_.get(), nullptr);
    if (check.refused) {
      return Error{ErrorCode::denied, "the peer's key is not the one expected here"};
    }
    UFAB_TRY(done);
    UFAB_ASSERT(check.key.has_value());
    peer_ = *check.key;
    if (admit && !admit(peer_)) return Error{ErrorCode::denied, "there is no place for the peer"};
    std::array<std::uint8_t, 1> verdict{1};
    if (server) return send_bytes(verdict, deadline);
    const Status welcomed = recv_bytes(verdict, deadline);
    if (!welcomed && welcomed.error().code == ErrorCode::unavailable) {
      return Error{ErrorCode::denied, "the peer refused this side's key (" + welcomed.error().message + ")"};
    }
    UFAB_TRY(welcomed);
    if (verdict[0] != 1) return socket_.fail({ErrorCode::invalid, "the peer does not speak this protocol"});
    return {};
  }

  Status send_bytes(ByteView bytes, Deadline deadline) override {
    UFAB_TRY(socket_.usable());
    while (!bytes.empty()) {
      const int want = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
      auto written = run([&] { return SSL_write(ssl_.get(), bytes.data(), want); }, deadline, "sending");
      UFAB_TRY(written);
      bytes = bytes.subspan(static_cast<std::size_t>(*written));
    }
    return {};
  }

  Status recv_bytes(std::span<std::uint8_t> into, Deadline deadline) override {
    UFAB_TRY(socket_.usable());
    while (!into.empty()) {
      const int want = static_cast<int>(std::min<std::size_t>(into.size(), 1 << 30));
      auto got = run([&] { return SSL_read(ssl_.get(), into.data(), want); }, deadline, "receiving");
      UFAB_TRY(got);
      into = into.subspan(static_cast<std::size_t>(*got));
    }
    return {};
  }

  std::optional<PublicKey> peer() const override { return peer_; }
  std::string peer_address() const override { return address_; }

  void shutdown() override {
    const std::lock_guard lock(mutex_);
    if (socket_.usable()) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  void interrupt() override { socket_.interrupt(); }

 private:
  // Repeats one OpenSSL call until it succeeds. An SSL object takes one call at a time, so the calls of the
  // sender and the receiver exclude each other; they do not wait for the network inside, so both make
  // progress.
  template <typename Call>
  Result<int> run(const Call& call, Deadline deadline, const char* doing) {
    for (;;) {
      short events = 0;
      {
        const std::lock_guard lock(mutex_);
        ERR_clear_error();
        errno = 0;
        const int result = call();
        if (result > 0) return result;
        switch (SSL_get_error(ssl_.get(), result)) {
          case SSL_ERROR_WANT_READ: events = POLLIN; break;
          case SSL_ERROR_WANT_WRITE: events = POLLOUT; break;
          case SSL_ERROR_ZERO_RETURN:
            return socket_.fail({ErrorCode::unavailable, "the peer closed the link"});
          case SSL_ERROR_SYSCALL:
            return socket_.fail({ErrorCode::unavailable, std::string("the link broke while ") + doing + ": " +
                                                             (errno != 0 ? std::strerror(errno) : "closed")});
          default: return socket_.fail(openssl_error("TLS"));
        }
      }
      if (const Status ready = socket_.wait(events, deadline, doing); !ready) {
        return socket_.fail(ready.error());
      }
    }
  }

  Socket socket_;
  std::mutex mutex_;  // guards ssl_
  SslHandle ssl_;
  PublicKey peer_;
  std::string address_;
};

// Connects without blocking past the deadline. Name resolution itself has no deadline in the resolver's
// interface; numeric addresses, which nodes exchange, need none.
Result<int> connect_tcp(const Endpoint& endpoint, Deadline deadline, const ConnectOptions& options) {
  constexpr std::chrono::milliseconds stop_check{50};
  asio::io_context io;
  boost::system::error_code error;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), error);
  if (error) return Error{ErrorCode::unavailable, endpoint.str() + ": " + error.message()};
  Error last{ErrorCode::unavailable, endpoint.str() + ": no address"};
  for (const auto& entry : found) {
    tcp::socket socket(io);
    bool finished = false;
    socket.async_connect(entry.endpoint(), [&](const boost::system::error_code& result) {
      error = result;
      finished = true;
    });
    io.restart();
    while (!finished && !options.stop.stop_requested() && Deadline::clock::now() < deadline) {
      io.run_until(std::min(deadline, deadline_in(stop_check)));
    }
    if (!finished) {
      socket.close(error);
      io.run();
      if (options.stop.stop_requested()) return Error{ErrorCode::unavailable, "connecting was interrupted"};
      return Error{ErrorCode::timeout, endpoint.str() + ": timed out connecting"};
    }
    if (!error) {
      socket.set_option(tcp::no_delay(true), error);
      if (options.unsent_max > 0) {
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &options.unsent_max,
                     sizeof options.unsent_max);
      }
      return socket.release();
    }
    last = {ErrorCode::unavailable, endpoint.str() + ": " + error.message()};
  }
  return last;
}

}  // namespace

Result<LinkPtr> connect_tls(const Endpoint& endpoint, const Credentials& credentials, const AllowPeer& allow,
                            Deadline deadline, const ConnectOptions& options) {
  try {
    UFAB_ASSIGN(const int fd, connect_tcp(endpoint, deadline, options));
    auto link = std::make_unique<TlsLink>(fd, endpoint.str());
    const Status shaken =
        link->handshake(credentials.state().client.get(), false, allow, {}, deadline, options.stop);
    if (!shaken) return shaken.error().within(endpoint.str());
    return LinkPtr(std::move(link));
  } catch (const boost::system::system_error& error) {
    return Error{ErrorCode::unavailable, endpoint.str() + ": " + error.code().message()};
  }
}

struct PendingLink::State {
  std::unique_ptr<TlsLink> link;
};

PendingLink::PendingLink(std::unique_ptr<State> state) : state_(std::move(state)) {}
PendingLink::PendingLink(PendingLink&&) noexcept = default;
PendingLink& PendingLink::operator=(PendingLink&&) noexcept = default;
PendingLink::~PendingLink() = default;

std::string PendingLink::peer_address() const {
  return state_->link->peer_address();
}

Result<LinkPtr> PendingLink::handshake(const Credentials& credentials, const AllowPeer& allow,
                                       Deadline deadline, const AcceptOptions& options) && {
  auto link = std::move(state_->link);
  const Status shaken =
      link->handshake(credentials.state().server.get(), true, allow, options.admit, deadline, options.stop);
  if (!shaken) return shaken.error().within(link->peer_address());
  return LinkPtr(std::move(link));
}

struct Listener::State {
  std::unique_ptr<Socket> socket;
  Endpoint endpoint;
};

Listener::Listener(std::unique_ptr<State> state) : state_(std::move(state)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() = default;

Result<Listener> Listener::bind(const Endpoint& endpoint) {
  try {
    asio::io_context io;
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::passive);
    tcp::acceptor acceptor(io, found.begin()->endpoint(), true);
    auto state = std::make_unique<State>();
    state->endpoint = {endpoint.host, acceptor.local_endpoint().port()};
    state->socket = std::make_unique<Socket>(acceptor.release());
    return Listener(std::move(state));
  } catch (const boost::system::system_error& error) {
    const bool taken = error.code() == asio::error::address_in_use;
    return Error{taken ? ErrorCode::conflict : ErrorCode::unavailable,
                 "cannot listen on " + endpoint.str() + ": " + error.code().message()};
  }
}

Result<Listener> Listener::bind_for_later(const std::string& host) {
  constexpr unsigned lowest = 10'000;
  constexpr int tries = 64;
  unsigned ephemeral = 32'768;  // the first port of outgoing connections, by default
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> ephemeral;
  std::random_device random;
  for (int i = 0; i < tries && ephemeral > lowest + 1000; ++i) {
    const unsigned port = std::uniform_int_distribution<unsigned>(lowest, ephemeral - 1)(random);
    auto listener = bind({host, static_cast<std::uint16_t>(port)});
    if (listener.ok() || listener.error().code != ErrorCode::conflict) return listener;
  }
  return bind({host, 0});
}

Endpoint Listener::endpoint() const {
  return state_->endpoint;
}

Result<PendingLink> Listener::accept(Deadline deadline) {
  for (;;) {
    UFAB_TRY(state_->socket->wait(POLLIN, deadline, "waiting for a connection"));
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    const int fd = ::accept4(state_->socket->fd(), address, &size, SOCK_CLOEXEC);
    if (fd >= 0) {
      tcp::endpoint peer;
      std::memcpy(peer.data(), address, std::min<std::size_t>(size, peer.capacity()));
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto state = std::make_unique<PendingLink::State>();
      state->link = std::make_unique<TlsLink>(fd, address_text(peer));
      return PendingLink(std::move(state));
    }
    // These concern one connection that is gone already, not the listener.
    if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED || errno == EPROTO) continue;
    return state_->socket->fail({ErrorCode::unavailable, std::string("accept: ") + std::strerror(errno)});
  }
}

void Listener::interrupt() {
  state_->socket->interrupt();
}

}  // namespace ufab
