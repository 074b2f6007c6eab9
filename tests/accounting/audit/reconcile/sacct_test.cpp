// The reader of sacct's text, on what Slurm 22.05 printed (sacct-22.05.txt) and on what it might.
#include "accounting/audit/reconcile/sacct.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "accounting/audit/reconcile/sacct_run.h"
#include "fabric/base/file.h"
#include "tests/accounting/support/folder.h"

namespace ufab::test {
namespace {

struct Read {
  Status status;
  std::vector<SacctJob> jobs;
  SacctCounts counts;
};

// Feeds the text in pieces of the given size.
Read read(const std::string& text, std::size_t piece = std::string::npos) {
  Read result;
  SacctReader reader([&](const SacctJob& job) {
    result.jobs.push_back(job);
    return Status{};
  });
  for (std::size_t at = 0; at < text.size() && result.status.ok(); at += std::min(piece, text.size())) {
    result.status = reader.feed(std::string_view(text).substr(at, piece));
  }
  if (result.status.ok()) result.status = reader.finish();
  result.counts = reader.counts();
  return result;
}

std::string header(const std::string& delimiter = "|") {
  std::string text;
  for (const char c : std::string_view(sacct_columns)) text += c == ',' ? delimiter : std::string(1, c);
  return text + "\n";
}

std::string captured() {
  return read_text_file(std::string(UFAB_TEST_FILES) + "/audit/reconcile/sacct-22.05.txt", 1 << 20).value();
}

const SacctJob* find(const Read& all, std::uint64_t id) {
  const auto found =
      std::find_if(all.jobs.begin(), all.jobs.end(), [&](const SacctJob& j) { return j.id == id; });
  return found == all.jobs.end() ? nullptr : &*found;
}

TEST(Sacct, WhatSlurmPrintedBecomesItsJobs) {
  const Read all = read(captured());
  ASSERT_TRUE(all.status.ok()) << all.status.error().message;
  EXPECT_EQ(all.jobs.size(), 9U);
  EXPECT_EQ(all.counts.steps, 7U);
  EXPECT_EQ(all.counts.lines_bad, 1U) << "the rest of the name with a line end in it";
  EXPECT_EQ(all.counts.steps_orphan, 0U);

  const SacctJob* pipe = find(all, 1);
  ASSERT_NE(pipe, nullptr);
  EXPECT_EQ(pipe->name, "a|b") << "the delimiter in a name";
  EXPECT_EQ(pipe->cluster, "alpha");
  EXPECT_EQ(pipe->user, "alice");
  EXPECT_EQ(pipe->account, "root");
  EXPECT_EQ(pipe->partition, "batch");
  EXPECT_EQ(pipe->submit_us, 1'795'613'323'000'000U);
  EXPECT_EQ(pipe->start_us, 1'795'613'324'000'000U);
  EXPECT_EQ(pipe->end_us, 1'795'613'326'000'000U);
  EXPECT_EQ(pipe->elapsed_us, 2'000'000U);
  EXPECT_EQ(pipe->cpu_us, 80'000U);
  EXPECT_EQ(pipe->memory_peak_bytes, 3'682'304U);
  EXPECT_EQ(pipe->processors, 2U);
  EXPECT_EQ(pipe->billing_s, 4U);
  EXPECT_EQ(pipe->steps, 1U);
  EXPECT_EQ(pipe->state, "CD");
  EXPECT_TRUE(pipe->ended());

  EXPECT_EQ(find(all, 2)->exit_code, 3U);
  EXPECT_EQ(find(all, 2)->name, "new");
  EXPECT_EQ(find(all, 5)->signal, 9U);
  EXPECT_FALSE(find(all, 7)->ended()) << "requeued: it runs again under the same id";
  EXPECT_EQ(find(all, 8)->id_shown, "3_0");

  const SacctJob* cancelled = find(all, 4);  // while it was pending
  EXPECT_EQ(cancelled->state, "CA");
  EXPECT_EQ(cancelled->start_us, 0U);
  EXPECT_EQ(cancelled->processors, 0U);
  EXPECT_TRUE(cancelled->ended());
  EXPECT_EQ(find(all, 6)->state, "PD");
  EXPECT_EQ(find(all, 6)->end_us, 0U);
}

TEST(Sacct, AnySplitOfTheTextGivesTheSameJobs) {
  const std::string text = captured();
  const Read whole = read(text);
  EXPECT_TRUE(rc::check([&] {
    const Read split = read(text, *rc::gen::inRange<std::size_t>(1, 300));
    RC_ASSERT(split.status.ok());
    RC_ASSERT(split.jobs == whole.jobs);
    RC_ASSERT(split.counts.lines_bad == whole.counts.lines_bad);
  }));
}

TEST(Sacct, StepsOfEveryKindAreSummedIntoTheirJob) {
  const Read all =
      read(header() +
           "c|7|7|ann||p|100|110|170|60|CANCELLED by 1000|0:15|4|2|"
           "billing=10,cpu=4,gres/gpu:a100=1,gres/gpu:h100=2,mem=2G,node=2||00:01|||n\n"
           "c|7.batch|7.batch|||p|100|110|170|60|CANCELLED|0:15|4|2|||01:00.250|1.5G|5|batch\n"
           "c|7.extern|7.extern|||p|100|110|170|60|COMPLETED|0:0|4|2|||00:00|10K|100|extern\n"
           "c|7.interactive|x|||p|100|110|170|60|COMPLETED|0:0|4|2|||1-00:00:00|12M|7|interactive\n"
           "c|7.0|7.0|||p|100|110|170|60|COMPLETED|0:0|4|2|||01:00:00|2048K||srun\n"
           "c|8.0|8.0|||p|100|110|170|60|COMPLETED|0:0|4|2|||01:00:00|2048K||orphan\n");
  ASSERT_TRUE(all.status.ok());
  ASSERT_EQ(all.jobs.size(), 1U);
  const SacctJob& job = all.jobs[0];
  EXPECT_EQ(job.cpu_us, (60'250'000U + 0U + 86'400'000'000U + 3'600'000'000U))
      << "more than the job's own row";
  EXPECT_EQ(job.memory_peak_bytes, 1'610'612'736U);
  EXPECT_EQ(job.energy_j, 12U) << "without .extern's";
  EXPECT_EQ(job.gpus, 3U);
  EXPECT_EQ(job.gpu_us, 180'000'000U);
  EXPECT_EQ(job.billing_s, 600U);
  EXPECT_EQ(job.signal, 15U);
  EXPECT_EQ(all.counts.steps_orphan, 1U);
}

TEST(Sacct, ARecycledIdIsAJobForEachSubmissionWithItsOwnSteps) {
  const Read all = read(header() +
                        "c|7|7|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||old\n"
                        "c|7.0|7.0|||p|100|110|120|10|COMPLETED|0:0|1|1|||00:05|1K||srun\n"
                        "c|7|7|bob||p|900|910|920|10|COMPLETED|0:0|1|1|cpu=1||00:07|||new\n"
                        "c|7.0|7.0|||p|900|910|920|10|COMPLETED|0:0|1|1|||00:07|2K||srun\n");
  ASSERT_EQ(all.jobs.size(), 2U);
  EXPECT_EQ(all.jobs[0].memory_peak_bytes, 1024U);
  EXPECT_EQ(all.jobs[1].memory_peak_bytes, 2048U);
  EXPECT_NE(all.jobs[0].submit_us, all.jobs[1].submit_us);
}

TEST(Sacct, ARowThatIsNoneIsSkippedAndCountedAndTheNextOneIsRead) {
  const std::string good = "c|9|9|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||fine\n";
  const std::pair<std::string, std::string> cases[] = {
      {"c|x|9|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||n\n", "JobIDRaw 'x'"},
      {"c|8|8|ann||p|1o0|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||n\n", "Submit '1o0'"},
      {"c|8|8|ann||p|100|110|120|ten|COMPLETED|0:0|1|1|cpu=1||00:05|||n\n", "ElapsedRaw 'ten'"},
      {"c|8|8|ann||p|100|110|120|10|COMPLETED|-1:0|1|1|cpu=1||00:05|||n\n", "ExitCode '-1:0'"},
      {"c|8|8|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||5|||n\n", "TotalCPU '5'"},
      {"c|8|8|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|5X||n\n", "MaxRSS '5X'"},
      {"c|8|8\n", "too few columns"},
      {std::string(SacctReader::line_size_max + 1, 'x') + "\n", "longer than"},
  };
  for (const auto& [bad, why] : cases) {
    const Read all = read(header() + bad + good);
    ASSERT_TRUE(all.status.ok());
    ASSERT_EQ(all.jobs.size(), 1U) << why;
    EXPECT_EQ(all.jobs[0].name, "fine");
    EXPECT_EQ(all.counts.lines_bad, 1U);
    EXPECT_TRUE(all.counts.first_bad.starts_with("line 2: " + why)) << all.counts.first_bad;
  }
}

TEST(Sacct, ANameCannotPassForARowOfAnUnguessableDelimiter) {
  const std::string d = "|kqpxn|";
  std::string row = "c|8|8|eve||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||";
  std::string text = header(d);
  for (const char c : row) text += c == '|' ? d : std::string(1, c);
  text += "evil\nc|9|9|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||99:05|||forged\n";
  const Read all = read(text);
  ASSERT_TRUE(all.status.ok());
  ASSERT_EQ(all.jobs.size(), 1U);
  EXPECT_EQ(all.jobs[0].name, "evil");
  EXPECT_EQ(all.counts.lines_bad, 1U);
}

TEST(Sacct, WithoutItsHeaderTheTextIsRefused) {
  for (const std::string& text : {std::string(), std::string("JobID|State\n"), std::string("c|9|9\n"),
                                  "Cluster" + header().substr(7, 20) + "\n"}) {
    const Read all = read(text);
    ASSERT_FALSE(all.status.ok()) << text;
    EXPECT_EQ(all.status.error().code, ErrorCode::invalid);
  }
  EXPECT_TRUE(read(header()).status.ok()) << "no job is no error";
  EXPECT_TRUE(read(header("\x1f")).status.ok());
}

TEST(Sacct, AStreamOfAnySizeNeedsTheMemoryOfOneJob) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer keeps freed memory";
#endif
  SacctReader reader([](const SacctJob&) { return Status{}; });
  ASSERT_TRUE(reader.feed(header()).ok());
  std::string block;
  for (int i = 0; i < 400; ++i) {
    block += "c|9|9|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||" + std::string(100, 'n') + "\n";
  }
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  ASSERT_TRUE(reader.feed(block).ok());
  const long before = peak_kib();
  for (std::size_t fed = 0; fed < (128U << 20); fed += block.size()) ASSERT_TRUE(reader.feed(block).ok());
  ASSERT_TRUE(reader.feed(std::string(1 << 20, 'x')).ok()) << "a line without an end";
  ASSERT_TRUE(reader.finish().ok());
  EXPECT_GT(reader.counts().jobs, 500'000U);
  EXPECT_LT(peak_kib() - before, 4096);
}

TEST(Sacct, DurationsTimesSizesAndStatesAreReadAsSlurmWritesThem) {
  EXPECT_EQ(sacct_duration_us("00:00.080"), 80'000U);
  EXPECT_EQ(sacct_duration_us("1-02:03:04.5"), 93'784'500'000U);
  EXPECT_EQ(sacct_duration_us("02:03"), 123'000'000U);
  EXPECT_EQ(sacct_duration_us("102:03:04"), 367'384'000'000U);
  EXPECT_EQ(sacct_duration_us("2-03"), 183'600'000'000U);
  for (const char* text :
       {"", "5", "x", "1:", ":1", "1:2:3:4", "-1:00", "00:00.", "00:00.1234567", "1-", "9999999-00"}) {
    EXPECT_EQ(sacct_duration_us(text), std::nullopt) << text;
  }
  EXPECT_EQ(sacct_time_us("1795613323"), 1'795'613'323'000'000U);
  EXPECT_EQ(sacct_time_us("2026-11-25T13:28:43"), 1'795'613'323'000'000U);
  EXPECT_EQ(sacct_time_us("2024-02-29T00:00:00"), 1'709'164'800'000'000U);
  EXPECT_EQ(sacct_time_us("Unknown"), 0U);
  for (const char* text :
       {"2026-13-01T00:00:00", "2026-11-25", "2026-11-25T24:00:00", "-5", "99999999999999"}) {
    EXPECT_EQ(sacct_time_us(text), std::nullopt) << text;
  }
  EXPECT_EQ(sacct_size_bytes("3682304"), 3'682'304U);
  EXPECT_EQ(sacct_size_bytes("1.25M"), 1'310'720U);
  EXPECT_EQ(sacct_size_bytes("3T"), std::uint64_t{3} << 40);
  EXPECT_EQ(sacct_size_bytes("99999999E"), std::nullopt);
  EXPECT_EQ(sacct_state_code("CANCELLED by 1000"), "CA");
  EXPECT_EQ(sacct_state_code("OUT_OF_MEMORY"), "OOM");
  EXPECT_EQ(sacct_state_code("WHATEVER"), "?");
  EXPECT_EQ(sacct_gpus("cpu=2,gres/gpu=4,gres/gpu:a=3,gres/gpu:b=1"), 4U);
}

// A program that stands in for sacct: prints what it was given, as arguments and environment, or fails.
std::string program(const Folder& folder, const std::string& body) {
  const std::string path = folder.path("sacct");
  std::ofstream(path) << "#!/bin/sh\n" << body;
  ::chmod(path.c_str(), 0755);
  return path;
}

TEST(SacctRun, ReadsWhatTheProgramPrintsUnderAFreshDelimiter) {
  const Folder folder;
  SacctQuery query;
  query.program = program(folder, R"(
for word in "$@"; do
  case $word in --delimiter=*) d=${word#--delimiter=} ;; --format=*) f=${word#--format=} ;; esac
done
[ "$TZ" = UTC ] && [ "$SLURM_TIME_FORMAT" = %s ] && [ "$SLURM_CONF" = /a/b ] || exit 9
echo "$f" | sed "s/,/$d/g"
echo "c|7|7|ann||p|100|110|120|10|COMPLETED|0:0|1|1|cpu=1||00:05|||$d" | sed "s/|/$d/g"
echo "$@" >"$(dirname "$0")/arguments"
)");
  query.slurm_conf = "/a/b";
  query.cluster = "north";
  query.from_us = 1'795'613'323'000'000;
  std::vector<SacctJob> jobs;
  const auto counts = sacct_run(query, [&](const SacctJob& job) {
    jobs.push_back(job);
    return Status{};
  });
  ASSERT_TRUE(counts.ok()) << counts.error().message;
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].id, 7U);
  const std::string arguments = read_text_file(folder.path("arguments"), 1 << 16).value();
  for (const char* what :
       {"--clusters=north", "--starttime=2026-11-25T13:28:43", "--duplicates", "--allusers"}) {
    EXPECT_NE(arguments.find(what), std::string::npos) << arguments;
  }
  query.jobs = {3, 4};
  EXPECT_EQ(sacct_arguments(query, "|").back(), "--jobs=3,4");
}

TEST(SacctRun, AProgramThatFailsHangsOrIsMissingIsOneClearLine) {
  const Folder folder;
  const auto none = [](const SacctJob&) { return Status{}; };
  SacctQuery query;
  query.program = program(folder, "echo first >&2; echo 'slurmdbd is down' >&2; exit 1\n");
  auto result = sacct_run(query, none);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::io);
  EXPECT_NE(result.error().message.find("exit status 1: slurmdbd is down"), std::string::npos);
  query.program = program(folder, "exec sleep 60\n");
  query.timeout_ms = 200;
  result = sacct_run(query, none);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::timeout);
  query.program = folder.path("nothing");
  result = sacct_run(query, none);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ufab::test
