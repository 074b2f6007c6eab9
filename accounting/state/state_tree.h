// The state root, kept up to date in time proportional to what changed.
//
// Every piece of state is an entry: key (u8 slot, u64 a, u64 b; 17 bytes) and value (its canonical encoding).
// An entry lives in bucket number (first 12 bits of SHA-256(key)). A bucket's hash is the RFC 9162 leaf hash
// of its entries in key order, each as key || SHA-256(value). The root is the RFC 9162 root of the 4,096
// bucket hashes. Not thread-safe.
#pragma once

#include <array>
#include <compare>
#include <span>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab {

// Which piece of state a StateKey names. The values' encodings are in accounting/state/entry_codec.h.
enum class StateSlot : std::uint8_t {
  global,        // everything that is there once
  account,       // a: kind, b: number
  organisation,  // a: id
  job,           // a: id
  window,        // a: job, b: window
  usage_import,  // a: job, b: attempt << 32 | provider
  committee,     // a: epoch
  seed_share,    // a: organisation
  key,           // a: how many were taken before it
  past_job,      // a: id
};
inline constexpr std::uint8_t state_slot_last = static_cast<std::uint8_t>(StateSlot::past_job);

struct StateKey {
  std::uint8_t slot = 0;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  friend auto operator<=>(const StateKey&, const StateKey&) = default;
};

class StateTree {
 public:
  static constexpr std::size_t buckets_count = 4096;
  struct Item {
    StateKey key;
    Digest value;
  };
  [[nodiscard]] static Digest bucket_hash(std::span<const Item> items);
  // Precondition: there are buckets_count of them.
  [[nodiscard]] static Digest root_of(std::span<const Digest> buckets);

  StateTree();
  // Sets the entry's value.
  void update(const StateKey& key, ByteView value);
  // The entry is gone; it need not have been there.
  void remove(const StateKey& key);
  [[nodiscard]] Digest root();
  // In key order.
  [[nodiscard]] std::span<const Item> bucket(std::size_t number) const { return buckets_.at(number); }
  // As of the last root().
  [[nodiscard]] std::span<const Digest> bucket_hashes() const {
    return std::span(nodes_).subspan(buckets_count);
  }

 private:
  [[nodiscard]] static std::uint32_t bucket_of(const StateKey& key);
  // Where the entry is in its bucket, or would be.
  [[nodiscard]] static std::vector<Item>::iterator place_of(std::vector<Item>& items, const StateKey& key);
  void mark(std::uint32_t bucket);

  std::vector<std::vector<Item>> buckets_;
  std::vector<Digest> nodes_;  // heap order: node 1 is the root, bucket i is node buckets_count + i
  std::vector<std::uint32_t> dirty_;
  std::vector<bool> is_dirty_;
};

}  // namespace ufab
