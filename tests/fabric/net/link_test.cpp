#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "fabric/net/local.h"
#include "fabric/net/tls.h"

namespace ufab {
namespace {

using std::chrono::milliseconds;

Deadline soon() {
  return deadline_in(milliseconds(5000));
}

AllowPeer allow_all() {
  return [](const PublicKey&) { return true; };
}

// Two ends of one TLS link over loopback.
struct Pair {
  KeyPair server_key = KeyPair::generate(), client_key = KeyPair::generate();
  Credentials server = *Credentials::create(server_key), client = *Credentials::create(client_key);
  Listener listener = *Listener::bind({"127.0.0.1", 0});
  Result<LinkPtr> accepted = Error{}, connected = Error{};

  void join(const AllowPeer& server_allows, const AllowPeer& client_allows) {
    std::thread thread([&] {
      auto pending = listener.accept(soon());
      ASSERT_TRUE(pending.ok());
      accepted = std::move(*pending).handshake(server, server_allows, soon());
    });
    connected = connect_tls(listener.endpoint(), client, client_allows, soon());
    thread.join();
  }
  void join() {
    join(allow_only(client_key.public_key()), allow_only(server_key.public_key()));
    ASSERT_TRUE(accepted.ok()) << accepted.error().message;
    ASSERT_TRUE(connected.ok()) << connected.error().message;
  }
};

// A client of plain TCP, to send what no Link would.
class RawClient {
 public:
  explicit RawClient(const Endpoint& endpoint) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { ::close(fd_); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

 private:
  int fd_;
};

TEST(EndpointTest, TextAndValueAreExactInverses) {
  for (const char* text : {"127.0.0.1:4000", "node-1.example:1", "[::1]:65535", "[fe80::1%eth0]:22"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint.ok()) << text;
    EXPECT_EQ(endpoint->str(), text);
  }
}

TEST(EndpointTest, MalformedAddressesAreRefusedInOneLine) {
  for (const char* text : {"", ":", "host", "host:", ":80", "host:0", "host:65536", "host:080", "host:8o",
                           "::1:80", "[::1:80", "[host]:80", "ho st:80", "host:80 ", "a\nb:1"}) {
    const auto endpoint = Endpoint::parse(text);
    EXPECT_FALSE(endpoint.ok()) << text;
  }
}

TEST(FrameTest, HeaderOnTheWireIsTheDocumentedBytes) {
  const auto bytes = encode_frame_header({0x0102, 0x1112131415161718, 0x21222324});
  EXPECT_EQ(to_hex(bytes), "75010201242322211817161514131211");
}

TEST(FrameTest, HeaderOfAnotherProtocolVersionOrSizeIsRefused) {
  auto bytes = encode_frame_header({1, 2, 100});
  EXPECT_TRUE(decode_frame_header(bytes, 100).ok());
  EXPECT_EQ(decode_frame_header(bytes, 99).error().code, ErrorCode::limit);
  EXPECT_FALSE(decode_frame_header(ByteView(bytes).first(15), 100).ok());
  bytes[1] = 2;
  EXPECT_FALSE(decode_frame_header(bytes, 100).ok());
  bytes[1] = kFrameVersion;
  bytes[0] = 'G';
  EXPECT_FALSE(decode_frame_header(bytes, 100).ok());
}

TEST(TlsLinkTest, FramesAndLargeTransfersArriveInBothDirectionsAtOnce) {
  Pair pair;
  pair.join();
  EXPECT_EQ((*pair.accepted)->peer(), pair.client_key.public_key());
  EXPECT_EQ((*pair.connected)->peer(), pair.server_key.public_key());
  Bytes big(5'000'000);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<std::uint8_t>(i * 2654435761U >> 13);
  const Frame question{7, 99, big};
  const auto talk = [&](Link& link) {
    std::thread sender([&] {
      EXPECT_TRUE(link.send(question, soon()).ok());
      EXPECT_TRUE(link.send_bytes(big, soon()).ok());
      EXPECT_TRUE(link.send({8, 0, {}}, soon()).ok());
    });
    const auto frame = link.recv(big.size(), soon());
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    EXPECT_TRUE(*frame == question);
    Bytes raw(big.size());
    EXPECT_TRUE(link.recv_bytes(raw, soon()).ok());
    EXPECT_TRUE(raw == big);
    const auto empty = link.recv(0, soon());
    ASSERT_TRUE(empty.ok());
    EXPECT_EQ(empty->type, 8);
    sender.join();
  };
  std::thread other([&] { talk(**pair.accepted); });
  talk(**pair.connected);
  other.join();
}

TEST(TlsLinkTest, ClientRefusesAServerWithAnotherKey) {
  Pair pair;
  pair.join(allow_all(), allow_only(KeyPair::generate().public_key()));
  ASSERT_FALSE(pair.connected.ok());
  EXPECT_EQ(pair.connected.error().code, ErrorCode::denied);
  EXPECT_FALSE(pair.accepted.ok());
}

TEST(TlsLinkTest, ClientLearnsAtConnectThatTheServerRefusesItsKey) {
  Pair pair;
  pair.join(allow_only(KeyPair::generate().public_key()), allow_all());
  ASSERT_FALSE(pair.connected.ok());
  EXPECT_EQ(pair.connected.error().code, ErrorCode::denied);
  ASSERT_FALSE(pair.accepted.ok());
  EXPECT_EQ(pair.accepted.error().code, ErrorCode::denied);
}

TEST(TlsLinkTest, GarbageInsteadOfAHandshakeIsAnErrorAtOnce) {
  Pair pair;
  const RawClient client(pair.listener.endpoint());
  client.send("GET / HTTP/1.1\r\nHost: example\r\n\r\n");
  auto pending = pair.listener.accept(soon());
  ASSERT_TRUE(pending.ok());
  const auto link = std::move(*pending).handshake(pair.server, allow_all(), soon());
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().code, ErrorCode::unavailable);
  EXPECT_EQ(link.error().message.find('\n'), std::string::npos);
}

TEST(TlsLinkTest, AStalledHandshakeEndsAtItsDeadlineAndOtherClientsGetThroughMeanwhile) {
  Pair pair;
  const RawClient staller(pair.listener.endpoint());
  auto stalled = pair.listener.accept(soon());
  ASSERT_TRUE(stalled.ok());
  Result<LinkPtr> late = Error{};
  std::thread thread([&] {
    late = std::move(*stalled).handshake(pair.server, allow_all(), deadline_in(milliseconds(300)));
  });
  pair.join();
  thread.join();
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::timeout);
}

TEST(TlsLinkTest, AnAnnouncedLengthOverTheBoundIsRefusedWithoutReadingIt) {
  Pair pair;
  pair.join();
  const auto header = encode_frame_header({1, 1, 0xFFFFFFFF});
  ASSERT_TRUE((*pair.connected)->send_bytes(header, soon()).ok());
  const auto frame = (*pair.accepted)->recv(1 << 20, soon());
  ASSERT_FALSE(frame.ok());
  EXPECT_EQ(frame.error().code, ErrorCode::limit);
  EXPECT_EQ((*pair.accepted)->recv(1 << 20, soon()).error().code, ErrorCode::unavailable);
}

TEST(TlsLinkTest, HalfAFrameAndThenACloseIsUnavailableNotAHang) {
  Pair pair;
  pair.join();
  auto header = encode_frame_header({1, 1, 1000});
  ASSERT_TRUE((*pair.connected)->send_bytes(header, soon()).ok());
  (*pair.connected)->shutdown();
  pair.connected = Error{};
  const auto frame = (*pair.accepted)->recv(1 << 20, soon());
  ASSERT_FALSE(frame.ok());
  EXPECT_EQ(frame.error().code, ErrorCode::unavailable);
}

TEST(TlsLinkTest, ReceivingTimesOutAndTheLinkIsThenRefused) {
  Pair pair;
  pair.join();
  Link& link = **pair.accepted;
  EXPECT_EQ(link.recv(10, deadline_in(milliseconds(50))).error().code, ErrorCode::timeout);
  EXPECT_EQ(link.recv(10, soon()).error().code, ErrorCode::timeout);
}

TEST(TlsLinkTest, SendingToAPeerThatDoesNotReadTimesOut) {
  Pair pair;
  pair.join();
  const Bytes flood(std::size_t{1} << 26);
  EXPECT_EQ((*pair.connected)->send_bytes(flood, deadline_in(milliseconds(200))).error().code,
            ErrorCode::timeout);
}

TEST(TlsLinkTest, InterruptEndsAPendingReceiveFromAnotherThread) {
  Pair pair;
  pair.join();
  std::thread thread([&] {
    std::this_thread::sleep_for(milliseconds(50));
    (*pair.accepted)->interrupt();
  });
  EXPECT_EQ((*pair.accepted)->recv(10, soon()).error().code, ErrorCode::unavailable);
  thread.join();
}

TEST(TlsLinkTest, AfterAnInterruptNothingIsReceivedEvenIfItHasArrived) {
  Pair pair;
  pair.join();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE((*pair.connected)->send({1, 1, {1}}, soon()).ok());
  ASSERT_TRUE((*pair.accepted)->recv(10, soon()).ok());
  std::this_thread::sleep_for(milliseconds(50));
  (*pair.accepted)->interrupt();
  EXPECT_EQ((*pair.accepted)->recv(10, soon()).error().code, ErrorCode::unavailable);
}

// Asks to stop 100 ms after it is made, and says how long it took until it is gone.
class StopSoon {
 public:
  std::stop_token token() { return source_.get_token(); }
  ~StopSoon() {
    const auto elapsed = std::chrono::steady_clock::now() - began_;
    EXPECT_GE(elapsed, milliseconds(95));
    EXPECT_LT(elapsed, milliseconds(1000));
    thread_.join();
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::stop_source source_;
  std::thread thread_{[this] {
    std::this_thread::sleep_for(milliseconds(100));
    source_.request_stop();
  }};
};

TEST(TlsLinkTest, AHandshakeIsStoppedFromOutsideOnTheClientsSide) {
  auto listener = Listener::bind({"127.0.0.1", 0});
  const auto credentials = *Credentials::create(KeyPair::generate());
  StopSoon stop;
  const auto link = connect_tls(listener->endpoint(), credentials, allow_all(), soon(), {stop.token(), 0});
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().code, ErrorCode::unavailable);
}

TEST(TlsLinkTest, AHandshakeIsStoppedFromOutsideOnTheServersSide) {
  auto listener = Listener::bind({"127.0.0.1", 0});
  const auto credentials = *Credentials::create(KeyPair::generate());
  const RawClient silent(listener->endpoint());
  auto pending = listener->accept(soon());
  ASSERT_TRUE(pending.ok());
  StopSoon stop;
  const auto link = std::move(*pending).handshake(credentials, allow_all(), soon(), {stop.token(), {}});
  ASSERT_FALSE(link.ok());
  EXPECT_EQ(link.error().code, ErrorCode::unavailable);
}

TEST(TlsLinkTest, APeerThatHasProvedItsKeyMayStillFindNoPlace) {
  Pair pair;
  std::thread thread([&] {
    auto pending = pair.listener.accept(soon());
    ASSERT_TRUE(pending.ok());
    const AllowPeer nobody = [](const PublicKey&) { return false; };
    pair.accepted = std::move(*pending).handshake(pair.server, allow_all(), soon(), {{}, nobody});
  });
  pair.connected = connect_tls(pair.listener.endpoint(), pair.client, allow_all(), soon());
  thread.join();
  ASSERT_FALSE(pair.accepted.ok() || pair.connected.ok());
  EXPECT_EQ(pair.accepted.error().code, ErrorCode::denied);
  EXPECT_EQ(pair.connected.error().code, ErrorCode::denied);
}

TEST(ListenerTest, ATakenPortIsAConflictAndADeadPortUnavailable) {
  auto first = Listener::bind({"127.0.0.1", 0});
  ASSERT_TRUE(first.ok());
  const Endpoint endpoint = first->endpoint();
  const auto second = Listener::bind(endpoint);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  first = Error{};
  const auto credentials = *Credentials::create(KeyPair::generate());
  EXPECT_EQ(connect_tls(endpoint, credentials, allow_all(), soon()).error().code, ErrorCode::unavailable);
}

TEST(ListenerTest, APortForLaterIsNoneOfOutgoingConnections) {
  unsigned lowest = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> lowest;
  if (lowest < 12'000) return;  // there is hardly any other port
  const auto listener = Listener::bind_for_later("127.0.0.1");
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  EXPECT_LT(listener->endpoint().port, lowest);
  EXPECT_EQ(Listener::bind_for_later("203.0.113.1").error().code, ErrorCode::unavailable);
}

TEST(ListenerTest, AcceptTimesOutAndInterruptEndsIt) {
  auto listener = Listener::bind({"127.0.0.1", 0});
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(listener->accept(deadline_in(milliseconds(20))).error().code, ErrorCode::timeout);
  std::thread thread([&] {
    std::this_thread::sleep_for(milliseconds(50));
    listener->interrupt();
  });
  EXPECT_EQ(listener->accept(soon()).error().code, ErrorCode::unavailable);
  thread.join();
}

class LocalLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "ufab-local-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/socket"; }
  std::string folder_;
};

