// Blocks that are final: from other nodes, and from the validators' consensus.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/ledger_impl.h"
#include "fabric/base/parallel.h"

namespace ufab {

namespace {

// Two nodes may have different certificates for one block.
bool same_block(ByteView here, const Block& other) {
  const auto block = decode_block(here);
  return block.ok() && encode_payload(*block) == encode_payload(other);
}

// What the chain says of the record at `position`.
Result<SubmitOutcome> outcome_at(const AppliedBlock& applied, std::size_t position, const RecordId& id) {
  if (const Refusal* refusal = refusal_of(applied, position); refusal != nullptr && refusal->record == id)
    return Error{static_cast<ErrorCode>(refusal->code), refusal->reason};
  SubmitOutcome outcome{id, applied.block.header.height, static_cast<std::uint32_t>(position), {}};
  for (std::size_t next = position + 1; next < applied.records.size(); ++next) {
    if (!record_type_derived(applied.records[next].type())) break;
    outcome.derived.push_back(applied.records[next]);
  }
  return outcome;
}

}  // namespace

Result<std::vector<Block>> Ledger::Impl::decode_blocks(const std::vector<Bytes>& encoded) {
  std::vector<Result<Block>> decoded(encoded.size(), Block());
  in_parallel(encoded.size(), [&](std::size_t i) { decoded[i] = decode_block(encoded[i]); });
  std::vector<Block> blocks;
  blocks.reserve(decoded.size());
  for (Result<Block>& block : decoded) {
    UFAB_TRY(block);
    blocks.push_back(*std::move(block));
  }
  return blocks;
}

Status Ledger::Impl::advance(std::vector<PreparedBlock> blocks) {
  std::vector<IndexedBlock> taken;
  Head fresh;
  {
    const std::unique_lock guard(chain_mutex);
    UFAB_TRY(usable());
    UFAB_TRY(store->take_in(std::move(blocks), Durable::soon, taken));
    fresh = {chain().head().height, chain().head_hash(), chain().head().time_us};
  }
  for (const IndexedBlock& item : taken) fulfil(*item.block);
  publish(fresh);
  return {};
}

Status Ledger::append_final(std::vector<Block> blocks) {
  std::vector<PreparedBlock> prepared;
  for (Block& block : blocks) prepared.push_back(prepare_block(std::move(block), Signatures::checked));
  UFAB_TRY(impl_->advance(std::move(prepared)));
  bool indexed = false;
  {
    const std::shared_lock guard(impl_->chain_mutex);
    indexed = impl_->store->index() != nullptr;
  }
  // The index has them synced before it commits; where there is none nobody else would.
  return indexed ? Status() : impl_->sync();
}

Status Ledger::Impl::sync() const {
  std::shared_ptr<LogSync> log;
  {
    const std::shared_lock guard(chain_mutex);
    UFAB_TRY(usable());
    log = store->later_sync();
  }
  return log->sync();
}

Status Ledger::sync() {
  return impl_->sync();
}

Status Ledger::import_block(ByteView encoded_block) {
  return import_blocks({Bytes(encoded_block.begin(), encoded_block.end())});
}

Result<std::vector<Block>> Ledger::Impl::news_of(std::vector<Block> blocks) const {
  std::uint64_t present = 0;
  {
    const std::shared_lock guard(chain_mutex);
    UFAB_TRY(usable());
    present = chain().head().height;
  }
  std::size_t old = 0;
  for (; old < blocks.size() && blocks[old].header.height <= present; ++old) {
    const auto here = block(blocks[old].header.height);
    // Not there to compare yet: before the snapshot that the ledger began with.
    if (!here.ok() && here.error().code == ErrorCode::unavailable) continue;
    UFAB_TRY(here);
    if (!same_block(*here, blocks[old])) {
      return Error{ErrorCode::conflict,
                   fmt::format("block {}: another block is here at this height", blocks[old].header.height)};
    }
  }
  blocks.erase(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(old));
  if (!blocks.empty() && blocks.front().header.height > present + 1) {
    return Error{ErrorCode::not_found, fmt::format("block {}: block {} is needed first",
                                                   blocks.front().header.height, present + 1)};
  }
  return blocks;
}

Status Ledger::import_blocks(const std::vector<Bytes>& encoded_blocks) {
  UFAB_ASSIGN(std::vector<Block> blocks, Impl::decode_blocks(encoded_blocks));
  UFAB_ASSIGN(blocks, impl_->news_of(std::move(blocks)));
  const Status taken = check_and_take(
      std::move(blocks),
      [this](std::span<const Block> waiting) {
        const std::shared_lock guard(impl_->chain_mutex);
        return impl_->store->final_part(waiting);
      },
      [this](std::vector<PreparedBlock> next) { return impl_->advance(std::move(next)); });
  UFAB_TRY(impl_->sync());
  return taken;
}

std::unique_ptr<Ledger::Expectation> Ledger::expect(const RecordId& id) {
  std::unique_ptr<Expectation> expectation(new Expectation(*impl_, id));
  const std::lock_guard guard(impl_->expected_mutex);
  impl_->expected.emplace(id, expectation.get());
  return expectation;
}

std::optional<Result<SubmitOutcome>> Ledger::outcome_of(const RecordId& id) const {
  return impl_->known(id);
}

Ledger::Expectation::~Expectation() {
  const std::lock_guard guard(ledger_.expected_mutex);
  const auto [first, last] = ledger_.expected.equal_range(id_);
  const auto own = std::find_if(first, last, [this](const auto& item) { return item.second == this; });
  if (own != last) ledger_.expected.erase(own);
}

std::optional<Result<SubmitOutcome>> Ledger::Expectation::wait(std::uint64_t timeout_ms) {
  std::unique_lock guard(ledger_.expected_mutex);
  decided_.wait_for(guard, std::chrono::milliseconds(timeout_ms), [this] { return outcome_.has_value(); });
  return outcome_;
}

void Ledger::turn_away(const RecordId& id, const Error& why) {
  impl_->tell(id, why);
}

void Ledger::Impl::tell(const RecordId& id, const Result<SubmitOutcome>& outcome) {
  const std::lock_guard guard(expected_mutex);
  const auto [first, last] = expected.equal_range(id);
  for (auto item = first; item != last; ++item) {
    item->second->outcome_.emplace(outcome);
    item->second->decided_.notify_one();  // under the lock: it may end as soon as it is let go
  }
  expected.erase(first, last);
}

void Ledger::Impl::fulfil(const AppliedBlock& applied) {
  {
    const std::lock_guard guard(expected_mutex);
    if (expected.empty()) return;
  }
  for (std::size_t i = 0; i < applied.block.records.size(); ++i) {
    if (record_type_derived(applied.records[i].type())) continue;
    const RecordId id = record_id(applied.block.records[i]);
    tell(id, outcome_at(applied, i, id));
  }
}

}  // namespace ufab
