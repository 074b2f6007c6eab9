#include "accounting/chain/chain.h"

#include <fmt/format.h>

#include <iterator>

#include "accounting/chain/preparation.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

static_assert(seats_limit == consensus::validators_max);

// Signed records stop being added here, so that what they derive still fits in block_size_max.
constexpr std::size_t signed_size_max = 4U << 20;
constexpr std::size_t signed_count_max = 4096;
// Some milliseconds of checking signatures.
constexpr std::size_t piece_records = 64;

Error in_block(std::uint64_t height, std::size_t position, const char* type, const std::string& why) {
  return {ErrorCode::corrupt, fmt::format("block {} record {} ({}): {}", height, position, type, why)};
}

Error in_block(std::uint64_t height, const std::string& why) {
  return {ErrorCode::corrupt, fmt::format("block {}: {}", height, why)};
}

void add_record(AppliedBlock& to, const RecordId& id, Record record, Bytes encoding,
                std::vector<Movement> movements) {
  to.ids.push_back(id);
  to.records.push_back(std::move(record));
  to.block.records.push_back(std::move(encoding));
  to.movements.push_back(std::move(movements));
}

void add_derived(AppliedBlock& to, const std::vector<Record>& derived) {
  for (const Record& record : derived) {
    Bytes encoding = encode_record(record);
    const RecordId id = record_id(encoding);
    add_record(to, id, record, std::move(encoding), {});
  }
}

}  // namespace

const Refusal* refusal_of(const AppliedBlock& applied, std::size_t position) {
  if (position + 1 >= applied.records.size()) return nullptr;
  return std::get_if<Refusal>(&applied.records[position + 1].body);
}

// After a block: it is the head, and an epoch may have begun with it.
void Chain::move_head(const BlockHeader& header, const std::optional<Finality>& finality) {
  head_ = header;
  head_hash_ = block_hash(header);
  begun_ = true;
  broken_ = false;
  if (finality) {
    const consensus::Header& last = finality->last();
    place_ = {last.view, last.height, consensus::header_digest(last)};
  }
  if (header.height % state_.params().epoch_blocks != 0) return;
  epoch_ = nullptr;
  // A vote's epoch is followed by its last proposal, seals apart.
  place_ = {0, header.height, finality ? consensus::header_digest(finality->proposal.header) : head_hash_};
  if (!state_.by_vote()) return;
  auto set = validators_of(state_.seats());
  UFAB_ASSERT(set.ok());
  consensus::LeaderSchedule leader = consensus::weighted_leaders(state_.epoch_seed(), *set);
  epoch_ = std::make_shared<const consensus::Epoch>(
      consensus::Epoch{state_.chain_id(), state_.epoch(), *std::move(set), std::move(leader), place_,
                       header.height + state_.params().epoch_blocks});
}

Chain Chain::resume(State state, const BlockHeader& head, const std::optional<Finality>& finality) {
  UFAB_ASSERT(state.chain_id() == head.chain_id && state.height() == head.height);
  UFAB_ASSERT(head.height % state.params().epoch_blocks == 0 && (head.view != 0) == finality.has_value());
  Chain chain;
  chain.state_ = std::move(state);
  chain.move_head(head, finality);
  return chain;
}

void Chain::seal(AppliedBlock& made, const KeyPair& key, const BlockContext& context) {
  BlockHeader& header = made.block.header;
  header.chain_id = state_.chain_id();
  header.height = context.height;
  header.previous = context.previous;
  header.time_us = context.time_us;
  header.view = context.view;
  header.state_root = state_.end_block();
  header.epoch = state_.epoch();
  header.record_count = static_cast<std::uint32_t>(made.block.records.size());
  header.record_root = merkle::root(record_leaves(made.block.records));
  header.producer = context.producer;
  header.producer_key = key.public_key();
  header.signature = key.sign(header_signing_digest(header).view());
  UFAB_ASSERT(made.block.records.size() <= block_records_max);
  move_head(header, made.block.finality);
}

