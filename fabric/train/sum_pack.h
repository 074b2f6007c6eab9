// Integer sums in as few bytes as they need: what a chunk of gradient sums is on the bridge.
//
// On the wire: u8 width, 1 to 8; then per value its `width` low bytes, little-endian, two's complement. The
// width is the smallest that holds every value of the chunk. Training's sums stay below 2^48
// (fabric/train/schedule.h) and most need five or six bytes, so the bridge carries about a third less than
// eight-byte integers.
#pragma once

#include <cstdint>
#include <span>

#include "fabric/base/bytes.h"

namespace ufab {

[[nodiscard]] int pack_width(std::span<const std::int64_t> values);
// Replaces `bytes` by the encoding of `values`; keeps its capacity.
void pack_sums(std::span<const std::int64_t> values, Bytes& bytes);
// values[i] from packed.size() == values.size() * width bytes; precondition: width in 1..8.
void unpack_sums(ByteView packed, int width, std::span<std::int64_t> values);

}  // namespace ufab
