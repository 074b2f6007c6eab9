// The reconciliation: equal inputs have no differences, and every planted one is found, and nothing else.
#include "accounting/audit/reconcile/reconcile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <boost/json.hpp>
#include <random>

#include "fabric/base/digest.h"
#include "tests/accounting/support/usage.h"

namespace ufab::test {
namespace {

constexpr std::uint64_t second = 1'000'000;
constexpr const char* chain = "0a1b2c3d";

std::string tag(JobId job, std::uint32_t attempt) {
  return fmt::format("ufab:{}:job-{}-{}:{}", chain, job, attempt, sha256("request").hex().substr(0, 16));
}

UsageRun ledger_run(JobId job, const UsageValues& usage) {
  UsageRun run;
  run.job = job;
  run.attempt = 1;
  run.provider = "alpha";
  run.owner = "beta";
  run.job_name = "train";
  run.import = sha256(std::to_string(job));
  run.imported = usage;
  return run;
}

SacctJob sacct_row(const UsageRun& run) {
  const UsageValues& u = run.usage();
  SacctJob row;
  row.cluster = u.cluster;
  row.id = u.external_id;
  row.id_shown = std::to_string(u.external_id);
  row.name = tag(run.job, run.attempt);
  row.user = u.user;
  row.account = "fabric";
  row.partition = u.partition;
  row.submit_us = u.submit_us;
  row.start_us = u.start_us;
  row.end_us = u.end_us;
  row.elapsed_us = u.elapsed_us;
  row.state = u.state;
  row.exit_code = u.exit_code;
  row.signal = u.signal;
  row.processors = u.processors;
  row.nodes = u.nodes;
  row.gpus = u.gpus;
  row.gpu_us = u.gpu_us;
  row.cpu_us = u.cpu_us;
  row.memory_peak_bytes = u.memory_peak_bytes;
  row.energy_j = u.energy_j;
  row.billing_s = u.billing_s;
  return row;
}

// What a hook sees: no use, but who, when and how.
TelemetryJob telemetry_row(const UsageRun& run) {
  const UsageValues& u = run.usage();
  TelemetryJob row;
  row.cluster = u.cluster;
  row.id = u.external_id;
  row.submit_us = u.submit_us;
  row.name = tag(run.job, run.attempt);
  row.start_us = u.start_us;
  row.end_us = u.end_us;
  row.state = u.state;
  row.exit_code = u.exit_code;
  row.user = u.user;
  row.partition = u.partition;
  return row;
}

ReconcileInput input_of(const std::vector<UsageRun>& runs) {
  ReconcileInput input;
  input.chain = chain;
  input.ledger = runs;
  input.telemetry.emplace();
  input.partitions = {"batch"};
  for (const UsageRun& run : runs) {
    input.leased.emplace(run.job, run.attempt);
    input.sacct.push_back(sacct_row(run));
    input.telemetry->push_back(telemetry_row(run));
  }
  return input;
}

std::vector<UsageRun> some_runs(std::size_t count) {
  std::vector<UsageRun> runs;
  for (std::size_t i = 0; i < count; ++i) {
    UsageValues u = usage_values(100 + i);
    const std::uint64_t later = i * 700 * second;
    u.submit_us += later, u.start_us += later, u.end_us += later;
    runs.push_back(ledger_run(i + 1, u));
  }
  return runs;
}

// One word for each finding, to compare as multisets.
std::vector<std::string> words(const Reconciliation& result) {
  std::vector<std::string> list;
  for (const Difference& d : result.differences) {
    list.push_back(fmt::format("{} {} {} {} {} {}", difference_kind_name(d.kind), d.cluster, d.external_id,
                               fmt::join(d.sources, "+"), d.field, d.offset_us));
  }
  std::sort(list.begin(), list.end());
  return list;
}

TEST(Reconcile, ThreeSourcesThatAgreeHaveNoDifferences) {
  const Reconciliation result = reconcile(input_of(some_runs(5)));
  EXPECT_TRUE(result.differences.empty()) << reconciliation_text(result);
  EXPECT_EQ(result.ledger_runs, 5U);
  EXPECT_EQ(result.sacct_matched, 5U);
  EXPECT_EQ(result.telemetry_matched, 5U);
  EXPECT_TRUE(reconcile({}).differences.empty());
}

TEST(Reconcile, AJobThatBypassedTheFabricIsFoundByItsPartitionOrItsTag) {
  ReconcileInput input = input_of(some_runs(3));
  SacctJob untagged = input.sacct[0];
  untagged.id = 900;
  untagged.name = "mine";
  SacctJob elsewhere = untagged;
  elsewhere.id = 901;
  elsewhere.partition = "other";
  SacctJob tagged = elsewhere;
  tagged.id = 902;
  tagged.name = tag(77, 1);
  SacctJob of_another_chain = elsewhere;
  of_another_chain.id = 903;
  of_another_chain.name = "ufab:ffffffff:job-1-1:0123456789abcdef";
  SacctJob waiting = untagged;
  waiting.id = 904;
  waiting.state = "PD";
  waiting.end_us = 0;
  SacctJob verification = untagged;  // in the fabric's own partition
  verification.id = 905;
  verification.name = tag(1, 1);
  verification.name.replace(verification.name.find("job-1-1"), 7, "verify-1-1-0-1");
  for (const SacctJob& row : {untagged, elsewhere, tagged, of_another_chain, waiting, verification})
    input.sacct.push_back(row);
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"missing_on_ledger north 900 sacct  0",
                                                               "missing_on_ledger north 902 sacct  0"}));
  input.fabric_since_us = untagged.end_us + 1;
  EXPECT_EQ(reconcile(input).differences.size(), 1U) << "before the provider enrolled, only the tag counts";
  input.fabric_since_us = 0;
  input.accounts = {"fabric"};
  input.partitions = {};
  EXPECT_EQ(reconcile(input).differences.size(), 4U) << "all of the account's that have ended";
}

