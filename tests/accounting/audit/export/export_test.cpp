// Exports: golden files, the formats' own rules as independent validators check them (validate.py, xmllint),
// and what a receiver holds when it is sent the ledger before and after corrections: every run once, as it
// stands.
#include "accounting/audit/export/export.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "accounting/audit/export/text.h"
#include "accounting/audit/reconcile/sacct.h"
#include "accounting/chain/block.h"
#include "accounting/log/segment_log.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/golden.h"
#include "tests/accounting/support/usage.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

constexpr std::uint64_t second = 1'000'000;

UsageRun run_of(JobId job, const char* provider, UsageValues usage) {
  UsageRun run;
  run.job = job;
  run.attempt = 1;
  run.provider = provider;
  run.owner = "physics";
  run.job_name = "train";
  run.import = sha256(fmt::format("import {} {}", job, provider));
  run.time_us = 1'800'001'000 * second;
  run.imported = std::move(usage);
  return run;
}
void correct(UsageRun& run, UsageValues usage, const char* reason) {
  run.corrections.push_back({sha256(fmt::format("correction {} {}", reason, run.import.hex())), reason,
                             1'800'100'000 * second + run.corrections.size(), std::move(usage)});
}

// Names that every format has to write in its own way, a run that never started, one of another state.
std::vector<UsageRun> plain_runs() {
  UsageValues odd = usage_values(4711);
  odd.partition = "a|b, \"<&>%%(x)";
  odd.start_us += 250'000;
  UsageValues failed = usage_values(4712);
  failed.state = "OOM";
  failed.exit_code = 1;
  failed.signal = 9;
  failed.gpus = 0, failed.gpu_us = 0;
  failed.elapsed_us = 90'061 * second;
  failed.end_us = failed.start_us + failed.elapsed_us;
  UsageValues cancelled = usage_values(4713);
  cancelled.state = "CA";
  cancelled.start_us = cancelled.elapsed_us = cancelled.cpu_us = cancelled.gpu_us = cancelled.energy_j = 0;
  cancelled.memory_peak_bytes = cancelled.billing_s = 0;
  cancelled.processors = cancelled.nodes = cancelled.gpus = 0;
  UsageValues later = usage_values(4711);  // the same id and second at another provider's cluster
  later.cluster = "south";
  later.gpus = 4, later.gpu_us = 360 * second;
  // It ends in the last second of a month.
  later.end_us = utc_us(2027, 2, 1) - second;
  later.start_us = later.end_us - 100 * second;
  return {run_of(1, "north-lab", odd), run_of(1, "south-lab", later), run_of(2, "north-lab", failed),
          run_of(3, "north-lab", cancelled)};
}

// The same ledger some time later: use that was too low, an end in another month, twice corrected, processors
// and GPUs that were none.
std::vector<UsageRun> corrected_runs() {
  std::vector<UsageRun> runs = plain_runs();
  UsageValues more = runs[0].imported;
  more.cpu_us += 10 * second;
  correct(runs[0], more, "a step was accounted late");
  UsageValues longer = runs[1].imported;
  longer.end_us += 7200 * second;
  longer.elapsed_us += 7200 * second;
  correct(runs[1], longer, "the clock was two hours behind");
  longer.end_us -= 3600 * second;
  longer.elapsed_us -= 3600 * second;
  longer.gpus = 0, longer.gpu_us = 0;
  correct(runs[1], longer, "one hour, and the GPUs were another job's (see mail)");
  UsageValues wider = runs[2].imported;
  wider.processors = 8;
  correct(runs[2], wider, "hyperthreads");
  return runs;
}

ExportInput input_of(std::vector<UsageRun> runs, ExportOptions options = {}) {
  return {sha256("chain"), std::move(runs), {}, std::move(options)};
}

ExportOptions full_options() {
  ExportOptions options;
  options.site = "EXAMPLE-SITE";
  options.submit_host = "ce.example.org/slurm";
  options.vo = "physics.example.org";
  options.vo_group = "/physics.example.org";
  options.vo_role = "Role=NULL";
  options.fqan = "/physics.example.org/Role=NULL/Capability=NULL";
  options.global_user = "/DC=org/DC=example/CN=A. Researcher";
  options.infrastructure_type = "grid";
  options.benchmark = Benchmark{"HEPscore23", 15'300};
  options.gpu_benchmark = Benchmark{"HEPSPEC", 9'000'010};
  options.gpu_model = "VendorA-ModelB";
  return options;
}

Result<std::string> write(const std::string& format, const ExportInput& input) {
  for (const ExportFormat& item : export_formats()) {
    if (format == item.name) return item.write(input);
  }
  return Error{ErrorCode::not_found, format};
}

// Runs a command and gives its standard output; fails the test when it does not exit with 0.
std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << text;
  return text;
}

class Receiver {
 public:
  // What the receiver of a format holds after it was sent these texts in turn.
  std::string holds(const std::string& format, const std::vector<std::string>& texts) {
    std::string command =
        fmt::format("{} {}/audit/export/validate.py {}", UFAB_PYTHON, UFAB_TEST_FILES, format);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string path = folder_.path(std::to_string(i));
      std::ofstream(path, std::ios::binary) << texts[i];
      command += " " + path;
    }
    return output_of(command);
  }
  // Whether the format's validator has nothing against the text.
  bool takes(const std::string& format, const std::string& text) {
    const std::string path = folder_.path("text");
    std::ofstream(path, std::ios::binary) << text;
    const std::string command =
        format == "car"
            ? fmt::format("{} --noout --schema {}/audit/export/car.xsd", UFAB_XMLLINT, UFAB_TEST_FILES)
            : fmt::format("{} {}/audit/export/validate.py {}", UFAB_PYTHON, UFAB_TEST_FILES, format);
    return std::system(fmt::format("{} {} >/dev/null 2>&1", command, path).c_str()) == 0;
  }
  std::string xmllint(const std::string& text) {
    const std::string path = folder_.path("car.xml");
    std::ofstream(path, std::ios::binary) << text;
    return output_of(
        fmt::format("{} --noout --schema {}/audit/export/car.xsd {}", UFAB_XMLLINT, UFAB_TEST_FILES, path));
  }

 private:
  Folder folder_;
};

struct Variant {
  const char* file;
  const char* format;
  ApelVersion version;
  bool normalised;
};
constexpr Variant variants[] = {{"apel-0.3.txt", "apel", ApelVersion::v0_3, false},
                                {"apel-0.4.txt", "apel", ApelVersion::v0_4, false},
                                {"apel-summary-0.3.txt", "apel-summary", ApelVersion::v0_3, false},
                                {"apel-summary-0.4.txt", "apel-summary", ApelVersion::v0_4, false},
                                {"apel-normalised-0.4.txt", "apel-summary", ApelVersion::v0_4, true},
                                {"car.xml", "car", ApelVersion::v0_3, false},
                                {"gpu.jsonl", "gpu", ApelVersion::v0_3, false},
                                {"auditor.json", "auditor", ApelVersion::v0_3, false},
                                {"auditor-update.json", "auditor-update", ApelVersion::v0_3, false},
                                {"sacct.txt", "sacct", ApelVersion::v0_3, false},
                                {"usage.csv", "csv", ApelVersion::v0_3, false}};

TEST(Export, EveryFormatOfCorrectedRunsIsItsGoldenFile) {
  for (const Variant& variant : variants) {
    ExportOptions options = full_options();
    options.apel_version = variant.version;
    options.normalised = variant.normalised;
    const auto text = write(variant.format, input_of(corrected_runs(), options));
    ASSERT_TRUE(text.ok()) << text.error().message;
    expect_golden(std::string(UFAB_TEST_FILES) + "/audit/export/golden/" + variant.file, *text);
  }
}

TEST(Export, EveryFormatIsValidBeforeAndAfterCorrectionsWithAllOptionsAndWithNone) {
  Receiver receiver;
  for (const Variant& variant : variants) {
    std::vector<std::string> texts;
    for (const bool full : {false, true}) {
      for (const bool corrected : {false, true}) {
        ExportOptions options = full ? full_options() : ExportOptions{};
        options.apel_version = variant.version;
        options.normalised = variant.normalised;
        if (variant.version == ApelVersion::v0_4) options.benchmark = Benchmark{"hepspec", 11'400};
        const auto text =
            write(variant.format, input_of(corrected ? corrected_runs() : plain_runs(), std::move(options)));
        ASSERT_TRUE(text.ok()) << text.error().message;
        texts.push_back(*text);
      }
    }
    texts.push_back(*write(variant.format, input_of({}, full_options())));
    const std::string format = variant.format;
    if (format == "car") {
      for (const std::string& text : texts) receiver.xmllint(text);
    } else {
      EXPECT_FALSE(receiver.holds(format == "auditor-update" ? "auditor" : format, texts).empty());
    }
  }
}

TEST(Export, TheValidatorsRefuseWhatIsWrong) {
  // They would prove nothing if they took everything.
  Receiver receiver;
  const auto refused = [&](const std::string& format, const std::string& what, const std::string& with) {
    std::string text = *write(format, input_of(plain_runs(), full_options()));
    const std::size_t at = text.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    text.replace(at, what.size(), with);
    EXPECT_FALSE(receiver.takes(format, text)) << format << ": " << with;
  };
  refused("apel", "WallDuration: 90\n", "");
  refused("apel", "Processors: 2", "Processors: two");
  refused("apel", "HEPscore23", "HEPscore24");
  refused("apel", "StartTime: 1800000005", "StartTime: 1900000005");
  refused("apel-summary", "Month: 1", "Month: 3");
  refused("gpu", "\"Count\":1", "\"Count\":\"1\"");
  refused("auditor", "\"amount\":2", "\"amount\":-2");
  refused("auditor", "\"runtime\":99", "\"runtime\":100");
  refused("sacct", "|COMPLETED|", "|done|");
  refused("csv", "\r\n1,1,", "\r\n1,1,1,");
  refused("car", "<urf:WallDuration>PT90S", "<urf:WallDuration>90");
  refused("car", "<urf:Status>completed", "<urf:Status>fine");
  refused("car", "<urf:Site>EXAMPLE-SITE</urf:Site>", "");
}

TEST(Export, AGroupOfASummaryThatACorrectionLeftEmptyIsPublishedWithoutJobs) {
  std::vector<UsageRun> before = {plain_runs()[2]};
  std::vector<UsageRun> after = {corrected_runs()[2]};  // 2 processors were 8
  Receiver receiver;
  EXPECT_EQ(receiver.holds("apel-summary",
                           {*export_apel_summary(input_of(before)), *export_apel_summary(input_of(after))}),
            "records=1 wall_s=90061 cpu_s=170 normalised_wall=90061\n");
  EXPECT_NE(export_apel_summary(input_of(after))->find("NumberOfJobs: 0"), std::string::npos);
}

TEST(Export, WhoIsSentTheLedgerBeforeAndAfterCorrectionsHoldsEveryRunOnceAsItStands) {
  Receiver receiver;
  // Elapsed: 90, 90 + 3600, 90061 s; processor time 180, 170, 170 s. The run that never started is in the
  // tables.
  const auto both = [&](const std::string& format, ExportOptions options = full_options()) {
    const auto before = write(format, input_of(plain_runs(), options));
    const auto after = write(format, input_of(corrected_runs(), options));
    EXPECT_TRUE(before.ok() && after.ok());
    return receiver.holds(format, {*before, *after});
  };
  EXPECT_EQ(both("apel"), "records=3 wall_s=93841 cpu_s=520\n");
  EXPECT_EQ(both("apel-summary"), "records=3 wall_s=93841 cpu_s=520 normalised_wall=1435767\n");
  EXPECT_EQ(both("gpu"), "records=1 gpu_s=90\n") << "of two: one turned out to have had no GPU";
  EXPECT_EQ(both("sacct"), "records=4 wall_s=93841\n");
  EXPECT_EQ(both("csv"), "records=4 elapsed_us=93841000000 cpu_us=520000000\n");
  ExportOptions v4 = full_options();
  v4.apel_version = ApelVersion::v0_4;
  EXPECT_EQ(both("apel", v4), "records=3 wall_s=93841 cpu_s=520\n");
  EXPECT_EQ(both("apel-summary", v4), "records=3 wall_s=93841 cpu_s=520 normalised_wall=0\n");

  // Every state in between was published too.
  std::vector<UsageRun> halfway = corrected_runs();
  halfway[1].corrections.pop_back();
  const auto steps = [&](const char* format) {
    return std::vector<std::string>{*write(format, input_of(plain_runs())), *write(format, input_of(halfway)),
                                    *write(format, input_of(corrected_runs()))};
  };
  EXPECT_EQ(receiver.holds("apel", steps("apel")), "records=3 wall_s=93841 cpu_s=520\n");
  EXPECT_EQ(receiver.holds("apel-summary", steps("apel-summary")),
            "records=3 wall_s=93841 cpu_s=520 normalised_wall=93841\n");
  EXPECT_EQ(receiver.holds("gpu", steps("gpu")), "records=1 gpu_s=90\n");
}

TEST(Export, AuditorIsToldWhichRecordsACorrectionSupersedesAndThenCountsEveryRunOnce) {
  Receiver receiver;
  const std::string before = *write("auditor", input_of(plain_runs()));
  const std::string updates = *write("auditor-update", input_of(corrected_runs()));
  const std::string after = *write("auditor", input_of(corrected_runs()));
  // From start to stop: 99.75, 100 + 3600 and 90061 s; nothing is refused, as all three were corrected …
  EXPECT_EQ(receiver.holds("auditor", {before, updates, after}),
            "records=3 runtime_s=93860 cpu_us=520000000 refused=1\n")
      << "… but the update of a record that was never sent";
  // An export alone has no run twice either.
  EXPECT_EQ(receiver.holds("auditor", {after}), "records=3 runtime_s=93860 cpu_us=520000000 refused=0\n");
  // Sent again it is refused, not counted again.
  EXPECT_EQ(receiver.holds("auditor", {after, after}),
            "records=3 runtime_s=93860 cpu_us=520000000 refused=3\n");
  EXPECT_NE(after.find("\"supersedes\":[\"ufab-"), std::string::npos);
  EXPECT_NE(after.find("the GPUs were another job's -see mail-"), std::string::npos)
      << "names of older versions";
}

TEST(Export, SacctsColumnsAreReadBackAsTheRunsThatWereWritten) {
  std::vector<SacctJob> jobs;
  SacctReader reader([&](const SacctJob& job) {
    jobs.push_back(job);
    return Status{};
  });
  const std::vector<UsageRun> runs = corrected_runs();
  ASSERT_TRUE(reader.feed(*export_sacct(input_of(runs))).ok());
  ASSERT_TRUE(reader.finish().ok());
  ASSERT_EQ(jobs.size(), runs.size());
  EXPECT_EQ(reader.counts().lines_bad, 0U);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const UsageValues& u = runs[i].usage();
    const SacctJob& job = jobs[i];
    EXPECT_EQ(job.cluster, u.cluster);
    EXPECT_EQ(job.id, u.external_id);
    EXPECT_EQ(job.submit_us, u.submit_us);
    EXPECT_EQ(job.start_us, u.start_us / second * second);
    EXPECT_EQ(job.end_us, u.end_us);
    EXPECT_EQ(job.elapsed_us, u.elapsed_us);
    EXPECT_EQ(job.cpu_us, u.cpu_us);
    EXPECT_EQ(job.processors, u.processors);
    EXPECT_EQ(job.nodes, u.nodes);
    EXPECT_EQ(job.gpus, u.gpus);
    EXPECT_EQ(job.gpu_us, u.gpu_us);
    EXPECT_EQ(job.memory_peak_bytes, u.memory_peak_bytes);
    EXPECT_EQ(job.energy_j, u.energy_j);
    EXPECT_EQ(job.state, u.state);
    EXPECT_EQ(job.exit_code, u.exit_code);
    EXPECT_EQ(job.signal, u.signal);
    EXPECT_EQ(job.user, u.user);
    EXPECT_TRUE(job.ended());
  }
}

TEST(Export, APeriodHasTheRunsThatEndedInItAndASummaryAlwaysWholeMonths) {
  ExportInput input = input_of(plain_runs());
  input.period = {utc_us(2027, 1, 16), utc_us(2027, 1, 17)};
  const std::string table = *export_csv(input);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2) << "run 2 and the header";
  const std::string summary = *export_apel_summary(input);
  EXPECT_NE(summary.find("Month: 1\nYear: 2027"), std::string::npos);
  Receiver receiver;
  EXPECT_EQ(receiver.holds("apel-summary", {summary}),
            "records=3 wall_s=90241 cpu_s=510 normalised_wall=90241\n");
  input.period = {utc_us(2027, 2, 1), utc_us(2027, 3, 1)};
  EXPECT_EQ(export_apel_summary(input)->find("Month"), std::string::npos);
  input.runs = corrected_runs();
  EXPECT_NE(export_apel(input)->find("WallDuration: 3690"), std::string::npos);
  EXPECT_EQ(input.period.whole_months().from_us, input.period.from_us);
  EXPECT_EQ(input.period.whole_months().to_us, input.period.to_us);
  EXPECT_EQ(Period{}.whole_months().to_us, UINT64_MAX);
  EXPECT_EQ((Period{0, utc_us(2027, 12, 5)}.whole_months().to_us), utc_us(2028, 1, 1));
}

