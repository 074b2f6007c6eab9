// audit reconcile --slurm: the ledger against a provider's Slurm accounting and its hooks' telemetry.
#include <algorithm>
#include <cstdio>

#include "accounting/audit/export/text.h"
#include "accounting/audit/reconcile/reconcile.h"
#include "fabric/base/file.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/sacct_source.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t day_us = 86'400'000'000;
constexpr std::size_t ids_per_query = 1000;

void add_list(std::set<std::string>& set, const std::string& commas) {
  for (std::size_t at = 0; at < commas.size();) {
    const std::size_t end = std::min(commas.find(',', at), commas.size());
    if (end > at) set.insert(commas.substr(at, end - at));
    at = end + 1;
  }
}

// Asks sacct for the time of the period, and then for the ids that the ledger has and the answer had not:
// jobs that never became eligible, or whose clock is far off.
Result<SacctCounts> ask_sacct(SacctQuery query, const ReconcileInput& input, const SacctReader::Sink& sink) {
  query.from_us = input.period.from_us > day_us ? input.period.from_us - day_us : 0;
  query.to_us = input.period.to_us > usage_number_max ? 0 : input.period.to_us + day_us;
  std::set<std::uint64_t> missing;
  for (const UsageRun& run : input.ledger) missing.insert(run.usage().external_id);
  UFAB_ASSIGN(SacctCounts counts, sacct_run(query, [&](const SacctJob& job) {
                missing.erase(job.id);
                return sink(job);
              }));
  while (!missing.empty()) {
    query.jobs.clear();
    while (!missing.empty() && query.jobs.size() < ids_per_query) {
      query.jobs.push_back(missing.extract(missing.begin()).value());
    }
    UFAB_ASSIGN(const SacctCounts more, sacct_run(query, sink));
    counts.lines_bad += more.lines_bad;
    if (counts.first_bad.empty()) counts.first_bad = more.first_bad;
  }
  return counts;
}

constexpr const char* about =
    "Compares what the ledger knows of this provider's runs with what its Slurm says of them, in its "
    "accounting "
    "(sacct) and in what its hooks reported as jobs ended (telemetry). Prints the differences by kind; exit "
    "status 0 "
    "when there are none, 1 otherwise.\n"
    "  missing_on_ledger  a job of the fabric that the ledger does not know: it carries this chain's tag, or "
    "it ran "
    "in the fabric's partition or account without one\n"
    "  missing_in_slurm   a run on the ledger that sacct, or the telemetry, does not have\n"
    "  differs            a field with two values\n"
    "  clock              all times of a cluster moved by one offset\n"
    "The fabric's partition and account are those of the options, or of [provider.slurm] in config.toml, or "
    "else the "
    "partitions in which the ledger's runs ran, from the provider's enrolment on; with --shared others may "
    "use them too, and only tagged jobs "
    "count.\n"
    "Without --sacct, sacct itself is run (SLURM_CONF from --slurm-conf or [provider.slurm] conf). A file is "
    "what "
    "`SLURM_TIME_FORMAT=%s sacct -aDP --noconvert --format=COLUMNS` printed, COLUMNS being ";

}  // namespace

