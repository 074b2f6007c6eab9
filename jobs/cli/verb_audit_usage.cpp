// audit import|correct: a provider files by hand what its batch system says of a run (the node does it by
// itself where it can), and corrects what it filed. Both become records of this organisation, signed by its
// node.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/audit/export/runs.h"
#include "accounting/audit/export/text.h"
#include "accounting/audit/reconcile/reconcile.h"
#include "accounting/records/codec.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/sacct_source.h"
#include "jobs/cli/verbs.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

// What both verbs know of the home: who it is, and what the ledger has.
struct Own {
  std::string organisation;
  Home home;
  UsageLedger ledger;
  // The highest attempt of the job that this organisation leased; 0 if there is none.
  [[nodiscard]] std::uint32_t last_attempt(JobId job) const {
    std::uint32_t last = 0;
    for (const auto& [leased, attempt, who] : ledger.leased) {
      if (leased == job && who == organisation) last = std::max(last, attempt);
    }
    return last;
  }
};

Result<Own> read_own(const Invocation& invocation) {
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  UFAB_ASSIGN(UsageLedger ledger, read_usage(home.chain_folder()));
  return Own{config.organisation, home, std::move(ledger)};
}

Result<std::uint32_t> attempt_of(const Own& own, JobId job, std::uint64_t wanted) {
  if (wanted > UINT32_MAX) return Error{ErrorCode::usage, "--attempt: there are never that many"};
  const std::uint32_t attempt = wanted == 0 ? own.last_attempt(job) : static_cast<std::uint32_t>(wanted);
  if (!own.ledger.leased.contains({job, attempt, own.organisation})) {
    return Error{ErrorCode::not_found, own.organisation + " leased no " +
                                           (wanted == 0 ? "attempt" : "attempt " + std::to_string(wanted)) +
                                           " of job " + std::to_string(job)};
  }
  return attempt;
}

VerbResult file(const Invocation& invocation, const char* kind, Bytes body, const std::string& done) {
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "record", {{"kind", kind}}, std::move(body)));
  std::printf("%s, record %s, block %llu\n", done.c_str(),
              std::string(answer.result.at("id").as_string()).c_str(),
              static_cast<unsigned long long>(answer.result.at("height").to_number<std::uint64_t>()));
  return 0;
}

// Sets the field of a usage that has this name from its text.
class SetVisitor {
 public:
  SetVisitor(std::string_view name, const std::string& text) : name_(name), text_(text) {}
  template <class Number>
  void operator()(const char* field, Number& value) {
    if (!matches(field)) return;
    const auto number =
        parse_count(text_, 0, std::min<std::uint64_t>(usage_number_max, std::numeric_limits<Number>::max()));
    good_ = number.ok();
    if (good_) value = static_cast<Number>(*number);
  }
  void operator()(const char* field, std::string& value, std::size_t size_max) {
    if (!matches(field)) return;
    good_ = text_.size() <= size_max && is_printable_utf8(text_);
    if (good_) value = text_;
  }
  // The names of all fields that may be set.
  [[nodiscard]] const std::string& names() const { return names_; }
  [[nodiscard]] bool found() const { return found_; }
  [[nodiscard]] bool good() const { return good_; }

 private:
  bool matches(std::string_view field) {
    // Which run it was cannot be corrected (accounting/records/bodies.h).
    if (field == "cluster" || field == "external_id" || field == "submit_us") return false;
    names_ += (names_.empty() ? "" : " ") + std::string(field);
    found_ = found_ || field == name_;
    return field == name_;
  }
  std::string_view name_;
  const std::string& text_;
  std::string names_;
  bool found_ = false, good_ = false;
};

Status set_field(UsageValues& usage, const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string text = equals == std::string::npos ? "" : word.substr(equals + 1);
  SetVisitor visitor(std::string_view(word).substr(0, equals), text);
  UsageValues::fields(visitor, usage);
  if (equals == std::string::npos || !visitor.found()) {
    return Error{ErrorCode::usage, "'" + word + "': expected FIELD=VALUE; the fields are " + visitor.names()};
  }
  if (!visitor.good()) return Error{ErrorCode::usage, "'" + word + "': no such value is possible"};
  return {};
}

}  // namespace

