#include <fmt/format.h>

#include "accounting/state/flaws.h"
#include "accounting/state/transition.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

// The line grows at its end, so that is looked at first.
template <class Windows>
auto window_at(Windows& windows, std::uint64_t number) {
  if (windows.empty() || windows.rbegin()->first < number) return windows.end();
  if (windows.rbegin()->first == number) return std::prev(windows.end());
  return windows.find(number);
}

}  // namespace

// `previous`: the receipt before this one in the same batch, if it is of the same job.
Status Transition::check_receipt(const Receipt& receipt, OrgId org, const Receipt* previous) const {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("receipt for window {} of job {} by {}: {}", receipt.window, receipt.job,
                                   name_of(receipt.provider), why)};
  };
  if (receipt.provider != org) {
    return wrong(ErrorCode::denied, fmt::format("it was submitted by {}", name_of(org)));
  }
  const JobEntry* job = s_.job(receipt.job);
  if (job == nullptr) return wrong(ErrorCode::not_found, "there is no such open job");
  if (job->order.kind != JobKind::training) return wrong(ErrorCode::invalid, "it is a batch job");
  if (job->phase != JobPhase::running || job->cancelled || receipt.attempt != job->attempts.size()) {
    return wrong(ErrorCode::conflict, fmt::format("attempt {} is not running", receipt.attempt));
  }
  const AttemptEntry& attempt = job->attempts.back();
  const auto member = JobEntry::member_of(attempt, org);
  if (!member) return wrong(ErrorCode::denied, "it has no lease for this attempt");
  if (receipt.window < attempt.window_first || receipt.window >= job->windows_total()) {
    return wrong(ErrorCode::invalid, fmt::format("the attempt covers windows {} to {}", attempt.window_first,
                                                 job->windows_total() - 1));
  }
  if (previous != nullptr && receipt.window != previous->window + 1) {
    return wrong(ErrorCode::invalid, "the receipts of a batch must be in window order without a gap");
  }
  const auto here = window_at(job->windows, receipt.window);
  const bool again = here != job->windows.end() && here->second.receipts[*member].filed;
  if (again && !planted(LedgerFlaw::replayed_receipt)) {
    return wrong(ErrorCode::conflict, "there is one already: a window is paid once");
  }
  // What it started from must be what came before: its own last result, or the line's end.
  std::optional<Digest> start;
  if (previous != nullptr) {
    start = previous->end_digest;
  } else if (receipt.window > 0) {
    const auto before = window_at(job->windows, receipt.window - 1);
    if (before == job->windows.end())
      return wrong(ErrorCode::conflict, "the window before it has no receipt");
    const bool own = before->second.attempt == receipt.attempt;
    const MemberReceipt& last = before->second.receipts[own ? *member : 0];
    if (!last.filed) return wrong(ErrorCode::conflict, "the window before it has no receipt");
    start = last.receipt.end_digest;
  }
  if (start && receipt.start_digest != *start) {
    return wrong(ErrorCode::invalid,
                 fmt::format("stale checkpoint: it starts from {}, the window before ended with {}",
                             receipt.start_digest.hex().substr(0, 12), start->hex().substr(0, 12)));
  }
  if (receipt.start_digest.is_zero() || receipt.end_digest.is_zero() || receipt.contribution_root.is_zero()) {
    return wrong(ErrorCode::invalid, "a digest is missing");
  }
  const Share& share = attempt.members[*member].share;
  // Fits: job orders are refused whose whole window does not.
  const std::uint64_t work =
      job->order.flop_per_micro_batch * share.micro_batch_count * job->steps_of(receipt.window);
  if (receipt.work_flop != work && !planted(LedgerFlaw::inflated_work)) {
    return wrong(ErrorCode::invalid,
                 fmt::format("it claims {} flop, its share of the window is {}", receipt.work_flop, work));
  }
  if (here != job->windows.end()) {
    for (const MemberReceipt& other : here->second.receipts) {
      if (other.filed && other.receipt.contribution_root == receipt.contribution_root) {
        return wrong(ErrorCode::invalid,
                     fmt::format("its contribution root is that of {}", name_of(other.receipt.provider)));
      }
    }
  }
  return {};
}

Status Transition::on(const ReceiptBatch& body, OrgId org) {
  if (body.receipts.empty()) return Error{ErrorCode::invalid, "receipt batch: it is empty"};
  const std::vector<Digest> digests = receipt_digests(body.receipts);
  if (merkle::root(digests) != body.root) {
    return Error{ErrorCode::invalid, "receipt batch: its root is not that of its receipts"};
  }
  JobId last_job = 0;
  const Receipt* previous = nullptr;
  for (const Receipt& receipt : body.receipts) {
    if (receipt.job != last_job) previous = nullptr;
    if (receipt.job < last_job) {
      return Error{ErrorCode::invalid, "receipt batch: the receipts must be in the order of their jobs"};
    }
    UFAB_TRY(check_receipt(receipt, org, previous));
    previous = &receipt;
    last_job = receipt.job;
  }
  for (std::size_t i = 0; i < digests.size(); ++i) file_receipt(body.receipts[i], digests[i]);
  return {};
}

