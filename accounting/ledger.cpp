#include "accounting/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <shared_mutex>

#include "accounting/chain/chain.h"
#include "accounting/index/writer.h"
#include "accounting/log/segment_log.h"

namespace ufab {

namespace {

constexpr std::size_t waiting_max = 65536;  // records waiting for a block; more are turned away
constexpr std::size_t listeners_max = 16;

std::uint64_t system_now_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

// What became of a record.
struct Fate {
  std::optional<Result<SubmitOutcome>> outcome;  // set when done
  bool on_chain = false;
};

struct Waiting {
  Record record;
  Bytes encoding;  // of the record; like its body, in the block once it stands on the chain
  RecordId id;
  Fate fate;  // under the queue lock
};

}  // namespace

struct Ledger::Impl {
  LedgerOptions options;
  std::optional<FileLock> lock;
  std::optional<KeyPair> key;  // the producer's

  // Lock order: sign_mutex, then queue_mutex, then chain_mutex, then head_mutex; never the other way.
  std::mutex sign_mutex;
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  std::deque<std::shared_ptr<Waiting>> queue;
  std::vector<std::shared_ptr<Waiting>> making;  // in the block that is being made
  bool busy = false;                             // somebody makes a block

  mutable std::shared_mutex chain_mutex;
  Chain chain;
  std::optional<SegmentLog> log;
  std::unique_ptr<IndexWriter> index;  // none if options.index is false
  std::optional<Error> stopped;

  mutable std::mutex head_mutex;
  mutable std::condition_variable head_changed;
  Head head;
  std::vector<std::function<void(const Head&)>> listeners;

  [[nodiscard]] std::string path(const char* name) const { return options.folder + "/" + name; }

  // ---- All below: chain_mutex held exclusively. ----

