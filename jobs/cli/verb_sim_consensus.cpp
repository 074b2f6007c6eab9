// sim consensus: the ordering of blocks by many organisations, under simulated faults and lies, over many
// seeds.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <mutex>
#include <optional>

#include "accounting/consensus/sim/simulation.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/seeds.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace json = boost::json;
using consensus::SimulationOptions;
using consensus::SimulationReport;

namespace {

constexpr std::uint64_t ms_per_hour = 3'600'000;
constexpr std::uint64_t hours_max = 10'000;
// Each such seed signs with Ed25519, for a tenth of the time, because that takes more than ten times as long.
constexpr std::uint64_t real_signatures_every = 100;

struct Campaign {
  SeedRange seeds;
  std::uint64_t hours = 1;
  std::string mutant;
};

struct Totals {
  std::uint64_t seeds = 0, real_signatures = 0, simulated_ms = 0, blocks = 0, messages = 0, crashes = 0,
                partitions = 0, evidence = 0;
  std::uint64_t logs_lost = 0, logs_damaged = 0, disks_lost = 0, disks_full = 0, syncs_denied = 0;
  std::uint64_t stale_lists = 0, late = 0, forgeries = 0, spam = 0;
  std::optional<SimulationReport> failed;  // of the lowest seed that failed

  void add(const SimulationReport& report, bool real) {
    ++seeds;
    real_signatures += real ? 1 : 0;
    simulated_ms += report.simulated_ms;
    blocks += report.blocks;
    messages += report.messages;
    crashes += report.crashes;
    partitions += report.partitions;
    logs_lost += report.logs_lost;
    logs_damaged += report.logs_damaged;
    disks_lost += report.disks_lost;
    disks_full += report.disks_full;
    syncs_denied += report.syncs_denied;
    stale_lists += report.stale_lists;
    late += report.late;
    forgeries += report.forgeries;
    spam += report.spam;
    evidence += report.evidence;
    if (!report.violation.empty() && (!failed || report.seed < failed->seed)) failed = report;
  }
};

SimulationReport run_one(const Campaign& campaign, std::uint64_t seed, bool real) {
  SimulationOptions options;
  options.chaos_ms = campaign.hours * ms_per_hour / (real ? 10 : 1);
  options.real_signatures = real;
  if (campaign.mutant.empty()) return consensus::run_simulation(seed, options);
  auto report = consensus::run_mutant(campaign.mutant, seed, options);
  UFAB_ASSERT(report.ok());
  return *report;
}

Totals run_all(const Campaign& campaign) {
  Totals totals;
  std::mutex mutex;
  run_seeds(campaign.seeds, [&](std::uint64_t seed, std::atomic<std::uint64_t>& until) {
    const bool real = seed % real_signatures_every == 0;
    const SimulationReport report = run_one(campaign, seed, real);
    const std::scoped_lock lock(mutex);
    totals.add(report, real);
    if (totals.failed) until = totals.failed->seed;
  });
  return totals;
}

json::object to_json(const Campaign& campaign, const Totals& totals) {
  json::object object = {
      {"schema", "ufab.sim.consensus/1"},
      {"seed_first", campaign.seeds.first},
      {"seed_last", campaign.seeds.last},
      {"seeds_run", totals.seeds},
      {"seeds_with_ed25519", totals.real_signatures},
      {"simulated_ms", totals.simulated_ms},
      {"blocks", totals.blocks},
      {"messages", totals.messages},
      {"crashes", totals.crashes},
      {"partitions", totals.partitions},
      {"vote_logs_lost", totals.logs_lost},
      {"vote_logs_found_damaged", totals.logs_damaged},
      {"disks_lost", totals.disks_lost},
      {"stops_by_full_disk", totals.disks_full},
      {"crashes_after_false_syncs", totals.syncs_denied},
      {"stale_list_attacks", totals.stale_lists},
      {"late_messages", totals.late},
      {"forged_certificates", totals.forgeries},
      {"spam_messages", totals.spam},
      {"equivocations_reported", totals.evidence},
      {"mutant", campaign.mutant.empty() ? json::value(nullptr) : json::value(campaign.mutant)},
      {"failed_seed", totals.failed ? json::value(totals.failed->seed) : json::value(nullptr)},
      {"violation", totals.failed ? json::value(totals.failed->violation) : json::value(nullptr)}};
  return object;
}

void print_totals(const Campaign& campaign, const Totals& totals) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu seeds of %llu..%llu%s%s, %llu.%llu hours simulated\n", number(totals.seeds),
              number(campaign.seeds.first), number(campaign.seeds.last),
              campaign.mutant.empty() ? "" : ", mutant ", campaign.mutant.c_str(),
              number(totals.simulated_ms / ms_per_hour),
              number(totals.simulated_ms % ms_per_hour * 10 / ms_per_hour));
  std::printf(
      "%llu blocks finalised, %llu messages, %llu crashes, %llu partitions, %llu vote logs lost, "
      "%llu equivocations reported\n",
      number(totals.blocks), number(totals.messages), number(totals.crashes), number(totals.partitions),
      number(totals.logs_lost), number(totals.evidence));
  std::printf(
      "disks: %llu vote logs found damaged, %llu disks replaced, %llu stops because a vote did not fit, %llu "
      "crashes that lost what was said to be synced\n",
      number(totals.logs_damaged), number(totals.disks_lost), number(totals.disks_full),
      number(totals.syncs_denied));
  std::printf(
      "the dishonest: %llu attacks by an older list, %llu messages sent late, %llu forged certificates, %llu "
      "messages of spam\n",
      number(totals.stale_lists), number(totals.late), number(totals.forgeries), number(totals.spam));
  if (totals.failed) {
    std::printf("seed %llu fails: %s\n", number(totals.failed->seed), totals.failed->violation.c_str());
  } else {
    std::printf("no violation\n");
  }
}

}  // namespace

