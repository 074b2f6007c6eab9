// What nodes and the command line say to each other inside a frame (fabric/net/link.h).
//
// Frame type 1: request, 2: answer, 3: error. The frame's id pairs a request with its answer. Payload,
// canonical:
//   blob json   an object: a request's {"method": NAME, "params": {…}}, an answer's result, or an error's
//               {"code": NAME, "message": LINE}
//   blob body   bytes that JSON would only inflate: records, blocks, pieces of files
// Nothing that is signed or hashed is ever JSON: the body carries it.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "fabric/base/bytes.h"

namespace ufab::jobs {

inline constexpr std::uint16_t frame_request = 1;
inline constexpr std::uint16_t frame_answer = 2;
inline constexpr std::uint16_t frame_error = 3;
inline constexpr std::size_t max_json_bytes = 4u << 20;
inline constexpr std::size_t max_body_bytes = 8u << 20;
inline constexpr std::size_t max_message_bytes = max_json_bytes + max_body_bytes + 8;

struct Request {
  std::string method;
  boost::json::object params;
  Bytes body;
};

struct Answer {
  boost::json::object result;
  Bytes body;
};

[[nodiscard]] Bytes encode_request(const Request& request);
[[nodiscard]] Result<Request> decode_request(ByteView payload);
[[nodiscard]] Bytes encode_answer(const Answer& answer);
[[nodiscard]] Result<Answer> decode_answer(ByteView payload);
[[nodiscard]] Bytes encode_error(const Error& error);
// The Error that the other side reported, or why it cannot be read.
[[nodiscard]] Error decode_error(ByteView payload);

// Fields of a JSON object that must be there; the Error names the field.
[[nodiscard]] Result<std::string> json_text(const boost::json::object& object, std::string_view key,
                                            std::size_t max_size = 65536);
// A field as one line of printable ASCII, "" when it is absent: what another node says of itself goes to
// terminals and into records, so control characters and whatever else is no plain text become '?', and it
// ends at max_size.
[[nodiscard]] std::string json_line(const boost::json::object& object, std::string_view key,
                                    std::size_t max_size);
[[nodiscard]] Result<std::uint64_t> json_number(const boost::json::object& object, std::string_view key);
// A JSON number as people write it, six decimals, without an exponent (Boost.JSON prints 2.5 as 2.5E0).
[[nodiscard]] std::string json_decimal(const boost::json::value& number);
[[nodiscard]] bool json_flag(const boost::json::object& object, std::string_view key);  // absent: false

}  // namespace ufab::jobs
