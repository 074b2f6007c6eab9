#include <fmt/format.h>

#include <algorithm>

#include "accounting/state/flaws.h"
#include "accounting/state/transition.h"

namespace ufab {

namespace {

constexpr std::size_t attempts_max = 256;
// Bounds of what an order may ask for: above any machine, below any overflow of slots × seconds.
constexpr std::uint32_t slots_max = 1U << 20;
constexpr std::uint64_t memory_mib_max = 1ULL << 40;
constexpr std::uint64_t time_limit_s_max = 1ULL << 32;
constexpr std::uint32_t nice_max = 1U << 31;
constexpr std::uint64_t begin_us_max = 1ULL << 62;

// The work of one organisation under one lease, summed before it is priced so that rounding happens once.
struct Earned {
  OrgId organisation = 0;
  std::uint64_t windows = 0;
  Uint128 flop = 0;
  std::uint64_t cpu_us = 0;
  MicroUnc price_per_tflop = 0;
};

std::uint64_t to_mflop(Uint128 flop) {
  const Uint128 mflop = flop / 1'000'000;
  return mflop > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(mflop);
}

// Per attempt and member, over the complete windows of the line.
std::vector<Earned> earned_in(const JobEntry& job) {
  std::map<std::pair<std::uint32_t, std::size_t>, Earned> by_lease;
  for (const auto& [number, window] : job.windows) {
    if (!window.complete) continue;
    const AttemptEntry& attempt = *job.attempt(window.attempt);
    for (std::size_t i = 0; i < attempt.members.size(); ++i) {
      const MemberEntry& member = attempt.members[i];
      Earned& earned = by_lease[{window.attempt, i}];
      earned.organisation = member.share.organisation;
      earned.price_per_tflop = member.lease.price_per_tflop;
      earned.flop += window.receipts[i].receipt.work_flop;
      earned.cpu_us += window.receipts[i].receipt.cpu_us;
      ++earned.windows;
    }
  }
  std::vector<Earned> list;
  list.reserve(by_lease.size());
  for (const auto& [lease, earned] : by_lease) list.push_back(earned);
  return list;
}

}  // namespace

Status Transition::on(const JobOrder& body, OrgId org) {
  const auto wrong = [](std::string why) {
    return Error{ErrorCode::invalid, "job order: " + std::move(why)};
  };
  UFAB_TRY(check_job_name(body.name));
  if (!body.idempotency_key.empty()) {
    UFAB_TRY(check_idempotency_key(body.idempotency_key));
    if (const auto earlier = s_.job_by_idempotency_key(org, body.idempotency_key)) {
      return Error{ErrorCode::conflict, fmt::format("job order: idempotency key '{}' was used by job {}",
                                                    body.idempotency_key, *earlier)};
    }
  }
  if (body.script_digest.is_zero()) return wrong("the script digest is missing");
  if (body.providers_min == 0 || body.providers_min > body.providers_max ||
      body.providers_max > members_max) {
    return wrong(fmt::format("providers {}..{}: expected 1 <= min <= max <= {}", body.providers_min,
                             body.providers_max, members_max));
  }
  if (body.slots == 0 || body.slots > slots_max) {
    return wrong(fmt::format("{} slots: expected 1 to {}", body.slots, slots_max));
  }
  if (body.memory_mib > memory_mib_max || body.time_limit_s > time_limit_s_max || body.nice > nice_max ||
      body.begin_us > begin_us_max) {
    return wrong("memory_mib, time_limit_s, nice or begin_us is out of range");
  }
  if (body.verify_rate_ppm > ppm_one) return wrong("verify_rate_ppm is above 1000000");
  if (body.kind == JobKind::training) {
    if (body.definition_digest.is_zero()) return wrong("the definition digest is missing");
    if (body.steps == 0 || body.window_steps == 0 || body.micro_batches == 0 ||
        body.flop_per_micro_batch == 0) {
      return wrong("steps, window_steps, micro_batches and flop_per_micro_batch must be at least 1");
    }
    if ((body.steps - 1) / body.window_steps + 1 > windows_max) {
      return wrong(fmt::format("more than {} windows", windows_max));
    }
    const auto per_step = checked_mul(body.flop_per_micro_batch, body.micro_batches);
    const auto per_window = per_step ? checked_mul(*per_step, body.window_steps) : std::nullopt;
    if (!per_window || *per_window > INT64_MAX) {
      return wrong("the work of one window does not fit in 63 bits: use a smaller window_steps");
    }
  } else {
    if (body.steps != 0 || body.window_steps != 0 || body.micro_batches != 0 ||
        body.flop_per_micro_batch != 0 || !body.definition_digest.is_zero()) {
      return wrong("a batch job has no steps, windows, micro-batches or definition");
    }
    if (body.providers_max != 1) return wrong("a batch job runs on one provider");
  }
  if (role_ == KeyRole::agent) UFAB_TRY(check_allowance(*s_.organisation(org), body.budget));
  if (s_.balance(org) < body.budget) {
    return Error{ErrorCode::conflict,
                 fmt::format("job order: the budget of {} is above the balance of {}",
                             format_amount(body.budget), format_amount(s_.balance(org)))};
  }
  JobEntry job;
  job.id = ++s_.job_last_;
  job.owner = org;
  job.order = body;
  job.order_height = s_.context_.height;
  job.order_us = s_.context_.time_us;
  move({AccountKind::balance, org}, {AccountKind::escrow, job.id}, body.budget);
  OrgEntry& owner = org_mutable(org);
  owner.escrowed += body.budget;  // a part of what was minted: it cannot overflow
  if (role_ == KeyRole::agent) take_allowance(*owner.agent, job);
  if (!body.idempotency_key.empty()) s_.idempotency_[{org, body.idempotency_key}] = job.id;
  touch(Slot::job, job.id);
  s_.jobs_.emplace(job.id, std::move(job));
  return {};
}

Result<JobEntry*> Transition::owned_job(JobId id, OrgId owner) {
  const auto found = s_.jobs_.find(id);
  if (found == s_.jobs_.end()) {
    return Error{ErrorCode::not_found, fmt::format("there is no open job {}", id)};
  }
  if (found->second.owner != owner) {
    return Error{ErrorCode::denied, fmt::format("job {} belongs to {}", id, name_of(found->second.owner))};
  }
  return &found->second;
}

Status Transition::check_shares(const JobEntry& job, const JobAttempt& body) const {
  const auto wrong = [&](std::string why) {
    return Error{ErrorCode::invalid, fmt::format("attempt {} of job {}: {}", body.attempt, job.id, why)};
  };
  const std::size_t count = body.shares.size();
  // A job that lost a member may go on with fewer than it first asked for.
  const std::size_t count_min = body.attempt == 1 ? job.order.providers_min : 1;
  if (count < count_min || count > job.order.providers_max) {
    return wrong(
        fmt::format("{} providers, the order allows {} to {}", count, count_min, job.order.providers_max));
  }
  std::uint64_t next = 0;
  for (const Share& share : body.shares) {
    const OrgEntry* org = s_.organisation(share.organisation);
    if (org == nullptr) return wrong(fmt::format("there is no organisation {}", share.organisation));
    if (std::find(job.excluded.begin(), job.excluded.end(), org->id) != job.excluded.end()) {
      return wrong(fmt::format("{} was convicted in this job", org->name));
    }
    if (const std::string obstacle = s_.lease_obstacle(*org); !obstacle.empty()) {
      return wrong(fmt::format("{} {}", org->name, obstacle));
    }
    if (std::count_if(body.shares.begin(), body.shares.end(),
                      [&](const Share& other) { return other.organisation == org->id; }) != 1) {
      return wrong(fmt::format("{} is named twice", org->name));
    }
    if (share.micro_batch_first != next) {
      return wrong(fmt::format("the share of {} starts at micro-batch {}, expected {}", org->name,
                               share.micro_batch_first, next));
    }
    if (job.order.kind == JobKind::training && share.micro_batch_count == 0) {
      return wrong(fmt::format("the share of {} is empty", org->name));
    }
    next += share.micro_batch_count;
  }
  if (next != job.order.micro_batches) {
    return wrong(
        fmt::format("the shares cover {} micro-batches, the job has {}", next, job.order.micro_batches));
  }
  return {};
}

Status Transition::on(const JobAttempt& body, OrgId org) {
  UFAB_ASSIGN(JobEntry * job, owned_job(body.job, org));
  const bool open = job->phase == JobPhase::ordered || job->phase == JobPhase::leasing ||
                    job->phase == JobPhase::running || job->phase == JobPhase::requeue;
  if (!open || job->cancelled) {
    return Error{ErrorCode::conflict, fmt::format("job {} is {}: no attempt can start", job->id,
                                                  job->cancelled ? "cancelled" : job_phase_name(job->phase))};
  }
  if (body.attempt != job->attempts.size() + 1) {
    return Error{ErrorCode::invalid, fmt::format("job {}: attempt {}, expected {}", job->id, body.attempt,
                                                 job->attempts.size() + 1)};
  }
  if (job->attempts.size() >= attempts_max) {
    return Error{ErrorCode::limit, fmt::format("job {}: more than {} attempts", job->id, attempts_max)};
  }
  if (body.window_first != job->windows_complete) {
    return Error{ErrorCode::invalid, fmt::format("job {}: the attempt starts at window {}, expected {}",
                                                 job->id, body.window_first, job->windows_complete)};
  }
  UFAB_TRY(check_shares(*job, body));
  blame_attempt(*job);
  drop_windows_from(*job, job->windows_complete);
  end_occupation(*job);
  close_leases(*job);
  AttemptEntry attempt{body.attempt, body.window_first, {}, s_.context_.time_us, false, 0};
  for (const Share& share : body.shares) attempt.members.push_back({share, false, {}, 0});
  job->attempts.push_back(std::move(attempt));
  job->phase = JobPhase::leasing;
  set_lease_timer(*job);
  return {};
}

std::optional<MicroUnc> Transition::committed_cost(const JobEntry& job, std::size_t member,
                                                   MicroUnc price) const {
  MicroUnc total = 0;
  const auto add = [&total](std::optional<MicroUnc> part) {
    const auto sum = part ? checked_add(total, *part) : std::nullopt;
    if (sum) total = *sum;
    return sum.has_value();
  };
  for (const Earned& earned : earned_in(job)) {
    if (!add(cost_of_work(earned.flop, earned.price_per_tflop))) return std::nullopt;
  }
  const AttemptEntry& attempt = job.attempts.back();
  const std::uint64_t steps_left = job.order.steps - attempt.window_first * job.order.window_steps;
  for (std::size_t i = 0; i < attempt.members.size(); ++i) {
    const MemberEntry& other = attempt.members[i];
    const MicroUnc rate = i == member ? price : other.leased ? other.lease.price_per_tflop : 0;
    const std::uint64_t per_window_step = job.order.flop_per_micro_batch * other.share.micro_batch_count;
    if (!add(cost_of_work(static_cast<Uint128>(per_window_step) * steps_left, rate))) return std::nullopt;
  }
  if (!add(part_ppm(total, s_.params_.fee_ppm))) return std::nullopt;
  return total;
}

Status Transition::on(const Lease& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("lease of {} for job {}: {}", name_of(org), body.job, why)};
  };
  const auto found = s_.jobs_.find(body.job);
  if (found == s_.jobs_.end()) return wrong(ErrorCode::not_found, "there is no such open job");
  JobEntry& job = found->second;
  if (job.phase != JobPhase::leasing || job.cancelled || body.attempt != job.attempts.size()) {
    return wrong(ErrorCode::conflict, fmt::format("attempt {} is not waiting for leases", body.attempt));
  }
  AttemptEntry& attempt = job.attempts.back();
  const auto index = JobEntry::member_of(attempt, org);
  if (!index) return wrong(ErrorCode::denied, "the owner's plan does not name it");
  MemberEntry& member = attempt.members[*index];
  if (member.leased) return wrong(ErrorCode::conflict, "there is one already");
  if (body.micro_batch_first != member.share.micro_batch_first ||
      body.micro_batch_count != member.share.micro_batch_count) {
    return wrong(ErrorCode::invalid, "its micro-batches differ from the owner's plan");
  }
  const bool training = job.order.kind == JobKind::training;
  if (training ? body.price_per_tflop > job.order.price_max_per_tflop
               : body.price_per_cpu_hour > job.order.price_max_per_cpu_hour) {
    return wrong(ErrorCode::conflict, "the price is above the order's cap");
  }
  if (body.ranks == 0 || body.threads == 0)
    return wrong(ErrorCode::invalid, "ranks and threads must be >= 1");
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.provider || entry.provider->status != ProviderStatus::active ||
      s_.stake(org) < s_.params_.stake_min) {
    return wrong(ErrorCode::conflict, "its provider is not active, or its stake is too small");
  }
  if (const std::string obstacle = s_.lease_obstacle(entry); !obstacle.empty()) {
    return wrong(ErrorCode::conflict, "it " + obstacle);
  }
  if (training) {
    if (!body.bridge_key.is_acceptable())
      return wrong(ErrorCode::invalid, "the bridge key is not acceptable");
    UFAB_TRY(check_endpoint("bridge address", body.bridge_address));
    const auto cost = committed_cost(job, *index, body.price_per_tflop);
    if (!cost || *cost > job.order.budget) {
      return wrong(ErrorCode::conflict, fmt::format("the job would cost {}, its budget is {}",
                                                    cost ? format_amount(*cost) : "more than any amount",
                                                    format_amount(job.order.budget)));
    }
  }
  member.leased = true;
  member.lease = body;
  ++org_mutable(org).provider->leases_open;
  member.leased_us = s_.context_.time_us;
  if (attempt.all_leased()) {
    job.phase = JobPhase::running;
    clear_timer(job);
  }
  touch(Slot::job, job.id);
  return {};
}

