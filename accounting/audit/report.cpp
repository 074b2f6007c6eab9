// The audit report: one HTML page about a chain and one of its jobs. Everything in it comes from the log,
// re-verified while it is read, except the loss curve, which the caller takes from the job's own log.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "accounting/audit/audit.h"
#include "accounting/audit/charts.h"
#include "accounting/audit/walk.h"

namespace ufab {

namespace {

using audit::html_escape;

constexpr std::size_t losses_max = 100'000;
constexpr std::size_t events_max = 4'000;

constexpr const char* page_style = R"css(
:root{--bg:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#5c6b7d;--line:#dfe4ea;--good:#0b7a4b;--bad:#c02a37;
--accent:#2457d6;--c1:#2457d6;--c2:#d9730d;--c3:#0b8a5e;--c4:#8a3fd1;--c5:#c2255c;--c6:#0c8599;--c7:#7a6a00;--c8:#6b7787}
@media(prefers-color-scheme:dark){:root{--bg:#0f141a;--card:#171e27;--ink:#e8edf3;--soft:#9aa9ba;--line:#2a3441;
--good:#4cc38a;--bad:#ff6b76;--accent:#7aa2ff;--c1:#7aa2ff;--c2:#ffa657;--c3:#4cc38a;--c4:#c297ff;--c5:#ff85b1;--c6:#5bc8dc;
--c7:#d9c74a;--c8:#8b98a8}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1060px;margin:0 auto;padding:40px 20px 64px}header{margin-bottom:28px}
h1{font-size:2rem;line-height:1.2;margin:0 0 6px;letter-spacing:-.02em}h2{font-size:1.15rem;margin:0 0 4px}
p{margin:4px 0 12px;color:var(--soft)}code{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
overflow-wrap:anywhere;color:var(--ink)}
.badge{display:inline-block;padding:3px 12px;border-radius:99px;font-weight:600;font-size:.85rem;
border:1.5px solid currentColor;margin-right:8px}.good{color:var(--good)}.bad{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:14px}
.tile{padding:14px 18px}.tile b{display:block;font-size:1.25rem;white-space:nowrap;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.85rem}section{padding:22px 24px;margin:16px 0}
figure{margin:12px 0 0}svg{width:100%;height:auto;display:block}
svg text{font-family:inherit;fill:var(--ink)}svg .tick,svg .axis{font-size:11px;fill:var(--soft)}
svg .label{font-size:12.5px;font-weight:600}svg .on-bar{font-size:12px;font-weight:600;fill:var(--card)}
svg .grid{stroke:var(--line)}svg .loss{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
svg .area{fill:var(--accent);opacity:.09}svg .eval{fill:var(--c2);stroke:var(--card);stroke-width:1.5}
svg .flow{opacity:.38}svg .mark{stroke:var(--card);stroke-width:1.5}svg .ink{fill:var(--ink)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:8px 12px 8px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;padding-right:24px}footer{color:var(--soft);font-size:.85rem;margin-top:28px}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
)css";

// What the page says about one job.
struct JobFacts {
  JobId id = 0;
  OrgId owner = 0;
  JobOrder order;
  std::vector<JobAttempt> attempts;
  std::optional<Settlement> settlement;
  std::uint64_t settled_epoch = 0;
  std::vector<std::pair<std::string, Verdict>> verdicts;  // place and verdict
  std::vector<Slash> slashes;
  std::map<OrgId, std::uint64_t> receipts;
  std::vector<audit::Event> events;
  std::vector<Reward> rewards;
  std::vector<std::string> refusals;
};

class Collector {
 public:
  Collector(const Chain& chain, std::optional<JobId> wanted) : chain_(chain), wanted_(wanted) {}

  void visit(const AppliedBlock& applied) {
    records_ += applied.records.size();
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      visit(applied.records[i], applied.block.header, i, refusal_of(applied, i));
    }
  }

  [[nodiscard]] std::uint64_t records() const { return records_; }
  // The job asked for, or the last one that settled, or the last one at all.
  [[nodiscard]] JobFacts* job() {
    const auto found = jobs_.find(wanted_ ? *wanted_ : last_settled_ != 0 ? last_settled_ : orders_);
    return found == jobs_.end() ? nullptr : &found->second;
  }

 private:
  // Only the job asked for is kept, or, if none was, the newest ones that could be featured.
  bool keeps(JobId id) const { return !wanted_ || *wanted_ == id; }

  JobFacts* find(JobId id) {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : &found->second;
  }

  void mark(JobId id, const Record& record, const BlockHeader& header, std::size_t position, bool alarm,
            const std::string& note) {
    JobFacts* facts = find(id);
    if (facts == nullptr || facts->events.size() >= events_max) return;
    const OrgId org = chain_.state().organisation_of_any_key(record.signer);
    facts->events.push_back({header.time_us, org, org, alarm,
                             fmt::format("block {}/{}: {}{}{}", header.height, position,
                                         record_type_name(record.type()), note.empty() ? "" : ": ", note)});
  }

  void visit(const Record& record, const BlockHeader& header, std::size_t position, const Refusal* refusal) {
    if (const auto* b = std::get_if<JobOrder>(&record.body); b != nullptr && refusal == nullptr) {
      if (keeps(++orders_)) {
        JobFacts& facts = jobs_[orders_];
        facts.id = orders_;
        facts.owner = chain_.state().organisation_of_any_key(record.signer);
        facts.order = *b;
        mark(orders_, record, header, position, false, b->name);
      }
    } else if (const auto* batch = std::get_if<ReceiptBatch>(&record.body)) {
      JobId last = 0;
      for (const Receipt& r : batch->receipts) {
        JobFacts* facts = find(r.job);
        if (facts == nullptr) continue;
        if (refusal == nullptr) ++facts->receipts[r.provider];
        if (r.job != last)
          note(r.job, record, header, position, refusal, fmt::format("from window {}", r.window));
        last = r.job;
      }
    } else if (const auto* reward = std::get_if<Reward>(&record.body)) {
      for (auto& [id, facts] : jobs_) {
        if (facts.settlement && facts.settled_epoch == reward->epoch) facts.rewards.push_back(*reward);
      }
    } else {
      std::visit(
          [&](const auto& body) {
            if constexpr (requires { body.job; }) about_job(body, record, header, position, refusal);
          },
          record.body);
    }
  }

  void note(JobId id, const Record& record, const BlockHeader& header, std::size_t position,
            const Refusal* refusal, const std::string& text) {
    mark(id, record, header, position, refusal != nullptr,
         refusal != nullptr ? "refused: " + refusal->reason : text);
    if (refusal != nullptr) {
      if (JobFacts* facts = find(id); facts != nullptr && facts->refusals.size() < 200) {
        facts->refusals.push_back(fmt::format("block {}/{}: {}", header.height, position, refusal->reason));
      }
    }
  }

  template <class Body>
  void about_job(const Body& body, const Record& record, const BlockHeader& header, std::size_t position,
                 const Refusal* refusal) {
    JobFacts* facts = find(body.job);
    if (facts == nullptr) return;
    note(body.job, record, header, position, refusal, "");
    if (refusal != nullptr) return;
    if constexpr (std::is_same_v<Body, JobAttempt>) facts->attempts.push_back(body);
    if constexpr (std::is_same_v<Body, Verdict>) {
      facts->verdicts.emplace_back(fmt::format("{}/{}", header.height, position), body);
      if (!body.good) facts->events.back().alarm = true;
    }
    if constexpr (std::is_same_v<Body, Slash>) {
      facts->slashes.push_back(body);
      facts->events.back().alarm = true;
    }
    if constexpr (std::is_same_v<Body, Settlement>) {
      facts->settlement = body;
      facts->settled_epoch = header.epoch;
      last_settled_ = body.job;
      // Featured is one job: older settled ones need no memory any more.
      if (!wanted_)
        std::erase_if(jobs_,
                      [&](const auto& item) { return item.second.settlement && item.first != body.job; });
    }
  }

  const Chain& chain_;
  std::optional<JobId> wanted_;
  std::map<JobId, JobFacts> jobs_;
  JobId orders_ = 0;
  JobId last_settled_ = 0;
  std::uint64_t records_ = 0;
};

// "30 000 100.5": an amount without its unit, with a thin space every three digits of the whole part.
std::string grouped(MicroUnc micro) {
  std::string amount = format_amount(micro);
  amount.resize(amount.find(' '));
  std::string text;
  const std::size_t digits = std::min(amount.find('.'), amount.size());
  for (std::size_t i = 0; i < amount.size(); ++i) {
    if (i > 0 && i < digits && (digits - i) % 3 == 0) text += "\u2009";
    text += amount[i];
  }
  return text;
}

std::string tile(const std::string& value, const std::string& label) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", html_escape(value),
                     html_escape(label));
}

std::string section(const std::string& title, const std::string& lead, const std::string& content) {
  if (content.empty()) return "";
  return fmt::format("<section><h2>{}</h2><p>{}</p>{}</section>\n", html_escape(title), lead, content);
}

class Page {
 public:
  Page(const Chain& chain, const ReportInput& input, JobFacts* job, std::uint64_t records)
      : state_(chain.state()), chain_(chain), input_(input), job_(job), records_(records) {}

