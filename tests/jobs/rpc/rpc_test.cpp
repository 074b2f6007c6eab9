// Messages, and a real server asked over a real socket and a real TLS port.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "fabric/net/mesh.h"
#include "jobs/rpc/client.h"
#include "jobs/rpc/server.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;

TEST(Message, RequestsAnswersAndErrorsAreReadBackExactly) {
  const Request request{"job.file", {{"job", 7}, {"name", "spec"}}, {1, 2, 3}};
  const Request again = decode_request(encode_request(request)).value();
  EXPECT_EQ(again.method, request.method);
  EXPECT_EQ(again.params, request.params);
  EXPECT_EQ(again.body, request.body);
  const Error error = decode_error(encode_error({ErrorCode::conflict, "one line"}));
  EXPECT_EQ(error.code, ErrorCode::conflict);
  EXPECT_EQ(error.message, "one line");
}

TEST(Message, TextThatIsNotUtf8ArrivesByteForByte) {
  const std::string bytes = "caf\xe9 \xff\x80";
  const Request again = decode_request(encode_request({"submit", {{"value", bytes}}, {}})).value();
  EXPECT_EQ(json_text(again.params, "value").value(), bytes);
}

TEST(Message, WhatAnotherNodeSaysIsOnePrintableLine) {
  const boost::json::object fields{{"reason", "a\x1b[2Jb\nc\xc3\xa9"}, {"step", 7}};
  EXPECT_EQ(json_line(fields, "reason", 100), "a?[2Jb?c??");
  EXPECT_EQ(json_line(fields, "reason", 3), "a?[");
  EXPECT_EQ(json_line(fields, "step", 100), "");
  EXPECT_EQ(json_line(fields, "absent", 100), "");
}

TEST(Message, EveryTruncationIsRefused) {
  const Bytes bytes = encode_request({"status", {{"a", 1}}, {9}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_request(ByteView(bytes).first(size)).ok()) << size;
  }
}

class RpcTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-rpc-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    auto listener = Listener::bind({"127.0.0.1", 0});
    ASSERT_TRUE(listener.ok());
    endpoint_ = listener->endpoint();
    server_ = std::make_unique<RpcServer>(
        Credentials::create(server_key_).value(), [](const PublicKey& key) { return key.is_acceptable(); },
        [](const Caller& caller, const Request& request) -> Result<Answer> {
          if (request.method == "fail") return Error{ErrorCode::denied, "no"};
          return Answer{{{"caller", caller ? caller->hex() : "owner"}}, request.body};
        });
    server_->serve(*std::move(listener));
    server_->serve(LocalListener::bind(folder_ + "/sock").value());
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  KeyPair server_key_ = KeyPair::generate();
  KeyPair client_key_ = KeyPair::generate();
  Endpoint endpoint_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(RpcTest, TheOwnerIsKnownByTheSocketAndOthersByTheirKey) {
  auto local = RpcClient::connect_home(folder_ + "/sock");
  ASSERT_TRUE(local.ok()) << local.error().message;
  EXPECT_EQ(local->call({"who", {}, {5}}, 5s)->result.at("caller").as_string(), "owner");
  PeerPool pool(Credentials::create(client_key_).value());
  const auto answer = pool.call(endpoint_, server_key_.public_key(), {"who", {}, {5}}, 5s);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->result.at("caller").as_string(), client_key_.public_key().hex());
  EXPECT_EQ(answer->body, Bytes{5});
}

TEST_F(RpcTest, AnErrorOfTheHandlerArrivesAsItIsAndTheLinkGoesOn) {
  PeerPool pool(Credentials::create(client_key_).value());
  const auto refused = pool.call(endpoint_, server_key_.public_key(), {"fail", {}, {}}, 5s);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  EXPECT_TRUE(pool.call(endpoint_, server_key_.public_key(), {"who", {}, {}}, 5s).ok());
}