  // Replays the log into the state, and into the index what that has missed.
  [[nodiscard]] Status open_log() {
    std::unique_ptr<Index> opened_index;
    const auto replay = [&](std::uint64_t, ByteView payload) -> Status {
      UFAB_ASSIGN(Block block, decode_block(payload));
      UFAB_ASSIGN(AppliedBlock applied, chain.import(std::move(block), Signatures::checked));
      if (!options.index) return {};
      if (opened_index == nullptr) {
        UFAB_ASSIGN(opened_index, Index::open(path("index.sqlite"), chain.state().chain_id()));
      }
      const auto indexed = opened_index->height();
      if (indexed && *indexed >= applied.block.header.height) return {};
      return add_to_index(*opened_index,
                          indexed_block(std::make_shared<AppliedBlock>(std::move(applied)), chain.state()));
    };
    UFAB_ASSIGN(SegmentLog opened,
                SegmentLog::open(path("log"), options.segment_size_max, block_size_max, replay));
    log = std::move(opened);
    if (opened_index == nullptr) return {};
    UFAB_TRY(opened_index->flush());
    if (opened_index->height() != chain.head().height) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("{}: the log ends at block {}, but the index knows block {}: the log lost its end",
                      options.folder, chain.head().height, *opened_index->height())};
    }
    index = std::make_unique<IndexWriter>(std::move(opened_index));
    return {};
  }

  // Log first, index second: what the index misses it gets from the log.
  [[nodiscard]] Status store(std::shared_ptr<const AppliedBlock> applied, ByteView encoding) {
    Status status = log->append(encoding);
    if (status.ok() && index != nullptr)
      status = index->add(indexed_block(std::move(applied), chain.state()));
    if (!status.ok()) stopped = status.error();
    return status;
  }

  [[nodiscard]] Status usable() const {
    if (stopped) return stopped->within("the ledger has stopped");
    return {};
  }

  // After a block that turned out bad half way: the log has the state as it was.
  [[nodiscard]] Status rebuild_chain() {
    chain = Chain();
    const auto replay = [&](std::uint64_t, ByteView payload) -> Status {
      UFAB_ASSIGN(Block block, decode_block(payload));
      UFAB_TRY(chain.import(std::move(block), Signatures::checked));
      return {};
    };
    SegmentLog::Scan scan;
    Status status = SegmentLog::scan(path("log"), block_size_max, replay, scan);
    if (!status.ok()) stopped = status.error();
    return status;
  }

  // ---- Locks nothing held. ----

  void publish(const Head& fresh) {
    std::vector<std::function<void(const Head&)>> calls;
    {
      const std::lock_guard guard(head_mutex);
      if (fresh.height < head.height) return;
      head = fresh;
      calls = listeners;
    }
    head_changed.notify_all();
    for (const auto& call : calls) call(fresh);
  }

  // Makes one block from `batch`. The fates are returned apart, because those of the batch belong to the
  // queue lock, which is not held here. Precondition: the caller has set `busy`.
  [[nodiscard]] Status make_block(const std::vector<std::shared_ptr<Waiting>>& batch,
                                  std::vector<Fate>& fates) {
    fates.resize(batch.size());
    std::vector<SubmittedRecord> records;
    records.reserve(batch.size());
    for (const auto& item : batch) records.push_back({&item->record, &item->encoding, item->id});
    Head fresh;
    {
      const std::unique_lock guard(chain_mutex);
      Status status = usable();
      auto made = std::make_shared<AppliedBlock>();
      const State& state = chain.state();
      if (status.ok() && (state.by_vote() || state.producer(0).key != key->public_key())) {
        status =
            Error{ErrorCode::denied, "the validator's key has changed: open the ledger with the new one"};
      }
      if (status.ok()) {
        *made = chain.make(records, *key, options.now_us(), Signatures::checked);
        status = store(made, encode_block(made->block));
      }
      if (!status.ok()) {
        for (Fate& fate : fates) fate.outcome.emplace(status.error());
        return status;
      }
      fresh = {made->block.header.height, chain.head_hash(), made->block.header.time_us};
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

  // Takes the queue and makes a block of it; what found no room goes back to its front. Needs the queue lock.
  Status lead(std::unique_lock<std::mutex>& guard) {
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

  // A record that is on the chain already, with the outcome it had.
  [[nodiscard]] std::optional<Result<SubmitOutcome>> known(const RecordId& id) {
    const std::shared_lock guard(chain_mutex);
    if (index == nullptr) return std::nullopt;
    const auto place = index->find_record(id);
    if (!place.ok()) return Result<SubmitOutcome>(place.error());
    if (!place->has_value()) return std::nullopt;
    const RecordPlace at = **place;
    const auto bytes = log->read(at.height);
    if (!bytes.ok()) return Result<SubmitOutcome>(bytes.error());
    const auto block = decode_block(*bytes);
    if (!block.ok()) return Result<SubmitOutcome>(block.error());
    if (at.position + 1 < block->records.size()) {
      const auto next = decode_record(block->records[at.position + 1]);
      const auto* refusal = next.ok() ? std::get_if<Refusal>(&next->body) : nullptr;
      if (refusal != nullptr && refusal->record == id) {
        return Result<SubmitOutcome>(Error{static_cast<ErrorCode>(refusal->code), refusal->reason});
      }
    }
    return Result<SubmitOutcome>(SubmitOutcome{id, at.height, at.position, {}});
  }

  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& signer) {
    std::uint64_t next = 0;
    const std::lock_guard queue_guard(queue_mutex);
    {
      const std::shared_lock guard(chain_mutex);
      next = chain.state().next_sequence(signer);
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

  [[nodiscard]] Result<std::shared_ptr<Waiting>> enqueue(Record record, Bytes encoding, const RecordId& id) {
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

  [[nodiscard]] Result<SubmitOutcome> wait_for(const std::shared_ptr<Waiting>& item) {
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
    const bool old = !outcome.ok() && (outcome.error().code == ErrorCode::conflict ||
                                       outcome.error().code == ErrorCode::denied);
    if (old && !item->fate.on_chain) {
      if (auto earlier = known(item->id)) return std::move(*earlier);
    }
    return std::move(outcome);
  }
};

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;

namespace {

Error not_the_producer() {
  return {ErrorCode::denied, "this node is not the producer: submit to the validator's node"};
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(LedgerOptions options, const KeyPair* validator) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  if (!impl->options.now_us) impl->options.now_us = system_now_us;
  if (!file_exists(impl->path("log"))) {
    return Error{ErrorCode::not_found, fmt::format("{}: there is no ledger", impl->options.folder)};
  }
  UFAB_ASSIGN(impl->lock, FileLock::acquire(impl->path("lock")));
  UFAB_TRY(impl->open_log());
  if (impl->chain.empty()) {
    return Error{ErrorCode::not_found, fmt::format("{}: the ledger has no genesis", impl->options.folder)};
  }
  if (validator != nullptr) {
    const State& state = impl->chain.state();
    if (state.by_vote() || state.producer(0).key != validator->public_key()) {
      return Error{ErrorCode::denied, "the key given is not the validator's"};
    }
    impl->key = validator->copy();
  }
  impl->head = {impl->chain.head().height, impl->chain.head_hash(), impl->chain.head().time_us};
  return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

namespace {

// A log that holds nothing (it was just made, or its founder died) can be founded.
Status check_empty_folder(const LedgerOptions& options) {
  UFAB_TRY(make_folders(options.folder));
  UFAB_TRY(make_folders(options.folder + "/log"));
  SegmentLog::Scan scan;
  UFAB_TRY(SegmentLog::scan(
      options.folder + "/log", block_size_max, [](std::uint64_t, ByteView) { return Status{}; }, scan));
  if (scan.entries == 0) return {};
  return Error{ErrorCode::conflict, fmt::format("{}: there is a ledger already", options.folder)};
}

// Writes block 0 under the folder's lock.
Status write_first_block(const LedgerOptions& options, ByteView block) {
  UFAB_ASSIGN(const FileLock lock, FileLock::acquire(options.folder + "/lock"));
  UFAB_TRY(check_empty_folder(options));
  UFAB_ASSIGN(SegmentLog log,
              SegmentLog::open(options.folder + "/log", options.segment_size_max, block_size_max,
                               [](std::uint64_t, ByteView) { return Status{}; }));
  return log.append(block);
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::create(LedgerOptions options, const KeyPair& validator,
                                               const Genesis& genesis) {
  if (!options.now_us) options.now_us = system_now_us;
  UFAB_TRY(make_folders(options.folder));
  Chain chain;
  UFAB_ASSIGN(const AppliedBlock made, Chain::make_genesis(chain, validator, genesis, options.now_us()));
  UFAB_TRY(write_first_block(options, encode_block(made.block)));
  return open(std::move(options), &validator);
}

Result<std::unique_ptr<Ledger>> Ledger::join(LedgerOptions options, ByteView genesis_block) {
  UFAB_TRY(make_folders(options.folder));
  UFAB_ASSIGN(Block block, decode_block(genesis_block));
  Chain chain;
  UFAB_TRY(chain.import(std::move(block)));
  UFAB_TRY(write_first_block(options, genesis_block));
  return open(std::move(options));
}

Result<SubmitOutcome> Ledger::submit(ByteView encoded_record) {
  if (!impl_->key) return not_the_producer();
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
  UFAB_ASSIGN(const std::shared_ptr<Waiting> item,
              impl_->enqueue(std::move(record), Bytes(encoded_record.begin(), encoded_record.end()), id));
  return impl_->wait_for(item);
}

Result<SubmitOutcome> Ledger::submit(const Record& record) {
  return submit(encode_record(record));
}

Result<SubmitOutcome> Ledger::sign_and_submit(const KeyPair& key, RecordBody body) {
  if (!impl_->key) return not_the_producer();
  std::shared_ptr<Waiting> item;
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
  if (!impl_->key) return not_the_producer();
  std::unique_lock guard(impl_->queue_mutex);
  if (impl_->busy) return false;
  {
    const std::shared_lock chain_guard(impl_->chain_mutex);
    UFAB_TRY(impl_->usable());
    const std::uint64_t due =
        impl_->chain.head().time_us + impl_->chain.state().params().block_interval_ms * 1000;
    if (impl_->queue.empty() && impl_->options.now_us() < due) return false;
  }
  UFAB_TRY(impl_->lead(guard));
  return true;
}

Status Ledger::import_block(ByteView encoded_block) {
  UFAB_ASSIGN(Block block, decode_block(encoded_block));
  Head fresh;
  {
    const std::unique_lock guard(impl_->chain_mutex);
    UFAB_TRY(impl_->usable());
    const std::uint64_t height = block.header.height;
    const std::uint64_t present = impl_->chain.head().height;
    if (height <= present) {
      UFAB_ASSIGN(const Bytes here, impl_->log->read(height));
      if (std::equal(here.begin(), here.end(), encoded_block.begin(), encoded_block.end())) return {};
      return Error{ErrorCode::conflict,
                   fmt::format("block {}: another block is here at this height", height)};
    }
    if (height > present + 1) {
      return Error{ErrorCode::not_found,
                   fmt::format("block {}: block {} is needed first", height, present + 1)};
    }
    auto applied = impl_->chain.import(std::move(block));
    if (!applied.ok()) {
      if (impl_->chain.broken()) UFAB_TRY(impl_->rebuild_chain());
      return applied.error();
    }
    UFAB_TRY(impl_->store(std::make_shared<AppliedBlock>(std::move(*applied)), encoded_block));
    fresh = {height, impl_->chain.head_hash(), impl_->chain.head().time_us};
  }
  impl_->publish(fresh);
  return {};
}

Result<Bytes> Ledger::block(std::uint64_t height) const {
  const std::shared_lock guard(impl_->chain_mutex);
  UFAB_TRY(impl_->usable());
  if (height > impl_->chain.head().height) {
    return Error{ErrorCode::not_found,
                 fmt::format("block {}: the head is {}", height, impl_->chain.head().height)};
  }
  return impl_->log->read(height);
}

Head Ledger::head() const {
  const std::lock_guard guard(impl_->head_mutex);
  return impl_->head;
}

Head Ledger::wait_for_block(std::uint64_t height, std::uint64_t timeout_ms) const {
  std::unique_lock guard(impl_->head_mutex);
  impl_->head_changed.wait_for(guard, std::chrono::milliseconds(timeout_ms),
                               [&] { return impl_->head.height > height; });
  return impl_->head;
}

void Ledger::on_block(std::function<void(const Head&)> listener) {
  const std::lock_guard guard(impl_->head_mutex);
  UFAB_ASSERT(impl_->listeners.size() < listeners_max);
  impl_->listeners.push_back(std::move(listener));
}

Digest Ledger::chain_id() const {
  const std::shared_lock guard(impl_->chain_mutex);
  return impl_->chain.state().chain_id();
}

bool Ledger::is_producer() const {
  return impl_->key.has_value();
}

std::uint64_t Ledger::next_sequence(const PublicKey& key) const {
  return impl_->next_sequence(key);
}

void Ledger::with_state(const std::function<void(const State&)>& read) const {
  const std::shared_lock guard(impl_->chain_mutex);
  read(impl_->chain.state());
}

}  // namespace ufab
