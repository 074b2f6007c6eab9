// The records that wait for a block, as one validator knows them. Bounded; what is refused names the reason.
// Not thread-safe; no clock: the caller has the time.
//
// Records leave in the order of their arrival, those of one signer in the order of their sequence numbers.
// They stay until they are in a final block, or until they can never be: their sequence number is used up by
// another record, or the name that they register is taken.
#pragma once

#include <map>
#include <vector>

#include "accounting/state/state.h"

namespace ufab {

struct MempoolLimits {
  std::size_t records = 65536;
  std::size_t size = 64U << 20;          // bytes of all encodings
  std::size_t of_one_signer = 16384;     // records
  std::size_t of_unknown_signers = 256;  // records: registrations, whose keys anybody can make
};

struct PooledRecord {
  Record record;
  Bytes encoding;
  RecordId id;
  std::uint64_t arrived_us = 0;
  bool own = false;  // submitted at this node, which sends it again until it is final
};

class Mempool {
 public:
  explicit Mempool(const MempoolLimits& limits) : limits_(limits) {}

  // Precondition: the signature was checked. conflict: its sequence number is used, or taken by another
  // record here; limit, unavailable: no room. A record that is here already is fine; it becomes own if it now
  // is.
  [[nodiscard]] Status add(PooledRecord record, const State& state);
  [[nodiscard]] bool contains(const RecordId& id) const { return by_id_.contains(id); }
  [[nodiscard]] const PooledRecord* find(const RecordId& id) const;
  // After the last sequence number of that key here, or what the state says.
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key, const State& state) const;
  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  [[nodiscard]] std::size_t bytes() const { return size_; }  // of all encodings

  // For a block on top of `state` (which may be ahead of the final one), at most so many bytes and records.
  // Leaves out what cannot go in yet: its sequence number is not the next, or its signer had too many records
  // refused in this epoch. Nothing leaves the pool.
  [[nodiscard]] std::vector<const PooledRecord*> choose(const State& state, std::size_t size_max,
                                                        std::size_t count_max) const;
  [[nodiscard]] bool has_any_for(const State& state) const { return !choose(state, SIZE_MAX, 1).empty(); }

  // The state has moved on: drops what it has made useless and returns those that were not in `taken`.
  [[nodiscard]] std::vector<PooledRecord> settle(const std::vector<RecordId>& taken, const State& state);
  // Own records that arrived (or were returned last) before that time; they count as arriving now.
  [[nodiscard]] std::vector<const PooledRecord*> to_send_again(std::uint64_t before_us, std::uint64_t now_us,
                                                               std::size_t count_max);

 private:
  void erase(const PublicKey& signer, std::uint64_t sequence);

  MempoolLimits limits_;
  std::size_t size_ = 0;
  std::size_t unknown_ = 0;
  std::uint64_t arrivals_ = 0;
  struct Item {
    PooledRecord record;
    std::uint64_t arrival = 0;
    std::uint64_t sent_us = 0;
    bool unknown = false;
  };
  std::map<PublicKey, std::map<std::uint64_t, Item>> by_signer_;
  std::map<std::uint64_t, std::pair<PublicKey, std::uint64_t>> by_arrival_;  // signer and sequence
  std::map<RecordId, std::pair<PublicKey, std::uint64_t>> by_id_;
};

}  // namespace ufab