TEST_F(RpcTest, AServerWithAnotherKeyIsNotSpokenTo) {
  PeerPool pool(Credentials::create(client_key_).value());
  const auto answer = pool.call(endpoint_, client_key_.public_key(), {"who", {}, {}}, 5s);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::denied);
}

TEST_F(RpcTest, APeerMayShowAnyOfTheKeysThatAreNamedAndNoneThatIsNamedNoMore) {
  PeerPool pool(Credentials::create(client_key_).value());
  const PublicKey server = server_key_.public_key();
  const PublicKey other = KeyPair::generate().public_key();
  EXPECT_TRUE(pool.call(endpoint_, {other, server}, {"who", {}, {}}, 5s).ok());
  EXPECT_TRUE(pool.call(endpoint_, {server, other}, {"who", {}, {}}, 5s).ok());
  // A link to it is open, and is not used for a call that does not name its key.
  EXPECT_EQ(pool.call(endpoint_, {other}, {"who", {}, {}}, 5s).error().code, ErrorCode::denied);
}

TEST_F(RpcTest, StrangersThatHoldEveryConnectionDoNotLockTheOwnerOut) {
  std::vector<LinkPtr> held;
  const Credentials stranger = Credentials::create(client_key_).value();
  while (held.size() < RpcServer::max_connections) {
    auto link = connect_tls(endpoint_, stranger, allow_only(server_key_.public_key()), deadline_in(10s));
    ASSERT_TRUE(link.ok()) << link.error().message;
    held.push_back(*std::move(link));
  }
  EXPECT_FALSE(connect_tls(endpoint_, stranger, allow_only(server_key_.public_key()), deadline_in(10s)).ok());
  auto local = RpcClient::connect_home(folder_ + "/sock");
  ASSERT_TRUE(local.ok()) << local.error().message;
  EXPECT_TRUE(local->call({"who", {}, {}}, 5s).ok());
}

TEST_F(RpcTest, APoolFindsARestartedServerAgain) {
  PeerPool pool(Credentials::create(client_key_).value());
  ASSERT_TRUE(pool.call(endpoint_, server_key_.public_key(), {"who", {}, {}}, 5s).ok());
  server_.reset();
  EXPECT_EQ(pool.call(endpoint_, server_key_.public_key(), {"who", {}, {}}, 2s).error().exit_status(), 3);
  server_ = std::make_unique<RpcServer>(
      Credentials::create(server_key_).value(), [](const PublicKey&) { return true; },
      [](const Caller&, const Request&) -> Result<Answer> { return Answer{}; });
  server_->serve(Listener::bind(endpoint_).value());
  EXPECT_TRUE(pool.call(endpoint_, server_key_.public_key(), {"who", {}, {}}, 5s).ok());
}

// A server with a mesh behind the same port.
class RpcMeshTest : public RpcTest {
 protected:
  void SetUp() override {
    RpcTest::SetUp();
    mesh_ = std::make_unique<Mesh>(
        Credentials::create(server_key_).value(), MeshOptions{},
        [this](const PublicKey&, MeshChannel, const Bytes& bytes) { mesh_bytes_ += bytes.size(); });
    server_ = std::make_unique<RpcServer>(
        Credentials::create(server_key_).value(), [](const PublicKey&) { return true; },
        [](const Caller&, const Request& request) -> Result<Answer> {
          return Answer{{}, request.body};
        },
        OtherProtocol{frame_mesh_hello, [this](const PublicKey& key) { return mesh_->is_peer(key); },
                      [this](Link& link, const Frame& first) { mesh_->serve(link, first); }});
    auto listener = Listener::bind({"127.0.0.1", 0});
    endpoint_ = listener->endpoint();
    server_->serve(*std::move(listener));
  }
  void TearDown() override {
    server_.reset();
    RpcTest::TearDown();
  }
  Result<LinkPtr> connect(const KeyPair& key) const {
    return connect_tls(endpoint_, Credentials::create(key).value(), allow_only(server_key_.public_key()),
                       deadline_in(10s));
  }

