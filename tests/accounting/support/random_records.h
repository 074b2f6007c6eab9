// Random records, valid and invalid, for property tests of the rules.
#pragma once

#include <rapidcheck.h>

#include "tests/accounting/support/usage.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {

inline ChainParams quick_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 7;
  params.verify_deadline_blocks = 5;
  params.countersign_deadline_blocks = 5;
  params.job_retention_blocks = 9;
  params.evidence_epochs = 1;
  params.unbonding_epochs = 2;
  // Two chains of three ask for no benchmarks, so that leases are common.
  params.enrolment.bench_epochs = *rc::gen::element<std::uint64_t>(0, 0, 2);
  params.enrolment.bench_ms_min = 1000;
  params.enrolment.bench_window_blocks = 8;
  params.enrolment.lease_deadline_ms = 2000;
  params.enrolment.points_suspend = 30;
  params.enrolment.suspension_epochs = 1;
  params.enrolment.suspensions_max = 1;
  return params;
}

inline OrgId any_org() {
  return *rc::gen::inRange<OrgId>(1, 6);
}

// Mostly sensible amounts, sometimes absurd ones.
inline MicroUnc any_amount() {
  return *rc::gen::weightedOneOf<MicroUnc>(
      {{6, rc::gen::inRange<MicroUnc>(0, 300 * micro_per_unc)}, {1, rc::gen::arbitrary<MicroUnc>()}});
}

inline RecordBody any_body(World& world, OrgId org) {
  const JobId job = *rc::gen::inRange<JobId>(0, world.state().job_last() + 2);
  const JobEntry* entry = world.state().job(job);
  const std::uint64_t window = *rc::gen::inRange<std::uint64_t>(0, 4);
  switch (*rc::gen::inRange(0, 21)) {
    case 0: return Transfer{any_org(), any_amount(), "memo"};
    case 1: return Stake{any_amount()};
    case 2: return Unstake{any_amount()};
    case 3: return ProviderActionRecord{static_cast<ProviderAction>(*rc::gen::inRange(0, 2)), "why"};
    case 4:
    case 5: {
      JobOrder order = World::order();
      order.steps = *rc::gen::inRange<std::uint64_t>(0, 7);
      order.budget = any_amount();
      order.verify_rate_ppm = *rc::gen::inRange<std::uint32_t>(0, 1'100'000);
      return order;
    }
    case 6: return Cancel{job, *rc::gen::element(JobResult::cancelled, JobResult::failed), "enough"};
    case 7:
      if (entry != nullptr) {
        const OrgId other = any_org();
        return JobAttempt{job,
                          static_cast<std::uint32_t>(entry->attempts.size() + 1),
                          entry->windows_complete,
                          {{any_org(), 0, 2}, {other, 2, 4}},
                          "go"};
      }
      return Correction{digest_of("x"), "nothing", {}};
    case 8:
    case 9:
      if (entry != nullptr && !entry->attempts.empty()) {
        for (const MemberEntry& member : entry->attempts.back().members) {
          if (member.share.organisation == org) return world.lease(job, member.share);
        }
      }
      return Stake{1};
    case 10:
    case 11:
      if (entry != nullptr && !entry->attempts.empty() && window < entry->windows_total()) {
        Receipt receipt = world.receipt(job, org, window);
        if (*rc::gen::inRange(0, 6) == 0) receipt.end_digest = digest_of("a lie");
        if (*rc::gen::inRange(0, 6) == 0) receipt.work_flop += 1;
        return ReceiptBatch::of({receipt});
      }
      return Transfer{1, 1, ""};
    case 16: return LeaseReturn{job, *rc::gen::inRange<std::uint32_t>(0, 3), "no room"};
    case 13:
    case 14: {
      const std::uint32_t attempt = *rc::gen::inRange<std::uint32_t>(0, 3);
      return UsageImport{job, attempt, usage_values(*rc::gen::inRange<std::uint64_t>(0, 4))};
    }
    case 15:
      if (const auto& imports = world.state().usage_imports().all(); !imports.empty()) {
        return Correction{
            imports.begin()->second.record, "why", {usage_values(*rc::gen::inRange<std::uint64_t>(0, 4))}};
      }
      return Correction{digest_of("x"), "nothing", {usage_values()}};
    case 17:
    case 18: {
      const std::uint64_t age = *rc::gen::inRange<std::uint64_t>(0, 12);
      const std::uint64_t height = world.state().height();
      return ProviderBenchmark{height - std::min(height, age), 3, *rc::gen::inRange<std::uint32_t>(0, 9),
                               std::vector<Digest>(*rc::gen::inRange<std::size_t>(0, 4), digest_of("lane"))};
    }
    case 19:
      for (const auto& [id, other] : world.state().organisations()) {
        if (other.benchmark && other.benchmark->verifier == org) {
          const bool honest = *rc::gen::inRange(0, 3) != 0;
          return BenchmarkCheck{id, other.benchmark->challenge_height, digest_of(honest ? "lane" : "other")};
        }
      }
      return ProviderEnrol{{"cluster", 2, 1, 1 << 30, 50'000, 1000, 100'000}};
    case 20: {
      LinkReport report;
      for (OrgId peer = *rc::gen::inRange<OrgId>(0, 3); peer < 7; peer += *rc::gen::inRange<OrgId>(0, 4)) {
        if (report.peers.size() == 4) break;
        report.peers.push_back({peer, *rc::gen::arbitrary<std::uint32_t>(), *rc::gen::inRange(0U, 4U)});
      }
      return report;
    }
    case 12:
      if (entry != nullptr && entry->windows.contains(window)) {
        Countersignature body{job, entry->windows.at(window).attempt, {}};
        for (const MemberReceipt& receipt : entry->windows.at(window).receipts) {
          if (receipt.filed && receipt.receipt.provider != org) {
            body.receipts.push_back({window, receipt.receipt.provider, receipt.digest});
          }
        }
        return body;
      }
      return Unstake{1};
    default:
      if (entry != nullptr && entry->windows.contains(window)) {
        Vote vote = world.honest_vote(job, window);
        if (*rc::gen::inRange(0, 2) == 0) {
          vote.end_digest = digest_of("recomputed");
          vote.findings[0].bad = true;
          vote.findings[0].step = window * 2;
        }
        return vote;
      }
      return Transfer{2, 2, ""};
  }
}

// Brings a job through leases, receipts and votes as far as its phase allows, so that runs reach settlement.
inline void help_along(World& world) {
  for (JobId job = 1; job <= world.state().job_last(); ++job) {
    const JobEntry* entry = world.state().job(job);
    if (entry == nullptr) continue;
    if (entry->phase == JobPhase::leasing) {
      for (const MemberEntry& member : std::vector<MemberEntry>(entry->attempts.back().members)) {
        (void)world.submit(member.share.organisation, world.lease(job, member.share));
      }
    } else if (entry->phase == JobPhase::validating) {
      for (const std::uint64_t window : world.assigned(job)) {
        const JobEntry* now = world.state().job(job);
        if (now == nullptr || !now->windows.contains(window)) break;
        (void)world.submit(now->windows.at(window).verifier, world.honest_vote(job, window));
      }
    }
  }
}

}  // namespace ufab::test