  std::string render() {
    std::string body = head();
    if (job_ != nullptr) {
      body +=
          section("Training loss",
                  "As the job logged it; the digests below are what the ledger vouches for. Line: training, "
                  "dots: evaluation.",
                  losses());
      body += section("Shares", "Micro-batches of every step, by provider and attempt.", shares());
      body += section("Money flow", "From the job's escrow, as settled. Hover for exact amounts.", money());
      body += section("Timeline",
                      "Every record about this job, by who signed it; red marks are refusals, bad "
                      "verdicts and slashes.",
                      timeline());
      body += section("Verification",
                      "Windows that were re-executed by somebody who took no part, before anybody was paid.",
                      verdicts());
      body += section("Payments and rewards",
                      "Payment = work &times; price. Reward = emission &times; merit / all "
                      "merit, merit = verified work &times; uptime &times; quality.",
                      rewards());
      body +=
          section("Refused records",
                  "Authentic records that broke a rule: kept, with the reason, without effect.", refusals());
    }
    body += section("Balances", "After the last block; minted &minus; burned equals their sum.", balances());
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">"
        "<title>{}</title><style>{}</style></head><body><main>\n{}<footer>Made offline from the ledger's "
        "log: every "
        "signature, rule, derived record and root was checked while it was "
        "read.</footer></main></body></html>\n",
        html_escape(title()), page_style, body);
  }