TEST_F(LocalLinkTest, CarriesFramesAndTheSocketIsPrivate) {
  auto listener = LocalListener::bind(path());
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  auto client = connect_local(path(), soon());
  ASSERT_TRUE(client.ok()) << client.error().message;
  auto server = listener->accept(soon());
  ASSERT_TRUE(server.ok());
  const Frame frame{3, 4, Bytes(100'000, 5)};
  std::thread thread([&] { EXPECT_TRUE((*client)->send(frame, soon()).ok()); });
  const auto got = (*server)->recv(1 << 20, soon());
  thread.join();
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE(*got == frame);
  (*client)->shutdown();
  EXPECT_EQ((*server)->recv(10, soon()).error().code, ErrorCode::unavailable);
}

TEST_F(LocalLinkTest, ASecondListenerIsAConflictAndAStaleSocketIsReplaced) {
  {
    auto first = LocalListener::bind(path());
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(LocalListener::bind(path()).error().code, ErrorCode::conflict);
  }
  EXPECT_EQ(connect_local(path(), soon()).error().code, ErrorCode::unavailable);
  // What a killed node leaves behind.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  const std::string name = path();
  std::copy(name.begin(), name.end(), reinterpret_cast<char*>(&storage) + sizeof(sa_family_t));
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&storage),
                   static_cast<socklen_t>(sizeof(sa_family_t) + name.size() + 1)),
            0);
  ::close(fd);
  EXPECT_TRUE(LocalListener::bind(path()).ok());
}

TEST_F(LocalLinkTest, AFileThatIsNoSocketIsLeftAlone) {
  const int fd = ::open(path().c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  ::close(fd);
  EXPECT_EQ(LocalListener::bind(path()).error().code, ErrorCode::conflict);
  EXPECT_TRUE(std::filesystem::is_regular_file(path()));
  EXPECT_EQ(LocalListener::bind(std::string(200, 'x')).error().code, ErrorCode::limit);
}

}  // namespace
}  // namespace ufab