Result<AppliedBlock> Chain::make_genesis(Chain& chain, const KeyPair& key, const Genesis& genesis,
                                         std::uint64_t time_us) {
  UFAB_ASSERT(chain.empty());
  const Record record = sign_record({}, key, 1, time_us, genesis);
  UFAB_TRY(decode_record(encode_record(record)));  // bounds of the fields
  AppliedBlock made;
  const BlockContext context{0, time_us, {}, 0, founder};
  UFAB_ASSIGN(Applied applied, chain.state_.apply_genesis(record, context));
  add_record(made, record_id(record), record, encode_record(record), std::move(applied.movements));
  chain.seal(made, key, context);
  return made;
}

AppliedBlock Chain::make(const std::vector<Record>& records, const KeyPair& key, std::uint64_t time_us,
                         Signatures signatures, std::uint64_t view) {
  std::vector<Record> copies = records;
  std::vector<Bytes> encodings;
  std::vector<SubmittedRecord> submitted;
  encodings.reserve(records.size());
  for (Record& record : copies) {
    Bytes& encoding = encodings.emplace_back(encode_record(record));
    submitted.push_back({&record, &encoding, record_id(encoding)});
  }
  return make(submitted, key, time_us, signatures, view);
}

AppliedBlock Chain::make(const std::vector<SubmittedRecord>& records, const KeyPair& key,
                         std::uint64_t time_us, Signatures signatures, std::uint64_t view) {
  UFAB_ASSERT(begun_ && !broken_);
  const State::Producer producer = state_.producer(view);
  UFAB_ASSERT(producer.key == key.public_key() && (view != 0) == state_.by_vote());
  const BlockContext context{head_.height + 1, std::max(time_us, head_.time_us), head_hash_, view,
                             producer.organisation};
  AppliedBlock made;
  Applied start = state_.begin_block(context);
  add_derived(made, start.derived);
  made.start_movements = std::move(start.movements);
  std::size_t size = 0;
  std::size_t count = 0;
  for (const SubmittedRecord& submitted : records) {
    Record& record = *submitted.record;
    const ByteView encoding = *submitted.encoding;
    RecordOutcome& outcome = made.outcomes.emplace_back();
    outcome.id = submitted.id;
    if (size + encoding.size() > signed_size_max || count >= signed_count_max) {
      outcome.status = Error{ErrorCode::unavailable, "the block is full"};
      continue;
    }
    outcome.status = state_.admissible(record);
    if (outcome.status.ok() && signatures == Signatures::check &&
        !verify_record(state_.chain_id(), record, encoding)) {
      outcome.status =
          Error{ErrorCode::invalid, fmt::format("{}: the signature is wrong", describe_record(record))};
    }
    if (!outcome.status.ok()) continue;
    size += encoding.size();
    ++count;
    auto applied = state_.apply(record);
    if (!applied.ok()) {
      outcome.status = applied.error();
      applied = state_.refuse(record, outcome.id, applied.error());
    }
    outcome.on_chain = true;
    outcome.position = static_cast<std::uint32_t>(made.records.size());
    outcome.derived = applied->derived;
    add_record(made, outcome.id,
               {record.signer, record.sequence, record.time_us, std::move(record.body), record.signature},
               std::move(*submitted.encoding), std::move(applied->movements));
    add_derived(made, applied->derived);
  }
  seal(made, key, context);
  return made;
}

Status Chain::check_header(const BlockHeader& header) const {
  const std::uint64_t height = head_.height + 1;
  if (header.height != height)
    return in_block(height, fmt::format("its header says block {}", header.height));
  if (header.chain_id != state_.chain_id()) return in_block(height, "it belongs to another chain");
  if (header.previous != head_hash_) return in_block(height, "it does not follow the block before it");
  if (header.time_us < head_.time_us)
    return in_block(height, "its time is before that of the block before it");
  if ((header.view != 0) != state_.by_vote()) return in_block(height, "its view is wrong");
  // Views are counted anew in each epoch of the consensus, whose first block follows its anchor.
  if (epoch_ != nullptr && height > epoch_->anchor.height + 1 && header.view <= head_.view)
    return in_block(height, "its view is not after that of the block before it");
  const State::Producer producer = state_.producer(header.view);
  if (header.producer != producer.organisation || header.producer_key != producer.key)
    return in_block(height, "its producer is not the validator whose turn it is");
  return {};
}

