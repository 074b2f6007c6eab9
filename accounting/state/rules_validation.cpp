#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/sample.h"
#include "accounting/state/flaws.h"
#include "accounting/state/transition.h"

namespace ufab {

namespace {

constexpr std::uint32_t validation_rounds_max = 4;

bool contains(const std::vector<OrgId>& list, OrgId id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

bool waits_for_votes(const JobEntry& job) {
  return std::any_of(job.windows.begin(), job.windows.end(),
                     [](const auto& item) { return item.second.check == WindowCheck::assigned; });
}

}  // namespace

// The line has ended (or was cancelled): draws the windows that are re-executed before anybody is paid.
void Transition::start_validation(JobEntry& job) {
  std::vector<std::uint64_t> candidates;
  bool any_good = false;
  for (const auto& [number, window] : job.windows) {
    if (window.complete && window.check == WindowCheck::none) candidates.push_back(number);
    any_good = any_good || window.check == WindowCheck::good;
  }
  end_occupation(job);
  job.phase = JobPhase::validating;
  touch(Slot::job, job.id);
  if (candidates.empty() || (any_good && job.order.verify_rate_ppm == 0)) return after_validation(job);
  Sha256 hash;
  hash.update("ufab sample 1\n").update(s_.epoch_seed_.view()).update(s_.context_.previous.view());
  const Digest seed = hash.update_u64(job.id).update_u64(job.attempts.size()).finish();
  job.validation_round = 0;
  assign_verifiers(job, hpos::sampled_windows(seed, candidates, job.order.verify_rate_ppm, sampled_max),
                   false);
  after_validation(job);
}

// Two members claim different digests for one window: it is re-executed at once.
void Transition::start_dispute(JobEntry& job, std::uint64_t window) {
  end_occupation(job);
  job.phase = JobPhase::validating;
  job.validation_round = 0;
  touch(Slot::job, job.id);
  assign_verifiers(job, {window}, true);
  after_validation(job);
}

// A verifier is a validator or a provider with enough stake that took no part in the job; the draw is
// weighted by score. Whoever missed a deadline in this job, or is suspended, is drawn only when nobody else
// is left.
void Transition::assign_verifiers(JobEntry& job, const std::vector<std::uint64_t>& windows, bool disputed) {
  std::vector<OrgId> eligible, late;
  for (const auto& [id, org] : s_.organisations_) {
    const bool provides =
        org.provider && org.provider->status != ProviderStatus::left && s_.stake(id) >= s_.params_.stake_min;
    if (!provides && !s_.in_office(id)) continue;
    if (id == job.owner || org.score == 0) continue;
    const bool took_part =
        std::any_of(job.attempts.begin(), job.attempts.end(),
                    [id = id](const AttemptEntry& a) { return JobEntry::member_of(a, id).has_value(); });
    if (took_part) continue;
    const bool last = contains(job.verifiers_late, id) || !may_lease(org.standing);
    (last ? late : eligible).push_back(id);
  }
  if (eligible.empty()) eligible = std::move(late);
  std::vector<std::uint64_t> scores;
  scores.reserve(eligible.size());
  for (const OrgId id : eligible) scores.push_back(s_.organisations_.at(id).score);
  Sha256 hash;
  hash.update("ufab verifier 1\n").update(s_.epoch_seed_.view()).update(s_.context_.previous.view());
  Validation body;
  body.job = job.id;
  body.seed = hash.update_u64(job.id).update_u64(job.validation_round).finish();
  body.deadline_height = s_.context_.height + s_.params_.verify_deadline_blocks;
  body.disputed = disputed;
  for (const std::uint64_t number : windows) {
    WindowEntry& window = job.windows.at(number);
    window.check = eligible.empty() ? WindowCheck::unverifiable : WindowCheck::assigned;
    window.verifier = eligible.empty() ? 0 : eligible[hpos::weighted_pick(body.seed, number, scores)];
    body.windows.push_back({number, window.attempt, window.verifier});
    touch(Slot::window, job.id, number);
  }
  if (!eligible.empty()) set_timer(job, body.deadline_height);
  derive(std::move(body));
}

// Goes on once no window waits for a vote any more.
void Transition::after_validation(JobEntry& job) {
  if (job.phase != JobPhase::validating || waits_for_votes(job)) return;
  touch(Slot::job, job.id);
  // A dispute that nobody can judge: its window and what follows are computed again, without blame.
  for (const auto& [number, window] : job.windows) {
    if (window.check == WindowCheck::unverifiable && !window.complete) {
      drop_windows_from(job, number);
      break;
    }
  }
  if (job.cancelled) {
    drop_windows_from(job, job.windows_complete);
    // All that was drawn may have been taken back by a verdict: then the line that stays was never sampled.
    const bool sampled = std::any_of(job.windows.begin(), job.windows.end(),
                                     [](const auto& item) { return item.second.check != WindowCheck::none; });
    if (!job.windows.empty() && !sampled) return start_validation(job);
    settle(job, job.cancelled->result);
  } else if (job.windows_complete == job.windows_total()) {
    settle(job, JobResult::done);
  } else {
    job.phase = JobPhase::requeue;
  }
}

Status Transition::on(const Vote& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{
        code, fmt::format("vote of {} on window {} of job {}: {}", name_of(org), body.window, body.job, why)};
  };
  const auto found = s_.jobs_.find(body.job);
  if (found == s_.jobs_.end()) return wrong(ErrorCode::not_found, "there is no such open job");
  JobEntry& job = found->second;
  const auto item = job.windows.find(body.window);
  if (item == job.windows.end() || item->second.check != WindowCheck::assigned ||
      item->second.attempt != body.attempt) {
    return wrong(ErrorCode::conflict, "the window does not wait for a vote");
  }
  WindowEntry& window = item->second;
  if (window.verifier != org && !planted(LedgerFlaw::own_judge)) {
    return wrong(ErrorCode::denied, fmt::format("its verifier is {}", name_of(window.verifier)));
  }
  const AttemptEntry& attempt = *job.attempt(window.attempt);
  if (body.findings.size() != attempt.members.size()) {
    return wrong(ErrorCode::invalid, "it needs one finding per member, in the order of the shares");
  }
  if (body.window > 0) {
    const auto before = job.windows.find(body.window - 1);
    if (before != job.windows.end() && before->second.complete &&
        before->second.receipts[0].receipt.end_digest != body.start_digest) {
      return wrong(ErrorCode::invalid, "it does not start where the window before ended");
    }
  }
  bool any_bad = false;
  bool all_equal = true;
  const std::uint64_t step_first = body.window * job.order.window_steps + 1;  // steps count from 1
  for (std::size_t i = 0; i < body.findings.size(); ++i) {
    const MemberFinding& finding = body.findings[i];
    const Share& share = attempt.members[i].share;
    if (finding.organisation != share.organisation) {
      return wrong(ErrorCode::invalid, "it needs one finding per member, in the order of the shares");
    }
    if (!finding.bad && (finding.step != 0 || finding.micro_batch != 0)) {
      return wrong(ErrorCode::invalid, "a good finding names no step");
    }
    if (finding.bad &&
        (finding.step < step_first || finding.step - step_first >= job.steps_of(body.window))) {
      return wrong(ErrorCode::invalid, fmt::format("step {} is not in the window", finding.step));
    }
    any_bad = any_bad || finding.bad;
    const MemberReceipt& receipt = window.receipts[i];
    all_equal = all_equal && (!receipt.filed || (receipt.receipt.end_digest == body.end_digest &&
                                                 receipt.receipt.start_digest == body.start_digest));
  }
  // The other way round is possible: a false contribution may be too small to change any parameter.
  if (!all_equal && !any_bad) return wrong(ErrorCode::invalid, "the digests differ, but it blames nobody");
  ++org_mutable(org).duties_done;
  touch(Slot::window, job.id, body.window);
  touch(Slot::job, job.id);
  if (any_bad) {
    const WindowEntry copy = window;  // convict() removes it from the line
    convict(job, body, copy);
  } else {
    window.check = WindowCheck::good;
    derive(Verdict{job.id, body.attempt, body.window, org, true, body.end_digest, 0, body.findings});
  }
  after_validation(job);
  return {};
}

// Takes the line back to before the window, slashes who was proven wrong, and makes up to the others for the
// work that is void, as far as the slashed stake reaches.
void Transition::convict(JobEntry& job, const Vote& vote, const WindowEntry& window) {
  const AttemptEntry& attempt = *job.attempt(window.attempt);
  std::vector<OrgId> bad;
  for (const MemberFinding& finding : vote.findings) {
    if (finding.bad) bad.push_back(finding.organisation);
  }
  std::map<std::pair<std::uint32_t, std::size_t>, Uint128> lost_flop;
  std::uint64_t windows_void = 0;
  for (auto it = job.windows.lower_bound(window.window); it != job.windows.end(); ++it, ++windows_void) {
    for (std::size_t i = 0; i < it->second.receipts.size(); ++i) {
      const MemberReceipt& receipt = it->second.receipts[i];
      if (!receipt.filed) continue;
      if (contains(bad, receipt.receipt.provider)) {
        ++org_mutable(receipt.receipt.provider).receipts_bad;
      } else {
        lost_flop[{it->second.attempt, i}] += receipt.receipt.work_flop;
      }
    }
  }
  std::vector<OrgAmount> losses;
  for (const auto& [lease, flop] : lost_flop) {
    const MemberEntry& member = job.attempt(lease.first)->members[lease.second];
    const MicroUnc amount = cost_of_work(flop, member.lease.price_per_tflop).value_or(0);
    const auto known = std::find_if(losses.begin(), losses.end(), [&](const OrgAmount& loss) {
      return loss.organisation == member.share.organisation;
    });
    if (known == losses.end()) {
      losses.push_back({member.share.organisation, amount});
    } else {
      known->amount += amount;
    }
  }
  drop_windows_from(job, window.window);
  derive(Verdict{job.id, attempt.number, window.window, window.verifier, false, vote.end_digest, windows_void,
                 vote.findings});
  for (const MemberFinding& finding : vote.findings) {
    if (!finding.bad) continue;
    if (!contains(job.excluded, finding.organisation)) job.excluded.push_back(finding.organisation);
    slash(finding.organisation, job, window.window, losses,
          fmt::format("a false result in job {}, window {}: first difference at step {}, micro-batch {}",
                      job.id, window.window, finding.step, finding.micro_batch));
    score(org_mutable(finding.organisation), ScoreCause::slashed, 1);
    fault(finding.organisation, FaultKind::false_result, job.id, window.verifier);
  }
}

// `losses` is what is still owed to honest members; what this slash pays is taken off it.
void Transition::slash(OrgId id, JobEntry& job, std::uint64_t window, std::vector<OrgAmount>& losses,
                       const std::string& reason) {
  Seizure seized = seize(id, s_.params_.slash_ppm);
  const MicroUnc amount = seized.stake + seized.unbonding;
  Slash body;
  body.organisation = id;
  body.job = job.id;
  body.window = window;
  body.from_stake = seized.stake;
  body.from_unbonding = seized.unbonding;
  body.reason = reason;
  Uint128 owed = 0;
  std::vector<std::uint64_t> wanted;
  for (const OrgAmount& loss : losses) {
    owed += loss.amount;
    wanted.push_back(loss.amount);
  }
  const MicroUnc pot_max = part_ppm(amount, s_.params_.slash_compensation_ppm);
  const MicroUnc pot = owed < pot_max ? static_cast<MicroUnc>(owed) : pot_max;
  const std::vector<std::uint64_t> parts = hpos::apportion(pot, wanted);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    losses[i].amount -= parts[i];
    if (parts[i] == 0) continue;
    pay(seized, {AccountKind::balance, losses[i].organisation}, parts[i]);
    body.compensation.push_back({losses[i].organisation, parts[i]});
  }
  body.burned = amount - pot;
  pay(seized, {AccountKind::burn, 0}, body.burned);
  derive(std::move(body));
}

void Transition::replace_late_verifiers(JobEntry& job) {
  std::vector<std::uint64_t> windows;
  std::vector<OrgId> late;
  bool disputed = false;
  for (const auto& [number, window] : job.windows) {
    if (window.check != WindowCheck::assigned) continue;
    windows.push_back(number);
    disputed = disputed || !window.complete;
    if (!contains(late, window.verifier)) late.push_back(window.verifier);
  }
  for (const OrgId id : late) {
    ++org_mutable(id).duties_missed;
    fault(id, FaultKind::verification_missed, job.id, job.owner);
    if (!contains(job.verifiers_late, id)) job.verifiers_late.push_back(id);
  }
  if (windows.empty()) return;
  ++job.validation_round;
  touch(Slot::job, job.id);
  if (job.validation_round >= validation_rounds_max) {
    for (const std::uint64_t number : windows) {
      WindowEntry& window = job.windows.at(number);
      window.check = WindowCheck::unverifiable;
      window.verifier = 0;
      touch(Slot::window, job.id, number);
    }
  } else {
    assign_verifiers(job, windows, disputed);
  }
  after_validation(job);
}

}  // namespace ufab
