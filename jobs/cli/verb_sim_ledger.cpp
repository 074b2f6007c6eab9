// sim ledger: whole clusters of the production code, consensus and ledger and all, under simulated faults and
// lies.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <mutex>
#include <optional>

#include "accounting/replica/sim/cluster.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/seeds.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

constexpr std::uint64_t validators_most = 16;

struct Totals {
  std::uint64_t seeds = 0;
  sim::ClusterReport sum;
  std::optional<sim::ClusterReport> failed;  // of the lowest seed that failed

  void add(const sim::ClusterReport& report) {
    ++seeds;
    sum.height += report.height;
    sum.epochs += report.epochs;
    sum.submitted += report.submitted;
    sum.final_records += report.final_records;
    sum.crashes += report.crashes;
    sum.partitions += report.partitions;
    sum.disks_lost += report.disks_lost;
    sum.messages += report.messages;
    sum.lies += report.lies;
    sum.evidence += report.evidence;
    sum.convictions += report.convictions;
    sum.seed_shares += report.seed_shares;
    sum.simulated_us += report.simulated_us;
    if (!report.violation.empty() && (!failed || report.seed < failed->seed)) failed = report;
  }
};

json::object to_json(const SeedRange& range, const Totals& totals) {
  return {{"schema", "ufab.sim.ledger/1"},
          {"seed_first", range.first},
          {"seed_last", range.last},
          {"seeds_run", totals.seeds},
          {"simulated_ms", totals.sum.simulated_us / 1000},
          {"blocks", totals.sum.height},
          {"epochs", totals.sum.epochs},
          {"records_submitted", totals.sum.submitted},
          {"records_final", totals.sum.final_records},
          {"seed_shares", totals.sum.seed_shares},
          {"messages", totals.sum.messages},
          {"crashes", totals.sum.crashes},
          {"partitions", totals.sum.partitions},
          {"disks_lost", totals.sum.disks_lost},
          {"lies", totals.sum.lies},
          {"evidence", totals.sum.evidence},
          {"convictions", totals.sum.convictions},
          {"failed_seed", totals.failed ? json::value(totals.failed->seed) : json::value(nullptr)},
          {"violation", totals.failed ? json::value(totals.failed->violation) : json::value(nullptr)}};
}

void print_totals(const SeedRange& range, const Totals& totals) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const sim::ClusterReport& sum = totals.sum;
  std::printf("%llu seeds of %llu..%llu, %llu minutes simulated\n", number(totals.seeds), number(range.first),
              number(range.last), number(sum.simulated_us / 60'000'000));
  std::printf("%llu blocks, %llu epochs, %llu records submitted, %llu final where they were submitted\n",
              number(sum.height), number(sum.epochs), number(sum.submitted), number(sum.final_records));
  std::printf(
      "%llu crashes, %llu partitions, %llu disks lost; %llu lies, %llu times evidence, %llu convictions\n",
      number(sum.crashes), number(sum.partitions), number(sum.disks_lost), number(sum.lies),
      number(sum.evidence), number(sum.convictions));
  if (totals.failed) {
    std::printf("seed %llu fails: %s\n", number(totals.failed->seed), totals.failed->violation.c_str());
  } else {
    std::printf("no violation\n");
  }
}

}  // namespace

VerbResult sim_ledger(Words words) {
  std::string seeds = "1..20";
  std::uint64_t validators = 0;
  sim::ClusterOptions options;
  bool as_json = false;
  CommandLine line(sim_ledger_usage,
                   "Runs whole clusters of validators, each with the code that a node runs (consensus, "
                   "ledger, pool of records,\n"
                   "vote log), under simulated time, network, disks and lies, one for each seed, on all "
                   "processors. Checks that "
                   "all have the same blocks, that no money appears or is lost, and that what was final "
                   "stays. Exit status 1 "
                   "and the first failing seed when not. The same seed runs the same way.");
  line.text("--seeds", seeds, "A..B, both included; default 1..20");
  line.number("--validators", validators, "how many; default 4 to 7, by the seed");
  line.number("--seconds", options.chaos_s, "simulated seconds of faults for each seed; default 60");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const SeedRange range, parse_seeds(seeds));
  if (line.given("--validators") && (validators < 2 || validators > validators_most))
    return Error{ErrorCode::usage, "--validators must be 2 to " + std::to_string(validators_most)};
  if (options.chaos_s == 0 || options.chaos_s > 86'400)
    return Error{ErrorCode::usage, "--seconds must be 1 to 86400"};
  Totals totals;
  std::mutex mutex;
  run_seeds(range, [&](std::uint64_t seed, std::atomic<std::uint64_t>& until) {
    sim::ClusterOptions own = options;
    own.validators = validators != 0 ? validators : 4 + seed % 4;
    const sim::ClusterReport report = sim::Cluster(seed, own).run();
    const std::scoped_lock lock(mutex);
    totals.add(report);
    if (totals.failed) until = totals.failed->seed;
  });
  if (as_json) {
    print_json(to_json(range, totals));
  } else {
    print_totals(range, totals);
  }
  return totals.failed ? 1 : 0;
}

}  // namespace ufab::jobs
