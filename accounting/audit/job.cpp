#include <fmt/format.h>

#include <boost/json.hpp>
#include <set>

#include "accounting/audit/audit.h"
#include "accounting/audit/walk.h"

namespace ufab {

namespace {

namespace json = boost::json;

constexpr std::size_t line_width_max = 110;

// The job that a record is about; empty when it is about none, or about several (receipt batches).
std::optional<JobId> job_named_by(const RecordBody& body) {
  return std::visit(
      [](const auto& b) -> std::optional<JobId> {
        if constexpr (requires { b.job; }) {
          return b.job;
        } else {
          return std::nullopt;
        }
      },
      body);
}

std::string short_digest(const Digest& digest) {
  return digest.hex().substr(0, 12);
}

std::string usage_summary(const UsageValues& u) {
  return fmt::format(
      "run {} of {}, {}, elapsed {} us, cpu {} us on {} processors, peak {} bytes, exit {}, signal {}",
      u.external_id, u.cluster, u.state, u.elapsed_us, u.cpu_us, u.processors, u.memory_peak_bytes,
      u.exit_code, u.signal);
}

// Collects what the log says about one job while the walk goes on.
class JobCollector {
 public:
  JobCollector(JobId job, const Chain& chain) : job_(job), chain_(chain) {}

  void visit(const AppliedBlock& applied) {
    const BlockHeader& header = applied.block.header;
    // Deadlines and epochs come before the block's records.
    if (touches_escrow(applied.start_movements)) add_movements(applied.start_movements);
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      const Record& record = applied.records[i];
      const bool order = is_order(record, applied, i);
      if (order) found_ = true;
      if (!order && !concerns(record)) continue;
      add(header, i, record, applied.movements[i], refusal_of(applied, i));
    }
  }

  [[nodiscard]] bool found() const { return found_; }

  [[nodiscard]] JobAudit finish() {
    std::string text = fmt::format("Job {} on chain {} ({})\n\n", job_, chain_.state().chain_name(),
                                   chain_.state().chain_id().str());
    text += lines_;
    if (!refusals_text_.empty())
      text += "\nRefused records (they stand on the ledger, without effect)\n" + refusals_text_;
    text += "\nMovements (micro-UNC)\n" + movements_text_;
    text += "\nRewards of the epochs in which this job's work counted\n";
    text += rewards_text_.empty()
                ? "  none yet: the epoch that the job settled in has not ended, or its work was "
                  "not verified\n"
                : rewards_text_;
    json::object object;
    object["schema"] = "ufab.audit.job/1";
    object["job"] = job_;
    object["chain_id"] = chain_.state().chain_id().str();
    object["records"] = std::move(records_);
    object["movements"] = std::move(movements_);
    object["rewards"] = std::move(rewards_);
    return {std::move(text), json::serialize(object)};
  }

 private:
  // Orders are numbered as they are accepted.
  bool is_order(const Record& record, const AppliedBlock& applied, std::size_t position) {
    if (record.type() != RecordType::job_order || refusal_of(applied, position) != nullptr) return false;
    return ++orders_ == job_;
  }

  bool concerns(const Record& record) {
    if (const auto* batch = std::get_if<ReceiptBatch>(&record.body)) {
      for (const Receipt& receipt : batch->receipts) {
        if (receipt.job == job_) return true;
      }
      return false;
    }
    if (const auto* correction = std::get_if<Correction>(&record.body)) {
      return records_of_job_.contains(correction->record);
    }
    if (const auto* reward = std::get_if<Reward>(&record.body)) {
      return settled_epoch_ && reward->epoch == *settled_epoch_ && paid_.contains(reward->organisation);
    }
    return job_named_by(record.body) == job_;
  }

  std::string name(OrgId id) const {
    const OrgEntry* org = chain_.state().organisation(id);
    return org == nullptr ? fmt::format("organisation {}", id) : org->name;
  }

  bool touches_escrow(const std::vector<Movement>& movements) const {
    const AccountId escrow{AccountKind::escrow, job_};
    for (const Movement& movement : movements) {
      if (movement.debit == escrow || movement.credit == escrow) return true;
    }
    return false;
  }

  std::string account(AccountId id) const {
    if (id.kind < AccountKind::balance) return account_kind_name(id.kind);
    if (id.kind == AccountKind::escrow) return account_name(id);
    return fmt::format("{}:{}", account_kind_name(id.kind), name(static_cast<OrgId>(id.number)));
  }

  void add_movements(const std::vector<Movement>& movements) {
    for (const Movement& movement : movements) {
      const std::string from = account(movement.debit);
      const std::string to = account(movement.credit);
      movements_text_ += fmt::format("  {:>20}  {} -> {}\n", movement.amount, from, to);
      movements_.push_back({{"amount_micro", movement.amount}, {"debit", from}, {"credit", to}});
    }
  }