 private:
  std::string title() const {
    if (!input_.title.empty()) return input_.title;
    return job_ == nullptr ? "Ledger audit" : fmt::format("Job {}: {}", job_->id, job_->order.name);
  }
  std::string name(OrgId id) const {
    const OrgEntry* org = state_.organisation(id);
    return org == nullptr ? "rules" : org->name;
  }

  std::string head() const {
    const Accounts& accounts = state_.accounts();
    std::string html = fmt::format(
        "<header><h1>{}</h1><p>Chain {} <code>{}</code></p>"
        "<span class=\"badge good\">log verified</span>",
        html_escape(title()), html_escape(state_.chain_name()), state_.chain_id().str());
    if (job_ != nullptr && job_->settlement) {
      const Settlement& done = *job_->settlement;
      html +=
          fmt::format("<span class=\"badge {}\">{}</span><span class=\"badge {}\">{}</span>",
                      done.result == JobResult::done ? "good" : "bad", job_result_name(done.result),
                      done.verified ? "good" : "bad", done.verified ? "re-executed, equal" : "not verified");
      if (!done.final_digest.is_zero()) {
        html += fmt::format("<p>Final state <code>{}</code></p>", done.final_digest.str());
      }
    }
    html += "</header>\n<div class=\"tiles\">";
    html += tile(std::to_string(chain_.head().height + 1), "blocks");
    html += tile(std::to_string(records_), "records");
    html += tile(std::to_string(state_.organisations().size()), "organisations");
    html += tile(std::to_string(state_.job_last()), "jobs");
    html += tile(grouped(accounts.minted()), "UNC minted");
    html += tile(grouped(accounts.burned()), "UNC burned");
    return html + "</div>\n";
  }

