// Fuzz target: what a mesh link carries. A hello that decodes is one that encoding gives back; a row of
// frames gives only messages within the bound, each of which is exactly the bytes that came for it on its
// channel.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "fabric/net/mesh_wire.h"

namespace {

using namespace ufab;

void try_hello(ByteView input) {
  const auto hello = decode_mesh_hello(input);
  if (!hello.ok()) {
    if (hello.error().message.empty()) std::abort();
    return;
  }
  const Bytes again = encode_mesh_hello(*hello);
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  if (agree_mesh_version(*hello, *hello).value() != hello->version_max) std::abort();
}

void try_frames(ByteView input) {
  constexpr std::size_t message_max = 64;
  MeshAssembler assembler(message_max);
  std::array<Bytes, mesh_channels> came;
  while (input.size() >= kFrameHeaderSize) {
    const auto header = decode_frame_header(input.first(kFrameHeaderSize), mesh_frame_payload_max);
    input = input.subspan(kFrameHeaderSize);
    if (!header.ok() || header->length > input.size()) return;
    const ByteView payload = input.first(header->length);
    input = input.subspan(header->length);
    const auto taken = assembler.take({header->type, header->id, Bytes(payload.begin(), payload.end())});
    if (!taken.ok()) {
      if (taken.error().message.empty()) std::abort();
      return;
    }
    if (header->id >= mesh_channels) std::abort();
    Bytes& bytes = came[header->id];
    const ByteView carried = payload.subspan(header->type == frame_mesh_piece ? mesh_piece_header : 0);
    bytes.insert(bytes.end(), carried.begin(), carried.end());
    if (bytes.empty() || bytes.size() > message_max) std::abort();
    if (!taken->has_value()) continue;
    if (**taken != bytes) std::abort();
    bytes.clear();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  try_hello(input);
  try_frames(input);
  static_cast<void>(decode_mesh_refusal(input));
  return 0;
}