  void add(const BlockHeader& header, std::size_t position, const Record& record,
           const std::vector<Movement>& movements, const Refusal* refusal) {
    json::object item = json::parse(record_json(record)).as_object();
    item["height"] = header.height;
    item["position"] = position;
    item["block_time_us"] = header.time_us;
    if (refusal != nullptr) item["refused"] = refusal->reason;
    if (const auto* reward = std::get_if<Reward>(&record.body)) {
      add_reward(*reward);
      rewards_.push_back(std::move(item));
      return;
    }
    const OrgId signer = chain_.state().organisation_of_any_key(record.signer);
    const KeyRole role = chain_.state().role_of_any_key(record.signer);
    if (signer != 0) item["role"] = key_role_name(role);
    records_.push_back(std::move(item));
    records_of_job_.insert(record_id(record));
    const std::string place = fmt::format("{}/{}", header.height, position);
    const std::string who =
        signer == 0 ? "(rules)" : name(signer) + (role == KeyRole::agent ? "'s agent" : "");
    add_line(fmt::format("{:>8}  {:<16} {:<12} {}", place, record_type_name(record.type()), who,
                         summary(record.body)),
             lines_);
    if (refusal != nullptr) {
      add_line(fmt::format("{:>8}  refused: {}", "", refusal->reason), lines_);
      add_line(
          fmt::format("{:>8}  {} of {}: {}", place, record_type_name(record.type()), who, refusal->reason),
          refusals_text_);
    }
    add_movements(movements);
    if (const auto* settlement = std::get_if<Settlement>(&record.body)) {
      // The epoch that the block counts for: begin_block has already begun it if it was due.
      settled_epoch_ = header.epoch;
      for (const Payment& payment : settlement->payments) paid_.insert(payment.organisation);
    }
  }

  // Wraps at spaces so that no line is wider than the limit.
  static void add_line(std::string line, std::string& to) {
    while (line.size() > line_width_max) {
      std::size_t cut = line.rfind(' ', line_width_max);
      if (cut == std::string::npos || cut < 40) cut = line_width_max;
      to += line.substr(0, cut) + "\n";
      line = std::string(40, ' ') + line.substr(line[cut] == ' ' ? cut + 1 : cut);
    }
    to += line + "\n";
  }

  void add_reward(const Reward& r) {
    rewards_text_ += fmt::format(
        "  epoch {}, {}:\n"
        "    merit  = {} MFLOP verified x {} ppm uptime x {} ppm quality = {}\n"
        "    reward = {} of emission x {} / {} (all merit), largest remainder = {}\n",
        r.epoch, name(r.organisation), r.verified_mflop, r.uptime_ppm, r.quality_ppm, r.merit,
        format_amount(r.emission), r.merit, r.merit_total, format_amount(r.amount));
  }

