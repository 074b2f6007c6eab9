// Merkle trees as RFC 9162 section 2 defines them: SHA-256, leaf = H(0x00 || data), node = H(0x01 || left ||
// right), a tree of n leaves split at the largest power of two below n, the empty tree = H().
// Functions are pure. Proofs are lists of node hashes, from the leaf's side up.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab::merkle {

[[nodiscard]] Digest leaf_hash(ByteView data);
[[nodiscard]] Digest node_hash(const Digest& left, const Digest& right);
// Root over leaf hashes (leaf_hash has been applied already).
[[nodiscard]] Digest root(std::span<const Digest> leaves);
// Path for the leaf at `index`. Precondition: index < leaves.size().
[[nodiscard]] std::vector<Digest> inclusion_proof(std::span<const Digest> leaves, std::uint64_t index);
// Section 2.1.3.2. False for any index, size, path or root that does not belong together.
[[nodiscard]] bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                    std::span<const Digest> proof, const Digest& root);
// That the tree of the first `old_size` leaves is a prefix of the whole. Precondition: 0 < old_size <= size.
[[nodiscard]] std::vector<Digest> consistency_proof(std::span<const Digest> leaves, std::uint64_t old_size);
// Section 2.1.4.2.
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size, const Digest& old_root,
                                      const Digest& new_root, std::span<const Digest> proof);

}  // namespace ufab::merkle
