// What a mesh does with peers that are wrong, hostile or stuck.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fabric/net/mesh_host.h"

namespace ufab {
namespace {

using Clock = std::chrono::steady_clock;

// A peer of which the test writes every byte.
struct RawPeer {
  KeyPair key = KeyPair::generate();
  Credentials credentials = *Credentials::create(key);

  Result<LinkPtr> connect(const MeshHost& host) const {
    return connect_tls(host.endpoint, credentials, allow_only(host.id()), soon());
  }
  // With hellos exchanged.
  LinkPtr greet(const MeshHost& host) const {
    LinkPtr link = connect(host).value();
    EXPECT_TRUE(link->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok());
    EXPECT_EQ(link->recv(1000, soon())->type, frame_mesh_hello);
    return link;
  }
  // Nobody listens there.
  [[nodiscard]] MeshPeer as_peer() const { return {key.public_key(), {"127.0.0.1", 9}}; }
};

std::string refusal_of(Link& link) {
  for (;;) {
    const auto frame = link.recv(1000, soon());
    if (!frame) return "(" + frame.error().message + ")";
    if (frame->type == frame_mesh_refusal) return decode_mesh_refusal(frame->payload);
  }
}

TEST(MeshRefusalTest, AnotherChainAndNoCommonVersionAreRefusedOnBothSidesWithTheReason) {
  MeshOptions other_chain = mesh_options(), other_version = mesh_options();
  other_chain.hello.chain = sha256("another");
  other_version.hello.version_min = other_version.hello.version_max = 9;
  MeshHost host, chain(other_chain), version(other_version);
  introduce({&host, &chain, &version});
  const auto told = [](const MeshHost& who, const MeshHost& by, const std::string& why) {
    return eventually([&] {
      const std::string error = who.status_of(by).last_error;
      return error.find("refused by the peer: " + why) == 0;
    });
  };
  EXPECT_TRUE(told(host, chain, "chain ")) << host.status_of(chain).last_error;
  EXPECT_TRUE(told(chain, host, "chain "));
  EXPECT_TRUE(told(version, host, "protocol versions 1 to 1 here, 9 to 9 there: none in common"));
  EXPECT_TRUE(told(host, version, "protocol versions 9 to 9 here, 1 to 1 there"));
  EXPECT_EQ(host.status_of(chain).links, 0U);
  EXPECT_EQ(host.status_of(chain).points, 0U);  // it is no misbehaviour
}

TEST(MeshRefusalTest, AStrangerIsTurnedAwayWithALine) {
  MeshHost host;
  const RawPeer stranger;
  const LinkPtr link = stranger.connect(host).value();
  ASSERT_TRUE(link->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok());
  EXPECT_EQ(refusal_of(*link), "this key is no validator's of this chain");
}

TEST(MeshRefusalTest, ANodeWithoutAMeshIsNoPeerAndIsTriedAgain) {
  MeshHost host;
  const RawPeer old;
  auto listener = Listener::bind({"127.0.0.1", 0});
  ASSERT_TRUE(host.mesh.set_peers({{old.key.public_key(), listener->endpoint()}}).ok());
  for (int i = 0; i < 2; ++i) {
    auto pending = listener->accept(soon());
    ASSERT_TRUE(pending.ok());
    const LinkPtr link =
        std::move(*pending).handshake(old.credentials, allow_only(host.id()), soon()).value();
    ASSERT_EQ(link->recv(1000, soon())->type, frame_mesh_hello);
    ASSERT_TRUE(link->send({3, 0, {}}, soon()).ok());
    EXPECT_TRUE(eventually(
        [&] { return host.mesh.status()[0].last_error == "the peer's node takes no part in the mesh"; }));
  }
}

TEST(MeshRefusalTest, HostileFramesArePenalisedEndTheLinkAndLeadToABanThatEnds) {
  MeshOptions options = mesh_options();
  options.score.ban_first = seconds(3);
  MeshHost host(options);
  const std::vector<Frame> hostile{
      {frame_mesh_piece, 1, Bytes(8)},                             // an empty piece
      {frame_mesh_message, 3, {1}},                                // no such channel
      {frame_mesh_message, 0, Bytes(mesh_frame_payload_max + 1)},  // oversize
      {frame_mesh_piece, 1, {1, 0, 0, 1, 9, 0, 0, 0, 5}},          // from the middle
      {frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)},
      {frame_mesh_ping, 0, {1}},
      {999, 0, {}},
  };
  for (const Frame& frame : hostile) {
    const RawPeer peer;
    ASSERT_TRUE(host.mesh.set_peers({peer.as_peer()}).ok());
    const LinkPtr link = peer.greet(host);
    ASSERT_TRUE(link->send({frame_mesh_message, 0, {1}}, soon()).ok());
    static_cast<void>(link->send(frame, soon()));
    while (link->recv(1000, soon()).ok()) {
    }
    EXPECT_TRUE(eventually([&] { return host.mesh.status()[0].points >= mesh_violation_points - 1; }))
        << frame.type;
  }
  EXPECT_EQ(host.received_count(), hostile.size());  // what came before it