TEST(Reconcile, ARunWhoseUsageWasNeverImportedSaysSo) {
  ReconcileInput input = input_of(some_runs(2));
  input.ledger.pop_back();
  const Reconciliation result = reconcile(input);
  ASSERT_EQ(result.differences.size(), 1U);
  EXPECT_EQ(result.differences[0].kind, DifferenceKind::missing_on_ledger);
  EXPECT_EQ(result.differences[0].sources, (std::vector<std::string>{"sacct", "telemetry"}));
  EXPECT_EQ(result.differences[0].job, 2U);
  EXPECT_NE(result.differences[0].reason.find("was leased"), std::string::npos);
}

TEST(Reconcile, AnEditedFieldIsOneFindingWithBothValuesAndACorrectionOfItNone) {
  ReconcileInput input = input_of(some_runs(3));
  input.sacct[1].cpu_us += 10 * second;
  Reconciliation result = reconcile(input);
  ASSERT_EQ(result.differences.size(), 1U);
  EXPECT_EQ(result.differences[0].field, "cpu_us");
  EXPECT_EQ(result.differences[0].ledger_value, "170000000");
  EXPECT_EQ(result.differences[0].slurm_value, "180000000");
  // The provider corrects its import: what stands is compared.
  UsageValues right = input.ledger[1].imported;
  right.cpu_us += 10 * second;
  input.ledger[1].corrections.push_back({sha256("c"), "late step", 0, right});
  EXPECT_TRUE(reconcile(input).differences.empty());
}

TEST(Reconcile, AnIdOrSubmitTimeThatWasWrittenDownWrongIsFoundByTheTag) {
  ReconcileInput input = input_of(some_runs(3));
  input.sacct[0].id = 999;
  input.sacct[2].submit_us += 500 * second;
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"differs north 100 sacct external_id 0",
                                                               "differs north 102 sacct submit_us 0"}));
}

