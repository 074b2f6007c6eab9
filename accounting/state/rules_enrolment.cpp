// Benchmarks and the ladder of faults.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/sample.h"
#include "accounting/state/transition.h"

namespace ufab {

namespace {
constexpr std::uint32_t check_rounds_max = 3;
}  // namespace

Digest benchmark_lanes_digest(const std::vector<Digest>& lanes) {
  Sha256 hash;
  hash.update("ufab lanes 1\n").update_u64(lanes.size());
  for (const Digest& lane : lanes) hash.update(lane.view());
  return hash.finish();
}

std::uint64_t State::speed_mflops(const OrgEntry& org) const {
  if (!org.provider) return 0;
  const ProviderOffer& offer = org.provider->offer;
  if (params_.enrolment.bench_epochs == 0) return offer.mflops;
  if (!benchmark_valid(org)) return 0;
  const std::uint64_t slots = std::uint64_t{offer.ranks} * offer.threads;
  const std::uint64_t lanes = org.benchmark->lanes_count;
  // An offer that has shrunk since is worth its part of what was shown; one that has grown shows it anew.
  const std::uint64_t shown =
      slots < lanes ? *mul_div(org.benchmark->mflops, slots, lanes) : org.benchmark->mflops;
  return std::min(offer.mflops, shown);
}

bool State::benchmark_stands(const OrgEntry& org) const {
  return org.benchmark && org.benchmark->check < BenchmarkState::refuted && epoch_ < org.benchmark->epoch_end;
}

bool State::benchmark_valid(const OrgEntry& org) const {
  return benchmark_stands(org) && (!org.benchmark->on_proof || !check_pending(*org.benchmark));
}

std::string State::lease_obstacle(const OrgEntry& org) const {
  if (!org.provider || org.provider->status != ProviderStatus::active) return "has no active provider";
  if (stake(org.id) < params_.stake_min) {
    return fmt::format("stakes {}, leases need {}", format_amount(stake(org.id)),
                       format_amount(params_.stake_min));
  }
  if (!may_lease(org.standing)) {
    return fmt::format("is {} until epoch {}", standing_status_name(org.standing.status),
                       org.standing.until_epoch);
  }
  if (params_.enrolment.bench_epochs == 0 || benchmark_valid(org)) return {};
  if (!org.benchmark) return "has no benchmark yet";
  if (org.benchmark->check >= BenchmarkState::refuted) {
    return fmt::format("has a benchmark that was {}", benchmark_state_name(org.benchmark->check));
  }
  if (benchmark_stands(org))
    return "has a benchmark that counts once it is checked: the one before was refuted";
  return fmt::format("has no valid benchmark since epoch {}", org.benchmark->epoch_end);
}

const BlockMark* State::block_mark(std::uint64_t height) const {
  if (marks_.empty() || height < marks_.front().height || height > marks_.back().height) return nullptr;
  return &marks_[height - marks_.front().height];
}

void Transition::mark_block(const BlockContext& next) {
  s_.marks_.push_back({next.height - 1, next.previous, s_.context_.time_us});
  while (s_.marks_.size() > s_.params_.enrolment.bench_window_blocks) s_.marks_.pop_front();
}

Status Transition::on(const ProviderBenchmark& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("benchmark of {}: {}", name_of(org), why)};
  };
  const EnrolmentParams& p = s_.params_.enrolment;
  const OrgEntry& entry = *s_.organisation(org);
  if (p.bench_epochs == 0) return wrong(ErrorCode::denied, "this chain asks for none");
  if (!entry.provider || entry.provider->status == ProviderStatus::left) {
    return wrong(ErrorCode::conflict, "it has no provider enrolled");
  }
  const std::uint64_t slots = std::uint64_t{entry.provider->offer.ranks} * entry.provider->offer.threads;
  if (body.lanes.empty() || body.lanes.size() > slots) {
    return wrong(ErrorCode::invalid,
                 fmt::format("{} lanes, its offer has {} processors", body.lanes.size(), slots));
  }
  if (body.repeats == 0 || body.repeats > benchmark_repeats_max) {
    return wrong(ErrorCode::invalid, fmt::format("repeats must be 1 to {}", benchmark_repeats_max));
  }
  const bool refiled = entry.benchmark && entry.benchmark->check < BenchmarkState::refuted;
  if (refiled && entry.benchmark->epoch_filed == s_.epoch_) {
    return wrong(ErrorCode::conflict, "there is one in this epoch already");
  }
  if (entry.benchmark && body.challenge_height <= entry.benchmark->challenge_height) {
    return wrong(ErrorCode::conflict, "its challenge is not newer than the last one's");
  }
  // Or each would be replaced before anybody could look at it.
  if (s_.benchmark_stands(entry) && check_pending(*entry.benchmark)) {
    return wrong(ErrorCode::conflict, "the one before waits for its check");
  }
  const BlockMark* mark = s_.block_mark(body.challenge_height);
  if (mark == nullptr) {
    return wrong(ErrorCode::conflict, fmt::format("block {} is not among the last {} before this one",
                                                  body.challenge_height, p.bench_window_blocks));
  }
  const std::uint64_t elapsed_us = s_.context_.time_us - mark->time_us;
  if (elapsed_us < p.bench_ms_min * 1000) {
    return wrong(ErrorCode::conflict, fmt::format("it took {} ms, at least {} are needed to tell",
                                                  elapsed_us / 1000, p.bench_ms_min));
  }
  // Operations per microsecond are millions a second.
  const Uint128 flop = static_cast<Uint128>(benchmark_flop_per_repeat) * body.repeats * body.lanes.size();
  const Uint128 mflops = flop / elapsed_us;
  OrgEntry& changed = org_mutable(org);
  BenchmarkEntry benchmark;
  benchmark.challenge_height = body.challenge_height;
  benchmark.challenge = benchmark_challenge(mark->hash, org);
  benchmark.semantics_version = body.semantics_version;
  benchmark.repeats = body.repeats;
  benchmark.lanes = body.lanes;
  benchmark.lanes_digest = benchmark_lanes_digest(body.lanes);
  benchmark.lanes_count = static_cast<std::uint32_t>(body.lanes.size());
  benchmark.mflops = mflops > UINT64_MAX ? UINT64_MAX : static_cast<std::uint64_t>(mflops);
  benchmark.epoch_filed = s_.epoch_;
  benchmark.epoch_end = s_.epoch_ + p.bench_epochs;
  benchmark.on_proof = entry.benchmark && (entry.benchmark->check >= BenchmarkState::refuted ||
                                           (entry.benchmark->on_proof && check_pending(*entry.benchmark)));
  derive(BenchmarkCredit{org, body.challenge_height, elapsed_us, benchmark.mflops, benchmark.epoch_end});
  changed.benchmark = std::move(benchmark);
  s_.benchmarks_to_draw_.insert(org);
  return {};
}

