#include "fabric/net/link.h"

namespace ufab {

std::array<std::uint8_t, kFrameHeaderSize> encode_frame_header(const FrameHeader& header) {
  std::array<std::uint8_t, kFrameHeaderSize> bytes{kFrameMagic, kFrameVersion};
  for (std::size_t i = 0; i < 2; ++i) bytes[2 + i] = static_cast<std::uint8_t>(header.type >> (8 * i));
  for (std::size_t i = 0; i < 4; ++i) bytes[4 + i] = static_cast<std::uint8_t>(header.length >> (8 * i));
  for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = static_cast<std::uint8_t>(header.id >> (8 * i));
  return bytes;
}

Result<FrameHeader> decode_frame_header(ByteView bytes, std::size_t max_payload) {
  if (bytes.size() != kFrameHeaderSize) return Error{ErrorCode::invalid, "a frame's header has 16 bytes"};
  if (bytes[0] != kFrameMagic) return Error{ErrorCode::invalid, "the peer does not speak this protocol"};
  if (bytes[1] != kFrameVersion) {
    return Error{ErrorCode::invalid, "the peer speaks protocol version " + std::to_string(bytes[1]) +
                                         ", this program version " + std::to_string(kFrameVersion)};
  }
  const auto number = [&](std::size_t offset, std::size_t width) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value |= std::uint64_t{bytes[offset + i]} << (8 * i);
    return value;
  };
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(number(2, 2));
  header.length = static_cast<std::uint32_t>(number(4, 4));
  header.id = number(8, 8);
  if (header.length > max_payload || header.length > kFramePayloadMax) {
    return Error{ErrorCode::limit, "the peer announced a frame of " + std::to_string(header.length) +
                                       " bytes; at most " + std::to_string(max_payload) + " are taken"};
  }
  return header;
}

Status Link::send(const Frame& frame, Deadline deadline) {
  UFAB_ASSERT(frame.payload.size() <= kFramePayloadMax);
  const auto header =
      encode_frame_header({frame.type, frame.id, static_cast<std::uint32_t>(frame.payload.size())});
  constexpr std::size_t together_max = 16384 - kFrameHeaderSize;  // one TLS record
  if (frame.payload.size() <= together_max) {
    Bytes bytes(header.begin(), header.end());
    bytes.insert(bytes.end(), frame.payload.begin(), frame.payload.end());
    return send_bytes(bytes, deadline);
  }
  UFAB_TRY(send_bytes(header, deadline));
  return send_bytes(frame.payload, deadline);
}

Result<Frame> Link::recv(std::size_t max_payload, Deadline deadline) {
  std::array<std::uint8_t, kFrameHeaderSize> bytes;
  UFAB_TRY(recv_bytes(bytes, deadline));
  auto header = decode_frame_header(bytes, max_payload);
  if (!header) {
    interrupt();  // the position in the stream is lost
    return header.error();
  }
  Frame frame{header->type, header->id, {}};
  // Grown as bytes arrive: an announced length alone takes no memory.
  constexpr std::size_t piece = std::size_t{1} << 20;
  while (frame.payload.size() < header->length) {
    const std::size_t begin = frame.payload.size();
    frame.payload.resize(begin + std::min<std::size_t>(piece, header->length - begin));
    UFAB_TRY(recv_bytes(std::span(frame.payload).subspan(begin), deadline));
  }
  return frame;
}

}  // namespace ufab