TEST(Export, WhatAFormatNeedsAndDoesNotGetIsOneLineThatSaysTheCure) {
  ExportOptions options;
  options.apel_version = ApelVersion::v0_4;
  for (const char* format : {"apel", "apel-summary"}) {
    const auto text = write(format, input_of(plain_runs(), options));
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().code, ErrorCode::usage);
    EXPECT_NE(text.error().message.find("--benchmark TYPE=VALUE"), std::string::npos);
  }
}

TEST(Export, OptionsComeFromAFileAndAreCheckedAtTheDoor) {
  ExportOptions options;
  ASSERT_TRUE(
      read_export_options("site = \"A-SITE\"\nbenchmark = \"HEPscore23=15.3\"\nvo = \"vo\"", "f", options)
          .ok());
  EXPECT_EQ(options.site, "A-SITE");
  EXPECT_EQ(options.benchmark->thousandths, 15'300U);
  EXPECT_EQ(options.infrastructure, "UFAB-SLURM") << "what the file does not name stays";
  const std::pair<const char*, const char*> wrong[] = {{"sites = \"A\"", "f: there is no option 'sites'"},
                                                       {"site = 5", "f: site must be a text in quotes"},
                                                       {"site = \"a\\nb\"", "expected at most 255 bytes"},
                                                       {"site = \"a%%b\"", "without %%"},
                                                       {"site = ", "f: line 1"},
                                                       {"benchmark = \"fast\"", "expected TYPE=VALUE"}};
  for (const auto& [text, says] : wrong) {
    const Status status = read_export_options(text, "f", options);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_NE(status.error().message.find(says), std::string::npos) << status.error().message;
  }
  EXPECT_EQ(parse_benchmark("hepspec=11")->value(), "11.0");
  EXPECT_EQ(parse_benchmark("Si2k=0.125")->value(), "0.125");
  for (const char* text : {"HEPSPEC", "=1", "HEPSPEC=", "HEPSPEC=1.2345", "HEPSPEC=.5", "HEPSPEC=1.",
                           "HEPSPEC=0", "HEPSPEC=-1", "HEPSPEC=1e3", "SPEC=1", "HEPSPEC=99999999999"}) {
    EXPECT_FALSE(parse_benchmark(text).ok()) << text;
  }
}

TEST(Export, DatesAreReadStrictly) {
  EXPECT_EQ(*parse_utc("2027-01-15"), utc_us(2027, 1, 15));
  EXPECT_EQ(*parse_utc("2027-01-15T00:00:05Z"), utc_us(2027, 1, 15) + 5 * second);
  for (const char* text : {"", "yesterday", "2027-02-29", "2027-1-5", "2027-01-15T25:00:00", "1800000000"}) {
    EXPECT_FALSE(parse_utc(text).ok()) << text;
  }
  EXPECT_EQ(iso_time_exact(1'800'000'000'250'000), "2027-01-15T08:00:00.250Z");
  EXPECT_EQ(utf8_prefix("a\xc3\xbc", 2), "a");
}

TEST(Export, TheLedgerGivesEachImportWithTheCorrectionsThatAreItsOwn) {
  World world;
  world.add_organisations();
  const JobId job = world.start_job(alpha, {{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}});
  const Record import = world.sign(beta, UsageImport{job, 1, usage_values()});
  ASSERT_TRUE(world.submit(import).status.ok());
  world.must(gamma, UsageImport{job, 1, usage_values(9)});
  EXPECT_NE(world.refused(beta, UsageImport{job, 1, usage_values(10)}), "");
  UsageValues right = usage_values();
  right.cpu_us = 1;
  world.must(beta, Correction{record_id(import), "first", {right}});
  EXPECT_NE(world.refused(gamma, Correction{record_id(import), "not mine", {right}}), "");
  world.must(beta, Correction{record_id(import), "only a remark", {}});
  right.cpu_us = 2;
  world.must(beta, Correction{record_id(import), "second", {right}});
  // Long after: nothing in the state knows the import any more, so these stand on the ledger, and only the
  // first one is a correction of it.
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  world.empty_blocks(world.state().params().job_retention_blocks * (UsageImports::late_factor + 1) + 2);
  right.cpu_us = 3;
  world.must(beta, Correction{record_id(import), "late", {right}});
  world.must(gamma, Correction{record_id(import), "not mine, and late", {right}});
  world.must(beta, Correction{record_id(import), "another run", {usage_values(99)}});

  const Folder folder;
  ASSERT_TRUE(make_folders(folder.path("l/log")).ok());
  auto log = SegmentLog::open(folder.path("l/log"), 1 << 20, block_size_max,
                              [](std::uint64_t, ByteView) { return Status{}; });
  for (const Bytes& block : world.blocks()) ASSERT_TRUE(log->append(block).ok());
  const auto ledger = read_usage(folder.path("l"));
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  ASSERT_EQ(ledger->runs.size(), 2U);
  const UsageRun& run = ledger->runs[0];
  EXPECT_EQ(run.provider, "beta");
  EXPECT_EQ(run.owner, "alpha");
  EXPECT_EQ(run.job_name, "train");
  EXPECT_EQ(run.import, record_id(import));
  EXPECT_EQ(run.imported, usage_values());
  ASSERT_EQ(run.corrections.size(), 3U);
  EXPECT_EQ(run.corrections[2].reason, "late");
  EXPECT_EQ(run.usage().cpu_us, 3U);
  EXPECT_EQ(run.superseded().size(), 3U);
  EXPECT_FALSE(ledger->runs[1].corrected());
  EXPECT_TRUE(ledger->leased.contains({job, 1, "gamma"}));
  EXPECT_EQ(ledger->leased.size(), 3U);
  EXPECT_EQ(ledger->enrolled_us.size(), 4U);
  EXPECT_LT(ledger->enrolled_us.at("beta"), run.time_us);
}

}  // namespace
}  // namespace ufab::test
