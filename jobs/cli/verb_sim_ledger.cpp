// sim ledger: whole clusters of the production code, consensus and ledger and all, under simulated faults and
// lies.
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>

#include "jobs/cli/command_line.h"
#include "jobs/cli/seeds.h"
#include "jobs/cli/sim_ledger.h"

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
    sum.votes_damaged += report.votes_damaged;
    sum.ledgers_damaged += report.ledgers_damaged;
    sum.disks_full += report.disks_full;
    sum.clocks_off += report.clocks_off;
    sum.misdirected += report.misdirected;
    sum.misdirected_found += report.misdirected_found;
    sum.messages += report.messages;
    sum.lies += report.lies;
    sum.evidence += report.evidence;
    sum.convictions += report.convictions;
    sum.seed_shares += report.seed_shares;
    sum.simulated_us += report.simulated_us;
    sum.books.add(report.books);
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
          {"vote_logs_damaged", totals.sum.votes_damaged},
          {"ledgers_damaged", totals.sum.ledgers_damaged},
          {"stops_by_full_disk", totals.sum.disks_full},
          {"clocks_far_off", totals.sum.clocks_off},
          {"writes_misdirected", totals.sum.misdirected},
          {"misdirected_writes_found", totals.sum.misdirected_found},
          {"lies", totals.sum.lies},
          {"evidence", totals.sum.evidence},
          {"convictions", totals.sum.convictions},
          {"jobs_ordered", totals.sum.books.orders},
          {"jobs_settled", totals.sum.books.settled},
          {"receipts", totals.sum.books.receipts},
          {"windows_paid", totals.sum.books.windows_paid},
          {"windows_paid_unnoticed_false", totals.sum.books.false_windows_paid},
          {"verdicts_good", totals.sum.books.verdicts_good},
          {"verdicts_bad", totals.sum.books.verdicts_bad},
          {"slashes", totals.sum.books.slashes},
          {"records_refused", totals.sum.books.refusals},
          {"rewards", totals.sum.books.rewards},
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
  std::printf("%llu vote logs and %llu ledgers damaged, %llu stops by a full disk, %llu clocks far off\n",
              number(sum.votes_damaged), number(sum.ledgers_damaged), number(sum.disks_full),
              number(sum.clocks_off));
  std::printf("%llu writes went to the wrong place, %llu of them found at a restart\n",
              number(sum.misdirected), number(sum.misdirected_found));
  const sim::BooksReport& books = sum.books;
  std::printf(
      "%llu jobs ordered, %llu settled; %llu receipts, %llu windows paid, %llu of them false and not drawn "
      "for "
      "a check; %llu good verdicts, %llu bad, %llu slashes, %llu records refused, %llu rewards\n",
      number(books.orders), number(books.settled), number(books.receipts), number(books.windows_paid),
      number(books.false_windows_paid), number(books.verdicts_good), number(books.verdicts_bad),
      number(books.slashes), number(books.refusals), number(books.rewards));
  if (totals.failed) {
    std::printf("seed %llu fails: %s\n", number(totals.failed->seed), totals.failed->violation.c_str());
  } else {
    std::printf("no violation\n");
  }
}

// The program with the planted bugs, in this one's place.
VerbResult become_flawed(Words words) {
  const std::string program = program_beside("ufab-sim-flawed");
  std::vector<std::string> line{program};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : line) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return Error{ErrorCode::io, program + ": " + std::strerror(errno)};
}

}  // namespace

VerbResult sim_ledger(Words words) {
  return sim_ledger_campaign(words, nullptr);
}

VerbResult sim_ledger_campaign(Words words, const LedgerMutants* mutants) {
  std::string seeds = "1..20";
  std::uint64_t validators = 0;
  sim::ClusterOptions options;
  std::string mutant;
  bool as_json = false;
  CommandLine line(sim_ledger_usage,
                   "Runs whole clusters of validators, each with the code that a node runs (consensus, "
                   "ledger, pool of records,\n"
                   "vote log), under simulated time, network, disks and lies, one for each seed, on all "
                   "processors. Checks that "
                   "all have the same blocks, that no money appears or is lost, that what was final "
                   "stays, and, with books of its own\n"
                   "kept from the records, that every receipt is paid once and nothing is paid, minted or "
                   "slashed that must not be.\n"
                   "Exit status 1 and the first failing seed when not. The same seed runs the same way.");
  line.text("--seeds", seeds, "A..B, both included; default 1..20");
  line.number("--validators", validators, "how many; default 4 to 7, by the seed");
  line.number("--seconds", options.chaos_s, "simulated seconds of faults for each seed; default 60");
  line.text("--mutant", mutant, "with this planted bug in the ledger's rules; list: names them");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (!mutant.empty() && mutants == nullptr) return become_flawed(words);
  if (mutant == "list") {
    for (const auto& [name, what] : mutants->list) std::printf("%-22s %s\n", name.c_str(), what.c_str());
    return 0;
  }
  UFAB_ASSIGN(const SeedRange range, parse_seeds(seeds));
  if (line.given("--validators") && (validators < 2 || validators > validators_most))
    return Error{ErrorCode::usage, "--validators must be 2 to " + std::to_string(validators_most)};
  if (options.chaos_s == 0 || options.chaos_s > 86'400)
    return Error{ErrorCode::usage, "--seconds must be 1 to 86400"};
  if (!mutant.empty() && std::none_of(mutants->list.begin(), mutants->list.end(),
                                      [&](const auto& item) { return item.first == mutant; }))
    return Error{ErrorCode::usage, "no mutant '" + mutant + "'; --mutant list names them"};
  Totals totals;
  std::mutex mutex;
  run_seeds(range, [&](std::uint64_t seed, std::atomic<std::uint64_t>& until) {
    sim::ClusterOptions own = options;
    own.validators = validators != 0 ? validators : 4 + seed % 4;
    const sim::ClusterReport report =
        mutant.empty() ? sim::Cluster(seed, own).run() : mutants->run(mutant, seed, own);
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