VerbResult audit_import(const Invocation& invocation, Words words) {
  std::string number, sacct_file;
  std::uint64_t attempt_wanted = 0, id = 0;
  SacctQuery query;
  CommandLine line(
      "audit import JOB [--attempt N] [--id SLURM_ID] [--sacct FILE]",
      "Files what this provider's Slurm says that its run of a job used, for runs that the node could not "
      "report itself. The run is found in sacct by the tag in its name, or by --id; of several with the "
      "id of one cluster, the one submitted last counts.");
  line.required("job", number, "the job's number");
  line.number("--attempt", attempt_wanted, "default: the last one that this provider leased");
  line.number("--id", id, "the job's id at Slurm");
  line.text("--sacct", sacct_file, "sacct's output in a file, - for standard input (default: run sacct)");
  line.text("--slurm-conf", query.slurm_conf, "the slurm.conf for sacct (default: [provider.slurm] conf)");
  line.text("--sacct-program", query.program, "the sacct to run (default: the one on PATH)");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::uint64_t job, parse_job_number(number));
  UFAB_ASSIGN(const Own own, read_own(invocation));
  UFAB_ASSIGN(const std::uint32_t attempt, attempt_of(own, job, attempt_wanted));
  UFAB_ASSIGN(const SlurmSection section, read_slurm_section(own.home));
  if (query.slurm_conf.empty()) query.slurm_conf = section.conf;
  if (id != 0) query.jobs = {id};
  const std::string chain = own.ledger.chain_id.hex().substr(0, 8);
  std::optional<SacctJob> found;
  const auto look = [&](const SacctJob& row) -> Status {
    const auto tag = parse_run_tag(row.name);
    const bool wanted =
        id != 0 ? row.id == id : tag && tag->chain == chain && tag->job == job && tag->attempt == attempt;
    if (wanted && row.ended() && (!found || found->submit_us < row.submit_us)) found = row;
    return {};
  };
  auto counts = sacct_file.empty() ? sacct_run(query, look) : read_sacct_file(sacct_file, look);
  if (!counts) return counts.error();
  if (!found) {
    return Error{ErrorCode::not_found, "sacct has no ended run of job " + std::to_string(job) + " attempt " +
                                           std::to_string(attempt) + (id == 0 ? "; --id names one" : "")};
  }
  UFAB_ASSIGN(const UsageImport import, usage_import(job, attempt, usage_of(*found)));
  return file(invocation, "usage_import", encode_fields(import),
              "job " + std::to_string(job) + " attempt " + std::to_string(attempt) + ": run " +
                  std::to_string(found->id) + " of " + import.usage.cluster + " imported");
}

VerbResult audit_correct(const Invocation& invocation, Words words) {
  std::string number, reason;
  std::uint64_t attempt_wanted = 0;
  std::vector<std::string> fields;
  CommandLine line(
      "audit correct JOB FIELD=VALUE… --reason TEXT [--attempt N]",
      "Corrects what this provider imported of its run of a job. The import stays on the ledger, beside it "
      "stands the correction with all values; exports and the reconciliation take the last one. Fields are "
      "those of `ufab audit export --format csv`, but the run itself (cluster, external_id, submit_us).");
  line.required("job", number, "the job's number");
  line.list("fields", fields, "what is right, for example cpu_us=1500000 state=F", true);
  line.text("--reason", reason, "kept on the ledger");
  line.number("--attempt", attempt_wanted, "default: the last one that this provider leased");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::uint64_t job, parse_job_number(number));
  if (reason.empty() || reason.size() > text_size_max || !is_printable_utf8(reason)) {
    return Error{ErrorCode::usage,
                 "--reason: expected 1 to " + std::to_string(text_size_max) + " bytes of text"};
  }
  UFAB_ASSIGN(const Own own, read_own(invocation));
  UFAB_ASSIGN(const std::uint32_t attempt, attempt_of(own, job, attempt_wanted));
  const auto run = std::find_if(own.ledger.runs.begin(), own.ledger.runs.end(), [&](const UsageRun& item) {
    return item.job == job && item.attempt == attempt && item.provider == own.organisation;
  });
  if (run == own.ledger.runs.end()) {
    return Error{ErrorCode::not_found, own.organisation + " imported nothing for job " + std::to_string(job) +
                                           " attempt " + std::to_string(attempt)};
  }
  UsageValues usage = run->usage();
  for (const std::string& field : fields) UFAB_TRY(set_field(usage, field));
  if (usage == run->usage()) return Error{ErrorCode::conflict, "that is what stands already"};
  UFAB_TRY(check_usage_values(usage));
  return file(invocation, "correction", encode_fields(Correction{run->import, reason, {usage}}),
              "job " + std::to_string(job) + " attempt " + std::to_string(attempt) + " corrected");
}

}  // namespace ufab::jobs
