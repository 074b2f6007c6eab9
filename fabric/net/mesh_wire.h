// What the two ends of a mesh link say to each other (fabric/net/mesh.h), in frames (fabric/net/frame.h):
//
//   type 32  hello    id 0. u32 lowest and u32 highest protocol version that the sender speaks, 32 bytes
//                     chain, u64 features. The first frame of a link; answered by one of the same form, or by
//   type 33  refusal  id 0. One line of text that says why, at most 256 bytes; then the link is closed.
//   type 34  message  id: the channel. A whole message of at most mesh_piece_max bytes.
//   type 35  piece    id: the channel. u32 size of the whole message, u32 where these bytes begin in it, and
//                     1 to mesh_piece_max bytes of it. The pieces of a message come in order, and no other
//                     message of the same channel between them.
//   type 36  ping     id: any number. Empty.
//   type 37  pong     id: that of the ping. Empty.
//
// After the hello, messages, pieces and pings go one way only, from the end that opened the link; hello,
// refusal and pongs come back. The protocol version in use is the highest that both ends speak. The frames
// above are those of every version; a version says what the messages mean. Features are bits that need no
// version of their own; unknown ones are ignored.
#pragma once

#include <array>
#include <optional>

#include "fabric/base/digest.h"
#include "fabric/net/frame.h"

namespace ufab {

inline constexpr std::uint16_t frame_mesh_hello = 32;
inline constexpr std::uint16_t frame_mesh_refusal = 33;
inline constexpr std::uint16_t frame_mesh_message = 34;
inline constexpr std::uint16_t frame_mesh_piece = 35;
inline constexpr std::uint16_t frame_mesh_ping = 36;
inline constexpr std::uint16_t frame_mesh_pong = 37;

inline constexpr std::size_t mesh_channels = 3;
inline constexpr std::size_t mesh_piece_header = 8;
inline constexpr std::size_t mesh_piece_max = std::size_t{64} << 10;
inline constexpr std::size_t mesh_frame_payload_max = mesh_piece_max + mesh_piece_header;
inline constexpr std::size_t mesh_refusal_max = 256;

struct MeshHello {
  std::uint32_t version_min = 1;
  std::uint32_t version_max = 1;
  Digest chain;
  std::uint64_t features = 0;

  friend bool operator==(const MeshHello&, const MeshHello&) = default;
};

[[nodiscard]] Bytes encode_mesh_hello(const MeshHello& hello);
[[nodiscard]] Result<MeshHello> decode_mesh_hello(ByteView payload);
// The protocol version of a link between them; ErrorCode::conflict says why there is none.
[[nodiscard]] Result<std::uint32_t> agree_mesh_version(const MeshHello& own, const MeshHello& other);

// The text of a refusal as one line of printable ASCII, whatever the peer wrote.
[[nodiscard]] std::string decode_mesh_refusal(ByteView payload);

// Puts the messages of one link together again. Holds at most one unfinished message a channel, each within
// `message_max`, in memory that grows as the bytes arrive.
class MeshAssembler {
 public:
  explicit MeshAssembler(std::size_t message_max) : message_max_(message_max) {}

  // A frame of type message or piece. The message that it completes, if any; ErrorCode::invalid or limit when
  // no correct peer sends this, after which the link is of no use.
  [[nodiscard]] Result<std::optional<Bytes>> take(Frame frame);

 private:
  struct Unfinished {
    std::uint32_t size = 0;  // 0: none
    Bytes bytes;
  };
  [[nodiscard]] Result<std::optional<Bytes>> take_piece(Unfinished& unfinished, ByteView payload);

  std::size_t message_max_;
  std::array<Unfinished, mesh_channels> channels_;
};

}  // namespace ufab
