// Fuzz target: what nodes say to each other. A message that decodes is one that encoding and decoding again
// leaves as it is.
#include "jobs/rpc/message.h"

#include <cstdlib>

using namespace ufab::jobs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  if (const auto request = decode_request(input); request.ok()) {
    const ufab::Bytes encoded = encode_request(*request);
    const auto again = decode_request(encoded);
    if (!again.ok() || again->method != request->method || again->body != request->body) std::abort();
    if (encode_request(*again) != encoded) std::abort();
  } else if (request.error().message.empty()) {
    std::abort();
  }
  if (const auto answer = decode_answer(input); answer.ok()) {
    const ufab::Bytes encoded = encode_answer(*answer);
    const auto again = decode_answer(encoded);
    if (!again.ok() || again->body != answer->body || encode_answer(*again) != encoded) std::abort();
  }
  (void)decode_error(input);
  return 0;
}
