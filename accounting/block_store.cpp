#include "accounting/block_store.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "accounting/chain/preparation.h"
#include "fabric/base/parallel.h"

namespace ufab {

// As before the log's first block.
Status BlockStore::begin() {
  trail_.clear();
  if (snapshot_.empty()) {
    chain_ = Chain();
    first_ = 0;
    proof_.emplace(chain_);
    return {};
  }
  if (!prepared_) {
    SnapshotManifest manifest;
    UFAB_ASSIGN(Chain chain, open_snapshot(snapshot_, chain_id_, manifest));
    prepare(std::move(chain), std::move(manifest));
  }
  Prepared start = *std::exchange(prepared_, std::nullopt);
  chain_ = std::move(start.chain);
  first_ = chain_.head().height + 1;
  trail_.assign(start.manifest.checkpoint.trail.begin(), start.manifest.checkpoint.trail.end());
  trail_.push_back(chain_.head());
  proof_.emplace(chain_, std::move(start.manifest.checkpoint));
  return {};
}

void BlockStore::note(const AppliedBlock& applied) {
  if (proof_ && !proof_->visit(applied).ok()) proof_.reset();
  trail_.push_back(applied.block.header);
  const std::uint64_t window = chain_.state().params().enrolment.bench_window_blocks;
  while (trail_.size() > window + 1) trail_.pop_front();
}

Status BlockStore::replay(ByteView payload, AppliedBlock* applied) {
  UFAB_ASSIGN(Block block, decode_block(payload));
  UFAB_ASSIGN(AppliedBlock done, chain_.import(std::move(block), Signatures::checked));
  note(done);
  if (applied != nullptr) *applied = std::move(done);
  return {};
}

Status BlockStore::open() {
  std::unique_ptr<Index> opened_index;
  std::vector<IndexedBlock> uncertified;
  const auto take = [&](std::uint64_t, ByteView payload) -> Status {
    AppliedBlock applied;
    UFAB_TRY(replay(payload, &applied));
    const bool wants = wants_certificate(applied.block);
    uncertified.push_back(indexed_block(std::make_shared<AppliedBlock>(std::move(applied)), chain_.state()));
    if (wants) return {};
    std::vector<IndexedBlock> whole;
    whole.swap(uncertified);
    if (!options_.index || !snapshot_.empty()) return {};
    if (opened_index == nullptr) {
      UFAB_ASSIGN(opened_index, Index::open(path("index.sqlite"), chain_.state().chain_id()));
    }
    const auto indexed = opened_index->height();
    for (const IndexedBlock& item : whole) {
      if (indexed && *indexed >= item.block->block.header.height) continue;
      UFAB_TRY(add_to_index(*opened_index, item));
    }
    return {};
  };
  UFAB_TRY(begin());
  auto opened = SegmentLog::open(folder_, options_.segment_size_max, block_size_max, take);
  if (!opened.ok() && opened.error().code == ErrorCode::corrupt && options_.repair) {
    opened_index.reset();
    uncertified.clear();
    UFAB_TRY(repair(opened.error()));
    opened = SegmentLog::open(folder_, options_.segment_size_max, block_size_max, take);
  }
  UFAB_TRY(opened);
  log_ = std::move(*opened);
  if (!uncertified.empty()) {
    // Of blocks that became final together only a part was synced: nobody was told of them.
    UFAB_TRY(log_->cut(uncertified.front().block->block.header.height - first_));
    UFAB_TRY(rebuild());
  }
  if (opened_index == nullptr) return {};
  UFAB_TRY(opened_index->flush());
  if (opened_index->height() != chain_.head().height) {
    return Error{
        ErrorCode::corrupt,
        fmt::format("{}: the log ends at block {}, but the index knows block {}: the log lost its end",
                    options_.folder, chain_.head().height, *opened_index->height())};
  }
  index_ =
      std::make_unique<IndexWriter>(std::move(opened_index), [sync = later_sync()] { return sync->sync(); });
  return {};
}

// The log up to the damage stays, the index is made anew from it.
Status BlockStore::repair(const Error& why) {
  UFAB_TRY(begin());
  const std::string aside = path(fmt::format("damaged-{}", options_.now_us()).c_str());
  const auto take = [&](std::uint64_t, ByteView payload) { return replay(payload, nullptr); };
  UFAB_ASSIGN(const std::uint64_t whole, SegmentLog::salvage(folder_, block_size_max, take, aside));
  UFAB_TRY(begin());
  if (snapshot_.empty()) {
    for (const char* name : {"index.sqlite", "index.sqlite-wal", "index.sqlite-shm"}) {
      std::error_code error;
      std::filesystem::remove(path(name), error);
    }
    if (whole == 0) {
      return Error{ErrorCode::corrupt,
                   fmt::format("{}: not even block 0 can be read; join the chain anew. {}", options_.folder,
                               why.message)};
    }
  }
  if (options_.repaired) {
    options_.repaired(fmt::format(
        "the ledger's log was damaged ({}): what of it is before block {} is whole and stays, what "
        "followed is in {} and comes from the peers again",
        why.message, first_ + whole, aside));
  }
  return {};
}

Status BlockStore::rebuild() {
  Status status = begin();
  const auto take = [&](std::uint64_t, ByteView payload) { return replay(payload, nullptr); };
  SegmentLog::Scan scan;
  if (status.ok()) status = SegmentLog::scan(folder_, block_size_max, take, scan);
  if (!status.ok()) stopped_ = status.error();
  return status;
}

Result<Bytes> BlockStore::block(std::uint64_t height) const {
  UFAB_ASSERT(height >= first_);
  if (height > chain_.head().height)
    return Error{ErrorCode::not_found, fmt::format("block {}: the head is {}", height, chain_.head().height)};
  return log_->read(height - first_);
}

Result<std::vector<FinalityCheck>> BlockStore::final_part(std::span<const Block> blocks) const {
  std::vector<FinalityCheck> checks;
  std::size_t certified = 0;
  consensus::BlockRef place = chain_.place();
  for (const Block& block : blocks) {
    auto check = chain_.begin_finality(block, place);
    if (!check.ok() && certified == 0) return check.error();
    if (!check.ok()) break;  // those before it are final all the same
    checks.push_back(*std::move(check));
    if (!wants_certificate(block)) certified = checks.size();
    // The next list of validators is known after it.
    if (block.header.height % chain_.state().params().epoch_blocks == 0) break;
  }
  checks.resize(certified);
  return checks;
}

Status BlockStore::take_in(std::vector<PreparedBlock> blocks, Durable durable,
                           std::vector<IndexedBlock>& taken) {
  for (PreparedBlock& block : blocks) {
    auto applied = chain_.import(std::move(block));
    if (!applied.ok()) {
      if (chain_.broken() || !taken.empty()) UFAB_TRY(rebuild());
      return applied.error();
    }
    note(*applied);
    taken.push_back(indexed_block(std::make_shared<AppliedBlock>(*std::move(applied)), chain_.state()));
  }
  return store(taken, durable);
}

namespace {

// Blocks of one epoch, of which the last has a certificate. A block is checked in pieces, its votes are the
// last: whole blocks would leave processors without work at the end of each answer.
Status check_and_take_part(std::span<Block> blocks, const std::vector<FinalityCheck>& checks,
                           const std::function<Status(std::vector<PreparedBlock>)>& take) {
  std::vector<BlockPreparation> preparations;
  std::vector<Status> votes(blocks.size());
  std::vector<std::pair<std::size_t, std::size_t>> pieces;  // block, and piece of it
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    preparations.emplace_back(std::move(blocks[i]));
    for (std::size_t piece = 0; piece <= preparations[i].pieces(); ++piece) pieces.emplace_back(i, piece);
  }
  const consensus::Ed25519Scheme scheme;
  const auto is_last = [&](std::size_t at) {
    return pieces[at].second == preparations[pieces[at].first].pieces();
  };
  const auto check = [&](std::size_t at) {
    const auto [i, piece] = pieces[at];
    if (is_last(at))
      votes[i] = checks[i].run(preparations[i].block(), scheme);
    else
      preparations[i].work(piece);
  };
  Status status;
  std::vector<PreparedBlock> final_ones;
  in_parallel_in_order(pieces.size(), check, [&](std::size_t at) {
    if (!is_last(at)) return true;
    const std::size_t i = pieces[at].first;
    status = votes[i];
    if (!status.ok()) return false;
    const bool certified = !wants_certificate(preparations[i].block());
    final_ones.push_back(std::move(preparations[i]).finish());
    if (certified) status = take(std::exchange(final_ones, {}));
    return status.ok();
  });
  return status;
}

}  // namespace

