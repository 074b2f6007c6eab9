// One request to a server of this machine, and what goes wrong with such servers.
#include "fabric/net/http.h"

#include <gtest/gtest.h>

#include "tests/fabric/net/http_server.h"

namespace ufab {
namespace {

using namespace std::chrono_literals;

TEST(Http, BringsTheAnswerAndSendsHeadersAndBody) {
  test::HttpServer server(418, "short and stout");
  const auto answer =
      http_request(server.address(), {"POST", "/pot?x=1", {{"X-Key", "value"}}, "body"}, deadline_in(10s));
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 418U);
  EXPECT_EQ(answer->body, "short and stout");
  const std::string asked = server.last_request();
  EXPECT_TRUE(asked.starts_with("POST /pot?x=1 HTTP/1.1\r\n")) << asked;
  EXPECT_NE(asked.find("X-Key: value\r\n"), std::string::npos) << asked;
  EXPECT_TRUE(asked.ends_with("\r\n\r\nbody")) << asked;
}

TEST(Http, AnAnswerThatIsTooLargeIsRefused) {
  test::HttpServer server(200, std::string(5000, 'x'));
  const auto answer = http_request(server.address(), {}, deadline_in(10s), 4999);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::limit);
  EXPECT_TRUE(http_request(server.address(), {}, deadline_in(10s), 5000).ok());
}

TEST(Http, ASilentServerIsGivenUp) {
  test::HttpServer server(200, "", "silence");
  const auto began = std::chrono::steady_clock::now();
  const auto answer = http_request(server.address(), {}, deadline_in(300ms));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST(Http, AnAnswerThatIsNoneOrEndsEarlyIsUnavailable) {
  for (const char* raw :
       {"\x16\x03\x01garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}) {
    test::HttpServer server(200, "", raw);
    const auto answer = http_request(server.address(), {}, deadline_in(10s));
    ASSERT_FALSE(answer.ok()) << raw;
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  }
}

TEST(Http, NobodyThereIsSaidSo) {
  std::string address;
  {
    test::HttpServer server(200, "");
    address = server.address();
  }
  for (const std::string& server : {address, std::string("unix:/nonexistent/socket")}) {
    const auto answer = http_request(server, {}, deadline_in(10s));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(answer.error().message.starts_with("cannot connect to " + server)) << answer.error().message;
  }
}

TEST(Http, OnlyThisMachineIsSpokenToInTheClear) {
  for (const char* server : {"unix:/run/slurmrestd.socket", "127.0.0.1:6820", "localhost:6820", "[::1]:6820"})
    EXPECT_TRUE(check_http_server(server).ok()) << server;
  for (const char* server : {"", "unix:", "unix:relative", "10.0.0.1:6820", "slurm.example:6820", "127.0.0.1",
                             "http://127.0.0.1:6820", "127.0.0.1:0"})
    EXPECT_EQ(check_http_server(server).error().code, ErrorCode::invalid) << server;
  EXPECT_EQ(check_http_server("unix:/" + std::string(107, 'x')).error().code, ErrorCode::invalid);
  EXPECT_EQ(http_request("10.0.0.1:80", {}, deadline_in(1s)).error().code, ErrorCode::invalid);
}

}  // namespace
}  // namespace ufab
