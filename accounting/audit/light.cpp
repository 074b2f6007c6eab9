#include "accounting/audit/light.h"

#include <fmt/format.h>

#include <algorithm>

#include "fabric/base/codec.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

Error wrong(const std::string& why) {
  return {ErrorCode::invalid, why};
}

Status check_header_signature(const BlockHeader& header) {
  if (verify(header.producer_key, header_signing_digest(header).view(), header.signature)) return {};
  return wrong("its signature is wrong");
}

// Each header is the next block's, of the same chain.
Status check_run(const std::vector<BlockHeader>& headers) {
  for (std::size_t i = 1; i < headers.size(); ++i) {
    if (headers[i].height != headers[i - 1].height + 1 || headers[i].chain_id != headers[i - 1].chain_id ||
        headers[i].previous != block_hash(headers[i - 1]))
      return wrong(fmt::format("block {} does not follow the block before it", headers[i].height));
  }
  return {};
}

// The header as a payload's head: see consensus::payload_parts().
Digest payload_hash_of(const FinalHeader& block) {
  Writer head;
  head.blob(encode_header(block.headers.back()));
  return consensus::payload_hash(head.bytes(), block.rest_hash);
}

}  // namespace

bool is_quorum_of(const consensus::ValidatorSet& old, const consensus::Certificate& certificate,
                  const consensus::ValidatorSet& list) {
  consensus::Tally tally(old);
  for (const consensus::Seat signer : certificate.signers) {
    if (signer >= list.size()) return false;
    if (const auto seat = old.find(list[signer].key)) tally.add(*seat);
  }
  return tally.is_quorum();
}

const LightChain::Authority& LightChain::at(std::uint64_t height) const {
  auto next = std::find_if(authorities_.begin(), authorities_.end(),
                           [height](const Authority& item) { return item.from >= height; });
  UFAB_ASSERT(next != authorities_.begin());
  return *--next;
}

Status LightChain::check_by(const FinalHeader& block, const Authority& authority) const {
  UFAB_TRY(check_run(block.headers));
  const BlockHeader& last = block.headers.back();
  if (last.chain_id != chain_id_) return wrong("it is of another chain");
  if (last.epoch != last.height / epoch_blocks_) return wrong("its epoch is wrong");
  if (authority.epoch == nullptr) {
    if (block.finality || last.view != 0) return wrong("it has votes where nobody votes");
    if (last.producer_key != authority.key) return wrong("its producer is not the only validator there is");
    return check_header_signature(last);
  }
  const consensus::Epoch& epoch = *authority.epoch;
  if (last.height <= authority.from || last.height > epoch.last_height)
    return wrong(fmt::format("the validators of epoch {} are not proven", (last.height - 1) / epoch_blocks_));
  if (!block.finality) return wrong("it has no votes: it is not final");
  const consensus::Header& proposal = block.finality->proposal.header;
  if (proposal.view != last.view) return wrong("its view is not that of its proposal");
  // What the proposal builds on was for its voters to judge.
  const FinalityContext context{chain_id_,    epoch.number,          epoch.validators,
                                epoch.leader, proposal.parent_view,  proposal.parent,
                                last.height,  payload_hash_of(block)};
  const Status votes = check_finality(*block.finality, context, consensus::Ed25519Scheme());
  if (!votes.ok()) return wrong(votes.error().message);
  if (last.producer_key != epoch.validators[epoch.leader(last.view)].key)
    return wrong("its producer is not the validator whose turn it is");
  return check_header_signature(last);
}

Status LightChain::check_place(const PlacedRecord& placed) const {
  const BlockHeader& header = placed.block.block();
  if (merkle::verify_inclusion(merkle::leaf_hash(placed.record), placed.position, header.record_count,
                               placed.path, header.record_root))
    return {};
  return wrong(fmt::format("it does not hold the record at position {}", placed.position));
}

Status LightChain::check(const FinalHeader& block) const {
  const BlockHeader& last = block.headers.back();
  if (last.height == 0 || block.block().height == 0) {
    if (block.headers.size() == 1 && block_hash(last) == genesis_hash_) return {};
    return wrong("it is not the genesis block");
  }
  if (last.height > head_.height) return wrong("it is above the checkpoint's head");
  return check_by(block, at(last.height));
}

Status LightChain::check(const PlacedRecord& placed) const {
  UFAB_TRY(check(placed.block));
  return check_place(placed);
}

Result<Record> LightChain::check_record(ByteView bytes) const {
  UFAB_ASSIGN(Record record, decode_record(bytes));
  const bool genesis = record.type() == RecordType::genesis;
  if (!record_type_derived(record.type()) && !verify_record(genesis ? Digest() : chain_id_, record))
    return wrong(fmt::format("the signature of {} is wrong", describe_record(record)));
  return record;
}