  std::string losses() const {
    std::vector<audit::ChartPoint> training, evaluation;
    for (const LossPoint& point : input_.losses) {
      std::uint64_t value = 0;
      if (!audit::parse_millionths(point.loss, value)) continue;
      (point.evaluation ? evaluation : training).push_back({point.step, value});
    }
    return audit::loss_chart(training, evaluation);
  }

  std::string shares() const {
    std::vector<audit::Bar> bars;
    for (const JobAttempt& attempt : job_->attempts) {
      audit::Bar bar{fmt::format("attempt {}", attempt.attempt), {}};
      for (const Share& share : attempt.shares) {
        bar.slices.push_back({name(share.organisation), std::to_string(share.micro_batch_count),
                              std::max<std::uint64_t>(share.micro_batch_count, 1), share.organisation - 1});
      }
      bars.push_back(std::move(bar));
    }
    return bars.empty() ? "" : audit::bars_chart("Shares", bars);
  }

  std::string money() const {
    if (!job_->settlement) return "";
    const Settlement& done = *job_->settlement;
    std::map<OrgId, MicroUnc> paid;
    for (const Payment& payment : done.payments) paid[payment.organisation] += payment.amount;
    std::vector<audit::Slice> targets;
    targets.reserve(paid.size() + 3);
    for (const auto& [org, amount] : paid)
      targets.push_back({name(org), format_amount(amount), amount, org - 1});
    targets.push_back({"fee, burned", format_amount(done.fee_burned), done.fee_burned, 4});
    targets.push_back({"fee, treasury", format_amount(done.fee_treasury), done.fee_treasury, 6});
    targets.push_back({"refund to " + name(job_->owner), format_amount(done.refund), done.refund, 7});
    std::erase_if(targets, [](const audit::Slice& slice) { return slice.value == 0; });
    return audit::flow_chart("escrow " + format_amount(job_->order.budget), targets);
  }

  std::string timeline() const {
    std::map<std::size_t, std::size_t> lane_of;  // organisation to lane; 0 is the rules
    for (const audit::Event& event : job_->events) lane_of[event.lane] = 0;
    std::vector<std::string> lanes;
    for (auto& [org, lane] : lane_of) {
      lane = lanes.size();
      lanes.push_back(name(static_cast<OrgId>(org)));
    }
    std::vector<audit::Event> events = job_->events;
    for (audit::Event& event : events) {
      event.color = event.lane == 0 ? 7 : event.color - 1;
      event.lane = lane_of[event.lane];
    }
    return audit::timeline_chart(lanes, events);
  }

