#include <fmt/format.h>

#include "accounting/audit/audit.h"
#include "accounting/audit/walk.h"

namespace ufab {

Result<std::vector<BenchmarkAudit>> audit_benchmarks(const std::string& folder,
                                                     const std::string& organisation) {
  std::vector<BenchmarkAudit> all;
  Chain chain;
  SegmentLog::Scan scan;
  const auto find = [&](OrgId id, std::uint64_t challenge_height) -> BenchmarkAudit* {
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
      if (at->organisation == id && at->challenge_height == challenge_height) return &*at;
    }
    return nullptr;
  };
  UFAB_TRY(audit::walk(folder, chain, scan, [&](const AppliedBlock& applied) -> Status {
    const State& state = chain.state();
    const std::uint64_t height = applied.block.header.height;
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      const Record& record = applied.records[i];
      if (refusal_of(applied, i) != nullptr) continue;
      if (const auto* body = std::get_if<ProviderBenchmark>(&record.body)) {
        const OrgEntry& org = *state.organisation(state.organisation_of_any_key(record.signer));
        BenchmarkAudit& item = all.emplace_back();
        item.organisation = org.id;
        item.name = org.name;
        item.height = height;
        item.position = static_cast<std::uint32_t>(i);
        item.challenge_height = body->challenge_height;
        item.challenge = benchmark_challenge(state.block_mark(body->challenge_height)->hash, org.id);
        item.semantics_version = body->semantics_version;
        item.repeats = body->repeats;
        item.lanes = body->lanes;
      } else if (const auto* credit = std::get_if<BenchmarkCredit>(&record.body)) {
        if (BenchmarkAudit* item = find(credit->organisation, credit->challenge_height)) {
          item->mflops = credit->mflops;
          item->epoch_end = credit->epoch_end;
        }
      } else if (const auto* duty = std::get_if<BenchmarkDuty>(&record.body)) {
        if (BenchmarkAudit* item = find(duty->organisation, duty->challenge_height)) item->lane = duty->lane;
      } else if (const auto* check = std::get_if<BenchmarkCheck>(&record.body)) {
        if (BenchmarkAudit* item = find(check->organisation, check->challenge_height)) {
          item->check =
              BenchmarkAudit::Check{state.organisation(state.organisation_of_any_key(record.signer))->name,
                                    height, static_cast<std::uint32_t>(i), check->lane};
        }
      }
    }
    return {};
  }));
  if (organisation.empty()) return all;
  if (chain.state().organisation_by_name(organisation) == nullptr) {
    return Error{ErrorCode::not_found, fmt::format("no organisation '{}' on this chain", organisation)};
  }
  std::erase_if(all, [&](const BenchmarkAudit& item) { return item.name != organisation; });
  return all;
}

}  // namespace ufab
