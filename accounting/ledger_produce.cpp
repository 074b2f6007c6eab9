// Blocks of a chain whose epoch has a single validator.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/ledger_impl.h"

namespace ufab {

namespace {

constexpr std::size_t waiting_max = 65536;  // records waiting for a block; more are turned away

}  // namespace

Status Ledger::Impl::check_producer() const {
  const std::shared_lock guard(chain_mutex);
  UFAB_TRY(producer_key());
  return {};
}

Status Ledger::use_key(KeyPair key) {
  const std::unique_lock guard(impl_->chain_mutex);
  const State& state = impl_->chain().state();
  if (!state.by_vote() && state.producer(0).key != key.public_key())
    return Error{ErrorCode::denied, "the key given is not the validator's"};
  for (const KeyPair& known : impl_->keys) {
    if (known.public_key() == key.public_key()) return {};
  }
  impl_->keys.push_back(std::move(key));
  return {};
}

Result<const KeyPair*> Ledger::Impl::producer_key() const {
  const State& state = chain().state();
  if (keys.empty())
    return Error{ErrorCode::denied, "this node is not the producer: submit to the validator's node"};
  if (state.by_vote())
    return Error{ErrorCode::unavailable, "several validators make the blocks now: try again"};
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const KeyPair& key) {
    return key.public_key() == state.producer(0).key;
  });
  if (found == keys.end())
    return Error{ErrorCode::denied, "the validator's key has changed: open the ledger with the new one"};
  return &*found;
}

Status Ledger::Impl::make_block(const std::vector<std::shared_ptr<Impl::Waiting>>& batch,
                                std::vector<Fate>& fates) {
  fates.resize(batch.size());
  std::vector<SubmittedRecord> records;
  records.reserve(batch.size());
  for (const auto& item : batch) records.push_back({&item->record, &item->encoding, item->id});
  Head fresh;
  {
    const std::unique_lock guard(chain_mutex);
    Status status = usable();
    const auto key = producer_key();
    if (status.ok() && !key.ok()) status = key.error();
    std::shared_ptr<AppliedBlock> made;
    if (status.ok()) {
      auto stored = store->make(records, **key);
      if (stored.ok()) made = *std::move(stored);
      if (made == nullptr) status = stored.error();
    }
    if (!status.ok()) {
      for (Fate& fate : fates) fate.outcome.emplace(status.error());
      return status;
    }
    fresh = {made->block.header.height, chain().head_hash(), made->block.header.time_us};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      RecordOutcome& outcome = made->outcomes[i];  // the index does not look at them
      fates[i].on_chain = outcome.on_chain;
      if (!outcome.status.ok()) {
        if (outcome.status.error().code == ErrorCode::unavailable && !outcome.on_chain)
          continue;  // next block
        fates[i].outcome.emplace(outcome.status.error());
      } else {
        fates[i].outcome.emplace(
            SubmitOutcome{outcome.id, fresh.height, outcome.position, std::move(outcome.derived)});
      }
    }
  }
  publish(fresh);
  return {};
}

// Takes the queue and makes a block of it; what found no room goes back to its front.
Status Ledger::Impl::lead(std::unique_lock<std::mutex>& guard) {
  busy = true;
  making.assign(queue.begin(), queue.end());
  queue.clear();
  guard.unlock();
  std::vector<Fate> fates;
  Status status = make_block(making, fates);
  guard.lock();
  for (std::size_t i = 0; i < making.size(); ++i) making[i]->fate = std::move(fates[i]);
  for (auto it = making.rbegin(); it != making.rend(); ++it) {
    if (!(*it)->fate.outcome) queue.push_front(*it);
  }
  making.clear();
  busy = false;
  queue_changed.notify_all();
  return status;
}

std::uint64_t Ledger::Impl::next_sequence(const PublicKey& signer) {
  std::uint64_t next = 0;
  const std::lock_guard queue_guard(queue_mutex);
  {
    const std::shared_lock guard(chain_mutex);
    next = chain().state().next_sequence(signer);
  }
  for (const auto& item : making) {
    if (item->record.signer == signer && !item->fate.outcome)
      next = std::max(next, item->record.sequence + 1);
  }
  for (const auto& item : queue) {
    if (item->record.signer == signer) next = std::max(next, item->record.sequence + 1);
  }
  return next;
}