void Transition::file_receipt(const Receipt& receipt, const Digest& digest) {
  JobEntry& job = s_.jobs_.at(receipt.job);
  // A dispute over an earlier window of the same batch: what follows it would be void anyway.
  if (job.phase != JobPhase::running) return;
  const AttemptEntry& attempt = job.attempts.back();
  const std::size_t member = *JobEntry::member_of(attempt, receipt.provider);
  auto found = window_at(job.windows, receipt.window);
  if (found == job.windows.end()) found = job.windows.try_emplace(found, receipt.window);
  WindowEntry& window = found->second;
  if (window.receipts.empty()) {
    window.window = receipt.window;
    window.attempt = receipt.attempt;
    window.first_us = s_.context_.time_us;
    window.receipts.resize(attempt.members.size());
  }
  window.receipts[member] = {true, receipt, digest, std::uint64_t{1} << member};
  touch(Slot::window, job.id, receipt.window);
  for (const MemberReceipt& other : window.receipts) {
    if (other.filed && (other.receipt.start_digest != receipt.start_digest ||
                        other.receipt.end_digest != receipt.end_digest)) {
      start_dispute(job, receipt.window);
      return;
    }
  }
  advance_line(job);
}

// Windows become complete in order; the last one starts validation.
void Transition::advance_line(JobEntry& job) {
  for (;;) {
    const auto found = window_at(job.windows, job.windows_complete);
    if (found == job.windows.end()) break;
    WindowEntry& window = found->second;
    const std::size_t members = window.receipts.size();
    const std::uint64_t everyone = members == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << members) - 1;
    bool complete = true;
    for (const MemberReceipt& receipt : window.receipts) {
      complete = complete && receipt.filed && receipt.countersigned == everyone;
    }
    if (!complete) break;
    window.complete = true;
    ++job.windows_complete;
    touch(Slot::window, job.id, window.window);
    touch(Slot::job, job.id);
  }
  if (job.windows_complete == job.windows_total()) start_validation(job);
}

Status Transition::on(const Countersignature& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, std::string why) {
    return Error{code, fmt::format("countersignature of {} for job {}: {}", name_of(org), body.job, why)};
  };
  if (body.receipts.empty()) return wrong(ErrorCode::invalid, "it names no receipt");
  const auto found = s_.jobs_.find(body.job);
  if (found == s_.jobs_.end()) return wrong(ErrorCode::not_found, "there is no such open job");
  JobEntry& job = found->second;
  if (job.order.kind == JobKind::batch) {
    if (org != job.owner) return wrong(ErrorCode::denied, "only the job's owner agrees with its usage");
    if (!job.usage || job.phase != JobPhase::validating || body.attempt != job.attempts.size()) {
      return wrong(ErrorCode::conflict, "no usage receipt waits for it");
    }
    if (body.receipts.size() != 1 || body.receipts[0].receipt != job.usage->digest ||
        body.receipts[0].provider != job.usage->provider || body.receipts[0].window != 0) {
      return wrong(ErrorCode::invalid, "it does not name the usage receipt that was filed");
    }
    settle_usage(job);
    return {};
  }
  if (job.phase != JobPhase::running || job.cancelled || body.attempt != job.attempts.size()) {
    return wrong(ErrorCode::conflict, fmt::format("attempt {} is not running", body.attempt));
  }
  const AttemptEntry& attempt = job.attempts.back();
  const auto member = JobEntry::member_of(attempt, org);
  if (!member) return wrong(ErrorCode::denied, "it is not a member of this attempt");
  const std::uint64_t bit = std::uint64_t{1} << *member;
  for (const CountersignedReceipt& item : body.receipts) {
    const auto window = job.windows.find(item.window);
    const auto provider = JobEntry::member_of(attempt, item.provider);
    if (!provider || window == job.windows.end() || window->second.attempt != body.attempt ||
        !window->second.receipts[*provider].filed) {
      return wrong(ErrorCode::not_found,
                   fmt::format("window {} has no receipt of {}", item.window, name_of(item.provider)));
    }
    const MemberReceipt& receipt = window->second.receipts[*provider];
    if (receipt.digest != item.receipt) {
      return wrong(ErrorCode::invalid, fmt::format("the receipt of {} for window {} is another one",
                                                   name_of(item.provider), item.window));
    }
    if ((receipt.countersigned & bit) != 0) {
      return wrong(ErrorCode::conflict, fmt::format("it agreed with {} on window {} already",
                                                    name_of(item.provider), item.window));
    }
  }
  for (const CountersignedReceipt& item : body.receipts) {
    WindowEntry& window = job.windows.at(item.window);
    window.receipts[*JobEntry::member_of(attempt, item.provider)].countersigned |= bit;
    touch(Slot::window, job.id, item.window);
  }
  advance_line(job);
  return {};
}

}  // namespace ufab
