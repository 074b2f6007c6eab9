// The unit of every conversation over a Link.
//
// On the wire (little-endian), 16 bytes and then the payload:
//   offset 0  u8   magic, 0x75 ('u')
//          1  u8   version, 1
//          2  u16  type; what the two ends agree it to mean
//          4  u32  length of the payload in bytes; the receiver states the most that it takes
//          8  u64  id; an answer carries the id of its question
//         16  payload
#pragma once

#include <array>
#include <cstdint>

#include "fabric/base/bytes.h"

namespace ufab {

struct Frame {
  std::uint16_t type = 0;
  std::uint64_t id = 0;
  Bytes payload;

  friend bool operator==(const Frame&, const Frame&) = default;
};

inline constexpr std::size_t kFrameHeaderSize = 16;
inline constexpr std::uint8_t kFrameMagic = 0x75;
inline constexpr std::uint8_t kFrameVersion = 1;
// No frame may be larger, whatever a receiver states.
inline constexpr std::size_t kFramePayloadMax = std::size_t{1} << 30;

struct FrameHeader {
  std::uint16_t type = 0;
  std::uint64_t id = 0;
  std::uint32_t length = 0;  // bytes of payload
};

[[nodiscard]] std::array<std::uint8_t, kFrameHeaderSize> encode_frame_header(const FrameHeader& header);
// Exactly kFrameHeaderSize bytes; refuses another magic or version and a length over max_payload.
[[nodiscard]] Result<FrameHeader> decode_frame_header(ByteView bytes, std::size_t max_payload);

}  // namespace ufab