// The lane and its verifier, for benchmarks filed in the block before and those whose verifier was late.
void Transition::draw_benchmark_checks() {
  for (const OrgId id : std::exchange(s_.benchmarks_to_draw_, {})) {
    OrgEntry& org = org_mutable(id);
    UFAB_ASSERT(org.benchmark && org.benchmark->check == BenchmarkState::drawing);
    BenchmarkEntry& benchmark = *org.benchmark;
    std::vector<OrgId> eligible;
    std::vector<std::uint64_t> scores;
    for (const auto& [other, entry] : s_.organisations_) {
      const bool provides = entry.provider && entry.provider->status != ProviderStatus::left &&
                            s_.stake(other) >= s_.params_.stake_min && may_lease(entry.standing);
      if (other == id || other == benchmark.verifier || entry.score == 0) continue;
      if (!provides && !s_.in_office(other)) continue;
      eligible.push_back(other);
      scores.push_back(entry.score);
    }
    Sha256 hash;
    hash.update("ufab benchmark check 1\n")
        .update(s_.epoch_seed_.view())
        .update(s_.context_.previous.view())
        .update_u64(id)
        .update_u64(benchmark.challenge_height)
        .update_u64(benchmark.rounds);
    const Digest seed = hash.finish();
    benchmark.lane = static_cast<std::uint32_t>(hpos::draw(seed, 1) % benchmark.lanes_count);
    benchmark.verifier = eligible.empty() ? 0 : eligible[hpos::weighted_pick(seed, 0, scores)];
    benchmark.deadline_height = s_.context_.height + s_.params_.verify_deadline_blocks;
    benchmark.check = eligible.empty() ? BenchmarkState::unchecked : BenchmarkState::waiting;
    if (eligible.empty()) benchmark.lanes.clear();
    derive(BenchmarkDuty{id, benchmark.challenge_height, benchmark.verifier, benchmark.lane,
                         benchmark.deadline_height});
  }
}

