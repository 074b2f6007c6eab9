#include "accounting/replica/workbench.h"

#include <algorithm>

namespace ufab {

namespace {

Error bad(std::string why) {
  return {ErrorCode::invalid, std::move(why)};
}

// Of every record that somebody signed.
Status check_signatures(const Digest& chain_id, const Block& block, const Workbench::Checked& checked) {
  for (const Bytes& encoding : block.records) {
    if (checked(record_id(encoding))) continue;
    UFAB_ASSIGN(const Record record, decode_record(encoding));
    if (!record_type_derived(record.type()) && !verify_record(chain_id, record, encoding))
      return bad(describe_record(record) + ": the signature is wrong");
  }
  return {};
}

}  // namespace

void Workbench::begin_anew() {
  done_.clear();
  final_.read([this](const Chain& chain) { chain_.emplace(chain); });
}

// Proposals of the line were judged before, so that nothing of them is checked again.
bool Workbench::go_to(const Line& line) {
  bool on_it = chain_.has_value() && done_.size() <= line.size();
  for (std::size_t i = 0; on_it && i < done_.size(); ++i) on_it = done_[i] == line[i]->digest;
  if (!on_it) begin_anew();
  while (done_.size() < line.size()) {
    const consensus::Proposal& proposal = *line[done_.size()];
    auto block = decode_block(proposal.payload);
    if (!block.ok() || block->header.height != chain_->head().height + 1 ||
        !chain_->import(*std::move(block), Signatures::checked).ok()) {
      chain_.reset();
      return false;
    }
    done_.push_back(proposal.digest);
  }
  return true;
}

std::optional<Bytes> Workbench::make(const Line& line, const Mempool& pool, std::size_t size_max,
                                     const KeyPair& key, std::uint64_t now_us, consensus::View view) {
  if (!go_to(line)) return std::nullopt;
  const std::vector<const PooledRecord*> chosen =
      pool.choose(chain_->state(), std::min(size_max, limits_.signed_size_max), limits_.signed_count_max);
  std::vector<Record> records;
  std::vector<Bytes> encodings;
  records.reserve(chosen.size());
  encodings.reserve(chosen.size());
  std::vector<SubmittedRecord> submitted;
  for (const PooledRecord* record : chosen) {
    records.push_back(record->record);
    encodings.push_back(record->encoding);
    submitted.push_back({&records.back(), &encodings.back(), record->id});
  }
  const AppliedBlock made = chain_->make(submitted, key, now_us, Signatures::checked, view);
  done_.emplace_back();
  return encode_payload(made.block);
}

void Workbench::adopt(const Digest& proposal) {
  UFAB_ASSERT(!done_.empty() && done_.back().is_zero());
  done_.back() = proposal;
}

Status Workbench::judge(const Line& line, const consensus::Proposal& proposal, const Checked& checked,
                        std::uint64_t now_us) {
  UFAB_ASSIGN(Block block, decode_block(proposal.payload));
  if (block.finality) return bad("it claims to be final");
  if (block.header.view != proposal.header.view || block.header.height != proposal.header.height)
    return bad("it belongs to another proposal");
  if (block.header.time_us > now_us + limits_.clock_ahead_max_us)
    return bad("its time is ahead of this node's clock");
  if (!go_to(line)) return bad("what it builds on does not hold");
  if (!verify(block.header.producer_key, header_signing_digest(block.header).view(), block.header.signature))
    return bad("its signature is wrong");
  UFAB_TRY(check_signatures(chain_->state().chain_id(), block, checked));
  auto imported = chain_->import(std::move(block), Signatures::checked);
  if (!imported.ok()) {
    chain_.reset();
    return imported.error();
  }
  done_.push_back(proposal.digest);
  return {};
}

const State* Workbench::state_at(const Line& line) {
  return go_to(line) ? &chain_->state() : nullptr;
}

void Workbench::finalised(const Digest& proposal) {
  if (!done_.empty() && done_.front() == proposal) {
    done_.erase(done_.begin());
  } else {
    chain_.reset();
  }
}

}  // namespace ufab