TEST(Reconcile, ASingleRunOfAClockAnHourOffIsAClockNotAnEditedRow) {
  ReconcileInput input = input_of(some_runs(1));
  for (std::uint64_t* time : {&input.sacct[0].submit_us, &input.sacct[0].start_us, &input.sacct[0].end_us}) {
    *time += 3600 * second;
  }
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"clock north 0 sacct  3600000000"}));
  input = input_of(some_runs(1));
  input.sacct[0].submit_us += 3600 * second;
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"differs north 100 sacct submit_us 0"}));
}

TEST(Reconcile, ARowWhoseTimesAreAllWrongIsNoClockWhileTheOthersAgree) {
  ReconcileInput input = input_of(some_runs(3));
  SacctJob& row = input.sacct[1];
  for (std::uint64_t* time : {&row.submit_us, &row.start_us, &row.end_us}) *time += 3600 * second;
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"differs north 101 sacct end_us 0",
                                                               "differs north 101 sacct start_us 0",
                                                               "differs north 101 sacct submit_us 0"}));
  // One against one: nobody can tell which clock it is.
  input = input_of(some_runs(2));
  for (std::uint64_t* time : {&input.sacct[1].submit_us, &input.sacct[1].start_us, &input.sacct[1].end_us}) {
    *time -= 3600 * second;
  }
  for (const Difference& item : reconcile(input).differences) EXPECT_NE(item.kind, DifferenceKind::clock);
}

TEST(Reconcile, TwoRunsOfTheLedgerCannotBothBeTheSameRowOfSlurm) {
  ReconcileInput input = input_of(some_runs(2));
  UsageRun again = input.ledger[0];  // imported for another job, long after the state forgot the first
  again.job = 9;
  again.import = sha256("again");
  input.ledger.push_back(again);
  EXPECT_EQ(words(reconcile(input)),
            (std::vector<std::string>{"missing_in_slurm north 100 sacct+telemetry  0"}));
}

TEST(Reconcile, AJobCancelledWhileItWaitedIsTheSameWhateverItsHookSaysOfAStart) {
  std::vector<UsageRun> runs = some_runs(2);
  UsageValues& u = runs[0].imported;
  u.state = "CA";
  u.start_us = u.elapsed_us = u.cpu_us = u.gpu_us = u.energy_j = u.memory_peak_bytes = u.billing_s = 0;
  u.processors = u.nodes = u.gpus = 0;
  ReconcileInput input = input_of(runs);
  TelemetryJob& row = input.telemetry->at(0);
  row.start_us = row.end_us;
  row.processors = 4;
  row.nodes = 1;
  EXPECT_TRUE(reconcile(input).differences.empty());
  *row.start_us -= 60 * second;
  EXPECT_EQ(reconcile(input).differences.size(), 3U) << "that one did run";
}

TEST(Reconcile, RunsOutsideOfThePeriodAreNotLookedAt) {
  ReconcileInput input = input_of(some_runs(4));
  input.sacct.erase(input.sacct.begin());
  input.telemetry.reset();
  input.period.from_us = input.ledger[1].imported.end_us;
  Reconciliation result = reconcile(input);
  EXPECT_TRUE(result.differences.empty());
  EXPECT_EQ(result.ledger_runs, 3U);
  input.period.from_us = 0;
  EXPECT_EQ(words(reconcile(input)), (std::vector<std::string>{"missing_in_slurm north 100 sacct  0"}));
  input.cluster = "south";
  EXPECT_TRUE(reconcile(input).differences.empty());
}

TEST(Reconcile, TheJsonListsEveryKindWithUnitsInItsNames) {
  ReconcileInput input = input_of(some_runs(4));
  input.sacct[0].state = "F";
  input.sacct.pop_back();
  input.ledger.erase(input.ledger.begin() + 1);
  const std::string text = reconciliation_json(reconcile(input));
  const auto object = boost::json::parse(text).as_object();
  EXPECT_EQ(object.at("schema"), "ufab.reconcile/1");
  EXPECT_EQ(object.at("equal"), false);
  EXPECT_EQ(object.at("ledger_runs"), 3);
  const auto& differs = object.at("differs").as_array().at(0).as_object();
  EXPECT_EQ(differs.at("field"), "state");
  EXPECT_EQ(differs.at("ledger"), "CD");
  EXPECT_EQ(differs.at("slurm"), "F");
  EXPECT_EQ(object.at("missing_on_ledger").as_array().at(0).as_object().at("job"), 2);
  EXPECT_EQ(object.at("missing_in_slurm").as_array().at(0).as_object().at("sources").as_array().at(0),
            "sacct");
  EXPECT_TRUE(object.at("clock").as_array().empty());
}