Status Transition::on(const BenchmarkCheck& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("check of the benchmark of {} by {}: {}", name_of(body.organisation),
                                   name_of(org), why)};
  };
  const OrgEntry* entry = s_.organisation(body.organisation);
  if (entry == nullptr || !entry->benchmark || entry->benchmark->check != BenchmarkState::waiting ||
      entry->benchmark->challenge_height != body.challenge_height) {
    return wrong(ErrorCode::conflict, "it does not wait for a check");
  }
  if (entry->benchmark->verifier != org) {
    return wrong(ErrorCode::denied, fmt::format("its verifier is {}", name_of(entry->benchmark->verifier)));
  }
  OrgEntry& changed = org_mutable(body.organisation);
  BenchmarkEntry& benchmark = *changed.benchmark;
  const bool good = benchmark.lanes.at(benchmark.lane) == body.lane;
  benchmark.check = good ? BenchmarkState::good : BenchmarkState::refuted;
  benchmark.lanes.clear();
  ++org_mutable(org).duties_done;
  if (!good) fault(body.organisation, FaultKind::benchmark_refuted, 0, org);
  return {};
}

void Transition::fault(OrgId id, FaultKind kind, JobId job, OrgId by) {
  OrgEntry& org = org_mutable(id);
  const FaultEntry entry{kind, job, by, s_.context_.height, s_.epoch_, 0};
  if (!add_fault(org.standing, entry, s_.params_.enrolment)) return;
  s_.faulted_.insert(id);
  derive(Fault{id, kind, job, by, org.standing.recent.back().points, org.standing.points});
}

void Transition::standing_changed(OrgEntry& org) {
  const Standing& standing = org.standing;
  if (standing.status == StandingStatus::expelled) {
    if (org.provider) org.provider->status = ProviderStatus::left;
    if (org.benchmark) {
      org.benchmark->check = BenchmarkState::withdrawn;
      org.benchmark->lanes.clear();
    }
    s_.benchmarks_to_draw_.erase(org.id);
  }
  derive(StandingChange{org.id, standing.status, standing.step, standing.points, standing.until_epoch});
}

void Transition::judge_faults() {
  for (const OrgId id : std::exchange(s_.faulted_, {})) {
    OrgEntry& org = org_mutable(id);
    if (evaluate_standing(org.standing, s_.epoch_, s_.params_.enrolment)) standing_changed(org);
  }
}

// Processors that leases in force and asks for leases take of a provider together.
std::uint64_t Transition::wanted_of(OrgId provider) const {
  std::uint64_t slots = 0;
  for (const JobId id : s_.in_progress_) {
    const JobEntry& job = s_.jobs_.at(id);
    if (job.attempts.empty() || job.attempts.back().ended_us != 0) continue;
    for (const MemberEntry& member : job.attempts.back().members) {
      if (member.share.organisation != provider) continue;
      if (member.leased) slots += std::uint64_t{member.lease.ranks} * member.lease.threads;
      if (!member.leased && job.phase == JobPhase::leasing) slots += job.order.slots;
    }
  }
  return slots;
}

// Whether some member had reason to let the attempt wait: more was asked of it than it has, or was until a
// moment ago. A gang starts whole or not at all, so that all of its members wait then.
bool Transition::waits_its_turn(const JobEntry& job, const AttemptEntry& attempt) const {
  return std::any_of(attempt.members.begin(), attempt.members.end(), [&](const MemberEntry& member) {
    const OrgEntry& org = *s_.organisation(member.share.organisation);
    if (member.leased || !org.provider) return false;
    const ProviderOffer& offer = org.provider->offer;
    return job.order.memory_mib > offer.memory_bytes >> 20 || org.provider->freed_us > attempt.asked_us ||
           wanted_of(org.id) > std::uint64_t{offer.ranks} * offer.threads;
  });
}

