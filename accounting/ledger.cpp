#include "accounting/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "accounting/ledger_impl.h"
#include "fabric/base/clock.h"

namespace ufab {

namespace {

constexpr std::size_t listeners_max = 16;

}  // namespace

Status Ledger::Impl::usable() const {
  if (store->stopped()) return store->stopped()->within("the ledger has stopped");
  return {};
}

void Ledger::Impl::publish(const Head& fresh) {
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

std::optional<Result<SubmitOutcome>> Ledger::Impl::known(const RecordId& id) {
  const std::shared_lock guard(chain_mutex);
  if (store->index() == nullptr) return std::nullopt;
  const auto place = store->index()->find_record(id);
  if (!place.ok()) return Result<SubmitOutcome>(place.error());
  if (!place->has_value()) return std::nullopt;
  const RecordPlace at = **place;
  const auto bytes = store->block(at.height);
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

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(LedgerOptions options, const KeyPair* validator) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  if (!impl->options.now_us) impl->options.now_us = now_us;
  if (!file_exists(impl->path("log"))) {
    return Error{ErrorCode::not_found, fmt::format("{}: there is no ledger", impl->options.folder)};
  }
  UFAB_ASSIGN(impl->lock, FileLock::acquire(impl->path("lock")));
  UFAB_TRY(impl->open());
  if (impl->chain().empty()) {
    return Error{ErrorCode::not_found, fmt::format("{}: the ledger has no genesis", impl->options.folder)};
  }
  impl->head = {impl->chain().head().height, impl->chain().head_hash(), impl->chain().head().time_us};
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(impl)));
  if (validator != nullptr) UFAB_TRY(ledger->use_key(validator->copy()));
  return ledger;
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
  if (!options.now_us) options.now_us = now_us;
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

Result<Bytes> Ledger::block(std::uint64_t height) const {
  return impl_->block(height);
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
  return impl_->chain().state().chain_id();
}

void Ledger::with_state(const std::function<void(const State&)>& read) const {
  with_chain([&](const Chain& chain) { read(chain.state()); });
}

void Ledger::with_chain(const std::function<void(const Chain&)>& read) const {
  const std::shared_lock guard(impl_->chain_mutex);
  read(impl_->chain());
}

}  // namespace ufab