Result<std::shared_ptr<Ledger::Impl::Waiting>> Ledger::Impl::enqueue(Record record, Bytes encoding,
                                                                     const RecordId& id) {
  auto item = std::make_shared<Waiting>();
  item->record = std::move(record);
  item->encoding = std::move(encoding);
  item->id = id;
  const std::lock_guard guard(queue_mutex);
  if (queue.size() >= waiting_max) {
    return Error{ErrorCode::unavailable,
                 fmt::format("{} records wait already: try again later", waiting_max)};
  }
  queue.push_back(item);
  return item;
}

Result<SubmitOutcome> Ledger::Impl::wait_for(const std::shared_ptr<Impl::Waiting>& item) {
  {
    std::unique_lock guard(queue_mutex);
    while (!item->fate.outcome) {
      if (busy) {
        queue_changed.wait(guard);
      } else {
        // An error has been given to every record of the block, this one included.
        (void)lead(guard);
      }
    }
  }
  Result<SubmitOutcome>& outcome = *item->fate.outcome;
  // Turned away for its sequence number, or for a key that counts no more: perhaps it is a repetition of a
  // record that went through.
  const bool old = !outcome.ok() &&
                   (outcome.error().code == ErrorCode::conflict || outcome.error().code == ErrorCode::denied);
  if (old && !item->fate.on_chain) {
    if (auto earlier = known(item->id)) return std::move(*earlier);
  }
  return std::move(outcome);
}

Result<SubmitOutcome> Ledger::submit(ByteView encoded_record) {
  UFAB_TRY(impl_->check_producer());
  UFAB_ASSIGN(Record record, decode_record(encoded_record));
  // At the door, in the caller's thread: the signature, and whether it is an old acquaintance.
  if (!verify_record(chain_id(), record, encoded_record)) {
    return Error{ErrorCode::invalid, fmt::format("{}: the signature is wrong", describe_record(record))};
  }
  const RecordId id = record_id(encoded_record);
  bool used = false;
  with_state([&](const State& state) { used = record.sequence < state.next_sequence(record.signer); });
  if (used) {
    if (auto earlier = impl_->known(id)) return std::move(*earlier);
  }
  UFAB_ASSIGN(const std::shared_ptr<Impl::Waiting> item,
              impl_->enqueue(std::move(record), Bytes(encoded_record.begin(), encoded_record.end()), id));
  return impl_->wait_for(item);
}

Result<SubmitOutcome> Ledger::submit(const Record& record) {
  return submit(encode_record(record));
}

Result<SubmitOutcome> Ledger::sign_and_submit(const KeyPair& key, RecordBody body) {
  UFAB_TRY(impl_->check_producer());
  std::shared_ptr<Impl::Waiting> item;
  {
    const std::lock_guard guard(impl_->sign_mutex);
    const std::uint64_t sequence = impl_->next_sequence(key.public_key());
    const Record record = sign_record(chain_id(), key, sequence, impl_->options.now_us(), std::move(body));
    Bytes encoding = encode_record(record);
    const RecordId id = record_id(encoding);
    UFAB_ASSIGN(Record decoded, decode_record(encoding));  // bounds of the fields
    UFAB_ASSIGN(item, impl_->enqueue(std::move(decoded), std::move(encoding), id));
  }
  return impl_->wait_for(item);
}

Result<bool> Ledger::produce_if_due() {
  UFAB_TRY(impl_->check_producer());
  std::unique_lock guard(impl_->queue_mutex);
  if (impl_->busy) return false;
  {
    const std::shared_lock chain_guard(impl_->chain_mutex);
    UFAB_TRY(impl_->usable());
    const std::uint64_t due =
        impl_->chain().head().time_us + impl_->chain().state().params().block_interval_ms * 1000;
    if (impl_->queue.empty() && impl_->options.now_us() < due) return false;
  }
  UFAB_TRY(impl_->lead(guard));
  return true;
}

bool Ledger::is_producer() const {
  return impl_->check_producer().ok();
}

std::uint64_t Ledger::next_sequence(const PublicKey& key) const {
  return impl_->next_sequence(key);
}

}  // namespace ufab
