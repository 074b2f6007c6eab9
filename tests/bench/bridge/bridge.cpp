// Bridge throughput against a plain TLS stream: the same bytes, cipher and loopback, in one process,
// interleaved.
//   link      one way: Link::send_bytes / recv_bytes against one asio::ssl::stream
//   exchange  both ways: one exchange of integer sums between hub and member, with adding and SHA-256 of
//   every
//             chunk as in training, against two asio::ssl::streams that carry the same bytes, one each way
// The streams carry the sums as four-byte integers; the bridge packs them where it can
// (fabric/train/sum_pack.h). MB/s count four-byte integers of one direction; medians of kRounds rounds.
#include <fmt/format.h>
#include <openssl/x509.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "fabric/net/tls.h"
#include "fabric/train/bridge.h"
#include "fabric/train/contributions.h"

namespace {

using namespace ufab;
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;

constexpr int kRounds = 7;
constexpr std::size_t kBytes = std::size_t{128} << 20;

Deadline later() {
  return deadline_in(std::chrono::minutes(1));
}

void require(bool condition, const char* what) {
  if (condition) return;
  fmt::print(stderr, "bench_bridge: {}\n", what);
  std::exit(1);
}

// A connected pair of plain TLS 1.3 streams, set up as any program would.
class PlainPair {
 public:
  PlainPair() : server_context_(ssl::context::tlsv13_server), client_context_(ssl::context::tlsv13_client) {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    X509* certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    require(X509_sign(certificate, key, nullptr) != 0, "cannot make a certificate");
    for (ssl::context* context : {&server_context_, &client_context_}) {
      SSL_CTX_set_ciphersuites(context->native_handle(), "TLS_AES_128_GCM_SHA256");
      SSL_CTX_set_security_level(context->native_handle(), 0);
    }
    SSL_CTX_use_certificate(server_context_.native_handle(), certificate);
    SSL_CTX_use_PrivateKey(server_context_.native_handle(), key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    server_ = std::make_unique<Stream>(io_, server_context_);
    client_ = std::make_unique<Stream>(io_, client_context_);
    std::thread thread([&] {
      acceptor.accept(server_->next_layer());
      server_->handshake(Stream::server);
    });
    client_->next_layer().connect(acceptor.local_endpoint());
    client_->handshake(Stream::client);
    thread.join();
  }
  void send(ByteView bytes) { asio::write(*client_, asio::buffer(bytes.data(), bytes.size())); }
  void recv(std::span<std::uint8_t> into) { asio::read(*server_, asio::buffer(into.data(), into.size())); }

 private:
  using Stream = ssl::stream<tcp::socket>;
  asio::io_context io_;
  ssl::context server_context_, client_context_;
  std::unique_ptr<Stream> server_, client_;
};

struct LinkPair {
  LinkPtr client, server;
  LinkPair() {
    const auto a = *Credentials::create(KeyPair::generate());
    const auto b = *Credentials::create(KeyPair::generate());
    auto listener = *Listener::bind({"127.0.0.1", 0});
    std::thread thread([&] {
      auto pending = listener.accept(later());
      require(pending.ok(), "accept failed");
      auto link = std::move(*pending).handshake(b, allow_only(a.public_key()), later());
      require(link.ok(), "handshake failed");
      server = std::move(*link);
    });
    auto link = connect_tls(listener.endpoint(), a, allow_only(b.public_key()), later());
    require(link.ok(), "connect failed");
    client = std::move(*link);
    thread.join();
  }
};

struct BridgePair {
  std::unique_ptr<Bridge> hub, member;
  BridgePair() {
    std::string folder = (std::filesystem::temp_directory_path() / "ufab-bench-XXXXXX").string();
    require(::mkdtemp(folder.data()) != nullptr, "no temporary folder");
    Gang gang;
    std::vector<Listener> holders;
    for (std::uint32_t i = 0; i < 2; ++i) {
      const KeyPair key = KeyPair::generate();
      require(key.save(fmt::format("{}/{}", folder, i)).ok(), "cannot save a key");
      holders.push_back(*Listener::bind_for_later("127.0.0.1"));
      gang.members.push_back(
          {fmt::format("m{}", i), key.public_key(), "127.0.0.1", holders.back().endpoint().port, i, 1});
    }
    holders.clear();
    const auto join = [&](std::uint32_t self) {
      Gang mine = gang;
      mine.self = self;
      mine.bridge_secret = fmt::format("{}/{}", folder, self);
      auto bridge = Bridge::join(mine, sha256("bench"));
      require(bridge.ok(), "the bridge did not join");
      return std::move(*bridge);
    };
    std::thread thread([&] { hub = join(0); });
    member = join(1);
    thread.join();
    std::filesystem::remove_all(folder);
  }
};

// Sums of the widths that training makes: fabric/train/sum_pack.h.
std::vector<std::int32_t> training_sums(std::uint64_t seed) {
  std::vector<std::int32_t> sums(kBytes / 4);
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t chunk = (i >> 18) % 10;
    sums[i] = static_cast<std::int32_t>(random()) >> (chunk == 0 ? 17 : chunk == 1 ? 9 : 6);
  }
  return sums;
}

double seconds(const std::function<void()>& one, const std::function<void()>& two) {
  const auto begin = std::chrono::steady_clock::now();
  std::thread thread(one);
  two();
  thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void report(const char* name, std::vector<double> ours, std::vector<double> peers) {
  constexpr double aim = 0.9;
  const double megabytes = static_cast<double>(kBytes) / 1e6;
  const double our_rate = megabytes / median(std::move(ours));
  const double peer_rate = megabytes / median(std::move(peers));
  const double ratio = our_rate / peer_rate;
  fmt::print(
      R"({{"group":"bridge","name":"{}","ours":{:.0f},"peer":{:.0f},"unit":"MB/s","ratio":{:.3f},"aim":{},)"
      R"("met":{}}})"
      "\n",
      name, our_rate, peer_rate, ratio, aim, ratio >= aim);
}

}  // namespace

int main() {
  Bytes outgoing(kBytes, 7), incoming(kBytes);
  {
    LinkPair link;
    PlainPair plain;
    std::vector<double> ours, peers;
    for (int round = 0; round < kRounds; ++round) {
      ours.push_back(
          seconds([&] { require(link.client->send_bytes(outgoing, later()).ok(), "send failed"); },
                  [&] { require(link.server->recv_bytes(incoming, later()).ok(), "recv failed"); }));
      peers.push_back(seconds([&] { plain.send(outgoing); }, [&] { plain.recv(incoming); }));
    }
    report("TLS link, one way, against a plain TLS stream", ours, peers);
  }
  {
    BridgePair bridge;
    PlainPair up, down;
    std::vector<double> ours, digested, peers;
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
      for (const bool digests : {false, true}) {
        auto hub_sums = training_sums(2 * round), member_sums = training_sums(2 * round + 1);
        const auto exchange = [&](Bridge& side, std::vector<std::int32_t>& sums) {
          Digest leaf;
          const auto seen = [&](std::uint64_t, ByteView bytes) {
            if (digests) leaf = sha256(bytes);
          };
          require(side.exchange({round, digests, false, false, 0, std::vector<std::uint64_t>(148)}, sums,
                                seen, {})
                      .ok(),
                  "exchange failed");
        };
        (digests ? digested : ours)
            .push_back(seconds([&] { exchange(*bridge.hub, hub_sums); },
                               [&] { exchange(*bridge.member, member_sums); }));
      }
      Bytes other(kBytes);
      peers.push_back(seconds(
          [&] {
            std::thread sender([&] { up.send(outgoing); });
            down.recv(other);
            sender.join();
          },
          [&] {
            std::thread sender([&] { down.send(outgoing); });
            up.recv(incoming);
            sender.join();
          }));
    }
    report("exchange of sums, both ways, against two plain TLS streams", ours, peers);
    report("the same with the digests of contributions", digested, peers);
  }
}
