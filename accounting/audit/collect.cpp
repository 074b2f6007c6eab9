#include "accounting/audit/collect.h"

#include <fmt/format.h>

#include <algorithm>

#include "accounting/audit/light.h"
#include "fabric/base/merkle.h"

namespace ufab::audit {

PlacedRecord place(const AppliedBlock& applied, std::size_t position) {
  const std::vector<Digest> leaves = record_leaves(applied.block.records);
  PlacedRecord placed;
  placed.position = static_cast<std::uint32_t>(position);
  placed.record = applied.block.records[position];
  placed.path = merkle::inclusion_proof(leaves, position);
  return placed;
}

Result<bool> HeaderRun::add(const AppliedBlock& applied) {
  const Block& block = applied.block;
  if (to_->headers.size() == run_max) {
    return Error{ErrorCode::limit, fmt::format("block {}: more than {} blocks without a certificate",
                                               block.header.height, run_max)};
  }
  to_->headers.push_back(block.header);
  if (!block.finality) return true;
  if (!block.finality->certificate) return false;
  to_->finality = block.finality;
  to_->rest_hash = sha256(consensus::payload_parts(encode_payload(block)).rest);
  return true;
}

Collector::Collector(const Chain& chain, ChainCheckpoint from)
    : chain_(chain), made_(std::move(from)), proven_(chain.epoch()) {
  made_.trail.clear();
  made_.head = {};
  made_.cosignatures.clear();
  const std::vector<Seat>& seats = chain.state().seats();
  if (seats.size() == 1) sole_ = seats[0].key;
}

void Collector::settle() {
  if (!candidate_) return;
  made_.links.push_back(std::move(candidate_->link));
  proven_ = candidate_->epoch;
  candidate_.reset();
}

void Collector::need(std::uint64_t height) {
  if (height == 0) return;
  needed_epoch_ = (height - 1) / chain_.state().params().epoch_blocks;
  if (candidate_ && candidate_->epoch->number == *needed_epoch_) settle();
}

void Collector::note_key_changes(const AppliedBlock& applied) {
  const State& state = chain_.state();
  if (!state.seats().empty()) return;
  for (std::size_t i = 0; i < applied.records.size(); ++i) {
    const Record& record = applied.records[i];
    if (record.type() != RecordType::key_change || refusal_of(applied, i) != nullptr ||
        state.organisation_of_any_key(record.signer) != founder)
      continue;
    PlacedRecord& link = made_.links.emplace_back(place(applied, i));
    link.block.headers.push_back(applied.block.header);
  }
}

Status Collector::begin_epoch(const AppliedBlock& applied) {
  const std::vector<Seat>& seats = chain_.state().seats();
  if (seats.empty()) return {};
  const auto record = std::find_if(applied.records.begin(), applied.records.end(),
                                   [](const Record& item) { return item.type() == RecordType::epoch; });
  UFAB_ASSERT(record != applied.records.end());
  PlacedRecord link = place(applied, static_cast<std::size_t>(record - applied.records.begin()));
  UFAB_ASSIGN(const bool whole, HeaderRun(link.block).add(applied));
  if (!whole) {
    return Error{ErrorCode::corrupt, fmt::format("block {}: the certificate of the last block of its epoch is "
                                                 "missing",
                                                 applied.block.header.height)};
  }
  const consensus::EpochPtr& epoch = chain_.epoch();
  if (epoch != nullptr && (proven_ != nullptr || candidate_)) {
    opening_ = Opening{link, std::move(link), epoch};
    opening_->with_headers.block = {{applied.block.header}, std::nullopt, {}};
    return {};
  }
  // From or to a single validator; the same one needs no new link.
  settle();
  if (proven_ == nullptr && epoch == nullptr && sole_ == seats[0].key) return {};
  made_.links.push_back(std::move(link));
  proven_ = epoch;
  sole_ = seats[0].key;
  return {};
}

// A block of an epoch that opened and has no certificate yet.
Status Collector::follow_epoch(const AppliedBlock& applied) {
  FinalHeader& headers = opening_->with_headers.block;
  UFAB_ASSIGN(const bool whole, HeaderRun(headers).add(applied));
  if (!whole) return {};
  const consensus::EpochPtr epoch = opening_->epoch;
  const auto vouched_for = [&] {
    return proven_ != nullptr &&
           is_quorum_of(proven_->validators, *headers.finality->certificate, epoch->validators);
  };
  if (!vouched_for()) settle();
  if (vouched_for()) {
    candidate_ = Candidate{std::move(opening_->with_headers), epoch};
    if (needed_epoch_ == epoch->number) settle();
  } else {
    made_.links.push_back(std::move(opening_->plain));
    proven_ = epoch;
  }
  opening_.reset();
  return {};
}

Status Collector::visit(const AppliedBlock& applied) {
  const BlockHeader& header = applied.block.header;
  if (header.height == 0) {
    made_.genesis_header = header;
    made_.genesis = applied.block.records[0];
  }
  if (opening_) UFAB_TRY(follow_epoch(applied));
  if (header.height > 0 && header.height % chain_.state().params().epoch_blocks == 0)
    UFAB_TRY(begin_epoch(applied));
  note_key_changes(applied);
  if (made_.links.size() > checkpoint_links_max) {
    return Error{ErrorCode::limit,
                 fmt::format("block {}: a checkpoint holds at most {} changes of validators", header.height,
                             checkpoint_links_max)};
  }
  if (trail_from_ && header.height >= *trail_from_) made_.trail.push_back(header);
  if (made_.trail.size() > trail_max + 1) {
    return Error{ErrorCode::limit,
                 fmt::format("a checkpoint holds at most {} headers before its head: the chain "
                             "is further than that above block {}",
                             trail_max, *trail_from_)};
  }
  if (applied.block.finality) {
    last_ = applied.block;
  } else {
    last_ = {header, {}, std::nullopt};
  }
  return {};
}

Result<ChainCheckpoint> Collector::finish() {
  settle();
  // The head opens an epoch: nobody has voted in it yet.
  if (opening_) made_.links.push_back(std::move(opening_->plain));
  if (!made_.trail.empty()) made_.trail.pop_back();
  AppliedBlock head;
  head.block = std::move(last_);
  UFAB_ASSIGN(const bool whole, HeaderRun(made_.head).add(head));
  UFAB_ASSERT(whole);
  return std::move(made_);
}

}  // namespace ufab::audit
