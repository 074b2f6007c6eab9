// audit verify|job|report: all offline, from the home's chain folder or from a bundle. The others have files
// of their own.
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "accounting/audit/audit.h"
#include "fabric/base/file.h"
#include "jobs/cli/audit_arguments.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

Result<AuditSummary> verify_from(const Invocation& invocation, const std::string& bundle,
                                 const std::optional<Digest>& chain) {
  if (!bundle.empty()) return audit_verify_bundle(bundle, chain);
  UFAB_ASSIGN(const Home home, invocation.home());
  return audit_verify(home.chain_folder(), chain);
}

VerbResult verify_chain(const Invocation& invocation, Words words) {
  std::string chain, bundle;
  bool as_json = false;
  CommandLine line(
      "audit verify [--bundle FOLDER] [--chain DIGEST] [--json]",
      "Reads the whole ledger of this home, or a bundle, offline and derives everything anew: signatures, "
      "votes, "
      "order, rules, roots, money. Exit status 1 names the first bad record, or what is wrong of a block; "
      "with "
      "--json also as the numbers `block` and `record`, null where there is none.");
  line.text("--bundle", bundle, "what `ufab audit bundle` wrote; no home is needed");
  line.text("--chain", chain, "the chain's id, learned from somebody you trust");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const auto expected, chain_argument(chain));
  const auto verified = verify_from(invocation, bundle, expected);
  if (!verified.ok()) {
    if (as_json) {
      const AuditPlace place = audit_place(verified.error());
      print_json({{"schema", "ufab.audit-verify/1"},
                  {"good", false},
                  {"block", place.block ? json::value(*place.block) : json::value()},
                  {"record", place.record ? json::value(*place.record) : json::value()},
                  {"error", verified.error().message}});
    }
    return verified.error();
  }
  const AuditSummary& summary = *verified;
  if (as_json) {
    print_json({{"schema", "ufab.audit-verify/1"},
                {"good", true},
                {"chain_id", summary.chain_id.str()},
                {"chain_name", summary.chain_name},
                {"blocks", summary.blocks},
                {"records", summary.records},
                {"signatures", summary.signatures},
                {"certificates", summary.certificates},
                {"epochs", summary.epochs},
                {"validators", summary.validators},
                {"checkpoint_checked", summary.checkpoint_checked},
                {"head_height", summary.head_height},
                {"head_hash", summary.head_hash.str()},
                {"minted_micro", summary.minted},
                {"burned_micro", summary.burned},
                {"balances_micro", summary.balances},
                {"torn_tail", summary.torn_tail}});
    return 0;
  }
  std::printf("chain %s (%s)\n", summary.chain_name.c_str(), summary.chain_id.str().c_str());
  std::printf("  %llu blocks, %llu records, %llu signatures: all good\n",
              static_cast<unsigned long long>(summary.blocks),
              static_cast<unsigned long long>(summary.records),
              static_cast<unsigned long long>(summary.signatures));
  if (summary.certificates > 0) {
    std::printf("  %llu epochs, %llu certificates, %llu validators in office\n",
                static_cast<unsigned long long>(summary.epochs),
                static_cast<unsigned long long>(summary.certificates),
                static_cast<unsigned long long>(summary.validators));
  }
  if (summary.checkpoint_checked) std::puts("  the checkpoint is of this chain and its end");
  std::printf("  head %llu %s\n", static_cast<unsigned long long>(summary.head_height),
              summary.head_hash.str().c_str());
  std::printf("  minted %s − burned %s = balances %s\n", format_amount(summary.minted).c_str(),
              format_amount(summary.burned).c_str(), format_amount(summary.balances).c_str());
  if (summary.torn_tail) std::puts("  the log ends in a torn write that was never acknowledged");
  return 0;
}

VerbResult audit_one_job(const Invocation& invocation, Words words) {
  std::string number;
  bool as_json = false;
  CommandLine line("audit job JOB [--json]",
                   "Every receipt, vote and movement of a job, and how each reward was derived.");
  line.required("job", number, "the job's number");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::uint64_t job, parse_job_number(number));
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const JobAudit audit, audit_job(home.chain_folder(), job));
  std::string text = as_json ? audit.json : audit.text;
  while (text.ends_with('\n')) text.pop_back();
  std::puts(text.c_str());
  return 0;
}