Result<AppliedBlock> Chain::import_genesis(Block block, Signatures signatures) {
  const BlockHeader& header = block.header;
  if (header.height != 0 || block.records.size() != 1 || header.record_count != 1) {
    return in_block(0, "expected block 0 with one record, the genesis");
  }
  auto record = decode_record(block.records[0]);
  if (!record.ok()) return in_block(0, 0, "?", record.error().message);
  if (signatures == Signatures::check && !verify_record({}, *record))
    return in_block(0, 0, "genesis", "the signature is wrong");
  auto applied = state_.apply_genesis(*record, {0, header.time_us, {}, 0, founder});
  if (!applied.ok()) return in_block(0, 0, record_type_name(record->type()), applied.error().message);
  broken_ = true;
  if (header.chain_id != state_.chain_id()) return in_block(0, "its chain id is not that of its genesis");
  if (!header.previous.is_zero()) return in_block(0, "block 0 follows nothing");
  if (header.producer != founder || header.producer_key != record->signer || header.view != 0 ||
      block.finality) {
    return in_block(0, "its producer is not the founder");
  }
  if (signatures == Signatures::check &&
      !verify(header.producer_key, header_signing_digest(header).view(), header.signature)) {
    return in_block(0, "its signature is wrong");
  }
  if (header.record_root != merkle::root(record_leaves(block.records))) {
    return in_block(0, "its record root is not that of its records");
  }
  if (header.epoch != state_.epoch() || header.state_root != state_.end_block()) {
    return in_block(0, "its state root is not that of the state");
  }
  AppliedBlock done;
  done.records.push_back(std::move(record).value());
  done.movements.push_back(std::move(applied->movements));
  done.block = std::move(block);
  move_head(done.block.header, done.block.finality);
  return done;
}

Result<FinalityCheck> Chain::begin_finality(const Block& block, consensus::BlockRef& place) const {
  const std::uint64_t height = block.header.height;
  if (epoch_ == nullptr) {
    if (block.finality) return in_block(height, "it has votes where nobody votes");
    return FinalityCheck{};
  }
  if (!block.finality) return in_block(height, "it has no votes: it is not final");
  if (height != place.height + 1 || height > epoch_->last_height)
    return in_block(place.height + 1, fmt::format("its header says block {}", height));
  if (block.finality->proposal.header.view != block.header.view)
    return in_block(height, "its view is not that of its proposal");
  if (height == epoch_->last_height && !block.finality->certificate)
    return in_block(height, "the certificate of the last block of its epoch is missing");
  FinalityCheck check{epoch_, place};
  const consensus::Header& last = block.finality->last();
  place = {last.view, last.height, consensus::header_digest(last)};
  return check;
}

Status FinalityCheck::run(const Block& block, const consensus::SignatureScheme& scheme) const {
  if (epoch == nullptr) return {};
  const FinalityContext context{
      epoch->chain_id, epoch->number, epoch->validators, epoch->leader,
      place.view,      place.digest,  place.height + 1,  consensus::payload_hash(encode_payload(block))};
  const Status status = ufab::check_finality(*block.finality, context, scheme);
  if (!status.ok()) return in_block(block.header.height, status.error().message);
  return {};
}

Status Chain::check_finality(const Block& block, consensus::BlockRef& place,
                             const consensus::SignatureScheme& scheme) const {
  consensus::BlockRef next = place;
  UFAB_ASSIGN(const FinalityCheck check, begin_finality(block, next));
  UFAB_TRY(check.run(block, scheme));
  place = next;
  return {};
}

BlockPreparation::BlockPreparation(Block block, Signatures signatures)
    : block_(std::move(block)),
      signatures_(signatures),
      leaves_(block_.records.size()),
      pieces_(std::max<std::size_t>(1, (block_.records.size() + piece_records - 1) / piece_records)) {}

