// The last step of a snapshot that comes back: the entries are those under the root, now they become a state.
//
// Those who made the root final followed the rules, or the root would not be final. So what is looked for
// here is not whether rules were broken (only the blocks can show that) but whether the entries hang
// together, so that nothing they name is missing.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/chain/finality.h"
#include "accounting/state/snapshot.h"

namespace ufab {

namespace {

Error wrong(std::string why) {
  return {ErrorCode::invalid, std::move(why)};
}

Error in_organisation(const OrgEntry& org, const char* what) {
  return wrong(fmt::format("organisation {}: {}", org.id, what));
}

Error in_job(const JobEntry& job, const char* what) {
  return wrong(fmt::format("job {}: {}", job.id, what));
}

bool benchmark_possible(const BenchmarkEntry& benchmark) {
  if (!check_pending(benchmark)) return true;
  return benchmark.lanes_count > 0 && benchmark.lane < benchmark.lanes_count;
}

// Attempts and usage as the job's phase needs them.
bool phase_possible(const JobEntry& job) {
  const bool batch = job.order.kind == JobKind::batch;
  if (!batch && (job.order.steps == 0 || job.order.window_steps == 0)) return false;
  if (job.usage && (!batch || job.attempts.empty())) return false;
  switch (job.phase) {
    case JobPhase::ordered: return job.attempts.empty();
    case JobPhase::settled: return job.settlement.has_value();
    case JobPhase::validating: return job.usage.has_value() == batch;
    case JobPhase::leasing:
    case JobPhase::running:
    case JobPhase::requeue: return !job.attempts.empty();
  }
  return false;
}

}  // namespace

Status StateSnapshot::Restore::settle() {
  UFAB_TRY(settle_once());
  UFAB_TRY(settle_organisations());
  UFAB_TRY(settle_keys());
  UFAB_TRY(settle_committees());
  UFAB_TRY(settle_jobs());
  UFAB_TRY(settle_windows());
  UFAB_TRY(settle_money());
  if (root() != base_.state_root) return wrong("together they have another state root");
  return {};
}

Status StateSnapshot::Restore::settle_once() {
  if (!global_) return wrong("what is there once is missing");
  const GlobalEntry& global = *global_;
  if (global.chain_id != state_.chain_id_) return wrong("they are of another chain");
  if (global.height != state_.context_.height) return wrong("they are of another height");
  if (global.epoch != global.height / state_.params_.epoch_blocks) return wrong("their epoch");
  state_.epoch_ = global.epoch;
  state_.epoch_seed_ = global.epoch_seed;
  state_.seats_ = global.seats;
  state_.kicked_ = global.kicked;
  state_.derived_sequence_ = global.derived_sequence;
  state_.job_last_ = global.job_last;
  return {};
}

Status StateSnapshot::Restore::settle_organisations() {
  if (!known(founder)) return wrong("the founder is missing");
  if (!known(state_.context_.producer)) return wrong("the head's producer is missing");
  OrgId next = founder;
  for (const auto& [id, org] : state_.organisations_) {
    if (id != next++) return wrong(fmt::format("organisation {} is missing", next - 1));
    if (!state_.names_.emplace(org.name, id).second) return in_organisation(org, "its name is taken");
    if (org.standing.step > state_.params_.enrolment.suspensions_max ||
        org.standing.points > standing_points_max)
      return in_organisation(org, "its standing");
    // At the start of the next block the faults of this one are judged, and benchmarks' checks drawn.
    if (!org.standing.recent.empty() && org.standing.recent.back().height == state_.context_.height)
      state_.faulted_.insert(id);
    if (!org.benchmark) continue;
    const BenchmarkEntry& benchmark = *org.benchmark;
    if (!benchmark_possible(benchmark)) return in_organisation(org, "its benchmark");
    if (benchmark.check == BenchmarkState::waiting && !known(benchmark.verifier))
      return in_organisation(org, "the verifier of its benchmark is missing");
    if (benchmark.check == BenchmarkState::drawing) state_.benchmarks_to_draw_.insert(id);
  }
  return {};
}

Status StateSnapshot::Restore::settle_keys() {
  for (const auto& [number, taken] : keys_) {
    if (number != state_.keys_taken_.size()) return wrong("a key is missing");
    if (!known(taken.organisation)) return wrong("a key's organisation is missing");
    if (!state_.keys_.emplace(taken.key, std::pair{taken.organisation, taken.role}).second)
      return wrong("a key was taken twice");
    state_.keys_taken_.push_back(taken.key);
  }
  const auto has = [&](OrgId id, const PublicKey& key, KeyRole role) {
    const auto found = state_.keys_.find(key);
    return found != state_.keys_.end() && found->second == std::pair{id, role};
  };
  for (const auto& [id, org] : state_.organisations_) {
    const bool complete = has(id, org.key, KeyRole::owner) &&
                          (!org.agent || has(id, org.agent->key, KeyRole::agent)) &&
                          (!org.candidacy || has(id, org.candidacy->key, KeyRole::validator));
    if (!complete) return in_organisation(org, "a key of it is not among those that were taken");
  }
  return {};
}

Status StateSnapshot::Restore::settle_committees() {
  for (const Seat& seat : state_.seats_) {
    if (!known(seat.organisation)) return wrong("a validator's organisation is missing");
  }
  if (state_.by_vote()) {
    const auto list = validators_of(state_.seats_);
    if (!list.ok()) return wrong(list.error().message);
  }
  for (const auto& [epoch, committee] : state_.committees_) {
    for (const Committee::Member& member : committee.members) {
      if (!known(member.organisation)) return wrong("a past validator's organisation is missing");
    }
  }
  for (const auto& [id, share] : state_.seed_shares_) {
    if (state_.seat_of(id) == nullptr) return wrong("a share of the seed is of nobody in office");
  }
  auto usage = UsageImports::restore(std::move(imports_), std::move(past_));
  if (!usage) return wrong("two usage imports are of one run");
  state_.usage_ = *std::move(usage);
  return {};
}

Status StateSnapshot::Restore::settle_windows() {
  for (auto& [place, window] : windows_) {
    const auto found = state_.jobs_.find(place.first);
    if (found == state_.jobs_.end()) return wrong(fmt::format("job {} is missing", place.first));
    JobEntry& job = found->second;
    const AttemptEntry* attempt = job.attempt(window.attempt);
    if (job.order.kind != JobKind::training || attempt == nullptr || window.window >= job.windows_total() ||
        window.receipts.size() != attempt->members.size())
      return in_job(job, "a window of it");
    if (window.check == WindowCheck::assigned && !known(window.verifier))
      return in_job(job, "the verifier of a window is missing");
    for (std::size_t i = 0; i < window.receipts.size(); ++i) {
      const MemberReceipt& item = window.receipts[i];
      const Receipt& receipt = item.receipt;
      if (item.filed &&
          (receipt.job != job.id || receipt.window != window.window || receipt.attempt != window.attempt ||
           receipt.provider != attempt->members[i].share.organisation))
        return in_job(job, "a receipt is not of its window");
    }
    job.windows.emplace_hint(job.windows.end(), window.window, std::move(window));
  }
  return {};
}

Status StateSnapshot::Restore::settle_jobs() {
  for (auto& [id, job] : state_.jobs_) {
    if (id == 0 || id > state_.job_last_) return in_job(job, "its number");
    if (!known(job.owner)) return in_job(job, "its owner is missing");
    if (!phase_possible(job)) return in_job(job, "its phase");
    for (std::size_t i = 0; i < job.attempts.size(); ++i) {
      const AttemptEntry& attempt = job.attempts[i];
      if (attempt.number != i + 1 || attempt.members.empty()) return in_job(job, "an attempt of it");
      for (const MemberEntry& member : attempt.members) {
        if (!known(member.share.organisation)) return in_job(job, "a member is missing");
      }
    }
    if (job.usage) {
      if (!known(job.usage->provider)) return in_job(job, "its provider is missing");
      job.usage->digest = usage_receipt_digest(job.usage->receipt);
    }
    if (job.deadline != 0) state_.timers_.emplace(job.deadline, id);
    const std::string& key = job.order.idempotency_key;
    if (!key.empty() && !state_.idempotency_.emplace(std::pair{job.owner, key}, id).second)
      return in_job(job, "its idempotency key is taken");
  }
  return {};
}

// What organisations and jobs say of their accounts.
Status StateSnapshot::Restore::settle_money() {
  auto accounts = Accounts::restore(std::move(balances_), global_->minted, global_->burned);
  if (!accounts) return wrong("minted − burned is not the sum of the balances");
  std::map<OrgId, Uint128> escrowed;
  for (const auto& [account, balance] : accounts->all()) {
    switch (account.kind) {
      case AccountKind::mint:
      case AccountKind::burn:
      case AccountKind::treasury: break;
      case AccountKind::balance:
      case AccountKind::stake:
      case AccountKind::unbonding:
        if (account.number > UINT32_MAX || !known(static_cast<OrgId>(account.number)))
          return wrong(fmt::format("nobody has account {}", account_name(account)));
        break;
      case AccountKind::escrow: {
        const JobEntry* job = state_.job(account.number);
        if (job == nullptr || job->phase == JobPhase::settled)
          return wrong(fmt::format("nobody has account {}", account_name(account)));
        escrowed[job->owner] += balance;
        break;
      }
    }
  }
  state_.accounts_ = *std::move(accounts);
  for (const auto& [id, org] : state_.organisations_) {
    if (escrowed[id] != org.escrowed) return in_organisation(org, "what it has in escrow");
    if (org.agent && org.agent->escrowed > org.escrowed)
      return in_organisation(org, "what its agent has in escrow");
    Uint128 unbonding = 0;
    for (const EpochAmount& item : org.unbonding) unbonding += item.amount;
    if (unbonding != state_.accounts_.balance({AccountKind::unbonding, id}))
      return in_organisation(org, "what unbonds");
  }
  return {};
}

// Of everything, encoded again: also a check of the decoders.
Digest StateSnapshot::Restore::root() {
  std::vector<StateKey>& keys = state_.dirty_;
  const auto add = [&keys](StateSlot slot, std::uint64_t a, std::uint64_t b = 0) {
    keys.push_back({static_cast<std::uint8_t>(slot), a, b});
  };
  for (const auto& [account, balance] : state_.accounts_.all())
    add(StateSlot::account, static_cast<std::uint64_t>(account.kind), account.number);
  for (const auto& [id, org] : state_.organisations_) add(StateSlot::organisation, id);
  for (const auto& [id, job] : state_.jobs_) {
    add(StateSlot::job, id);
    for (const auto& [number, window] : job.windows) add(StateSlot::window, id, number);
  }
  for (const auto& [slot, import] : state_.usage_.all())
    add(StateSlot::usage_import, slot.job, std::uint64_t{slot.attempt} << 32 | slot.provider);
  for (const auto& [epoch, committee] : state_.committees_) add(StateSlot::committee, epoch);
  for (const auto& [id, share] : state_.seed_shares_) add(StateSlot::seed_share, id);
  for (std::size_t i = 0; i < state_.keys_taken_.size(); ++i) add(StateSlot::key, i);
  for (const auto& [id, past] : state_.usage_.past_jobs()) add(StateSlot::past_job, id);
  return state_.end_block();  // it adds what is there once, and the jobs in progress
}

}  // namespace ufab