// The present attempt has come to its lease deadline, or is given up: who is to blame, as far as the ledger
// sees it. Nobody is while the deadline has not passed: an owner must not make faults by being quick. Where
// providers are full the time begins anew.
void Transition::blame_attempt(JobEntry& job) {
  if (job.attempts.empty()) return;
  AttemptEntry& attempt = job.attempts.back();
  const std::uint64_t patience_us = s_.params_.enrolment.lease_deadline_ms * 1000;
  const std::uint64_t now = s_.context_.time_us;
  if (job.phase == JobPhase::leasing && !attempt.blamed && now - attempt.asked_us >= patience_us) {
    touch(Slot::job, job.id);
    if (waits_its_turn(job, attempt)) {
      attempt.asked_us = now;
      return;
    }
    attempt.blamed = true;
    for (const MemberEntry& member : attempt.members) {
      const OrgEntry& org = *s_.organisation(member.share.organisation);
      if (member.leased || org.id == job.owner || !s_.lease_obstacle(org).empty()) continue;
      const ProviderOffer& offer = org.provider->offer;
      const bool affordable = job.order.kind == JobKind::training
                                  ? offer.price_per_tflop <= job.order.price_max_per_tflop
                                  : offer.price_per_cpu_hour <= job.order.price_max_per_cpu_hour;
      if (affordable) fault(org.id, FaultKind::lease_missed, job.id, job.owner);
    }
  }
  if (job.phase != JobPhase::running || job.order.kind != JobKind::training) return;
  const auto open = job.windows.find(job.windows_complete);
  if (open == job.windows.end() || open->second.attempt != attempt.number ||
      now - open->second.first_us < patience_us) {
    return;
  }
  for (std::size_t i = 0; i < attempt.members.size(); ++i) {
    const OrgId id = attempt.members[i].share.organisation;
    if (!open->second.receipts[i].filed && id != job.owner) {
      fault(id, FaultKind::receipts_missing, job.id, job.owner);
    }
  }
}

// When the ledger looks whether every lease of the present attempt came: as many blocks on as the deadline
// takes at the slowest rate, and again if they came faster.
void Transition::set_lease_timer(JobEntry& job) {
  const std::uint64_t deadline_us =
      job.attempts.back().asked_us + s_.params_.enrolment.lease_deadline_ms * 1000;
  const std::uint64_t left_us = deadline_us > s_.context_.time_us ? deadline_us - s_.context_.time_us : 0;
  set_timer(job, s_.context_.height + 1 + left_us / (s_.params_.block_interval_ms * 1000));
}

// Deadlines of benchmarks and of their checks are looked at once an epoch.
void Transition::begin_enrolment_epoch() {
  for (auto& [id, org] : s_.organisations_) {
    const Standing& standing = org.standing;
    if (standing.points == 0 && standing.step == 0 && standing.status == StandingStatus::good) continue;
    org_mutable(id);
    if (begin_standing_epoch(org.standing, s_.epoch_, s_.params_.enrolment)) standing_changed(org);
  }
  for (auto& [id, org] : s_.organisations_) {
    if (!org.benchmark) continue;
    BenchmarkEntry& benchmark = *org.benchmark;
    if (benchmark.check == BenchmarkState::waiting && benchmark.deadline_height <= s_.context_.height) {
      ++org_mutable(benchmark.verifier).duties_missed;
      fault(benchmark.verifier, FaultKind::verification_missed, 0, id);
      org_mutable(id);
      ++benchmark.rounds;
      if (benchmark.rounds < check_rounds_max) {
        benchmark.check = BenchmarkState::drawing;
        s_.benchmarks_to_draw_.insert(id);
      } else {
        benchmark.check = BenchmarkState::unchecked;
        benchmark.lanes.clear();
      }
    }
    const bool wanted =
        org.provider && org.provider->status == ProviderStatus::active && may_lease(org.standing);
    if (benchmark.epoch_end == s_.epoch_ && benchmark.check < BenchmarkState::refuted && wanted) {
      fault(id, FaultKind::benchmark_expired, 0, 0);
    }
  }
}

}  // namespace ufab
