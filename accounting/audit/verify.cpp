#include <fmt/format.h>

#include "accounting/audit/count.h"
#include "accounting/index/index.h"

namespace ufab {

Status audit::count(const std::string& folder, const std::optional<Digest>& chain_id, Chain& chain,
                    SegmentLog::Scan& scan, AuditSummary& summary, const Visit& visit) {
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
    if (const auto& finality = applied.block.finality) {
      summary.signatures += 1 + finality->seals.size();
      if (finality->certificate) {
        ++summary.certificates;
        summary.signatures += finality->certificate->signatures.size();
      }
    }
    if (!chain.state().accounts().recount()) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("block {} record {} ({}): minted - burned is not the sum of all balances", height,
                      applied.records.size() - 1, record_type_name(applied.records.back().type()))};
    }
    return visit(applied);
  };
  UFAB_TRY(walk(folder, chain, scan, count));
  const Accounts& accounts = chain.state().accounts();
  summary.chain_id = chain.state().chain_id();
  summary.chain_name = chain.state().chain_name();
  summary.head_height = chain.head().height;
  summary.head_hash = chain.head_hash();
  summary.epochs = chain.state().epoch();
  summary.validators = chain.state().seats().size();
  summary.minted = accounts.minted();
  summary.burned = accounts.burned();
  summary.balances = accounts.total();
  summary.torn_tail = scan.torn;
  return {};
}

Result<AuditSummary> audit_verify(const std::string& folder, std::optional<Digest> chain_id) {
  AuditSummary summary;
  Chain chain;
  SegmentLog::Scan scan;
  UFAB_TRY(
      audit::count(folder, chain_id, chain, scan, summary, [](const AppliedBlock&) { return Status(); }));
  // A log that lost its end is whole in itself; the index, written after it, remembers.
  const std::uint64_t head = chain.head().height;
  const auto indexed = Index::peek_height(folder + "/index.sqlite");
  if (indexed && *indexed > head) {
    return Error{ErrorCode::corrupt,
                 fmt::format("block {} record 0 (missing): the log ends at block {}, but the "
                             "index knows block {}",
                             head + 1, head, *indexed)};
  }
  return summary;
}

}  // namespace ufab