  const RawPeer peer;
  ASSERT_TRUE(host.mesh.set_peers({peer.as_peer()}).ok());
  for (int i = 0; i < 3; ++i) {
    const LinkPtr link = peer.greet(host);
    ASSERT_TRUE(link->send({frame_mesh_message, 3, {1}}, soon()).ok());
    while (link->recv(1000, soon()).ok()) {
    }
  }
  ASSERT_TRUE(eventually([&] { return host.mesh.status()[0].ban_left > milliseconds(0); }));
  EXPECT_FALSE(host.mesh.send(peer.key.public_key(), MeshChannel::consensus, Bytes{1}));
  const LinkPtr refused = peer.connect(host).value();
  ASSERT_TRUE(refused->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok());
  EXPECT_EQ(refusal_of(*refused).find("banned for another "), 0U);
  EXPECT_TRUE(eventually([&] { return host.mesh.status()[0].ban_left == milliseconds(0); }));
  EXPECT_NE(peer.greet(host), nullptr);
}

TEST(MeshRefusalTest, ABanEndsBothLinksAtOnceAndTheyComeBackByThemselves) {
  MeshOptions options = mesh_options();
  options.score.ban_first = seconds(2);
  MeshHost a(options), b;
  introduce({&a, &b});
  ASSERT_TRUE(eventually([&] { return a.status_of(b).connected_since && a.status_of(b).connected_from; }));
  a.mesh.penalise(b.id(), 100, "its votes contradict each other");
  ASSERT_TRUE(eventually([&] { return !a.status_of(b).connected_since && !a.status_of(b).connected_from; }));
  EXPECT_EQ(a.status_of(b).last_error, "its votes contradict each other");
  EXPECT_EQ(a.status_of(b).links, 1U);
  EXPECT_TRUE(eventually([&] { return a.status_of(b).connected_since && a.status_of(b).connected_from; }));
  EXPECT_EQ(a.status_of(b).links, 2U);
}

TEST(MeshRefusalTest, AFloodIsReadAtTheRateAndBannedInTheEnd) {
  MeshOptions options = mesh_options();
  options.score.messages_per_s = 500;
  options.score.burst = milliseconds(200);
  options.score.flood_points = 40;
  MeshHost a, b(options);
  introduce({&a, &b});
  ASSERT_TRUE(eventually([&] { return a.status_of(b).connected_since.has_value(); }));
  const auto began = Clock::now();
  for (int i = 0; i < 5000; ++i) a.mesh.send(b.id(), MeshChannel::records, Bytes{1});
  ASSERT_TRUE(eventually([&] { return b.status_of(a).ban_left.count() > 0; }));
  const auto elapsed_ms = (Clock::now() - began) / milliseconds(1);
  EXPECT_GE(elapsed_ms, 200);  // two pauses of 100 ms before the third excess
  EXPECT_LE(b.received_count(), 100U + static_cast<std::size_t>(elapsed_ms + 100) / 2);
}

TEST(MeshRefusalTest, APongThatNobodyAskedForIsPenalised) {
  MeshHost host;
  const RawPeer liar;
  auto listener = Listener::bind({"127.0.0.1", 0});
  ASSERT_TRUE(host.mesh.set_peers({{liar.key.public_key(), listener->endpoint()}}).ok());
  const LinkPtr link =
      std::move(*listener->accept(soon())).handshake(liar.credentials, allow_only(host.id()), soon()).value();
  ASSERT_TRUE(link->recv(1000, soon()).ok());
  ASSERT_TRUE(link->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok());
  ASSERT_TRUE(link->send({frame_mesh_pong, ~std::uint64_t{0}, {}}, soon()).ok());
  EXPECT_TRUE(eventually([&] { return host.mesh.status()[0].points >= mesh_violation_points - 1; }));
}

TEST(MeshRefusalTest, ANewLinkOfAPeerTakesThePlaceOfTheOldOneAndAThirdMustWait) {
  std::mutex gate;
  std::atomic<int> entered{0};
  MeshHost host(mesh_options(), [&](const PublicKey&, MeshChannel, const Bytes&) {
    ++entered;
    const std::lock_guard lock(gate);
  });
  const RawPeer peer;
  ASSERT_TRUE(host.mesh.set_peers({peer.as_peer()}).ok());
  std::unique_lock closed(gate);
  const LinkPtr first = peer.greet(host);
  ASSERT_TRUE(first->send({frame_mesh_message, 0, {1}}, soon()).ok());
  ASSERT_TRUE(eventually([&] { return entered == 1; }));  // stuck in the handler
  const LinkPtr second = peer.greet(host);
  ASSERT_TRUE(second->send({frame_mesh_message, 0, {2}}, soon()).ok());
  ASSERT_TRUE(eventually([&] { return entered == 2; }));
  EXPECT_FALSE(first->recv(1000, soon()).ok());
  const LinkPtr third = peer.connect(host).value();
  ASSERT_TRUE(third->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok());
  EXPECT_EQ(refusal_of(*third), "the links before this one still end");
  closed.unlock();
  EXPECT_TRUE(eventually([&] {
    const auto again = peer.connect(host);
    return again &&
           (*again)->send({frame_mesh_hello, 0, encode_mesh_hello(mesh_options().hello)}, soon()).ok() &&
           (*again)->recv(1000, soon())->type == frame_mesh_hello;
  }));
}

TEST(MeshRefusalTest, APeerThatSaysNothingIsGivenUp) {
  MeshOptions options = mesh_options();
  options.silence_max = milliseconds(1500);
  options.ping_every = milliseconds(100);
  MeshHost a(options), b(options);
  const RawPeer silent;
  ASSERT_TRUE(a.mesh.set_peers({silent.as_peer(), b.as_peer()}).ok());
  ASSERT_TRUE(b.mesh.set_peers({a.as_peer()}).ok());
  const LinkPtr link = silent.greet(a);
  const auto began = Clock::now();
  EXPECT_FALSE(link->recv(1000, soon()).ok());
  EXPECT_LT(Clock::now() - began, seconds(4));
  // Between two that have nothing to say pings keep the links.
  std::this_thread::sleep_for(seconds(3));
  EXPECT_EQ(a.status_of(b).links, 1U);
  EXPECT_EQ(b.status_of(a).links, 1U);
}

// A port that accepts in the kernel and never answers, so that a handshake hangs; or with its backlog full,
// so that connecting hangs.
class HangingPort {
 public:
  explicit HangingPort(bool full) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_, plain, size), 0);
    EXPECT_EQ(::listen(fd_, full ? 0 : 16), 0);
    EXPECT_EQ(::getsockname(fd_, plain, &size), 0);
    endpoint = {"127.0.0.1", ntohs(address.sin_port)};
    for (int i = 0; full && i < 4; ++i) {
      fillers_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      static_cast<void>(::connect(fillers_.back(), plain, size));
    }
  }
  HangingPort(const HangingPort&) = delete;
  HangingPort& operator=(const HangingPort&) = delete;
  ~HangingPort() {
    for (const int filler : fillers_) ::close(filler);
    ::close(fd_);
  }
  Endpoint endpoint;

 private:
  int fd_;
  std::vector<int> fillers_;
};