TEST(Reconcile, TagsAreReadStrictly) {
  const auto good = parse_run_tag("ufab:0a1b2c3d:job-12-3:0123456789abcdef");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->chain, "0a1b2c3d");
  EXPECT_EQ(good->job, 12U);
  EXPECT_EQ(good->attempt, 3U);
  const auto verification = parse_run_tag("ufab:0a1b2c3d:verify-12-3-7-1:0123456789abcdef");
  ASSERT_TRUE(verification);
  EXPECT_EQ(verification->job, 0U);
  for (const char* name :
       {"", "ufab:", "ufab:0a1b2c3:job-12-3:0123456789abcdef", "ufab:0A1B2C3D:job-12-3:0123456789abcdef",
        "ufab:0a1b2c3d:job-12:0123456789abcdef", "ufab:0a1b2c3d:job-0-3:0123456789abcdef",
        "ufab:0a1b2c3d:job-12-3:0123456789abcde", "ufab:0a1b2c3d:job-12-3:0123456789abcdefg",
        "ufab:0a1b2c3d:job-99999999999999999999-3:0123456789abcdef", "ufab:0a1b2c3d:verify-:0123456789abcdef",
        "ufab:0a1b2c3d:verify-x:0123456789abcdef", "train"}) {
    EXPECT_FALSE(parse_run_tag(name)) << name;
  }
}

// --- The property: random runs, random planted differences.

struct Planted {
  ReconcileInput input;
  std::vector<std::string> expected;
};

// Edits one field of a row by more than any tolerance; its name.
std::string edit(SacctJob& row, int which) {
  switch (which) {
    case 0: row.start_us -= 20 * second; return "start_us";
    case 1: row.end_us += 20 * second; return "end_us";
    case 2: row.elapsed_us += 20 * second; return "elapsed_us";
    case 3: row.cpu_us += 20 * second; return "cpu_us";
    case 4: row.memory_peak_bytes += 100 << 20; return "memory_peak_bytes";
    case 5: row.energy_j += 1000; return "energy_j";
    case 6: row.billing_s += 100; return "billing_s";
    case 7: row.gpu_us += 20 * second; return "gpu_us";
    case 8: row.gpus += 1; return "gpus";
    case 9: row.processors += 1; return "processors";
    case 10: row.nodes += 1; return "nodes";
    case 11: row.exit_code += 1; return "exit_code";
    case 12: row.signal += 9; return "signal";
    case 13: row.state = "NF"; return "state";
    case 14: row.user = "mallory"; return "user";
    default: row.partition = "elsewhere"; return "partition";
  }
}
constexpr int edits = 16;

void shift(std::uint64_t& time, std::int64_t offset_us) {
  time = static_cast<std::uint64_t>(static_cast<std::int64_t>(time) + offset_us);
}

