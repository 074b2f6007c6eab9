#include "fabric/base/merkle.h"

#include <bit>

namespace ufab::merkle {

namespace {

// The largest power of two below n. Precondition: n > 1.
std::size_t split_of(std::size_t n) {
  return std::bit_floor(n - 1);
}

void add_path(std::span<const Digest> leaves, std::size_t index, std::vector<Digest>& path) {
  if (leaves.size() == 1) return;
  const std::size_t split = split_of(leaves.size());
  if (index < split) {
    add_path(leaves.first(split), index, path);
    path.push_back(root(leaves.subspan(split)));
  } else {
    add_path(leaves.subspan(split), index - split, path);
    path.push_back(root(leaves.first(split)));
  }
}

// SUBPROOF(m, D[n], whole) of section 2.1.4.1.
void add_subproof(std::span<const Digest> leaves, std::size_t old_size, bool whole,
                  std::vector<Digest>& path) {
  if (old_size == leaves.size()) {
    if (!whole) path.push_back(root(leaves));
    return;
  }
  const std::size_t split = split_of(leaves.size());
  if (old_size <= split) {
    add_subproof(leaves.first(split), old_size, whole, path);
    path.push_back(root(leaves.subspan(split)));
  } else {
    add_subproof(leaves.subspan(split), old_size - split, false, path);
    path.push_back(root(leaves.first(split)));
  }
}

}  // namespace

Digest leaf_hash(ByteView data) {
  const std::uint8_t prefix = 0x00;
  return sha256({&prefix, 1}, data);
}

Digest node_hash(const Digest& left, const Digest& right) {
  std::array<std::uint8_t, 65> input;
  input[0] = 0x01;
  std::copy(left.bytes.begin(), left.bytes.end(), input.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), input.begin() + 33);
  return sha256(ByteView(input));
}

Digest root(std::span<const Digest> leaves) {
  if (leaves.empty()) return sha256(ByteView{});
  if (leaves.size() == 1) return leaves[0];
  const std::size_t split = split_of(leaves.size());
  return node_hash(root(leaves.first(split)), root(leaves.subspan(split)));
}

std::vector<Digest> inclusion_proof(std::span<const Digest> leaves, std::uint64_t index) {
  UFAB_ASSERT(index < leaves.size());
  std::vector<Digest> path;
  add_path(leaves, index, path);
  return path;
}

bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                      std::span<const Digest> proof, const Digest& root) {
  if (index >= size) return false;
  std::uint64_t node = index;
  std::uint64_t last = size - 1;
  Digest hash = leaf;
  for (const Digest& step : proof) {
    if (last == 0) return false;
    if ((node & 1) == 1 || node == last) {
      hash = node_hash(step, hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, step);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

std::vector<Digest> consistency_proof(std::span<const Digest> leaves, std::uint64_t old_size) {
  UFAB_ASSERT(old_size > 0 && old_size <= leaves.size());
  std::vector<Digest> path;
  add_subproof(leaves, old_size, true, path);
  return path;
}

bool verify_consistency(std::uint64_t old_size, std::uint64_t new_size, const Digest& old_root,
                        const Digest& new_root, std::span<const Digest> proof) {
  if (old_size == 0 || old_size > new_size) return false;
  if (old_size == new_size) return proof.empty() && old_root == new_root;
  std::vector<Digest> path;
  if (std::has_single_bit(old_size)) path.push_back(old_root);
  path.insert(path.end(), proof.begin(), proof.end());
  if (path.empty()) return false;
  std::uint64_t node = old_size - 1;
  std::uint64_t last = new_size - 1;
  while ((node & 1) == 1) {
    node >>= 1;
    last >>= 1;
  }
  Digest old_hash = path[0];
  Digest new_hash = path[0];
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (last == 0) return false;
    if ((node & 1) == 1 || node == last) {
      old_hash = node_hash(path[i], old_hash);
      new_hash = node_hash(path[i], new_hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      new_hash = node_hash(new_hash, path[i]);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && old_hash == old_root && new_hash == new_root;
}

}  // namespace ufab::merkle
