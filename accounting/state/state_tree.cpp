#include "accounting/state/state_tree.h"

#include <algorithm>

#include "fabric/base/assert.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

using EncodedKey = std::array<std::uint8_t, 17>;

EncodedKey encode_key(const StateKey& key) {
  EncodedKey bytes;
  bytes[0] = key.slot;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[1 + i] = static_cast<std::uint8_t>(key.a >> (8 * i));
    bytes[9 + i] = static_cast<std::uint8_t>(key.b >> (8 * i));
  }
  return bytes;
}

}  // namespace

Digest StateTree::bucket_hash(std::span<const Item> items) {
  Bytes content;
  content.reserve(items.size() * (17 + 32));
  for (const Item& item : items) {
    const EncodedKey key = encode_key(item.key);
    content.insert(content.end(), key.begin(), key.end());
    content.insert(content.end(), item.value.bytes.begin(), item.value.bytes.end());
  }
  return merkle::leaf_hash(content);
}

Digest StateTree::root_of(std::span<const Digest> buckets) {
  UFAB_ASSERT(buckets.size() == buckets_count);
  return merkle::root(buckets);
}

StateTree::StateTree() : buckets_(buckets_count), nodes_(2 * buckets_count), is_dirty_(buckets_count) {
  std::fill(nodes_.begin() + buckets_count, nodes_.end(), merkle::leaf_hash({}));
  for (std::size_t i = buckets_count - 1; i >= 1; --i) {
    nodes_[i] = merkle::node_hash(nodes_[2 * i], nodes_[2 * i + 1]);
  }
}

std::uint32_t StateTree::bucket_of(const StateKey& key) {
  const Digest place = sha256(ByteView(encode_key(key)));
  return static_cast<std::uint32_t>(place.bytes[0]) << 4 | place.bytes[1] >> 4;
}

std::vector<StateTree::Item>::iterator StateTree::place_of(std::vector<Item>& items, const StateKey& key) {
  return std::lower_bound(items.begin(), items.end(), key,
                          [](const Item& item, const StateKey& k) { return item.key < k; });
}

void StateTree::mark(std::uint32_t bucket) {
  if (is_dirty_[bucket]) return;
  is_dirty_[bucket] = true;
  dirty_.push_back(bucket);
}

void StateTree::update(const StateKey& key, ByteView value) {
  const std::uint32_t bucket = bucket_of(key);
  std::vector<Item>& items = buckets_[bucket];
  const auto found = place_of(items, key);
  const Digest digest = sha256(value);
  if (found == items.end() || found->key != key) {
    items.insert(found, {key, digest});
  } else if (found->value == digest) {
    return;
  } else {
    found->value = digest;
  }
  mark(bucket);
}

void StateTree::remove(const StateKey& key) {
  const std::uint32_t bucket = bucket_of(key);
  std::vector<Item>& items = buckets_[bucket];
  const auto found = place_of(items, key);
  if (found == items.end() || found->key != key) return;
  items.erase(found);
  if (items.empty()) items.shrink_to_fit();
  mark(bucket);
}

Digest StateTree::root() {
  std::vector<std::uint32_t> level;
  level.reserve(dirty_.size());
  for (const std::uint32_t bucket : dirty_) {
    nodes_[buckets_count + bucket] = bucket_hash(buckets_[bucket]);
    is_dirty_[bucket] = false;
    level.push_back(static_cast<std::uint32_t>(buckets_count + bucket));
  }
  dirty_.clear();
  std::sort(level.begin(), level.end());
  while (!level.empty() && level.front() > 1) {
    for (std::uint32_t& node : level) node /= 2;
    level.erase(std::unique(level.begin(), level.end()), level.end());
    for (const std::uint32_t node : level) {
      nodes_[node] = merkle::node_hash(nodes_[2 * node], nodes_[2 * node + 1]);
    }
  }
  return nodes_[1];
}

}  // namespace ufab
