#include "jobs/rpc/message.h"

#include <array>
#include <boost/json.hpp>
#include <cstdio>

#include "fabric/base/codec.h"
#include "fabric/net/printable.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

constexpr std::array error_codes{
    ErrorCode::usage, ErrorCode::invalid, ErrorCode::not_found, ErrorCode::denied,      ErrorCode::conflict,
    ErrorCode::limit, ErrorCode::io,      ErrorCode::corrupt,   ErrorCode::unavailable, ErrorCode::timeout};

Bytes encode(const json::object& object, ByteView body) {
  Writer writer;
  writer.text(json::serialize(object));
  writer.blob(body);
  return writer.take();
}

struct Decoded {
  json::object object;
  Bytes body;
};

Result<Decoded> decode(ByteView payload) {
  Reader reader(payload);
  const ByteView text = reader.blob(max_json_bytes);
  const ByteView body = reader.blob(max_body_bytes);
  UFAB_TRY(reader.finish("message"));
  json::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  options.allow_invalid_utf8 = true;  // a submitter's environment and file names are bytes
  const json::value value = json::parse(as_text(text), error, {}, options);
  if (error || !value.is_object()) return Error{ErrorCode::invalid, "message holds no JSON object"};
  return Decoded{value.get_object(), Bytes(body.begin(), body.end())};
}

}  // namespace

Bytes encode_request(const Request& request) {
  return encode({{"method", request.method}, {"params", request.params}}, request.body);
}

Result<Request> decode_request(ByteView payload) {
  UFAB_ASSIGN(Decoded decoded, decode(payload));
  UFAB_ASSIGN(std::string method, json_text(decoded.object, "method", 64));
  const json::value* params = decoded.object.if_contains("params");
  if (params == nullptr || !params->is_object()) return Error{ErrorCode::invalid, "request has no params"};
  return Request{std::move(method), params->get_object(), std::move(decoded.body)};
}

Bytes encode_answer(const Answer& answer) {
  return encode(answer.result, answer.body);
}

Result<Answer> decode_answer(ByteView payload) {
  UFAB_ASSIGN(Decoded decoded, decode(payload));
  return Answer{std::move(decoded.object), std::move(decoded.body)};
}

Bytes encode_error(const Error& error) {
  return encode({{"code", error_code_name(error.code)}, {"message", error.message}}, {});
}

Error decode_error(ByteView payload) {
  const auto decoded = decode(payload);
  if (!decoded) return decoded.error();
  const auto code = json_text(decoded->object, "code", 64);
  const auto message = json_text(decoded->object, "message");
  if (!code || !message) return {ErrorCode::invalid, "the other side sent an error that cannot be read"};
  for (const ErrorCode known : error_codes) {
    if (*code == error_code_name(known)) return {known, *message};
  }
  return {ErrorCode::invalid, *message};
}

Result<std::string> json_text(const json::object& object, std::string_view key, std::size_t max_size) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) {
    return Error{ErrorCode::invalid, "field '" + std::string(key) + "' is missing or no text"};
  }
  if (value->get_string().size() > max_size) {
    return Error{ErrorCode::limit, "field '" + std::string(key) + "' is too long"};
  }
  return std::string(value->get_string());
}

std::string json_line(const json::object& object, std::string_view key, std::size_t max_size) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return printable_line(value->get_string(), max_size);
}

Result<std::uint64_t> json_number(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value != nullptr && value->is_uint64()) return value->get_uint64();
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  return Error{ErrorCode::invalid, "field '" + std::string(key) + "' is missing or no whole number"};
}

std::string json_decimal(const json::value& number) {
  if (!number.is_number()) return {};
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.6f", number.to_number<double>());
  return text.data();
}

bool json_flag(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace ufab::jobs
