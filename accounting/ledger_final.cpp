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

Status Ledger::Impl::take_in(std::vector<PreparedBlock> blocks, Durable durable,
                             std::vector<IndexedBlock>& taken) {
  for (PreparedBlock& block : blocks) {
    auto applied = chain.import(std::move(block));
    if (!applied.ok()) {
      if (chain.broken() || !taken.empty()) UFAB_TRY(rebuild_chain());
      return applied.error();
    }
    taken.push_back(indexed_block(std::make_shared<AppliedBlock>(*std::move(applied)), chain.state()));
  }
  return store(taken, durable);
}

Status Ledger::Impl::advance(std::vector<PreparedBlock> blocks, Durable durable) {
  std::vector<IndexedBlock> taken;
  Head fresh;
  {
    const std::unique_lock guard(chain_mutex);
    UFAB_TRY(usable());
    UFAB_TRY(take_in(std::move(blocks), durable, taken));
    fresh = {chain.head().height, chain.head_hash(), chain.head().time_us};
  }
  for (const IndexedBlock& item : taken) fulfil(*item.block);
  publish(fresh);
  return {};
}

Status Ledger::append_final(std::vector<Block> blocks) {
  std::vector<PreparedBlock> prepared;
  for (Block& block : blocks) prepared.push_back(prepare_block(std::move(block), Signatures::checked));
  return impl_->advance(std::move(prepared), Durable::soon);
}

Status Ledger::sync() {
  std::shared_ptr<FileSync> file;
  {
    const std::shared_lock guard(impl_->chain_mutex);
    UFAB_TRY(impl_->usable());
    file = impl_->log->later_sync();
  }
  return file->sync();
}

Result<std::vector<Block>> Ledger::Impl::news_of(std::vector<Block> blocks) const {
  const std::shared_lock guard(chain_mutex);
  UFAB_TRY(usable());
  const std::uint64_t present = chain.head().height;
  std::size_t old = 0;
  for (; old < blocks.size() && blocks[old].header.height <= present; ++old) {
    const std::uint64_t height = blocks[old].header.height;
    UFAB_ASSIGN(const Bytes here, log->read(height));
    if (!same_block(here, blocks[old])) {
      return Error{ErrorCode::conflict, fmt::format("block {}: another block is here at this height", height)};
    }
  }
  blocks.erase(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(old));
  if (!blocks.empty() && blocks.front().header.height > present + 1) {
    return Error{ErrorCode::not_found, fmt::format("block {}: block {} is needed first",
                                                   blocks.front().header.height, present + 1)};
  }
  return blocks;
}

Result<std::vector<PreparedBlock>> Ledger::Impl::next_final(std::deque<PreparedBlock>& blocks) const {
  std::vector<FinalityCheck> checks;
  std::size_t final_blocks = 0;
  {
    const std::shared_lock guard(chain_mutex);
    consensus::BlockRef place = chain.place();
    const std::uint64_t length = chain.state().params().epoch_blocks;
    for (const PreparedBlock& prepared : blocks) {
      auto check = chain.begin_finality(prepared.block, place);
      // Those before it may still be taken in.
      if (!check.ok() && final_blocks == 0) return check.error();
      if (!check.ok()) break;
      checks.push_back(*std::move(check));
      if (!wants_certificate(prepared.block)) final_blocks = checks.size();
      if (prepared.block.header.height % length == 0) break;  // the next list of validators is known then
    }
  }
  std::vector<Status> statuses(final_blocks);
  const consensus::Ed25519Scheme scheme;
  in_parallel(final_blocks, [&](std::size_t i) { statuses[i] = checks[i].run(blocks[i].block, scheme); });
  for (const Status& status : statuses) UFAB_TRY(status);
  std::vector<PreparedBlock> next;
  for (std::size_t i = 0; i < final_blocks; ++i) {
    next.push_back(std::move(blocks.front()));
    blocks.pop_front();
  }
  return next;
}

Status Ledger::import_block(ByteView encoded_block) {
  return import_blocks({Bytes(encoded_block.begin(), encoded_block.end())});
}

Status Ledger::import_blocks(const std::vector<Bytes>& encoded_blocks) {
  std::vector<Block> decoded;
  for (const Bytes& encoded : encoded_blocks) {
    UFAB_ASSIGN(Block block, decode_block(encoded));
    decoded.push_back(std::move(block));
  }
  UFAB_ASSIGN(std::vector<Block> fresh, impl_->news_of(std::move(decoded)));
  std::deque<PreparedBlock> blocks(fresh.size());
  in_parallel(fresh.size(), [&](std::size_t i) { blocks[i] = prepare_block(std::move(fresh[i])); });
  for (bool first = true; !blocks.empty(); first = false) {
    const std::uint64_t height = blocks.back().block.header.height;
    UFAB_ASSIGN(std::vector<PreparedBlock> next, impl_->next_final(blocks));
    if (next.empty()) {
      if (!first) return {};
      return Error{ErrorCode::unavailable,
                   fmt::format("block {}: the certificate that makes it final is missing", height)};
    }
    UFAB_TRY(impl_->advance(std::move(next), Durable::now));
  }
  return {};
}

std::unique_ptr<Ledger::Expectation> Ledger::expect(const RecordId& id) {
  std::unique_ptr<Expectation> expectation(new Expectation(*impl_, id));
  {
    const std::lock_guard guard(impl_->expected_mutex);
    impl_->expected.emplace(id, expectation.get());
  }
  // It may have become final before anybody expected it.
  if (const auto outcome = impl_->known(id)) impl_->tell(id, *outcome);
  return expectation;
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
