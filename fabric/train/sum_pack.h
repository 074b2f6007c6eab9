// Integer sums in as few bytes as they need: what a chunk of gradient sums is on the bridge.
//
// On the wire: u8 width, 1 to 4; then per value its `width` low bytes, little-endian, two's complement. The
// width is the smallest that holds every value of the chunk. Of the chunks of a 12-layer GPT-2's first steps
// on English text 80 % needed four bytes, 10 % three and 10 % two (kernels/gradient.h: a tensor's scale
// follows its largest element).
#pragma once

#include <cstdint>
#include <span>

#include "fabric/base/bytes.h"

namespace ufab {

[[nodiscard]] int pack_width(std::span<const std::int32_t> values);
// Replaces `bytes` by the encoding of `values`; keeps its capacity.
void pack_sums(std::span<const std::int32_t> values, Bytes& bytes);
// values[i] from packed.size() == values.size() * width bytes; precondition: width in 1..4.
void unpack_sums(ByteView packed, int width, std::span<std::int32_t> values);

}  // namespace ufab
