// The training state: what a step reads and replaces, and the digests that name it.
//
// Digests are SHA-256 trees. Each vector (parameters, then AdamW's m and v) is cut into chunks of 1 MiB of
// its little-endian bytes, the last one shorter; a leaf is the SHA-256 of a chunk. With
//   tree(domain, leaves) = SHA-256(text domain, u64 leaf count, leaves)     (fabric/base/codec.h)
// parameters' digest = tree("ufab.parameters/1", leaves of params), which names a model, and
// state digest       = SHA-256(text "ufab.state/2", u64 step, u32 tensors, per tensor u32 exponent (two's
//                      complement), parameters' digest, tree("ufab.moment/1", leaves of m),
//                      tree("ufab.moment/1", leaves of v)).
#pragma once

#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab {

struct TrainState {
  std::uint64_t step = 0;      // optimizer steps done
  std::vector<int> exponents;  // of the next step's fixed-point gradients, one per tensor
  // Where the kernels find them: in the shared memory of the backend that the state was made for, or in
  // ordinary memory. Assigning another state copies into this one's memory.
  std::pmr::vector<float> params, m, v;

  explicit TrainState(std::pmr::memory_resource& memory = *std::pmr::get_default_resource())
      : params(&memory), m(&memory), v(&memory) {}
};

inline constexpr std::size_t kDigestChunk = std::size_t{1} << 20;  // bytes

struct StateDigests {
  Digest state;
  Digest parameters;
};

[[nodiscard]] inline std::uint64_t chunk_count(std::size_t bytes) {
  return (bytes + kDigestChunk - 1) / kDigestChunk;
}
// Leaves of chunks first, first + stride, ... into the same places of `leaves`; the others stay as they are.
void hash_chunks(ByteView bytes, std::uint64_t first, std::uint64_t stride, std::span<Digest> leaves);
[[nodiscard]] Digest tree_digest(std::string_view domain, std::span<const Digest> leaves);
[[nodiscard]] ByteView float_bytes(std::span<const float> values);
// leaves: those of params, m and v one after another.
[[nodiscard]] StateDigests combine_state_digest(std::uint64_t step, std::span<const int> exponents,
                                                std::span<const Digest> leaves);
// On one process.
[[nodiscard]] StateDigests state_digest(const TrainState& state);

}  // namespace ufab