  std::string verdicts() const {
    if (job_->verdicts.empty()) return "";
    std::string rows;
    for (const auto& [place, verdict] : job_->verdicts) {
      std::string findings;
      for (const MemberFinding& f : verdict.findings) {
        findings += findings.empty() ? "" : ", ";
        findings += f.bad ? fmt::format("<span class=\"bad\">{} wrong at step {}, micro-batch {}</span>",
                                        html_escape(name(f.organisation)), f.step, f.micro_batch)
                          : html_escape(name(f.organisation)) + " ok";
      }
      rows += fmt::format(
          "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td>"
          "<td><code>{}</code></td></tr>",
          place, verdict.window, html_escape(name(verdict.verifier)), verdict.good ? "good" : "bad",
          verdict.good ? "equal" : "different", findings, verdict.end_digest.hex().substr(0, 16));
    }
    for (const Slash& slash : job_->slashes) {
      rows += fmt::format(
          "<tr><td colspan=\"6\" class=\"bad\">{} lost {} of its stake ({} burned): {}</td></tr>",
          html_escape(name(slash.organisation)), format_amount(slash.from_stake + slash.from_unbonding),
          format_amount(slash.burned), html_escape(slash.reason));
    }
    return "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">block</th><th scope=\"col\" "
           "class=\"n\">window</th><th scope=\"col\">verifier</th><th scope=\"col\">result</th><th "
           "scope=\"col\">members</th><th scope=\"col\">digest</th></tr></thead><tbody>" +
           rows + "</tbody></table></div>";
  }

  std::string rewards() const {
    if (!job_->settlement || job_->settlement->payments.empty()) return "";
    std::string rows;
    for (const Payment& p : job_->settlement->payments) {
      std::string reward = "epoch not over, or not verified";
      for (const Reward& r : job_->rewards) {
        if (r.organisation != p.organisation) continue;
        reward = fmt::format("{} = {} &times; {} / {} (epoch {})", format_amount(r.amount),
                             format_amount(r.emission), r.merit, r.merit_total, r.epoch);
      }
      rows += fmt::format(
          "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
          "<td>{}</td></tr>",
          html_escape(name(p.organisation)), p.windows, p.work_mflop, format_amount(p.amount), reward);
    }
    return "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">provider</th><th scope=\"col\" "
           "class=\"n\">windows</th><th scope=\"col\" class=\"n\">work, MFLOP</th><th scope=\"col\" "
           "class=\"n\">paid</th><th scope=\"col\">reward</th></tr></thead><tbody>" +
           rows + "</tbody></table></div>";
  }

  std::string refusals() const {
    std::string items;
    for (const std::string& refusal : job_->refusals)
      items += fmt::format("<li>{}</li>", html_escape(refusal));
    return items.empty() ? "" : "<ul>" + items + "</ul>";
  }

  std::string balances() const {
    std::string rows;
    for (const auto& [id, org] : state_.organisations()) {
      if (id > 200) break;  // a page, not a database: the index has them all
      rows += fmt::format(
          "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
          html_escape(org.name), format_amount(state_.balance(id)), format_amount(state_.stake(id)),
          org.score);
    }
    return "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">organisation</th><th scope=\"col\" "
           "class=\"n\">balance</th><th scope=\"col\" class=\"n\">stake</th><th scope=\"col\" "
           "class=\"n\">score</th></tr></thead><tbody>" +
           rows + "</tbody></table></div>";
  }

  const State& state_;
  const Chain& chain_;
  const ReportInput& input_;
  JobFacts* job_;
  std::uint64_t records_;
};

}  // namespace

Result<std::string> audit_report(const std::string& folder, const ReportInput& input) {
  if (input.losses.size() > losses_max) {
    return Error{ErrorCode::limit,
                 fmt::format("report: {} loss points, at most {}", input.losses.size(), losses_max)};
  }
  Chain chain;
  SegmentLog::Scan scan;
  Collector collector(chain, input.job);
  UFAB_TRY(audit::walk(folder, chain, scan, [&](const AppliedBlock& applied) -> Status {
    collector.visit(applied);
    return {};
  }));
  JobFacts* job = collector.job();
  if (input.job && job == nullptr) {
    return Error{ErrorCode::not_found, fmt::format("there is no job {} on the ledger", *input.job)};
  }
  return Page(chain, input, job, collector.records()).render();
}

}  // namespace ufab