Status BlockPreparation::check(std::size_t position, Record& record) const {
  const std::uint64_t height = block_.header.height;
  const Bytes& encoding = block_.records[position];
  auto decoded = decode_record(encoding);
  if (!decoded.ok()) return in_block(height, position, "?", decoded.error().message);
  record = *std::move(decoded);
  if (signatures_ == Signatures::check && !record_type_derived(record.type()) &&
      !verify_record(block_.header.chain_id, record, encoding))
    return in_block(height, position, record_type_name(record.type()), "the signature is wrong");
  return {};
}

void BlockPreparation::work(std::size_t number) {
  Piece& piece = pieces_[number];
  const BlockHeader& header = block_.header;
  if (header.height == 0) return;
  if (number == 0 && signatures_ == Signatures::check &&
      !verify(header.producer_key, header_signing_digest(header).view(), header.signature)) {
    piece.status = in_block(header.height, "its signature is wrong");
    return;
  }
  const std::size_t first = number * piece_records;
  const std::size_t end = std::min(first + piece_records, block_.records.size());
  piece.records.resize(end - first);
  for (std::size_t i = first; i < end && piece.status.ok(); ++i) {
    piece.status = check(i, piece.records[i - first]);
    leaves_[i] = merkle::leaf_hash(block_.records[i]);
  }
}

PreparedBlock BlockPreparation::finish() && {
  PreparedBlock done;
  done.block = std::move(block_);
  done.signatures = signatures_;
  if (done.block.header.height == 0) return done;
  for (Piece& piece : pieces_) {
    done.status = piece.status;
    if (!done.status.ok()) return done;
    std::move(piece.records.begin(), piece.records.end(), std::back_inserter(done.records));
  }
  done.record_root = merkle::root(leaves_);
  return done;
}

PreparedBlock prepare_block(Block block, Signatures signatures) {
  BlockPreparation preparation(std::move(block), signatures);
  for (std::size_t i = 0; i < preparation.pieces(); ++i) preparation.work(i);
  return std::move(preparation).finish();
}

Result<AppliedBlock> Chain::import(Block block, Signatures signatures) {
  return import(prepare_block(std::move(block), signatures));
}

Result<AppliedBlock> Chain::import(PreparedBlock prepared) {
  UFAB_ASSERT(!broken_);
  Block& block = prepared.block;
  if (!begun_) return import_genesis(std::move(block), prepared.signatures);
  const BlockHeader header = block.header;
  const std::uint64_t height = head_.height + 1;
  UFAB_TRY(check_header(header));
  UFAB_TRY(prepared.status);
  AppliedBlock done;
  done.records = std::move(prepared.records);
  broken_ = true;  // until all of it has been applied
  done.movements.resize(done.records.size());
  std::size_t next = 0;
  const auto expect_derived = [&](const std::vector<Record>& derived) -> Status {
    for (const Record& record : derived) {
      const char* type = record_type_name(record.type());
      if (next >= done.records.size()) {
        return in_block(height, next, type, "it is missing: the rules derive it here");
      }
      if (block.records[next] != encode_record(record)) {
        return in_block(height, next, record_type_name(done.records[next].type()),
                        fmt::format("the rules derive another record here ({})", type));
      }
      ++next;
    }
    return {};
  };
  Applied start = state_.begin_block({height, header.time_us, head_hash_, header.view, header.producer});
  UFAB_TRY(expect_derived(start.derived));
  done.start_movements = std::move(start.movements);
  while (next < done.records.size()) {
    const Record& record = done.records[next];
    const Status admissible = state_.admissible(record);
    if (!admissible.ok()) {
      return in_block(height, next, record_type_name(record.type()), admissible.error().message);
    }
    auto applied = state_.apply(record);
    if (!applied.ok()) applied = state_.refuse(record, record_id(block.records[next]), applied.error());
    done.movements[next] = std::move(applied->movements);
    ++next;
    UFAB_TRY(expect_derived(applied->derived));
  }
  if (header.record_root != prepared.record_root) {
    return in_block(height, "its record root is not that of its records: one was added, removed or moved");
  }
  if (header.epoch != state_.epoch()) return in_block(height, "its epoch is wrong");
  if (header.state_root != state_.end_block())
    return in_block(height, "its state root is not that of the state");
  done.block = std::move(block);
  move_head(header, done.block.finality);
  return done;
}

}  // namespace ufab
