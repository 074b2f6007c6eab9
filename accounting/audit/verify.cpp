#include <fmt/format.h>

#include "accounting/audit/audit.h"
#include "accounting/audit/walk.h"
#include "accounting/index/index.h"

namespace ufab {

Status audit::walk(const std::string& folder, Chain& chain, SegmentLog::Scan& scan, const Visit& visit) {
  const std::string log = folder + "/log";
  if (!file_exists(log)) return Error{ErrorCode::not_found, fmt::format("{}: there is no ledger", folder)};
  bool named = false;  // the error says already which block and record it is about
  const consensus::Ed25519Scheme scheme;
  std::optional<std::uint64_t> uncertified;  // the first block without a certificate after the last with one
  const auto replay = [&](std::uint64_t entry, ByteView payload) -> Status {
    auto block = decode_block(payload);
    if (!block.ok()) {
      named = true;
      return Error{ErrorCode::corrupt, fmt::format("block {}: {}", entry, block.error().message)};
    }
    const bool certified = !block->finality || block->finality->certificate;
    uncertified = certified ? std::nullopt : std::optional(uncertified.value_or(entry));
    consensus::BlockRef place = chain.place();
    if (const Status votes = chain.check_finality(*block, place, scheme); !votes.ok()) {
      named = true;
      return votes;
    }
    auto applied = chain.import(std::move(*block));
    if (!applied.ok()) {
      named = true;
      return applied.error();
    }
    Status visited = visit(*applied);
    named = !visited.ok();
    return visited;
  };
  const Status status = SegmentLog::scan(log, block_size_max, replay, scan);
  if (!status.ok() && !named && status.error().code == ErrorCode::corrupt) {
    return Error{ErrorCode::corrupt,
                 fmt::format("block {} record 0 (unreadable): {}", scan.entries, status.error().message)};
  }
  UFAB_TRY(status);
  if (chain.empty()) return Error{ErrorCode::not_found, fmt::format("{}: the ledger has no genesis", folder)};
  if (uncertified) {
    return Error{ErrorCode::corrupt,
                 fmt::format("block {}: the certificate that makes it final is missing", *uncertified)};
  }
  return {};
}

Result<AuditSummary> audit_verify(const std::string& folder, std::optional<Digest> chain_id) {
  AuditSummary summary;
  Chain chain;
  SegmentLog::Scan scan;
  const auto count = [&](const AppliedBlock& applied) -> Status {
    const std::uint64_t height = applied.block.header.height;
    if (height == 0 && chain_id && *chain_id != chain.state().chain_id()) {
      return Error{ErrorCode::corrupt, fmt::format("block 0 record 0 (genesis): the chain is {}, expected {}",
                                                   chain.state().chain_id().str(), chain_id->str())};
    }
    ++summary.blocks;
    ++summary.signatures;
    summary.records += applied.records.size();
    for (const Record& record : applied.records) {
      if (!record_type_derived(record.type())) ++summary.signatures;
    }
    if (!chain.state().accounts().recount()) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("block {} record {} ({}): minted - burned is not the sum of all balances", height,
                      applied.records.size() - 1, record_type_name(applied.records.back().type()))};
    }
    return {};
  };
  UFAB_TRY(audit::walk(folder, chain, scan, count));
  // A log that lost its end is whole in itself; the index, written after it, remembers.
  const std::uint64_t head = chain.head().height;
  const auto indexed = Index::peek_height(folder + "/index.sqlite");
  if (indexed && *indexed > head) {
    return Error{ErrorCode::corrupt,
                 fmt::format("block {} record 0 (missing): the log ends at block {}, but the "
                             "index knows block {}",
                             head + 1, head, *indexed)};
  }
  const Accounts& accounts = chain.state().accounts();
  summary.chain_id = chain.state().chain_id();
  summary.chain_name = chain.state().chain_name();
  summary.head_height = head;
  summary.head_hash = chain.head_hash();
  summary.minted = accounts.minted();
  summary.burned = accounts.burned();
  summary.balances = accounts.total();
  summary.torn_tail = scan.torn;
  return summary;
}

}  // namespace ufab
