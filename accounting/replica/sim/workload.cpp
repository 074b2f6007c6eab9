#include "accounting/replica/sim/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "accounting/hpos/sample.h"

namespace ufab::sim {

namespace {

constexpr std::uint64_t second_us = 1'000'000;
constexpr MicroUnc pledge = 1000 * micro_per_unc;
constexpr std::uint64_t window_us = second_us / 3;  // that a window takes
constexpr std::uint64_t script_us = second_us;      // that a batch script takes
constexpr std::uint64_t lease_patience_us = 8 * second_us;
constexpr std::uint64_t job_patience_us = 40 * second_us;  // then the owner cancels
constexpr std::uint64_t batch_max = 4;                     // receipts of one job in a record
constexpr std::size_t said_max = 64;

std::uint64_t since(const State& state, std::uint64_t then_us) {
  return state.time_us() > then_us ? state.time_us() - then_us : 0;
}

Digest contribution(const Receipt& receipt) {
  return sha256(fmt::format("contribution {} {} {} {}", receipt.job, receipt.attempt, receipt.provider,
                            receipt.window));
}

// Before that window of the line; empty when the line does not reach it.
std::optional<Digest> parameters_before(const JobEntry& job, std::uint64_t window, std::size_t member) {
  if (window == 0) return first_parameters(job.id);
  const auto before = job.windows.find(window - 1);
  if (before == job.windows.end()) return std::nullopt;
  const bool own = before->second.attempt == job.attempts.back().number;
  const MemberReceipt& receipt = before->second.receipts[own ? member : 0];
  return receipt.filed ? std::optional(receipt.receipt.end_digest) : std::nullopt;
}

bool present(const JobEntry& job, JobPhase phase) {
  return job.phase == phase && !job.cancelled && !job.attempts.empty();
}

}  // namespace

Digest first_parameters(JobId job) {
  return sha256(fmt::format("first parameters of {}", job));
}

Digest true_result(JobId job, std::uint64_t window, const Digest& before) {
  return sha256(fmt::format("window {} of {} from {}", window, job, before.hex()));
}

std::uint64_t Workload::drawn(const char* what, std::uint64_t a, std::uint64_t b, std::uint64_t count) const {
  return hpos::draw(sha256(fmt::format("{} {} {} {}", what, options_.seed, a, b)), 0) % count;
}

void Workload::enrol(OrgId org, const State& state, std::vector<RecordBody>& out) const {
  const OrgEntry& entry = *state.organisation(org);
  if (state.stake(org) < pledge && state.balance(org) > pledge)
    out.emplace_back(Stake{pledge - state.stake(org)});
  if (entry.provider && entry.provider->status != ProviderStatus::left) return;
  if (entry.standing.status == StandingStatus::expelled) return;
  ProviderOffer offer;
  offer.name = fmt::format("cluster{}", org);
  offer.ranks = 4;
  offer.threads = 2;
  offer.mflops = 1'000'000;
  offer.price_per_tflop = 1 + drawn("price", org, 0, 900);
  offer.price_per_cpu_hour = 1 + drawn("hour", org, 0, 90'000'000);
  out.emplace_back(ProviderEnrol{std::move(offer)});
}

void Workload::order(OrgId org, const State& state, std::vector<RecordBody>& out) const {
  const auto& jobs = state.jobs();
  if (std::any_of(jobs.begin(), jobs.end(), [org](const auto& item) {
        return item.second.owner == org && item.second.phase != JobPhase::settled;
      }))
    return;
  // The client numbers its orders, and knows by the key which of them the ledger has.
  std::uint64_t number = 0;
  const auto key = [org, &number] { return fmt::format("{}-{}", org, number); };
  while (state.job_by_idempotency_key(org, key())) ++number;
  if (number >= options_.jobs_of_each) return;
  const std::uint64_t which = org * 1000 + number;
  JobOrder order;
  order.kind = drawn("kind", which, 0, 4) == 0 ? JobKind::batch : JobKind::training;
  order.name = "job" + key();
  order.idempotency_key = key();
  order.script_digest = sha256("script");
  order.price_max_per_tflop = 1000;
  order.price_max_per_cpu_hour = 100'000'000;
  order.budget = (2 + drawn("budget", which, 0, 4)) * micro_per_unc;
  if (order.kind == JobKind::training) {
    order.definition_digest = sha256("definition");
    order.semantics_version = 1;
    order.window_steps = static_cast<std::uint32_t>(1 + drawn("window", which, 0, 3));
    order.steps = 1 + drawn("steps", which, 0, 24);
    order.micro_batches = static_cast<std::uint32_t>(3 + drawn("batches", which, 0, 6));
    order.flop_per_micro_batch = 1 + drawn("flop", which, 0, 3 * flop_per_tflop);
    order.verify_rate_ppm = static_cast<std::uint32_t>(drawn("rate", which, 0, 4) * 250'000);
    order.providers_max = 3;
  }
  out.emplace_back(std::move(order));
}

// One to three providers that may lease; the cheat more often than others.
std::vector<Share> Workload::plan(const State& state, const JobEntry& job) const {
  std::vector<OrgId> free;
  const auto consider = [&](OrgId id) {
    const OrgEntry* org = state.organisation(id);
    if (org != nullptr && state.lease_obstacle(*org).empty() &&
        std::find(job.excluded.begin(), job.excluded.end(), id) == job.excluded.end())
      free.push_back(id);
  };
  for (const OrgId id : options_.honest) consider(id);
  const std::uint64_t attempt = job.attempts.size();
  for (std::size_t i = free.size(); i > 1; --i)
    std::swap(free[i - 1], free[drawn("order", job.id, attempt * 100 + i, i)]);
  if (options_.cheat != 0 && drawn("trust", job.id, attempt, 2) == 0) {
    consider(options_.cheat);
    if (!free.empty()) std::rotate(free.begin(), free.end() - 1, free.end());
  }
  const std::uint64_t most = job.order.kind == JobKind::batch ? 1 : 1 + drawn("gang", job.id, attempt, 3);
  free.resize(std::min<std::size_t>(free.size(), most));
  std::vector<Share> shares;
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < free.size(); ++i) {
    const auto left = static_cast<std::uint32_t>(free.size() - i);
    const std::uint32_t count = (job.order.micro_batches - next) / left;
    shares.push_back({free[i], next, count});
    next += count;
  }
  return shares;
}

void Workload::own(OrgId org, const State& state, const JobEntry& job, bool closing,
                   std::vector<RecordBody>& out) const {
  if (job.usage && job.phase == JobPhase::validating && job.usage->provider != org) {
    if (drawn("silent", job.id, 0, 3) > 0)
      out.emplace_back(Countersignature{
          job.id, job.attempts.back().number, {{0, job.usage->provider, job.usage->digest}}});
    return;
  }
  if (job.cancelled || job.phase == JobPhase::settled) return;
  const std::uint64_t age_us = since(state, job.order_us);
  const bool regrets = drawn("regret", job.id, 0, 8) == 0 && age_us > 3 * second_us;
  if (closing || regrets || age_us > job_patience_us) {
    const JobResult result = drawn("result", job.id, 0, 2) == 0 ? JobResult::cancelled : JobResult::failed;
    out.emplace_back(Cancel{job.id, result, "the owner's wish"});
    return;
  }
  const bool stuck =
      job.phase == JobPhase::leasing && since(state, job.attempts.back().asked_us) > lease_patience_us;
  if (job.phase != JobPhase::ordered && job.phase != JobPhase::requeue && !stuck) return;
  std::vector<Share> shares = plan(state, job);
  if (shares.empty()) return;
  out.emplace_back(JobAttempt{job.id, static_cast<std::uint32_t>(job.attempts.size() + 1),
                              job.windows_complete, std::move(shares), stuck ? "no lease" : ""});
}

void Workload::lease(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const {
  const AttemptEntry& attempt = job.attempts.back();
  const auto member = JobEntry::member_of(attempt, org);
  if (!member || attempt.members[*member].leased) return;
  const Share& share = attempt.members[*member].share;
  Lease lease;
  lease.job = job.id;
  lease.attempt = attempt.number;
  lease.micro_batch_first = share.micro_batch_first;
  lease.micro_batch_count = share.micro_batch_count;
  lease.ranks = 1;
  lease.threads = 2;
  lease.price_per_tflop = 1 + drawn("price", org, 0, 900);
  lease.price_per_cpu_hour = 1 + drawn("hour", org, 0, 90'000'000);
  lease.bridge_key = KeyPair::from_seed(sha256("bridge").bytes).public_key();
  lease.bridge_address = "127.0.0.1:7000";
  out.emplace_back(std::move(lease));
}

// Those of the next windows that the provider has computed since the attempt began to run.
std::vector<Receipt> Workload::receipts(OrgId org, const State& state, const JobEntry& job) const {
  std::vector<Receipt> list;
  const AttemptEntry& attempt = job.attempts.back();
  const auto member = JobEntry::member_of(attempt, org);
  if (!member) return list;
  const std::uint64_t computed = since(state, attempt.running_us()) / window_us;
  const std::uint64_t end = std::min(job.windows_total(), attempt.window_first + computed);
  std::uint64_t window = attempt.window_first;
  const auto filed = [&](std::uint64_t number) {
    const auto found = job.windows.find(number);
    return found != job.windows.end() && found->second.attempt == attempt.number &&
           found->second.receipts[*member].filed;
  };
  while (window < end && filed(window)) ++window;
  if (window >= end) return list;
  std::optional<Digest> before = parameters_before(job, window, *member);
  for (; before && window < end && list.size() < batch_max; ++window) {
    Receipt receipt;
    receipt.job = job.id;
    receipt.attempt = attempt.number;
    receipt.provider = org;
    receipt.window = window;
    receipt.start_digest = *before;
    before = receipt.end_digest = true_result(job.id, window, *before);
    receipt.contribution_root = contribution(receipt);
    receipt.work_flop = job.order.flop_per_micro_batch * attempt.members[*member].share.micro_batch_count *
                        job.steps_of(window);
    receipt.cpu_us = window_us;
    receipt.wall_us = window_us;
    list.push_back(receipt);
  }
  return list;
}

void Workload::countersign(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const {
  const AttemptEntry& attempt = job.attempts.back();
  const auto member = JobEntry::member_of(attempt, org);
  if (!member) return;
  Countersignature body;
  body.job = job.id;
  body.attempt = attempt.number;
  for (auto it = job.windows.lower_bound(job.windows_complete); it != job.windows.end(); ++it) {
    const WindowEntry& window = it->second;
    if (window.attempt != attempt.number || !window.receipts[*member].filed) continue;
    for (const MemberReceipt& other : window.receipts) {
      if (!other.filed || (other.countersigned >> *member & 1) != 0) continue;
      if (other.receipt.end_digest != window.receipts[*member].receipt.end_digest) continue;
      body.receipts.push_back({window.window, other.receipt.provider, other.digest});
    }
  }
  if (!body.receipts.empty()) out.emplace_back(std::move(body));
}

void Workload::use(OrgId org, const State& state, const JobEntry& job, std::vector<RecordBody>& out) const {
  const AttemptEntry& attempt = job.attempts.back();
  if (!JobEntry::member_of(attempt, org) || since(state, attempt.running_us()) < script_us) return;
  UsageReceipt body;
  body.job = job.id;
  body.attempt = attempt.number;
  body.cpu_us = 1 + drawn("used", job.id, 0, 2 * script_us);
  body.wall_us = script_us;
  body.exit_code = drawn("exit", job.id, 0, 4) == 0 ? 1U : 0U;
  out.emplace_back(body);
}

// Re-executes the windows drawn for it.
void Workload::verify(OrgId org, const JobEntry& job, std::vector<RecordBody>& out) const {
  for (const auto& [number, window] : job.windows) {
    if (window.check != WindowCheck::assigned || window.verifier != org) continue;
    Vote vote;
    vote.job = job.id;
    vote.attempt = window.attempt;
    vote.window = number;
    vote.start_digest = first_parameters(job.id);
    if (number > 0) vote.start_digest = job.windows.at(number - 1).receipts[0].receipt.end_digest;
    vote.end_digest = true_result(job.id, number, vote.start_digest);
    for (const MemberEntry& member : job.attempt(window.attempt)->members) {
      const MemberReceipt& receipt = window.receipts[vote.findings.size()];
      const bool bad = receipt.filed && (receipt.receipt.start_digest != vote.start_digest ||
                                         receipt.receipt.end_digest != vote.end_digest);
      const std::uint64_t step = bad ? number * job.order.window_steps + 1 : 0;
      vote.findings.push_back({member.share.organisation, bad, step, 0});
    }
    out.emplace_back(std::move(vote));
    // A verdict against somebody takes later windows back.
    return;
  }
}

std::vector<RecordBody> Workload::due(OrgId org, const State& state, bool closing) const {
  std::vector<RecordBody> out;
  enrol(org, state, out);
  ReceiptBatch batch;
  for (const auto& [id, job] : state.jobs()) {
    if (job.owner == org) own(org, state, job, closing, out);
    if (present(job, JobPhase::leasing)) lease(org, job, out);
    if (job.order.kind == JobKind::batch) {
      if (job.phase == JobPhase::running) use(org, state, job, out);
    } else if (present(job, JobPhase::running)) {
      const std::vector<Receipt> more = receipts(org, state, job);
      batch.receipts.insert(batch.receipts.end(), more.begin(), more.end());
      countersign(org, job, out);
    }
    if (job.phase == JobPhase::validating) verify(org, job, out);
  }
  if (!batch.receipts.empty()) out.emplace_back(ReceiptBatch::of(std::move(batch.receipts)));
  if (!closing) order(org, state, out);
  return out;
}

// Claims that it has no right to, some of which only a re-execution finds.
ReceiptBatch Workload::spoilt(ReceiptBatch batch) {
  const std::uint64_t how = rng_.below(8);
  Receipt& first = batch.receipts.front();
  if (how == 0) first.work_flop *= 2;
  if (how == 1) {
    first.end_digest = sha256(fmt::format("made up {}", first.window));
    batch.receipts.resize(1);
  }
  if (how == 2) ++first.window;
  return ReceiptBatch::of(std::move(batch.receipts));
}

// As if it had been drawn.
void Workload::judge_itself(const JobEntry& job, std::vector<RecordBody>& out) const {
  for (const auto& [number, window] : job.windows) {
    if (window.check != WindowCheck::assigned || window.verifier == options_.cheat) continue;
    Vote vote;
    vote.job = job.id;
    vote.attempt = window.attempt;
    vote.window = number;
    vote.start_digest = window.receipts[0].receipt.start_digest;
    vote.end_digest = window.receipts[0].receipt.end_digest;
    for (const MemberEntry& member : job.attempt(window.attempt)->members)
      vote.findings.push_back({member.share.organisation, false, 0, 0});
    out.emplace_back(std::move(vote));
  }
}

std::vector<RecordBody> Workload::cheat(const State& state) {
  UFAB_ASSERT(options_.cheat != 0);
  std::vector<RecordBody> out = std::exchange(heard_, {});
  enrol(options_.cheat, state, out);
  for (const auto& [id, job] : state.jobs()) {
    if (present(job, JobPhase::leasing)) lease(options_.cheat, job, out);
    if (job.order.kind == JobKind::batch) {
      if (job.phase == JobPhase::running) use(options_.cheat, state, job, out);
    } else if (present(job, JobPhase::running)) {
      std::vector<Receipt> computed = receipts(options_.cheat, state, job);
      if (!computed.empty()) out.emplace_back(spoilt(ReceiptBatch::of(std::move(computed))));
      countersign(options_.cheat, job, out);
    }
    if (job.phase == JobPhase::validating && rng_.one_in(3)) judge_itself(job, out);
  }
  // What it said before, under another sequence number; receipts also so that they look new.
  for (std::uint64_t again = said_.empty() ? 0 : rng_.below(3); again > 0; --again) {
    RecordBody body = said_[rng_.below(said_.size())];
    auto* batch = std::get_if<ReceiptBatch>(&body);
    if (batch != nullptr && rng_.one_in(2)) {
      for (Receipt& receipt : batch->receipts)
        receipt.contribution_root = sha256(fmt::format("another {}", rng_.next()));
      *batch = ReceiptBatch::of(std::move(batch->receipts));
    }
    out.push_back(std::move(body));
  }
  for (const RecordBody& body : out) {
    const RecordType type = type_of(body);
    if (type != RecordType::receipt_batch && type != RecordType::usage_receipt &&
        type != RecordType::countersignature)
      continue;
    if (said_.size() < said_max)
      said_.push_back(body);
    else
      said_[rng_.below(said_max)] = body;
  }
  const std::uint64_t spam = rng_.one_in(40) ? 80 : rng_.below(2);
  for (std::uint64_t i = 0; i < spam; ++i) out.emplace_back(Transfer{founder, UINT64_MAX - i, "spam"});
  return out;
}

}  // namespace ufab::sim