VerbResult audit_reconcile(const Invocation& invocation, Words words) {
  bool slurm = false, as_json = false, shared = false;
  std::string sacct_file, telemetry, from, to, cluster, provider, partition, account;
  SacctQuery query;
  std::uint64_t timeout_s = 300;
  CommandLine line("audit reconcile --slurm [--json] [--sacct FILE] [--telemetry DIR|FILE] [--cluster NAME]",
                   std::string(about) + sacct_columns + ".");
  line.flag("--slurm", slurm, "against Slurm");
  line.flag("--json", as_json, "one JSON object, schema ufab.reconcile/1");
  line.text("--sacct", sacct_file, "sacct's output in a file, - for standard input (default: run sacct)");
  line.text(
      "--telemetry", telemetry,
      "a file or folder of the hooks' (default: [provider.slurm] telemetry, or telemetry/ of this home)");
  line.text("--cluster", cluster, "only this cluster (default: those in which the ledger's runs ran)");
  line.text("--from", from, "runs that ended at this time or later: YYYY-MM-DD[THH:MM:SS], UTC");
  line.text("--to", to, "runs that ended before this time");
  line.text("--provider", provider, "the organisation (default: this home's)");
  line.text("--partition", partition, "the fabric's partitions, with commas");
  line.text("--account", account, "the fabric's accounts, with commas");
  line.flag("--shared", shared, "others use them too");
  line.text("--slurm-conf", query.slurm_conf, "the slurm.conf for sacct");
  line.text("--sacct-program", query.program, "the sacct to run (default: the one on PATH)");
  line.number("--timeout", timeout_s, "seconds that sacct may take (default 300)");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (!slurm)
    return Error{ErrorCode::usage, "give --slurm: there is no other batch system to reconcile with"};
  if (timeout_s == 0 || timeout_s > 86'400)
    return Error{ErrorCode::usage, "--timeout: expected 1 to 86400 seconds"};
  query.timeout_ms = timeout_s * 1000;
  ReconcileInput input;
  if (!from.empty()) {
    UFAB_ASSIGN(input.period.from_us, parse_utc(from));
  }
  if (!to.empty()) {
    UFAB_ASSIGN(input.period.to_us, parse_utc(to));
  }

  UFAB_ASSIGN(const Home home, invocation.home());
  if (provider.empty()) {
    UFAB_ASSIGN(const HomeConfig config, home.load_config());
    provider = config.organisation;
  }
  UFAB_ASSIGN(const SlurmSection section, read_slurm_section(home));
  if (query.slurm_conf.empty()) query.slurm_conf = section.conf;
  if (!cluster.empty()) {
    input.cluster = cluster;
    query.cluster = cluster;
  }
  UFAB_ASSIGN(UsageLedger ledger, read_usage(home.chain_folder()));
  input.chain = ledger.chain_id.hex().substr(0, 8);
  for (UsageRun& run : ledger.runs) {
    if (run.provider == provider) input.ledger.push_back(std::move(run));
  }
  for (const auto& [job, attempt, who] : ledger.leased) {
    if (who == provider) input.leased.emplace(job, attempt);
  }
  if (const auto enrolled = ledger.enrolled_us.find(provider); enrolled != ledger.enrolled_us.end()) {
    input.fabric_since_us = enrolled->second;
  }
  if (!shared) {
    add_list(input.partitions, partition.empty() ? section.partition : partition);
    add_list(input.accounts, account.empty() ? section.account : account);
    if (input.partitions.empty() && input.accounts.empty()) {
      for (const UsageRun& run : input.ledger) {
        if (!run.usage().partition.empty()) input.partitions.insert(run.usage().partition);
      }
    }
  }

  // A cluster has many more jobs than the fabric: only rows that can matter are kept.
  std::set<std::uint64_t> ids;
  for (const UsageRun& run : input.ledger) ids.insert(run.usage().external_id);
  const auto keep = [&](const SacctJob& job) -> Status {
    const auto tag = parse_run_tag(job.name);
    if ((tag && tag->chain == input.chain) || ids.contains(job.id) ||
        input.partitions.contains(job.partition) || input.accounts.contains(job.account)) {
      input.sacct.push_back(job);
    }
    return {};
  };
  auto counts = sacct_file.empty() ? ask_sacct(query, input, keep) : read_sacct_file(sacct_file, keep);
  if (!counts) return counts.error();
  warn_of_bad_lines("sacct", counts->lines_bad, counts->first_bad);
  if (telemetry.empty()) telemetry = section.telemetry;
  if (telemetry.empty() && file_exists(home.file("telemetry"))) telemetry = home.file("telemetry");
  if (!telemetry.empty()) {
    UFAB_ASSIGN(Telemetry read, read_telemetry(telemetry));
    warn_of_bad_lines("telemetry", read.lines_bad, read.first_bad);
    input.telemetry = std::move(read.jobs);
  }
  const Reconciliation result = reconcile(input);
  std::fputs(as_json ? (reconciliation_json(result) + "\n").c_str() : reconciliation_text(result).c_str(),
             stdout);
  return result.differences.empty() ? 0 : 1;
}

}  // namespace ufab::jobs