Planted plant() {
  Planted p;
  const std::vector<std::string> clusters{"east", "north", "west"};
  const auto count = *rc::gen::inRange<std::size_t>(0, 25);
  std::vector<UsageRun> runs;
  for (std::size_t i = 0; i < count; ++i) {
    // Few ids, so that many are recycled; every submission at a time of its own.
    UsageValues u = usage_values(*rc::gen::inRange<std::uint64_t>(1, 12));
    u.cluster = *rc::gen::elementOf(clusters);
    const std::uint64_t later = i * 50'000 * second + *rc::gen::inRange<std::uint64_t>(0, 1000) * second;
    u.submit_us += later, u.start_us += later, u.end_us += later;
    u.cpu_us += *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
    if (*rc::gen::inRange(0, 4) == 0) u.state = "TO", u.exit_code = 1;
    runs.push_back(ledger_run(i + 1, u));
  }
  p.input = input_of({});
  for (const UsageRun& run : runs) p.input.leased.emplace(run.job, run.attempt);
  std::map<std::string, int> intact;  // runs of a cluster that both the ledger and sacct have, times unedited
  for (const UsageRun& run : runs) {
    const UsageValues& u = run.usage();
    SacctJob row = sacct_row(run);
    const int fate = *rc::gen::inRange(0, 12);
    const auto finding = [&](const char* kind, const char* sources, const std::string& field) {
      p.expected.push_back(fmt::format("{} {} {} {} {} 0", kind, u.cluster, u.external_id, sources, field));
    };
    if (fate == 0) {  // not on the ledger
      finding("missing_on_ledger", "sacct+telemetry", "");
    } else {
      p.input.ledger.push_back(run);
    }
    if (fate == 1) {
      finding("missing_in_slurm", "sacct", "");
    } else {
      if (fate == 3) {
        const int which = *rc::gen::inRange(0, edits);
        finding("differs", "sacct", edit(row, which));
        if (which > 1) ++intact[u.cluster];
      } else if (fate != 0) {
        ++intact[u.cluster];
      }
      p.input.sacct.push_back(row);
    }
    if (fate == 2) {
      finding("missing_in_slurm", "telemetry", "");
    } else {
      p.input.telemetry->push_back(telemetry_row(run));
    }
    if (fate == 4) {  // bypassed the fabric, in its partition, without a tag; the hooks saw it too
      SacctJob stray = row;
      stray.id = 1000 + run.job;
      stray.name = "mine";
      p.input.sacct.push_back(stray);
      TelemetryJob seen = telemetry_row(run);
      seen.id = stray.id;
      seen.name = "mine";
      p.input.telemetry->push_back(seen);
      p.expected.push_back(fmt::format("missing_on_ledger {} {} sacct+telemetry  0", u.cluster, stray.id));
    }
    if (fate == 5) {  // somebody else's, in another partition: not ours to find
      SacctJob other = row;
      other.id = 2000 + run.job;
      other.name = "theirs";
      other.partition = "other";
      p.input.sacct.push_back(other);
    }
  }
  // The clock of one cluster, off in sacct by a constant.
  const std::string cluster = *rc::gen::elementOf(clusters);
  const bool off = *rc::gen::arbitrary<bool>();
  int rows_of_cluster = 0;
  for (const UsageRun& run : p.input.ledger) rows_of_cluster += run.usage().cluster == cluster ? 1 : 0;
  if (off && intact[cluster] * 2 > rows_of_cluster) {
    const std::int64_t offset =
        (*rc::gen::inRange(10, 7200)) * (*rc::gen::element(-1, 1)) * std::int64_t{1'000'000};
    for (SacctJob& row : p.input.sacct) {
      if (row.cluster != cluster) continue;
      for (std::uint64_t* time : {&row.submit_us, &row.start_us, &row.end_us}) shift(*time, offset);
    }
    p.expected.push_back(fmt::format("clock {} 0 sacct  {}", cluster, offset));
  }
  std::sort(p.expected.begin(), p.expected.end());
  return p;
}

TEST(Reconcile, EveryPlantedDifferenceIsFoundOnceByItsKindAndNothingElseInAnyOrder) {
  const bool good = rc::check("planted differences", [] {
    Planted p = plant();
    const Reconciliation result = reconcile(p.input);
    if (words(result) != p.expected) {
      RC_FAIL(fmt::format("expected:\n  {}\nfound:\n  {}\n{}", fmt::join(p.expected, "\n  "),
                          fmt::join(words(result), "\n  "), reconciliation_text(result)));
    }
    std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
    std::shuffle(p.input.ledger.begin(), p.input.ledger.end(), random);
    std::shuffle(p.input.sacct.begin(), p.input.sacct.end(), random);
    std::shuffle(p.input.telemetry->begin(), p.input.telemetry->end(), random);
    RC_ASSERT(reconcile(p.input).differences == result.differences);
  });
  EXPECT_TRUE(good);
}