Status check_and_take(
    std::vector<Block> blocks,
    const std::function<Result<std::vector<FinalityCheck>>(std::span<const Block>)>& final_part,
    const std::function<Status(std::vector<PreparedBlock>)>& take) {
  std::span<Block> waiting(blocks);
  for (bool first = true; !waiting.empty(); first = false) {
    UFAB_ASSIGN(const std::vector<FinalityCheck> checks, final_part(waiting));
    if (checks.empty()) {
      if (!first) return {};
      return Error{ErrorCode::unavailable,
                   fmt::format("block {}: the certificate that makes it final is missing",
                               waiting.back().header.height)};
    }
    UFAB_TRY(check_and_take_part(waiting.first(checks.size()), checks, take));
    waiting = waiting.subspan(checks.size());
  }
  return {};
}

Result<std::shared_ptr<AppliedBlock>> BlockStore::make(const std::vector<SubmittedRecord>& records,
                                                       const KeyPair& key) {
  auto made = std::make_shared<AppliedBlock>();
  *made = chain_.make(records, key, options_.now_us(), Signatures::checked);
  note(*made);
  UFAB_TRY(store({indexed_block(made, chain_.state())}, Durable::now));
  return made;
}

Status BlockStore::store(const std::vector<IndexedBlock>& blocks, Durable durable) {
  Status status;
  for (const IndexedBlock& item : blocks) {
    if (status.ok()) status = log_->put(encode_block(item.block->block));
  }
  if (status.ok() && durable == Durable::now) status = log_->sync();
  for (const IndexedBlock& item : blocks) {
    if (status.ok() && index_ != nullptr) status = index_->add(item);
  }
  if (!status.ok()) stopped_ = status.error();
  return status;
}

Result<ChainCheckpoint> BlockStore::prove_head() const {
  const std::uint64_t height = chain_.head().height;
  const ChainParams& params = chain_.state().params();
  if (height < first_ || height == 0 || height % params.epoch_blocks != 0)
    return Error{ErrorCode::not_found, fmt::format("block {} does not end an epoch", height)};
  if (!proof_) return Error{ErrorCode::limit, "a checkpoint of this chain would be too large"};
  audit::Collector proof = *proof_;
  UFAB_ASSIGN(ChainCheckpoint checkpoint, proof.finish());
  const std::uint64_t count = std::min<std::uint64_t>(height, params.enrolment.bench_window_blocks);
  UFAB_ASSERT(trail_.size() > count);
  checkpoint.trail.assign(trail_.end() - static_cast<std::ptrdiff_t>(count) - 1, trail_.end() - 1);
  return checkpoint;
}

}  // namespace ufab
