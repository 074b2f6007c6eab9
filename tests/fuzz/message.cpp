// Fuzz target: what nodes say to each other. A message that decodes is one that encoding and decoding again
// leaves as it is; numbers with a fraction or beyond 64 bits, which are for people's eyes, nearly.
#include "jobs/rpc/message.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>

using namespace ufab::jobs;
namespace json = boost::json;

namespace {

bool same(const json::value& a, const json::value& b) {
  if (a.is_object() && b.is_object()) {
    const json::object &left = a.get_object(), &right = b.get_object();
    return left.size() == right.size() && std::all_of(left.begin(), left.end(), [&](const auto& field) {
             const json::value* other = right.if_contains(field.key());
             return other != nullptr && same(field.value(), *other);
           });
  }
  if (a.is_array() && b.is_array()) {
    const json::array &left = a.get_array(), &right = b.get_array();
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), same);
  }
  if (a.is_double() && b.is_number()) {
    const double left = a.get_double(), right = b.to_number<double>();
    return left == right || std::abs(left - right) <= 1e-12 * std::abs(left);
  }
  return a == b;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  if (const auto request = decode_request(input); request.ok()) {
    const ufab::Bytes encoded = encode_request(*request);
    const auto again = decode_request(encoded);
    if (!again.ok() || again->method != request->method || again->body != request->body ||
        !same(again->params, request->params)) {
      std::abort();
    }
  } else if (request.error().message.empty()) {
    std::abort();
  }
  if (const auto answer = decode_answer(input); answer.ok()) {
    const ufab::Bytes encoded = encode_answer(*answer);
    const auto again = decode_answer(encoded);
    if (!again.ok() || again->body != answer->body || !same(again->result, answer->result)) std::abort();
  }
  (void)decode_error(input);
  return 0;
}