void Transition::drop_windows_from(JobEntry& job, std::uint64_t window) {
  for (auto it = job.windows.lower_bound(window); it != job.windows.end(); it = job.windows.erase(it)) {
    touch(Slot::window, job.id, it->first);
  }
  job.windows_complete = std::min(job.windows_complete, window);
}

void Transition::close_leases(JobEntry& job) {
  if (job.attempts.empty()) return;
  for (const MemberEntry& member : job.attempts.back().members) {
    if (!member.leased) continue;
    OrgEntry& org = org_mutable(member.share.organisation);
    if (org.provider && org.provider->leases_open > 0) --org.provider->leases_open;
  }
}

Status Transition::on(const Cancel& body, OrgId org) {
  UFAB_ASSIGN(JobEntry * job, owned_job(body.job, org));
  if (job->phase == JobPhase::settled || job->cancelled) {
    return Error{ErrorCode::conflict, fmt::format("job {} has ended already", job->id)};
  }
  if (body.result == JobResult::done) {
    return Error{ErrorCode::invalid, "cancel: the result must be cancelled or failed"};
  }
  blame_attempt(*job);
  if (job->phase == JobPhase::leasing) clear_timer(*job);
  job->cancelled = body;
  touch(Slot::job, job->id);
  if (job->order.kind == JobKind::batch) {
    // A provider that runs the script may still say what it used; without that the job ends unpaid.
    if (job->phase == JobPhase::running) {
      set_timer(*job, s_.context_.height + s_.params_.countersign_deadline_blocks);
    } else if (job->phase != JobPhase::validating) {
      settle(*job, body.result);
    }
    return {};
  }
  if (job->phase == JobPhase::validating) return {};  // it settles once the votes are in
  drop_windows_from(*job, job->windows_complete);
  start_validation(*job);
  return {};
}

