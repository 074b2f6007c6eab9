// What peers of a bridge may do to it from outside: connect and say nothing, or carry bytes too slowly.
#include "fabric/train/bridge.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <numeric>
#include <thread>

#include "fabric/train/bridge_lobby.h"
#include "tests/fabric/support/job.h"

namespace ufab::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

const Digest definition = sha256("a definition");

// Forwards one connection to `target`; while `pause` is not zero, what comes back waits that long for every
// 4 KiB.
class Relay {
 public:
  explicit Relay(std::uint16_t target)
      : acceptor_(io_, {asio::ip::address_v4::loopback(), 0}), inside_(io_), outside_(io_) {
    thread_ = std::thread([this, target] {
      boost::system::error_code error;
      acceptor_.accept(inside_, error);
      if (error) return;
      do {
        outside_.connect({asio::ip::address_v4::loopback(), target}, error);
      } while (error && !stopping_);
      std::thread back([this] { pump(outside_, inside_, true); });
      pump(inside_, outside_, false);
      back.join();
    });
  }
  ~Relay() {
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_.cancel(ignored);
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    inside_.shutdown(tcp::socket::shutdown_both, ignored);
    outside_.shutdown(tcp::socket::shutdown_both, ignored);
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::atomic<milliseconds> pause{milliseconds(0)};

 private:
  void pump(tcp::socket& from, tcp::socket& to, bool slowed) {
    std::array<char, 4096> buffer{};
    for (boost::system::error_code error; !error;) {
      const std::size_t size = from.read_some(asio::buffer(buffer), error);
      if (slowed) std::this_thread::sleep_for(pause.load());
      if (!error) asio::write(to, asio::buffer(buffer.data(), size), error);
    }
    boost::system::error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  tcp::socket inside_, outside_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class BridgeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto files = job_.write_gang("p", {4, 4});
    for (std::size_t i = 0; i < 2; ++i) {
      auto gang = load_gang(files[i]);
      ASSERT_TRUE(gang.ok());
      gangs_[i] = *gang;
    }
  }
  TestJob job_;
  std::array<Gang, 2> gangs_;
};

TEST_F(BridgeTest, SilentStrangersDelayAMemberByAFewSecondsAtMost) {
  Result<std::unique_ptr<Bridge>> hub = Error{ErrorCode::timeout, "not joined"};
  std::thread hub_thread([&] { hub = Bridge::join(gangs_[0], definition); });
  asio::io_context io;
  std::vector<tcp::socket> strangers;
  while (strangers.size() < kLobbySeats + 10) {
    tcp::socket socket(io);
    boost::system::error_code error;
    socket.connect({asio::ip::address_v4::loopback(), gangs_[0].members[0].port}, error);
    if (!error) strangers.push_back(std::move(socket));
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto member = Bridge::join(gangs_[1], definition);
  hub_thread.join();
  EXPECT_TRUE(member.ok()) << member.error().message;
  EXPECT_TRUE(hub.ok()) << hub.error().message;
  EXPECT_LT(seconds_since(begin), 10.0);  // one after another they would take 148
}

TEST_F(BridgeTest, APeerThatIsNeverSilentButTooSlowEndsTheExchange) {
  Relay relay(gangs_[0].members[0].port);
  for (Gang& gang : gangs_) gang.peer_timeout_ms = 3000;
  gangs_[1].members[0].port = relay.port();
  Result<std::unique_ptr<Bridge>> hub = Error{ErrorCode::timeout, "not joined"};
  std::thread hub_thread([&] { hub = Bridge::join(gangs_[0], definition); });
  const auto member = Bridge::join(gangs_[1], definition);
  hub_thread.join();
  ASSERT_TRUE(member.ok()) << member.error().message;
  ASSERT_TRUE(hub.ok()) << hub.error().message;

  const auto exchange = [](Bridge& bridge, std::uint64_t step, std::vector<std::int32_t>& sums) {
    StepReport report;
    report.step = step;
    return bridge.exchange(
        report, sums, [](std::uint64_t, ByteView) {}, milliseconds(0));
  };
  // Four chunks of one byte a value: seven seconds are allowed. At its own pace the relay is far from that;
  // at 2.4 s for a chunk no single wait reaches the three seconds of silence, and all four take 9.6 s.
  for (const bool slow : {false, true}) {
    relay.pause = slow ? milliseconds(37) : milliseconds(0);
    std::vector<std::int32_t> mine(std::size_t{4} << 18, 1), theirs(std::size_t{4} << 18, 2);
    Result<StepReport> hub_result = Error{ErrorCode::timeout, "not run"};
    hub_thread = std::thread([&] { hub_result = exchange(**hub, slow ? 2 : 1, mine); });
    const auto begin = std::chrono::steady_clock::now();
    const auto result = exchange(**member, slow ? 2 : 1, theirs);
    const double took = seconds_since(begin);
    hub_thread.join();
    if (slow) {
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code, ErrorCode::timeout) << result.error().message;
      EXPECT_GT(took, 6.5);
      EXPECT_LT(took, 9.0);
    } else {
      ASSERT_TRUE(result.ok()) << result.error().message;
      EXPECT_EQ(theirs, std::vector<std::int32_t>(theirs.size(), 3));
      EXPECT_EQ(mine, theirs);
    }
  }
}

}  // namespace
}  // namespace ufab::testing
