// The books' side of jobs: receipts, verdicts, slashes and settlements.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/replica/sim/books_arithmetic.h"
#include "accounting/replica/sim/workload.h"

namespace ufab::sim {

std::optional<std::size_t> Books::member_of(const Attempt& attempt, OrgId org) {
  for (std::size_t i = 0; i < attempt.body.shares.size(); ++i) {
    if (attempt.body.shares[i].organisation == org) return i;
  }
  return std::nullopt;
}

bool Books::complete(const Job& job, const Window& window) {
  const std::size_t members = job.attempts[window.attempt].body.shares.size();
  return window.filed.size() == members &&
         std::all_of(window.filed.begin(), window.filed.end(),
                     [members](const auto& item) { return item.second.agreed.size() == members; });
}

// How many windows from the first on are complete.
std::uint64_t Books::line(const Job& job) {
  std::uint64_t count = 0;
  for (const auto& [number, window] : job.windows) {
    if (number != count || !complete(job, window)) break;
    ++count;
  }
  return count;
}

std::uint64_t Books::steps_of(const Job& job, std::uint64_t window) {
  const std::uint64_t begin = window * job.order.window_steps;
  return begin >= job.order.steps ? 0
                                  : std::min<std::uint64_t>(job.order.window_steps, job.order.steps - begin);
}

bool Books::is_true(JobId id, const Job& job, std::uint64_t window) const {
  const auto filed_by_first = [&](std::uint64_t number) -> const Receipt& {
    return job.windows.at(number).filed.begin()->second.receipt;
  };
  const Digest before = window == 0 ? first_parameters(id) : filed_by_first(window - 1).end_digest;
  const Digest after = true_result(id, window, before);
  const auto& filed = job.windows.at(window).filed;
  return std::all_of(filed.begin(), filed.end(), [&](const auto& item) {
    return item.second.receipt.start_digest == before && item.second.receipt.end_digest == after;
  });
}

Books::Job* Books::open_job(JobId id, const char* what) {
  const auto found = jobs_.find(id);
  if (found != jobs_.end() && !found->second.settled) return &found->second;
  find(fmt::format("{} of job {}, which is not open", what, id));
  return nullptr;
}

void Books::on(OrgId org, const JobOrder& body) {
  const JobId id = jobs_.size() + 1;
  Job job;
  job.owner = org;
  job.order = body;
  jobs_.emplace(id, std::move(job));
  ++report_.orders;
  if (!body.idempotency_key.empty() && !order_keys_.emplace(org, body.idempotency_key).second)
    find("one order became two jobs");
  pay(balance_of(org), {AccountKind::escrow, id}, body.budget);
}

void Books::on(OrgId org, const JobAttempt& body) {
  Job* job = open_job(body.job, "an attempt");
  if (job == nullptr) return;
  if (org != job->owner) find("an attempt that is not its owner's");
  if (body.attempt != job->attempts.size() + 1) find("an attempt with the wrong number");
  if (body.window_first != line(*job))
    find(
        fmt::format("job {} goes on at window {}, its line has {}", body.job, body.window_first, line(*job)));
  job->windows.erase(job->windows.lower_bound(body.window_first), job->windows.end());
  job->attempts.push_back({body, {}});
}

void Books::on(OrgId org, const Lease& body) {
  Job* job = open_job(body.job, "a lease");
  if (job == nullptr) return;
  const auto member = job->attempts.empty() ? std::nullopt : member_of(job->attempts.back(), org);
  if (!member || body.attempt != job->attempts.size()) return find("a lease that nobody asked for");
  if (!job->attempts.back().leases.emplace(*member, body).second) find("one member leased twice");
}

void Books::on(OrgId org, const LeaseReturn& body) {
  Job* job = open_job(body.job, "a lease returned");
  if (job == nullptr) return;
  const auto member = job->attempts.empty() ? std::nullopt : member_of(job->attempts.back(), org);
  if (!member || job->attempts.back().leases.erase(*member) == 0) find("a lease returned that is none");
}

void Books::file(OrgId org, const Receipt& receipt, std::set<JobId>& disputed) {
  Job* job = open_job(receipt.job, "a receipt");
  if (job == nullptr || disputed.contains(receipt.job)) return;
  const std::string name =
      fmt::format("receipt of organisation {} for window {} of job {}", org, receipt.window, receipt.job);
  if (receipt.provider != org) return find(name + ": accepted under another's name");
  if (job->attempts.empty() || receipt.attempt != job->attempts.size())
    return find(name + ": accepted for an attempt that is not the present one");
  const Attempt& attempt = job->attempts.back();
  const auto member = member_of(attempt, org);
  if (!member || !attempt.leases.contains(*member)) return find(name + ": accepted without a lease");
  const Uint128 work = static_cast<Uint128>(job->order.flop_per_micro_batch) *
                       attempt.body.shares[*member].micro_batch_count * steps_of(*job, receipt.window);
  if (receipt.work_flop != work) return find(name + ": inflated, and accepted");
  Window& window = job->windows[receipt.window];
  if (window.filed.empty()) window.attempt = job->attempts.size() - 1;
  if (window.attempt != job->attempts.size() - 1 || window.filed.contains(*member))
    return find(name + ": accepted twice");
  ++report_.receipts;
  window.filed[*member] = {receipt, receipt_digest(receipt), {*member}};
  for (const auto& [other, filed] : window.filed) {
    if (filed.receipt.start_digest != receipt.start_digest || filed.receipt.end_digest != receipt.end_digest)
      disputed.insert(receipt.job);
  }
}

// Once two members contradict each other the rest of the batch is about what is void.
void Books::on(OrgId org, const ReceiptBatch& body) {
  std::set<JobId> disputed;
  for (const Receipt& receipt : body.receipts) file(org, receipt, disputed);
}

void Books::on(OrgId org, const Countersignature& body) {
  Job* job = open_job(body.job, "a countersignature");
  if (job == nullptr || job->order.kind == JobKind::batch) return;
  const auto member = job->attempts.empty() ? std::nullopt : member_of(job->attempts.back(), org);
  if (!member) return find("a countersignature of somebody who is no member");
  for (const CountersignedReceipt& item : body.receipts) {
    const auto provider = member_of(job->attempts.back(), item.provider);
    const auto window = job->windows.find(item.window);
    if (!provider || window == job->windows.end() || !window->second.filed.contains(*provider) ||
        window->second.filed[*provider].digest != item.receipt)
      return find("a countersignature of a receipt that is not there");
    window->second.filed[*provider].agreed.insert(*member);
  }
}

void Books::on(OrgId org, const UsageReceipt& body) {
  Job* job = open_job(body.job, "a usage receipt");
  if (job == nullptr) return;
  if (job->usage) find(fmt::format("the use of job {} was accepted twice", body.job));
  if (job->attempts.empty() || member_of(job->attempts.back(), org) != std::size_t{0} ||
      !job->attempts.back().leases.contains(0))
    find("a usage receipt without a lease");
  job->usage = {org, body};
}

void Books::on(OrgId org, const Vote& body) {
  vote_ = body;
  ++orgs_[org].votes;
}

void Books::on(OrgId org, const Cancel& body) {
  Job* job = open_job(body.job, "a cancel");
  if (job == nullptr) return;
  if (job->owner != org) find("a job was cancelled by somebody else than its owner");
  // What is not complete counts no more, unless the job waits for a verdict that decides about it.
  const bool waits = std::any_of(job->windows.begin(), job->windows.end(), [this](const auto& item) {
    const Window& window = item.second;
    return window.drawn && !window.good && window.verifier != 0 && window.deadline > height_;
  });
  if (!waits) job->windows.erase(job->windows.lower_bound(line(*job)), job->windows.end());
}

void Books::on(OrgId, const Validation& body) {
  Job* job = open_job(body.job, "a validation");
  if (job == nullptr) return;
  for (const AssignedWindow& item : body.windows) {
    const auto window = job->windows.find(item.window);
    if (window == job->windows.end()) return find("a window was drawn that is not there");
    const bool took_part =
        std::any_of(job->attempts.begin(), job->attempts.end(),
                    [&](const Attempt& attempt) { return member_of(attempt, item.verifier).has_value(); });
    if (took_part || item.verifier == job->owner) find("a verifier was drawn who took part in the job");
    window->second.drawn = true;
    window->second.verifier = item.verifier;
    window->second.deadline = body.deadline_height;
  }
}

void Books::on(OrgId org, const Verdict& body) {
  Job* job = open_job(body.job, "a verdict");
  if (job == nullptr) return;
  const std::string name = fmt::format("verdict on window {} of job {}", body.window, body.job);
  const auto found = job->windows.find(body.window);
  if (found == job->windows.end()) return find(name + ": there is no such window");
  if (!vote_ || vote_->job != body.job || vote_->window != body.window)
    return find(name + ": nobody voted so");
  if (!found->second.drawn || found->second.good || found->second.verifier != org || body.verifier != org)
    return find(name + fmt::format(": by organisation {}, which was not drawn", org));
  if (body.good) {
    ++report_.verdicts_good;
    if (!is_true(body.job, *job, body.window)) find(name + ": good, and the result is false");
    found->second.good = true;
    return;
  }
  ++report_.verdicts_bad;
  std::uint64_t taken_back = 0;
  const Attempt& attempt = job->attempts[found->second.attempt];
  std::set<OrgId> guilty;
  for (const MemberFinding& finding : body.findings) {
    if (finding.bad) guilty.insert(finding.organisation);
  }
  for (const OrgId id : guilty) {
    to_slash_.emplace(body.job, id);
    const auto member = member_of(attempt, id);
    if (!member) find(name + ": against somebody who is no member");
  }
  for (auto it = found; it != job->windows.end(); it = job->windows.erase(it)) {
    ++taken_back;
    for (const auto& [member, filed] : it->second.filed)
      orgs_[filed.receipt.provider].bad += guilty.contains(filed.receipt.provider) ? 1U : 0U;
  }
  if (taken_back != body.windows_void) find(name + ": another number of windows is void");
}

void Books::on(OrgId, const Slash& body) {
  ++report_.slashes;
  if (to_slash_.erase({body.job, body.organisation}) == 0)
    find(fmt::format("organisation {} was slashed without a verdict", body.organisation));
  const AccountId stake{AccountKind::stake, body.organisation},
      leaving{AccountKind::unbonding, body.organisation};
  const Int128 all = held(stake.kind, stake.number) + held(leaving.kind, leaving.number);
  const Int128 taken = static_cast<Int128>(body.from_stake) + body.from_unbonding;
  if (taken != part(all, params_.slash_ppm)) find("a slash of another part than genesis says");
  Int128 given = 0;
  for (const OrgAmount& item : body.compensation) given += item.amount;
  if (given + body.burned != taken) find("a slash that gives more or less than it takes");
  if (given > part(taken, params_.slash_compensation_ppm)) find("a slash that compensates too much");
  balances_[stake] -= body.from_stake;
  balances_[leaving] -= body.from_unbonding;
  for (const OrgAmount& item : body.compensation) balances_[balance_of(item.organisation)] += item.amount;
  burned_ += body.burned;
}

void Books::on(OrgId, const Settlement& body) {
  Job* job = open_job(body.job, "a settlement");
  if (job == nullptr) return;
  const std::string name = fmt::format("settlement of job {}", body.job);
  struct Owed {
    OrgId org = 0;
    std::uint64_t windows = 0;
    Uint128 flop = 0;
    MicroUnc price = 0;
  };
  std::map<std::pair<std::size_t, std::size_t>, Owed> owed;  // by attempt and member
  std::uint64_t paid_windows = 0, drawn = 0, good = 0;
  const std::uint64_t end = line(*job);
  for (const auto& [number, window] : job->windows) {
    if (number >= end) break;
    ++paid_windows;
    if (!is_true(body.job, *job, number)) ++report_.false_windows_paid;
    const Attempt& attempt = job->attempts[window.attempt];
    for (std::size_t i = 0; i < attempt.body.shares.size(); ++i) {
      Owed& item = owed[{window.attempt, i}];
      item.org = attempt.body.shares[i].organisation;
      ++item.windows;
      item.flop += static_cast<Uint128>(job->order.flop_per_micro_batch) *
                   attempt.body.shares[i].micro_batch_count * steps_of(*job, number);
      item.price = attempt.leases.at(i).price_per_tflop;
    }
    drawn += window.drawn ? 1U : 0U;
    good += window.good ? 1U : 0U;
    if (window.drawn && !window.good && window.verifier != 0 && height_ < window.deadline)
      find(name + ": a window still waits for its verifier");
  }
  std::vector<Payment> expected;
  MicroUnc paid = 0;
  for (const auto& [lease, item] : owed) {
    const auto amount = static_cast<MicroUnc>(item.flop * item.price / flop_per_tflop);
    expected.push_back({item.org, item.windows, static_cast<std::uint64_t>(item.flop / million), 0, amount});
    paid += amount;
  }
  if (job->usage) {
    const auto& [org, usage] = *job->usage;
    const auto cap = static_cast<MicroUnc>(static_cast<Uint128>(job->order.budget) * million /
                                           (million + params_.fee_ppm));
    const Uint128 price = job->attempts.back().leases.at(0).price_per_cpu_hour;
    const Uint128 used = static_cast<Uint128>(usage.cpu_us) * price / us_per_hour;
    paid = used < cap ? static_cast<MicroUnc>(used) : cap;
    expected.push_back({org, 0, 0, usage.cpu_us, paid});
  }
  if (body.payments.size() != expected.size()) return find(name + ": another number of payments than leases");
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Payment &got = body.payments[i], &wanted = expected[i];
    if (got.organisation != wanted.organisation || got.amount != wanted.amount ||
        got.windows != wanted.windows || got.work_mflop != wanted.work_mflop)
      return find(name + fmt::format(": organisation {} gets {} for {} windows, by its receipts {} for {}",
                                     got.organisation, got.amount, got.windows, wanted.amount,
                                     wanted.windows));
  }
  if (body.windows_paid != paid_windows) find(name + ": another number of windows");
  const std::uint64_t fee = part(paid, params_.fee_ppm), burned = part(fee, params_.fee_burn_ppm);
  if (body.fee_burned != burned || body.fee_treasury != fee - burned) find(name + ": another fee");
  if (static_cast<Uint128>(paid) + fee + body.refund != job->order.budget)
    find(name + ": payments, fee and refund are not the escrow");
  if (body.verified != (drawn > 0 && drawn == good))
    find(name + ": verified in another way than by verdicts");
  if (paid_windows > 0 && drawn == 0) find(name + ": paid, and nothing was drawn for re-execution");
  const AccountId escrow{AccountKind::escrow, body.job};
  for (const Payment& payment : body.payments) {
    pay(escrow, balance_of(payment.organisation), payment.amount);
    Org& org = orgs_[payment.organisation];
    org.good += payment.windows;
    if (body.verified) org.verified_mflop += payment.work_mflop;
  }
  pay(escrow, {AccountKind::burn, 0}, body.fee_burned);
  pay(escrow, {AccountKind::treasury, 0}, body.fee_treasury);
  pay(escrow, balance_of(job->owner), body.refund);
  job->settled = true;
  job->windows.clear();
  ++report_.settled;
  report_.windows_paid += paid_windows;
}

}  // namespace ufab::sim