Status Transition::on(const UsageReceipt& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("usage receipt of {} for job {}: {}", name_of(org), body.job, why)};
  };
  const auto found = s_.jobs_.find(body.job);
  if (found == s_.jobs_.end()) return wrong(ErrorCode::not_found, "there is no such open job");
  JobEntry& job = found->second;
  if (job.order.kind != JobKind::batch) return wrong(ErrorCode::invalid, "it is a training job");
  if (job.phase != JobPhase::running || body.attempt != job.attempts.size()) {
    return wrong(ErrorCode::conflict, fmt::format("attempt {} is not running", body.attempt));
  }
  const MemberEntry& member = job.attempts.back().members[0];
  if (member.share.organisation != org) return wrong(ErrorCode::denied, "it has no lease");
  const Uint128 cpu_us_max = static_cast<Uint128>(body.wall_us) * member.lease.ranks * member.lease.threads;
  if (body.cpu_us > cpu_us_max) {
    return wrong(ErrorCode::invalid, "more processor time than its leased ranks and threads can spend");
  }
  end_occupation(job);
  job.usage = UsageEntry{body, org, usage_receipt_digest(body), s_.context_.height};
  touch(Slot::job, job.id);
  if (org == job.owner) {
    settle_usage(job);
  } else {
    job.phase = JobPhase::validating;
    set_timer(job, s_.context_.height + s_.params_.countersign_deadline_blocks);
  }
  return {};
}