  std::string summary(const RecordBody& body) const {
    if (const auto* b = std::get_if<JobOrder>(&body)) {
      return fmt::format("'{}' ({}), {} steps, {} windows, budget {}, verify {} ppm, {} slots, limit {} s",
                         b->name, job_kind_name(b->kind), b->steps,
                         b->window_steps == 0 ? 0 : (b->steps - 1) / b->window_steps + 1,
                         format_amount(b->budget), b->verify_rate_ppm, b->slots, b->time_limit_s);
    }
    if (const auto* b = std::get_if<JobAttempt>(&body)) {
      std::string shares;
      for (const Share& share : b->shares) {
        shares += fmt::format(" {}:{}", name(share.organisation), share.micro_batch_count);
      }
      return fmt::format("attempt {} from window {}, micro-batches{}{}{}", b->attempt, b->window_first,
                         shares, b->reason.empty() ? "" : ": ", b->reason);
    }
    if (const auto* b = std::get_if<Lease>(&body)) {
      return fmt::format("attempt {}, micro-batches [{}, {}), {} ranks, {} / TFLOP, {} / cpu-hour",
                         b->attempt, b->micro_batch_first,
                         std::uint64_t{b->micro_batch_first} + b->micro_batch_count, b->ranks,
                         format_amount(b->price_per_tflop), format_amount(b->price_per_cpu_hour));
    }
    if (const auto* b = std::get_if<LeaseReturn>(&body))
      return fmt::format("attempt {}, lease given back: {}", b->attempt, b->reason);
    if (const auto* b = std::get_if<ReceiptBatch>(&body)) {
      std::string text;
      for (const Receipt& r : b->receipts) {
        if (r.job != job_) continue;
        text += fmt::format("{}window {}: {} -> {}, {} flop", text.empty() ? "" : "; ", r.window,
                            short_digest(r.start_digest), short_digest(r.end_digest), r.work_flop);
      }
      return text;
    }
    if (const auto* b = std::get_if<Countersignature>(&body)) {
      std::string text;
      for (const CountersignedReceipt& r : b->receipts) {
        text +=
            fmt::format("{}window {} of {}", text.empty() ? "agrees: " : ", ", r.window, name(r.provider));
      }
      return text;
    }
    if (const auto* b = std::get_if<UsageReceipt>(&body)) {
      return fmt::format("cpu {} us, wall {} us, peak {} bytes, exit {}, signal {}", b->cpu_us, b->wall_us,
                         b->memory_peak_bytes, b->exit_code, b->signal);
    }
    if (const auto* b = std::get_if<UsageImport>(&body)) {
      return fmt::format("attempt {}: {}", b->attempt, usage_summary(b->usage));
    }
    if (const auto* b = std::get_if<Correction>(&body)) {
      return fmt::format("of {}{}: {}", short_digest(b->record),
                         b->usage.empty() ? "" : ", right is " + usage_summary(b->usage[0]), b->reason);
    }
    if (const auto* b = std::get_if<Validation>(&body)) {
      std::string text = b->disputed ? "disputed:" : "sampled:";
      for (const AssignedWindow& w : b->windows) {
        text += fmt::format(" window {} by {}", w.window,
                            w.verifier == 0 ? "nobody (none eligible)" : name(w.verifier));
      }
      return text + fmt::format(", due by block {}", b->deadline_height);
    }
    if (const auto* b = std::get_if<Vote>(&body)) return findings(b->window, b->end_digest, b->findings);
    if (const auto* b = std::get_if<Verdict>(&body)) {
      return fmt::format("{}: {}{}", b->good ? "good" : "BAD",
                         findings(b->window, b->end_digest, b->findings),
                         b->good ? "" : fmt::format("; {} windows void", b->windows_void));
    }
    if (const auto* b = std::get_if<Slash>(&body)) {
      std::string text =
          fmt::format("{} loses {}, burned {}", name(b->organisation),
                      format_amount(b->from_stake + b->from_unbonding), format_amount(b->burned));
      for (const OrgAmount& c : b->compensation) {
        text += fmt::format(", {} gets {}", name(c.organisation), format_amount(c.amount));
      }
      return text + ": " + b->reason;
    }
    if (const auto* b = std::get_if<Fault>(&body)) {
      return fmt::format("{}: {}, {} points", name(b->organisation), fault_kind_name(b->kind), b->points);
    }
    if (const auto* b = std::get_if<Settlement>(&body)) {
      std::string text =
          fmt::format("{}, {} windows paid, {} re-executed{}", job_result_name(b->result), b->windows_paid,
                      b->windows_verified, b->verified ? "" : " (not verified: no reward, no power)");
      for (const Payment& p : b->payments) {
        text += fmt::format("; {} {}", name(p.organisation), format_amount(p.amount));
      }
      return text + fmt::format("; fee {} burned, {} to the treasury; refund {}",
                                format_amount(b->fee_burned), format_amount(b->fee_treasury),
                                format_amount(b->refund));
    }
    if (const auto* b = std::get_if<Cancel>(&body))
      return fmt::format("{}: {}", job_result_name(b->result), b->reason);
    return "";
  }

  std::string findings(std::uint64_t window, const Digest& end,
                       const std::vector<MemberFinding>& list) const {
    std::string text = fmt::format("window {} re-executed to {}", window, short_digest(end));
    for (const MemberFinding& f : list) {
      text += f.bad ? fmt::format(", {} wrong at step {} micro-batch {}", name(f.organisation), f.step,
                                  f.micro_batch)
                    : fmt::format(", {} ok", name(f.organisation));
    }
    return text;
  }

  JobId job_;
  const Chain& chain_;
  bool found_ = false;
  std::uint64_t orders_ = 0;
  std::optional<std::uint64_t> settled_epoch_;
  std::set<OrgId> paid_;
  std::set<RecordId> records_of_job_;  // what a correction may be about
  std::string lines_;
  std::string refusals_text_;
  std::string movements_text_;
  std::string rewards_text_;
  json::array records_;
  json::array movements_;
  json::array rewards_;
};

}  // namespace

Result<JobAudit> audit_job(const std::string& folder, std::uint64_t job) {
  Chain chain;
  SegmentLog::Scan scan;
  JobCollector collector(job, chain);
  UFAB_TRY(audit::walk(folder, chain, scan, [&](const AppliedBlock& applied) -> Status {
    collector.visit(applied);
    return {};
  }));
  if (!collector.found())
    return Error{ErrorCode::not_found, fmt::format("there is no job {} on the ledger", job)};
  return collector.finish();
}

}  // namespace ufab