VerbResult sim_consensus(Words words) {
  std::string seeds = "1..100";
  Campaign campaign;
  bool as_json = false;
  CommandLine line(
      sim_consensus_usage,
      "Runs whole clusters of the consensus core under simulated time, network, disks and lies, one for "
      "each seed, on all processors, and checks that nothing is finalised twice, forged or lost. Exit "
      "status 1 and the first failing seed when something is. The same seed runs the same way.");
  line.text("--seeds", seeds,
            "A..B, both included; default 1..100. Each hundredth signs with Ed25519, for a tenth "
            "of the time");
  line.number("--hours", campaign.hours, "simulated hours of faults for each seed; default 1");
  line.text("--mutant", campaign.mutant, "with this planted bug; list: names them");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (campaign.mutant == "list") {
    for (const consensus::Mutant& mutant : consensus::mutants())
      std::printf("%-22s %s\n", mutant.name.c_str(), mutant.what.c_str());
    return 0;
  }
  UFAB_ASSIGN(campaign.seeds, parse_seeds(seeds));
  if (campaign.hours == 0 || campaign.hours > hours_max)
    return Error{ErrorCode::usage, "--hours is 1 to " + std::to_string(hours_max)};
  const auto& mutants = consensus::mutants();
  const bool known = std::any_of(mutants.begin(), mutants.end(), [&](const consensus::Mutant& mutant) {
    return mutant.name == campaign.mutant;
  });
  if (!campaign.mutant.empty() && !known)
    return Error{ErrorCode::usage, "no mutant '" + campaign.mutant + "'; --mutant list names them"};
  const Totals totals = run_all(campaign);
  if (as_json) {
    print_json(to_json(campaign, totals));
  } else {
    print_totals(campaign, totals);
  }
  return totals.failed ? 1 : 0;
}

}  // namespace ufab::jobs
