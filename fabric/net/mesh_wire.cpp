#include "fabric/net/mesh_wire.h"

#include <algorithm>

#include "fabric/base/codec.h"
#include "fabric/net/printable.h"

namespace ufab {

Bytes encode_mesh_hello(const MeshHello& hello) {
  Writer writer;
  writer.u32(hello.version_min);
  writer.u32(hello.version_max);
  writer.raw(hello.chain.view());
  writer.u64(hello.features);
  return writer.take();
}

Result<MeshHello> decode_mesh_hello(ByteView payload) {
  Reader reader(payload);
  MeshHello hello;
  hello.version_min = reader.u32();
  hello.version_max = reader.u32();
  const ByteView chain = reader.raw(hello.chain.bytes.size());
  if (!reader.failed()) hello.chain = Digest::from(chain);
  hello.features = reader.u64();
  if (hello.version_min > hello.version_max) reader.fail("its versions are in the wrong order");
  UFAB_TRY(reader.finish("hello of a mesh link"));
  return hello;
}

Result<std::uint32_t> agree_mesh_version(const MeshHello& own, const MeshHello& other) {
  if (own.chain != other.chain) {
    return Error{ErrorCode::conflict, "chain " + own.chain.hex().substr(0, 16) + "... here, " +
                                          other.chain.hex().substr(0, 16) + "... there"};
  }
  const std::uint32_t version = std::min(own.version_max, other.version_max);
  if (version < std::max(own.version_min, other.version_min)) {
    const auto range = [](const MeshHello& hello) {
      return std::to_string(hello.version_min) + " to " + std::to_string(hello.version_max);
    };
    return Error{ErrorCode::conflict,
                 "protocol versions " + range(own) + " here, " + range(other) + " there: none in common"};
  }
  return version;
}

std::string decode_mesh_refusal(ByteView payload) {
  return printable_line(as_text(payload), mesh_refusal_max);
}

Result<std::optional<Bytes>> MeshAssembler::take(Frame frame) {
  if (frame.id >= mesh_channels) {
    return Error{ErrorCode::invalid, "no channel has number " + std::to_string(frame.id)};
  }
  Unfinished& unfinished = channels_[frame.id];
  if (frame.type == frame_mesh_piece) return take_piece(unfinished, frame.payload);
  if (frame.type != frame_mesh_message) {
    return Error{ErrorCode::invalid, "a frame of type " + std::to_string(frame.type) + " on a mesh link"};
  }
  if (unfinished.size != 0) return Error{ErrorCode::invalid, "a message between the pieces of another"};
  if (frame.payload.empty()) return Error{ErrorCode::invalid, "an empty message"};
  if (frame.payload.size() > std::min(mesh_piece_max, message_max_)) {
    return Error{ErrorCode::limit, "a message of " + std::to_string(frame.payload.size()) + " bytes"};
  }
  return std::optional(std::move(frame.payload));
}

Result<std::optional<Bytes>> MeshAssembler::take_piece(Unfinished& unfinished, ByteView payload) {
  Reader reader(payload);
  const std::uint32_t size = reader.u32();
  const std::uint32_t begin = reader.u32();
  if (reader.failed() || reader.remaining() == 0 || reader.remaining() > mesh_piece_max) {
    return Error{ErrorCode::invalid, "a piece of " + std::to_string(payload.size()) + " bytes"};
  }
  if (size > message_max_) {
    return Error{ErrorCode::limit, "a message of " + std::to_string(size) + " bytes; at most " +
                                       std::to_string(message_max_) + " are taken"};
  }
  const bool fits = begin == unfinished.bytes.size() && size >= begin && reader.remaining() <= size - begin;
  if (!fits || (unfinished.size != 0 && unfinished.size != size)) {
    return Error{ErrorCode::invalid, "a piece that does not continue its message"};
  }
  const ByteView bytes = reader.raw(reader.remaining());
  unfinished.size = size;
  unfinished.bytes.insert(unfinished.bytes.end(), bytes.begin(), bytes.end());
  if (unfinished.bytes.size() < size) return std::optional<Bytes>();
  unfinished.size = 0;
  return std::optional(std::exchange(unfinished.bytes, {}));
}

}  // namespace ufab
