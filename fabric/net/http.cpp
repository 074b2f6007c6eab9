#include "fabric/net/http.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace ufab {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

Error error_of(const beast::error_code& code, const std::string& server) {
  const ErrorCode kind = code == beast::error::timeout       ? ErrorCode::timeout
                         : code == http::error::body_limit   ? ErrorCode::limit
                         : code == http::error::header_limit ? ErrorCode::limit
                                                             : ErrorCode::unavailable;
  return {kind, server + ": " + code.message()};
}

// Runs one asynchronous operation to its end: Beast's time limits hold for those alone.
template <typename Start>
beast::error_code run(asio::io_context& context, Start start) {
  beast::error_code result;
  start([&result](const beast::error_code& code) { result = code; });
  context.restart();
  context.run();
  return result;
}

template <typename Protocol>
Result<HttpAnswer> exchange(const typename Protocol::endpoint& endpoint, const std::string& server,
                            const HttpRequest& request, Deadline deadline, std::size_t answer_max) {
  asio::io_context context;
  beast::basic_stream<Protocol> stream(context);
  stream.expires_at(deadline);
  auto code = run(context, [&](auto done) { stream.async_connect(endpoint, done); });
  if (code)
    return Error{code == beast::error::timeout ? ErrorCode::timeout : ErrorCode::unavailable,
                 "cannot connect to " + server + ": " + code.message()};

  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.set(http::field::host, "localhost");
  message.set(http::field::connection, "close");
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  code = run(context, [&](auto done) {
    http::async_write(stream, message, [done](const beast::error_code& e, std::size_t) { done(e); });
  });
  if (code) return error_of(code, server);

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(answer_max);
  code = run(context, [&](auto done) {
    http::async_read(stream, buffer, parser, [done](const beast::error_code& e, std::size_t) { done(e); });
  });
  if (code) return error_of(code, server);
  return HttpAnswer{parser.get().result_int(), std::move(parser.get().body())};
}

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t socket_path_max = 107;  // sockaddr_un

}  // namespace

Status check_http_server(const std::string& server) {
  if (server.starts_with(unix_prefix)) {
    const std::size_t size = server.size() - unix_prefix.size();
    if (size > 0 && size <= socket_path_max && server[unix_prefix.size()] == '/') return {};
    return Error{ErrorCode::invalid,
                 "'" + server + "': after unix: comes an absolute path of at most 107 bytes"};
  }
  const auto endpoint = Endpoint::parse(server);
  if (endpoint.ok() &&
      (endpoint->host == "localhost" || endpoint->host == "127.0.0.1" || endpoint->host == "::1"))
    return {};
  return Error{ErrorCode::invalid,
               "'" + server + "' is neither unix:PATH nor a HOST:PORT of this machine's loopback"};
}

Result<HttpAnswer> http_request(const std::string& server, const HttpRequest& request, Deadline deadline,
                                std::size_t answer_max) {
  UFAB_TRY(check_http_server(server));
  if (server.starts_with(unix_prefix)) {
    return exchange<asio::local::stream_protocol>(server.substr(unix_prefix.size()), server, request,
                                                  deadline, answer_max);
  }
  UFAB_ASSIGN(const Endpoint endpoint, Endpoint::parse(server));
  const auto address = endpoint.host == "::1" ? asio::ip::address(asio::ip::address_v6::loopback())
                                              : asio::ip::address(asio::ip::address_v4::loopback());
  return exchange<asio::ip::tcp>({address, endpoint.port}, server, request, deadline, answer_max);
}

}  // namespace ufab