Status LightChain::begin(const ChainCheckpoint& checkpoint) {
  chain_id_ = record_id(checkpoint.genesis);
  UFAB_ASSIGN(const Record record, check_record(checkpoint.genesis));
  const auto* genesis = std::get_if<Genesis>(&record.body);
  if (genesis == nullptr) return wrong("it does not start with a genesis");
  UFAB_TRY(check_params(genesis->params));
  chain_name_ = genesis->chain_name;
  epoch_blocks_ = genesis->params.epoch_blocks;
  authorities_.push_back({0, record.signer, {}, nullptr});
  const BlockHeader& header = checkpoint.genesis_header;
  if (header.height != 0 || header.producer_key != record.signer || !header.previous.is_zero())
    return wrong("its genesis block is not block 0");
  UFAB_TRY(check_by({{header}, std::nullopt, {}}, authorities_.back()));
  genesis_hash_ = block_hash(header);
  if (header.record_count != 1) return wrong("its genesis block holds more than the genesis");
  return check_place({{{header}, std::nullopt, {}}, 0, checkpoint.genesis, {}});
}

Status LightChain::add(const PlacedRecord& link) {
  const std::uint64_t height = link.block.block().height;
  if (height == 0 || height < authorities_.back().from) return wrong("it is not after the one before it");
  UFAB_TRY(check_place(link));
  UFAB_ASSIGN(const Record record, check_record(link.record));
  if (const auto* change = std::get_if<KeyChange>(&record.body)) return add_key(link, record.signer, *change);
  if (const auto* epoch = std::get_if<Epoch>(&record.body)) return add_epoch(link, *epoch);
  return wrong("its record changes no validators");
}

Status LightChain::add_key(const PlacedRecord& link, const PublicKey& signer, const KeyChange& change) {
  const Authority& old = authorities_.back();
  if (!old.seats.empty() || signer != old.key) return wrong("it changes another key than the founder's");
  const std::uint64_t height = link.block.block().height;
  if (link.block.headers.size() != 1) return wrong("it has headers that lead to no votes");
  UFAB_TRY(check_by(link.block, at(height)));  // the key at its beginning, if it changes twice in one block
  if (!verify(change.new_key, key_change_digest(chain_id_, signer, change.new_key).view(), change.proof))
    return wrong("the new key did not prove its possession");
  authorities_.push_back({height, change.new_key, {}, nullptr});
  return {};
}

Status LightChain::add_epoch(const PlacedRecord& link, const Epoch& record) {
  const std::uint64_t height = link.block.block().height;
  if (height % epoch_blocks_ != 0 || record.epoch != height / epoch_blocks_)
    return wrong("its record is of another epoch");
  if (record.seats.empty()) return wrong("its record names no validators");
  const Authority old = authorities_.back();
  if (height == old.from) return wrong("it is not after the one before it");
  Authority next{height, record.seats[0].key, record.seats, nullptr};
  if (record.seats.size() > 1) {
    auto set = validators_of(record.seats);
    if (!set.ok()) return wrong(set.error().message);
    consensus::LeaderSchedule leader = consensus::weighted_leaders(record.seed, *set);
    next.epoch = std::make_shared<const consensus::Epoch>(
        consensus::Epoch{chain_id_, record.epoch, *std::move(set), std::move(leader),
                         consensus::BlockRef{0, height, {}}, height + epoch_blocks_});
  }
  if (link.block.headers.size() == 1) {
    UFAB_TRY(check_by(link.block, old));
  } else {
    if (old.epoch == nullptr || next.epoch == nullptr)
      return wrong("it has headers that lead to votes of an epoch without votes");
    UFAB_TRY(check_by(link.block, next));
    if (!is_quorum_of(old.epoch->validators, *link.block.finality->certificate, next.epoch->validators))
      return wrong("too few of the last proven validators signed in its epoch");
  }
  authorities_.push_back(std::move(next));
  return {};
}

Status LightChain::end(const ChainCheckpoint& checkpoint) {
  const FinalHeader& head = checkpoint.head;
  const BlockHeader& header = head.block();
  head_ = header;
  const Authority& last = authorities_.back();
  if (head.headers.size() != 1) return wrong("it is not the last block whose votes are here");
  if (header.height < last.from) return wrong("it is before the last link");
  if (!last.seats.empty() && last.epoch != nullptr && header.epoch != last.epoch->number)
    return wrong(fmt::format("the validators of epoch {} are not proven", header.epoch));
  UFAB_TRY(check(head));
  std::vector<BlockHeader> run = checkpoint.trail;
  run.push_back(header);
  return check_run(run);
}

Result<LightChain> LightChain::follow(const ChainCheckpoint& checkpoint) {
  LightChain chain;
  const auto part = [](const Status& status, const std::string& name) -> Status {
    if (status.ok()) return {};
    return wrong(fmt::format("{}: {}", name, status.error().message));
  };
  UFAB_TRY(part(chain.begin(checkpoint), "genesis"));
  for (std::size_t i = 0; i < checkpoint.links.size(); ++i) {
    const PlacedRecord& link = checkpoint.links[i];
    UFAB_TRY(part(chain.add(link), fmt::format("link {} (block {})", i, link.block.block().height)));
  }
  UFAB_TRY(part(chain.end(checkpoint), fmt::format("head (block {})", checkpoint.head.block().height)));
  const Digest cosigned = cosignature_digest(chain.head_);
  for (const Cosignature& item : checkpoint.cosignatures) {
    if (!verify(item.witness, cosigned.view(), item.signature))
      return wrong(fmt::format("witness {}: its cosignature is not for this head", item.witness.hex()));
    chain.witnesses_.push_back(item.witness);
  }
  return chain;
}

}  // namespace ufab
