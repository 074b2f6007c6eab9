#include "accounting/audit/export/runs.h"

#include <fmt/format.h>

#include <map>

#include "accounting/audit/export/text.h"
#include "accounting/audit/walk.h"

namespace ufab {

std::vector<const UsageValues*> UsageRun::superseded() const {
  std::vector<const UsageValues*> list;
  if (corrections.empty()) return list;
  list.push_back(&imported);
  for (std::size_t i = 0; i + 1 < corrections.size(); ++i) list.push_back(&corrections[i].usage);
  return list;
}

bool Period::has(const UsageRun& run) const {
  if (has(run.usage().end_us)) return true;
  for (const UsageValues* before : run.superseded()) {
    if (has(before->end_us)) return true;
  }
  return false;
}

Period Period::whole_months() const {
  const auto month_start = [](std::uint64_t us, unsigned months_later) {
    const UtcTime t = utc_time(us);
    const unsigned month = t.month - 1 + months_later;
    return utc_us(t.year + month / 12, month % 12 + 1, 1);
  };
  Period wide = *this;
  wide.from_us = month_start(from_us, 0);
  // A period that ends with a month ends there; UINT64_MAX has no month.
  if (to_us <= usage_number_max && month_start(to_us, 0) != to_us) wide.to_us = month_start(to_us, 1);
  return wide;
}

Result<UsageLedger> read_usage(const std::string& folder) {
  UsageLedger ledger;
  Chain chain;
  SegmentLog::Scan scan;
  struct Order {
    OrgId owner = 0;
    std::string name;
  };
  std::vector<Order> orders;                      // job N is at N - 1
  std::map<RecordId, std::size_t> run_of_import;  // index into ledger.runs
  std::vector<std::tuple<JobId, std::uint32_t, OrgId>> leases;
  std::map<OrgId, std::uint64_t> enrolled;
  const auto visit = [&](const AppliedBlock& applied) -> Status {
    const std::uint64_t time_us = applied.block.header.time_us;
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      const Record& record = applied.records[i];
      if (refusal_of(applied, i) != nullptr) continue;
      const OrgId signer = chain.state().organisation_of_any_key(record.signer);
      if (const auto* order = std::get_if<JobOrder>(&record.body)) {
        orders.push_back({signer, order->name});
      } else if (const auto* lease = std::get_if<Lease>(&record.body)) {
        leases.emplace_back(lease->job, lease->attempt, signer);
      } else if (const auto* back = std::get_if<LeaseReturn>(&record.body)) {
        std::erase(leases, std::tuple(back->job, back->attempt, signer));
      } else if (record.type() == RecordType::provider_enrol) {
        enrolled.emplace(signer, time_us);
      } else if (const auto* import = std::get_if<UsageImport>(&record.body)) {
        const RecordId id = record_id(record);
        run_of_import.emplace(id, ledger.runs.size());
        UsageRun run;
        run.job = import->job;
        run.attempt = import->attempt;
        run.provider_id = signer;
        run.import = id;
        run.time_us = time_us;
        run.imported = import->usage;
        ledger.runs.push_back(std::move(run));
      } else if (const auto* correction = std::get_if<Correction>(&record.body)) {
        const auto found = run_of_import.find(correction->record);
        if (found == run_of_import.end()) continue;
        UsageRun& run = ledger.runs[found->second];
        const UsageImport import_again{run.job, run.attempt, run.imported};
        if (!corrects(*correction, signer, import_again, run.import, run.provider_id)) continue;
        run.corrections.push_back({record_id(record), correction->reason, time_us, correction->usage[0]});
      }
    }
    return {};
  };
  UFAB_TRY(audit::walk(folder, chain, scan, visit));
  const State& state = chain.state();
  const auto name = [&state](OrgId id) {
    const OrgEntry* org = state.organisation(id);
    return org == nullptr ? fmt::format("organisation-{}", id) : org->name;
  };
  ledger.chain_id = state.chain_id();
  ledger.chain_name = state.chain_name();
  for (UsageRun& run : ledger.runs) {
    run.provider = name(run.provider_id);
    const Order& order = orders.at(run.job - 1);  // the rules accept imports of existing jobs only
    run.owner = name(order.owner);
    run.job_name = order.name;
  }
  for (const auto& [job, attempt, provider] : leases) ledger.leased.emplace(job, attempt, name(provider));
  for (const auto& [provider, time_us] : enrolled) ledger.enrolled_us.emplace(name(provider), time_us);
  return ledger;
}

}  // namespace ufab
