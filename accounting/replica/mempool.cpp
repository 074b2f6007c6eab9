#include "accounting/replica/mempool.h"

#include <fmt/format.h>

#include <algorithm>

namespace ufab {

Status Mempool::add(PooledRecord record, const State& state) {
  const auto known = by_id_.find(record.id);
  if (known != by_id_.end()) {
    Item& item = by_signer_.at(known->second.first).at(known->second.second);
    item.record.own = item.record.own || record.own;
    return {};
  }
  const PublicKey signer = record.record.signer;
  const std::uint64_t sequence = record.record.sequence;
  const std::uint64_t next = state.next_sequence(signer);
  if (sequence < next) {
    return Error{
        ErrorCode::conflict,
        fmt::format("sequence {} was used already, expected {} (a replayed record?)", sequence, next)};
  }
  const auto same_signer = by_signer_.find(signer);
  const std::size_t present = same_signer == by_signer_.end() ? 0 : same_signer->second.size();
  if (present > 0 && same_signer->second.contains(sequence)) {
    return Error{ErrorCode::conflict, fmt::format("another record with sequence {} waits already", sequence)};
  }
  // Further than the bound of one signer ahead it could never be reached with what is here.
  if (present >= limits_.of_one_signer || sequence - next > limits_.of_one_signer) {
    return Error{ErrorCode::limit,
                 fmt::format("{} records of this key wait already: try again later", present)};
  }
  const bool unknown = !state.key_holder(signer).has_value();
  if (unknown && record.record.type() != RecordType::organisation) {
    return Error{ErrorCode::denied,
                 fmt::format("signer {}… is no organisation's present key: register it first",
                             signer.hex().substr(0, 12))};
  }
  if (by_id_.size() >= limits_.records || size_ + record.encoding.size() > limits_.size ||
      (unknown && unknown_ >= limits_.of_unknown_signers)) {
    return Error{ErrorCode::unavailable,
                 fmt::format("{} records wait already: try again later", by_id_.size())};
  }
  size_ += record.encoding.size();
  if (unknown) ++unknown_;
  const std::uint64_t arrival = ++arrivals_;
  const std::uint64_t now_us = record.arrived_us;
  by_id_.emplace(record.id, std::pair(signer, sequence));
  by_arrival_.emplace(arrival, std::pair(signer, sequence));
  by_signer_[signer].emplace(sequence, Item{std::move(record), arrival, now_us, unknown});
  return {};
}

const PooledRecord* Mempool::find(const RecordId& id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  return &by_signer_.at(found->second.first).at(found->second.second).record;
}

std::uint64_t Mempool::next_sequence(const PublicKey& key, const State& state) const {
  const std::uint64_t next = state.next_sequence(key);
  const auto found = by_signer_.find(key);
  if (found == by_signer_.end()) return next;
  return std::max(next, found->second.rbegin()->first + 1);
}

std::vector<const PooledRecord*> Mempool::choose(const State& state, std::size_t size_max,
                                                 std::size_t count_max) const {
  std::vector<const PooledRecord*> chosen;
  std::size_t size = 0;
  std::map<PublicKey, std::uint64_t> next;  // of the signers met so far; 0: no more of it
  for (const auto& [arrival, place] : by_arrival_) {
    if (chosen.size() >= count_max) break;
    const auto& [signer, sequence] = place;
    auto [expected, first] = next.try_emplace(signer, 0);
    const auto& items = by_signer_.at(signer);
    if (first) {
      expected->second = state.next_sequence(signer);
      const auto item = items.find(expected->second);
      if (item != items.end() && !state.admissible(item->second.record.record).ok())
        expected->second = UINT64_MAX;
    }
    // One that came before its predecessor goes in with it.
    if (sequence < expected->second) continue;
    if (sequence > expected->second && !items.contains(expected->second)) continue;
    for (auto item = items.find(expected->second); item != items.end() && item->first <= sequence; ++item) {
      if (item->first != expected->second || chosen.size() >= count_max) break;
      size += item->second.record.encoding.size();
      if (size > size_max) return chosen;
      chosen.push_back(&item->second.record);
      ++expected->second;
    }
  }
  return chosen;
}

void Mempool::erase(const PublicKey& signer, std::uint64_t sequence) {
  const auto items = by_signer_.find(signer);
  const auto item = items->second.find(sequence);
  size_ -= item->second.record.encoding.size();
  if (item->second.unknown) --unknown_;
  by_id_.erase(item->second.record.id);
  by_arrival_.erase(item->second.arrival);
  items->second.erase(item);
  if (items->second.empty()) by_signer_.erase(items);
}

std::vector<PooledRecord> Mempool::settle(const std::vector<RecordId>& taken, const State& state) {
  for (const RecordId& id : taken) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) continue;
    const auto [signer, sequence] = found->second;
    erase(signer, sequence);
  }
  std::vector<PooledRecord> useless;
  // Those whose number another record has used, whose key is no one's any more, or whose name is taken.
  for (auto items = by_signer_.begin(); items != by_signer_.end();) {
    const PublicKey signer = items->first;
    auto& waiting = items->second;
    const bool gone = !state.key_holder(signer) && state.organisation_of_any_key(signer) != 0;
    const std::uint64_t next = gone ? UINT64_MAX : state.next_sequence(signer);
    ++items;  // erase() may remove this one
    const auto is_useless = [&] {
      const auto& [sequence, item] = *waiting.begin();
      return sequence < next ||
             (item.unknown && sequence == next && !state.admissible(item.record.record).ok());
    };
    while (is_useless()) {
      const bool last = waiting.size() == 1;
      useless.push_back(waiting.begin()->second.record);
      erase(signer, waiting.begin()->first);
      if (last) break;
    }
  }
  return useless;
}

std::vector<const PooledRecord*> Mempool::to_send_again(std::uint64_t before_us, std::uint64_t now_us,
                                                        std::size_t count_max) {
  std::vector<const PooledRecord*> due;
  for (const auto& [arrival, place] : by_arrival_) {
    if (due.size() >= count_max) break;
    Item& item = by_signer_.at(place.first).at(place.second);
    if (!item.record.own || item.sent_us >= before_us) continue;
    item.sent_us = now_us;
    due.push_back(&item.record);
  }
  return due;
}

}  // namespace ufab