TEST(MeshRefusalTest, TheMeshEndsWithinASecondWhilePeersHangInAllTheirStates) {
  const HangingPort no_handshake(false), no_connection(true);
  const RawPeer mute, writer;
  auto listener = Listener::bind({"127.0.0.1", 0});
  auto host = std::make_unique<MeshHost>();
  ASSERT_TRUE(host->mesh
                  .set_peers({{KeyPair::generate().public_key(), no_handshake.endpoint},
                              {KeyPair::generate().public_key(), no_connection.endpoint},
                              {mute.key.public_key(), listener->endpoint()},
                              writer.as_peer()})
                  .ok());
  // One that never answers the hello, and one that has opened a link and says no more.
  const LinkPtr unanswered = std::move(*listener->accept(soon()))
                                 .handshake(mute.credentials, allow_only(host->id()), soon())
                                 .value();
  const LinkPtr silent = writer.greet(*host);
  std::this_thread::sleep_for(milliseconds(100));
  for (const MeshPeerStatus& peer : host->mesh.status()) {
    EXPECT_EQ(peer.last_error.empty(), peer.key != writer.key.public_key()) << peer.last_error;  // they hang
  }
  const auto began = Clock::now();
  host.reset();
  EXPECT_LT(Clock::now() - began, seconds(1));
}

}  // namespace
}  // namespace ufab