  std::unique_ptr<Mesh> mesh_;
  std::atomic<std::size_t> mesh_bytes_{0};
};

TEST_F(RpcMeshTest, OnePortServesCallsAndTheMesh) {
  Mesh mesh(Credentials::create(client_key_).value(), {}, [](const PublicKey&, MeshChannel, const Bytes&) {});
  ASSERT_TRUE(mesh_->set_peers({{client_key_.public_key(), {"127.0.0.1", 9}}}).ok());
  ASSERT_TRUE(mesh.set_peers({{server_key_.public_key(), endpoint_}}).ok());
  mesh.broadcast(MeshChannel::consensus, std::make_shared<const Bytes>(5));
  PeerPool pool(Credentials::create(client_key_).value());
  for (int i = 0; i < 1000 && mesh_bytes_ == 0; ++i) {
    EXPECT_TRUE(pool.call(endpoint_, server_key_.public_key(), {"who", {}, {}}, 5s).ok());
  }
  EXPECT_EQ(mesh_bytes_, 5U);
}

TEST_F(RpcMeshTest, StrangersThatHoldEveryConnectionDoNotLockValidatorsOutAndThoseHoldFewOfTheirOwn) {
  const KeyPair validator = KeyPair::generate();
  ASSERT_TRUE(mesh_->set_peers({{validator.public_key(), {"127.0.0.1", 9}}}).ok());
  std::vector<LinkPtr> held;
  while (held.size() < RpcServer::max_connections) {
    auto link = connect(client_key_);
    ASSERT_TRUE(link.ok()) << link.error().message;
    held.push_back(*std::move(link));
  }
  EXPECT_FALSE(connect(client_key_).ok());
  for (std::size_t i = 0; i < RpcServer::max_expected; ++i) {
    auto link = connect(validator);
    ASSERT_TRUE(link.ok()) << link.error().message;
    held.push_back(*std::move(link));
  }
  EXPECT_FALSE(connect(validator).ok());
  // One of them goes: there is a place again.
  held.back()->interrupt();
  bool again = false;
  for (int i = 0; i < 100 && !again; ++i) again = connect(validator).ok();
  EXPECT_TRUE(again);
}

TEST_F(RpcMeshTest, AHelloOfAStrangerOrAfterACallIsRefused) {
  const LinkPtr stranger = connect(client_key_).value();
  const Frame hello{frame_mesh_hello, 0, encode_mesh_hello({})};
  ASSERT_TRUE(stranger->send(hello, deadline_in(5s)).ok());
  EXPECT_EQ(stranger->recv(1000, deadline_in(5s))->type, frame_mesh_refusal);
  EXPECT_FALSE(stranger->recv(1000, deadline_in(5s)).ok());
  const LinkPtr late = connect(client_key_).value();
  ASSERT_TRUE(late->send({frame_request, 1, encode_request({"who", {}, {}})}, deadline_in(5s)).ok());
  ASSERT_EQ(late->recv(1000, deadline_in(5s))->type, frame_answer);
  ASSERT_TRUE(late->send(hello, deadline_in(5s)).ok());
  EXPECT_EQ(late->recv(1000, deadline_in(5s))->type, frame_error);
}

TEST_F(RpcMeshTest, ConnectionsThatStallInTheirHandshakeKeepNobodyOut) {
  std::vector<int> stalled;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (std::size_t i = 0; i < RpcServer::max_handshakes + 10; ++i) {
    stalled.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(stalled.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(connect(client_key_).ok());
  char byte = 0;  // the oldest have been ended
  EXPECT_EQ(::recv(stalled.front(), &byte, 1, 0), 0);
  EXPECT_EQ(::recv(stalled.back(), &byte, 1, MSG_DONTWAIT), -1);
  server_.reset();  // nor does it wait for them
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  for (const int fd : stalled) ::close(fd);
}

}  // namespace
}  // namespace ufab::jobs