void Transition::settle_usage(JobEntry& job) {
  const UsageReceipt& usage = job.usage->receipt;
  const bool good = usage.exit_code == 0 && usage.signal == 0;
  settle(job, job.cancelled ? job.cancelled->result : good ? JobResult::done : JobResult::failed);
}

// Pays, takes the fee, refunds the rest. Amounts come from the line (training) or the usage (batch).
void Transition::settle(JobEntry& job, JobResult result) {
  const AccountId escrow{AccountKind::escrow, job.id};
  const MicroUnc budget = s_.accounts_.balance(escrow);
  Settlement body;
  body.job = job.id;
  body.result = result;
  std::vector<Earned> earned = earned_in(job);
  MicroUnc paid = 0;
  for (const Earned& item : earned) {
    const auto amount = cost_of_work(item.flop, item.price_per_tflop);
    UFAB_ASSERT(amount.has_value());
    body.payments.push_back({item.organisation, item.windows, to_mflop(item.flop), item.cpu_us, *amount});
    paid += *amount;
  }
  if (job.usage) {
    // Usage is not known when the lease is signed: the budget is the cap, fee included.
    const MicroUnc price = job.attempts.back().members[0].lease.price_per_cpu_hour;
    const MicroUnc cap = *mul_div(budget, ppm_one, ppm_one + s_.params_.fee_ppm);
    paid = std::min(cap, mul_div(job.usage->receipt.cpu_us, price, us_per_hour).value_or(cap));
    body.payments.push_back({job.usage->provider, 0, 0, job.usage->receipt.cpu_us, paid});
  }
  std::uint64_t sampled = 0;
  for (const auto& [number, window] : job.windows) {
    if (!window.complete) continue;
    ++body.windows_paid;
    body.final_digest = window.receipts[0].receipt.end_digest;
    if (window.check == WindowCheck::good) ++body.windows_verified;
    if (window.check != WindowCheck::none) ++sampled;
  }
  body.verified = sampled > 0 && sampled == body.windows_verified;
  const MicroUnc fee = part_ppm(paid, s_.params_.fee_ppm);
  body.fee_burned = part_ppm(fee, s_.params_.fee_burn_ppm);
  body.fee_treasury = fee - body.fee_burned;
  UFAB_ASSERT(paid <= budget && fee <= budget - paid);
  body.refund = budget - paid - fee;
  for (const Payment& payment : body.payments) {
    move(escrow, {AccountKind::balance, payment.organisation}, payment.amount);
    OrgEntry& org = org_mutable(payment.organisation);
    org.receipts_good += payment.windows;
    if (body.verified) {
      org.verified_mflop = checked_add(org.verified_mflop, payment.work_mflop).value_or(UINT64_MAX);
    }
  }
  move(escrow, {AccountKind::burn, 0}, body.fee_burned);
  move(escrow, {AccountKind::treasury, 0}, body.fee_treasury);
  if (!planted(LedgerFlaw::kept_escrow)) move(escrow, {AccountKind::balance, job.owner}, body.refund);
  OrgEntry& owner = org_mutable(job.owner);
  UFAB_ASSERT(owner.escrowed >= budget);
  owner.escrowed -= budget;
  owner.spent = checked_add(owner.spent, budget - body.refund).value_or(UINT64_MAX);
  settle_allowance(owner, job, budget, body.refund);
  end_occupation(job);
  close_leases(job);
  // The windows stay in the log and the index; memory keeps the outcome.
  drop_windows_from(job, 0);
  job.windows_complete = body.windows_paid;
  job.phase = JobPhase::settled;
  job.settled_height = s_.context_.height;
  job.settlement = body;
  set_timer(job, s_.context_.height + s_.params_.job_retention_blocks + 1);
  touch(Slot::job, job.id);
  derive(std::move(body));
}

void Transition::clear_timer(JobEntry& job) {
  s_.timers_.erase({job.deadline, job.id});
  job.deadline = 0;
  touch(Slot::job, job.id);
}

void Transition::set_timer(JobEntry& job, std::uint64_t height) {
  s_.timers_.erase({job.deadline, job.id});
  job.deadline = height;
  s_.timers_.insert({height, job.id});
  touch(Slot::job, job.id);
}

}  // namespace ufab
