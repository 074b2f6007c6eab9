// One request to a plain HTTP/1.1 server of this machine, such as slurmrestd: over a Unix socket, or TCP on
// loopback. Nothing else is spoken to in the clear, because requests carry tokens; between organisations
// there are links (link.h).
//
// Thread-safe: no state.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fabric/net/endpoint.h"

namespace ufab {

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";                                  // path and query
  std::vector<std::pair<std::string, std::string>> headers;  // beside Host, Content-Length, Connection
  std::string body;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

// "unix:PATH", "127.0.0.1:PORT", "[::1]:PORT" or "localhost:PORT", else ErrorCode::invalid.
[[nodiscard]] Status check_http_server(const std::string& server);
// Errors: invalid for the address; unavailable when nothing listens there or the link breaks; timeout; limit
// when the answer's body is larger than `answer_max` bytes. Except for `invalid`, and an `unavailable` whose
// message begins with "cannot connect", the server may have acted.
[[nodiscard]] Result<HttpAnswer> http_request(const std::string& server, const HttpRequest& request,
                                              Deadline deadline, std::size_t answer_max = 1u << 20);

}  // namespace ufab
