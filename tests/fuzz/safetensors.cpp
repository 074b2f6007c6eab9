// Fuzz target: safetensors files. What is accepted covers its data exactly and comes back from its canonical
// form; what is not is one line.
#include "fabric/model/safetensors.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace ufab;

void check_refusal(const Error& error) {
  for (const char c : error.message) {
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  }
  if (error.message.empty() || error.message.size() > 500) std::abort();
}

void check_header(const SafetensorsHeader& header, std::uint64_t data_size) {
  std::uint64_t covered = 0;
  for (const SafetensorsTensor& tensor : header.tensors) {
    if (tensor.begin != covered || tensor.end < tensor.begin) std::abort();
    if (tensor.readable() && tensor.count() * (tensor.dtype == "F32" ? 4 : 2) != tensor.end - tensor.begin) {
      std::abort();
    }
    covered = tensor.end;
  }
  if (covered != data_size) std::abort();
  const std::string canonical = encode_safetensors_header(header);
  const auto again = decode_safetensors_header(std::string_view(canonical).substr(8), data_size);
  if (!again.ok() || *again != header) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView file(data, size);
  const auto length = decode_safetensors_length(file.first(std::min<std::size_t>(size, 8)), size);
  if (!length.ok()) {
    check_refusal(length.error());
    return 0;
  }
  const std::uint64_t data_size = size - 8 - *length;
  const auto header = decode_safetensors_header(as_text(file.subspan(8, *length)), data_size);
  if (!header.ok()) check_refusal(header.error());
  if (header.ok()) check_header(*header, data_size);
  return 0;
}
