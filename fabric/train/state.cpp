#include "fabric/train/state.h"

#include <algorithm>
#include <bit>

#include "fabric/base/codec.h"

namespace ufab {

static_assert(std::endian::native == std::endian::little, "digests are over little-endian bytes");

void hash_chunks(ByteView bytes, std::uint64_t first, std::uint64_t stride, std::span<Digest> leaves) {
  UFAB_ASSERT(leaves.size() == chunk_count(bytes.size()));
  for (std::uint64_t i = first; i < leaves.size(); i += stride) {
    const ByteView rest = bytes.subspan(i * kDigestChunk);
    leaves[i] = sha256(rest.first(std::min(rest.size(), kDigestChunk)));
  }
}

Digest tree_digest(std::string_view domain, std::span<const Digest> leaves) {
  Writer writer;
  writer.text(domain);
  writer.u64(leaves.size());
  for (const Digest& leaf : leaves) writer.raw(leaf.view());
  return sha256(writer.bytes());
}

ByteView float_bytes(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

StateDigests combine_state_digest(std::uint64_t step, std::span<const int> exponents,
                                  std::span<const Digest> leaves) {
  UFAB_ASSERT(leaves.size() % 3 == 0);
  const std::size_t each = leaves.size() / 3;
  StateDigests digests;
  digests.parameters = tree_digest("ufab.parameters/1", leaves.first(each));
  Writer writer;
  writer.text("ufab.state/2");
  writer.u64(step);
  writer.u32(static_cast<std::uint32_t>(exponents.size()));
  for (const int exponent : exponents) writer.u32(static_cast<std::uint32_t>(exponent));
  writer.raw(digests.parameters.view());
  writer.raw(tree_digest("ufab.moment/1", leaves.subspan(each, each)).view());
  writer.raw(tree_digest("ufab.moment/1", leaves.subspan(2 * each, each)).view());
  digests.state = sha256(writer.bytes());
  return digests;
}

StateDigests state_digest(const TrainState& state) {
  const std::uint64_t each = chunk_count(state.params.size() * sizeof(float));
  std::vector<Digest> leaves(3 * each);
  const std::span<Digest> all(leaves);
  hash_chunks(float_bytes(state.params), 0, 1, all.first(each));
  hash_chunks(float_bytes(state.m), 0, 1, all.subspan(each, each));
  hash_chunks(float_bytes(state.v), 0, 1, all.subspan(2 * each, each));
  return combine_state_digest(state.step, state.exponents, leaves);
}

}  // namespace ufab