// The loss curve is not on the ledger: it comes from the job's log, where this home has it.
std::vector<LossPoint> read_losses(const Home& home, std::uint64_t job) {
  std::map<std::pair<std::uint64_t, bool>, std::string>
      points;                 // a later attempt's step replaces an earlier one's
  std::vector<JobFile> logs;  // in the order of their attempts
  const JobFolder folder(home, job);
  for (std::uint32_t attempt = 1; attempt <= 64; ++attempt) {
    const JobFile home_again{folder.result(), "logs/attempt-" + std::to_string(attempt) + ".jsonl"};
    const JobFile own = folder.written(attempt, "log.jsonl");
    if (home_again.exists()) {
      logs.push_back(home_again);
    } else if (own.exists()) {
      logs.push_back(own);
    }
  }
  for (const JobFile& log : logs) {
    const auto text = read_foreign_text(log.folder, log.name, 512u << 20);
    if (!text) continue;
    std::string_view rest = *text;
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      json::error_code parse_error;
      const json::value value = json::parse(rest.substr(0, end), parse_error);
      rest.remove_prefix(end + 1);
      if (parse_error || !value.is_object()) continue;
      const json::object& fields = value.get_object();
      const json::value* step = fields.if_contains("step");
      if (step == nullptr || !step->is_int64()) continue;
      const auto number = static_cast<std::uint64_t>(step->get_int64());
      if (const json::value* loss = fields.if_contains("loss")) points[{number, false}] = json_decimal(*loss);
      if (const json::value* loss = fields.if_contains("eval_loss"))
        points[{number, true}] = json_decimal(*loss);
    }
  }
  // Many steps: every k-th suffices for a picture.
  constexpr std::size_t points_max = 4000;
  const std::size_t stride = points.size() / points_max + 1;
  std::vector<LossPoint> losses;
  std::size_t index = 0;
  for (const auto& [key, loss] : points) {
    if (key.second || index++ % stride == 0) losses.push_back({key.first, loss, key.second});
  }
  return losses;
}

VerbResult report(const Invocation& invocation, Words words) {
  ReportInput input;
  std::string output = "report.html";
  std::string job;
  CommandLine line("audit report [-o FILE] [--job N]",
                   "One self-contained HTML page: loss curve, shares, timeline, money flow.");
  line.text("-o,--output", output, "the file to write (default report.html)");
  line.text("--job", job, "the job to feature, with its loss (default: the last one settled, without)");
  line.text("--title", input.title, "the page's title");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  if (input.title.empty()) input.title = "UtilityFabric audit report";
  if (!job.empty()) {
    UFAB_ASSIGN(input.job, parse_job_number(job));
    input.losses = read_losses(home, *input.job);
  }
  UFAB_ASSIGN(const std::string page, audit_report(home.chain_folder(), input));
  UFAB_TRY(write_file_atomic(output, as_bytes(page)));
  std::error_code error;
  std::printf("%s\n", fs::absolute(output, error).lexically_normal().string().c_str());
  return 0;
}

}  // namespace

VerbResult verb_audit(const Invocation& invocation, Words words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest = words.empty() ? words : words.subspan(1);
  if (verb == "verify") return verify_chain(invocation, rest);
  if (verb == "job") return audit_one_job(invocation, rest);
  if (verb == "prove") return audit_prove_verb(invocation, rest);
  if (verb == "checkpoint") return audit_checkpoint_verb(invocation, rest);
  if (verb == "check") return audit_check_verb(invocation, rest);
  if (verb == "cosign") return audit_cosign_verb(invocation, rest);
  if (verb == "bundle") return audit_bundle_verb(invocation, rest);
  if (verb == "bench") return audit_bench(invocation, rest);
  if (verb == "report") return report(invocation, rest);
  if (verb == "export") return audit_export(invocation, rest);
  if (verb == "import") return audit_import(invocation, rest);
  if (verb == "correct") return audit_correct(invocation, rest);
  if (verb == "reconcile") return audit_reconcile(invocation, rest);
  const char* usage =
      "usage: ufab audit "
      "verify|job|prove|check|checkpoint|cosign|bundle|bench|report|export|reconcile|import|"
      "correct";
  if (verb == "--help" || verb == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