TEST(Reconcile, AHundredThousandRunsAndAsManyStrangersTakeTimeInProportion) {
  ReconcileInput input = input_of(some_runs(100'000));
  for (std::size_t i = 0; i < 100'000; ++i) {
    SacctJob stranger = input.sacct[i];
    stranger.id += 1'000'000;
    stranger.name = "local";
    input.sacct.push_back(stranger);
  }
  const Reconciliation result = reconcile(input);  // something quadratic would be seen by the time limit
  EXPECT_EQ(result.differences.size(), 100'000U);
  EXPECT_EQ(result.sacct_matched, 100'000U);
}

TEST(Reconcile, NoiseWithinTheTolerancesIsNoDifference) {
  const bool good = rc::check("noise", [] {
    ReconcileInput input = input_of(some_runs(*rc::gen::inRange<std::size_t>(1, 10)));
    const auto noise = [](std::uint64_t& value, std::uint64_t most) {
      shift(value, *rc::gen::inRange<std::int64_t>(-static_cast<std::int64_t>(most),
                                                   static_cast<std::int64_t>(most) + 1));
    };
    for (SacctJob& row : input.sacct) {
      for (std::uint64_t* time : {&row.submit_us, &row.start_us, &row.end_us, &row.elapsed_us})
        noise(*time, second);
      noise(row.cpu_us, second);
      noise(row.memory_peak_bytes, 1 << 20);
      noise(row.energy_j, 10);
    }
    RC_ASSERT(reconcile(input).differences.empty());
  });
  EXPECT_TRUE(good);
}

TEST(Telemetry, LinesOfOneJobAreTakenTogetherAndTheLaterOneCounts) {
  TelemetryReader reader;
  reader.add(
      "{\"schema\":\"ufab.completion/"
      "1\",\"cluster\":\"north\",\"job_id\":7,\"submit_s\":100,\"state\":\"COMPLETED\","
      "\"end_s\":200,\"name\":\"n\",\"of_no_interest\":[1]}\n"
      "not json\n"
      "{\"schema\":\"ufab.completion/1\",\"cluster\":\"north\",\"job_id\":7,\"submit_s\":-1}\n"
      "{\"schema\":\"ufab.completion/2\",\"cluster\":\"north\",\"job_id\":7,\"submit_s\":100}\n"
      "{\"schema\":\"ufab.completion/"
      "1\",\"cluster\":\"north\",\"job_id\":7,\"submit_s\":100,\"cpu_us\":\"12\"}\n",
      "a");
  reader.add(
      "{\"schema\":\"ufab.completion/1\",\"cluster\":\"north\",\"job_id\":7,\"submit_s\":100,\"end_s\":201,"
      "\"cpu_us\":12}\n"
      "{\"schema\":\"ufab.completion/1\",\"cluster\":\"north\",\"job_id\":8,\"submit_s\":100}\n"
      "{\"schema\":\"ufab.completion/1\",\"cluster\":\"north\",\"job_id\":9,\"subm",
      "b");
  const Telemetry read = reader.take();
  EXPECT_EQ(read.lines, 7U) << "the one that is being written is none yet";
  EXPECT_EQ(read.lines_bad, 4U);
  EXPECT_EQ(read.first_bad, "a line 2: no JSON object");
  ASSERT_EQ(read.jobs.size(), 2U);
  EXPECT_EQ(read.jobs[0].end_us, 201 * second);
  EXPECT_EQ(read.jobs[0].cpu_us, 12U);
  EXPECT_EQ(read.jobs[0].state, "CD");
  EXPECT_EQ(read.jobs[0].name, "n");
  EXPECT_EQ(read.jobs[0].memory_peak_bytes, std::nullopt);
}

}  // namespace
}  // namespace ufab::test
