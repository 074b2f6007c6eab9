// Usage imports and their corrections: who may file what, how often, how late.
#include <gtest/gtest.h>

#include <functional>

#include "tests/accounting/support/usage.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

class UsageRules : public ::testing::Test {
 protected:
  void SetUp() override {
    world.add_organisations();
    job = world.start_job(alpha, {{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}});
  }
  void settle() {
    for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
    world.vote_all_good(job);
    ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  }
  UsageImport import(std::uint32_t attempt = 1, std::uint64_t external_id = 4711) const {
    return {job, attempt, usage_values(external_id)};
  }
  // Filed by beta; the record's id.
  RecordId file(UsageImport body) {
    const Record record = world.sign(beta, std::move(body));
    EXPECT_TRUE(world.submit(record).status.ok());
    return record_id(record);
  }
  World world;
  JobId job = 0;
};

bool has(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

TEST_F(UsageRules, EveryLeasedMemberFilesOneImportAndNoMoneyMoves) {
  const auto before = world.state().accounts().all();
  world.must(alpha, import());
  world.must(beta, import());  // each provider's Slurm counts for itself
  EXPECT_EQ(world.state().accounts().all(), before);
  EXPECT_EQ(world.state().usage_imports().all().size(), 2U);
  EXPECT_TRUE(has(world.refused(delta, import()), "had no lease for attempt 1"));
  EXPECT_TRUE(has(world.refused(gamma, import(2)), "no attempt 2"));
  EXPECT_TRUE(has(world.refused(gamma, UsageImport{99, 1, usage_values()}), "no such job"));
}

TEST_F(UsageRules, ASecondImportForAnAttemptIsRefusedWhateverItSays) {
  file(import());
  EXPECT_TRUE(has(world.refused(beta, import()), "already"));
  EXPECT_TRUE(has(world.refused(beta, import(1, 4712)), "already"));
}

TEST_F(UsageRules, OneRunOfABatchSystemIsImportedForOneAttemptOnly) {
  file(import());
  world.attempt(alpha, job, {{alpha, 0, 3}, {beta, 3, 3}});
  EXPECT_TRUE(has(world.refused(beta, import(2)), "was imported for job 1 attempt 1 already"));
  // A recycled id is another run: it was submitted at another time.
  UsageImport recycled = import(2);
  recycled.usage.submit_us -= 1;
  file(recycled);
  // The first attempt is over, its other member may still report.
  world.must(gamma, import(1));
}

TEST_F(UsageRules, AnImportMayComeLongAfterSettlementButNotForEver) {
  settle();
  const std::uint64_t retention = world.state().params().job_retention_blocks;
  world.empty_blocks(retention + 2);
  ASSERT_EQ(world.state().job(job), nullptr);
  const RecordId id = file(import());
  EXPECT_TRUE(has(world.refused(beta, import()), "already"));
  EXPECT_TRUE(has(world.refused(delta, import()), "had no lease"));
  world.empty_blocks(retention * UsageImports::late_factor);
  EXPECT_TRUE(has(world.refused(gamma, import()), "blocks ago"));
  EXPECT_TRUE(world.state().usage_imports().all().empty()) << "memory is bounded";
  EXPECT_EQ(world.state().usage_imports().slot_of(id), nullptr);
  // Nothing of it is left: only who reads the whole ledger sees that this run was imported before.
  job = world.start_job(alpha, {{alpha, 0, 3}, {beta, 3, 3}});
  file(import());
}

TEST_F(UsageRules, ReplicasAgreeOnTheRootsOfAChainWithImportsThatComeAndGo) {
  settle();
  file(import());
  world.empty_blocks(world.state().params().job_retention_blocks * (UsageImports::late_factor + 1) + 2);
  EXPECT_TRUE(world.state().usage_imports().all().empty());
  const Chain replica = world.replica();
  EXPECT_EQ(encode_header(replica.head()), encode_header(decode_block(world.blocks().back())->header));
}

TEST_F(UsageRules, AnImportIsPartOfTheStateRootWhileTheStateRemembersIt) {
  World twin;
  twin.add_organisations();
  ASSERT_EQ(twin.start_job(alpha, {{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}}), job);
  const auto root = [](const World& w) { return decode_block(w.blocks().back())->header.state_root; };
  ASSERT_EQ(root(world), root(twin));
  UsageImport other = import();
  other.usage.cpu_us += 1;
  file(import());
  EXPECT_TRUE(twin.submit(beta, other).status.ok());
  EXPECT_NE(root(world), root(twin));
}

TEST_F(UsageRules, ACorrectionComesFromTheImportsSignerAndNamesTheSameRun) {
  const RecordId id = file(import());
  UsageValues right = usage_values();
  right.cpu_us = 1;
  EXPECT_EQ(world.refused(beta, Correction{id, "a step was missing", {right}}), "");
  EXPECT_EQ(world.refused(beta, Correction{id, "again", {right}}), "") << "the last one counts";
  EXPECT_TRUE(has(world.refused(gamma, Correction{id, "not mine", {right}}), "was filed by beta"));
  EXPECT_TRUE(has(world.refused(beta, Correction{id, "", {right}}), "reason"));
  EXPECT_TRUE(has(world.refused(beta, Correction{id, "another run", {usage_values(9)}}), "another run"));
  right.state = "R";
  EXPECT_TRUE(has(world.refused(beta, Correction{id, "not ended", {right}}), "state 'R'"));
  EXPECT_EQ(world.refused(beta, Correction{digest_of("x"), "a remark", {}}), "");
  // The import stands as it was filed.
  EXPECT_EQ(world.all<UsageImport>().back().usage, usage_values());
}

TEST(UsageValues, WhatContradictsItselfIsRefusedAndSaysWhy) {
  ASSERT_TRUE(check_usage_values(usage_values()).ok());
  struct Case {
    const char* says;
    std::function<void(UsageValues&)> spoil;
  };
  const Case cases[] = {
      {"cluster", [](UsageValues& u) { u.cluster.clear(); }},
      {"user", [](UsageValues& u) { u.user.clear(); }},
      {"job id", [](UsageValues& u) { u.external_id = 0; }},
      {"energy_j", [](UsageValues& u) { u.energy_j = usage_number_max + 1; }},
      {"state 'PD'", [](UsageValues& u) { u.state = "PD"; }},
      {"time of submission", [](UsageValues& u) { u.submit_us = 0; }},
      {"order submit", [](UsageValues& u) { u.start_us = u.submit_us - 1; }},
      {"order submit", [](UsageValues& u) { u.end_us = u.start_us - 1; }},
      {"longer than", [](UsageValues& u) { u.elapsed_us = u.end_us - u.start_us + 1'000'001; }},
      {"without processors", [](UsageValues& u) { u.processors = 0; }},
      {"without nodes", [](UsageValues& u) { u.nodes = 0; }},
      {"without a GPU", [](UsageValues& u) { u.gpus = 0; }},
      {"exit code", [](UsageValues& u) { u.exit_code = 256; }},
      {"never started", [](UsageValues& u) { u.start_us = 0; }},
  };
  for (const Case& item : cases) {
    UsageValues usage = usage_values();
    item.spoil(usage);
    const Status status = check_usage_values(usage);
    ASSERT_FALSE(status.ok()) << item.says;
    EXPECT_TRUE(has(status.error().message, item.says)) << status.error().message;
  }
  UsageValues cancelled = usage_values();  // while it was pending
  cancelled.state = "CA";
  cancelled.start_us = cancelled.elapsed_us = cancelled.cpu_us = cancelled.gpu_us = 0;
  cancelled.memory_peak_bytes = cancelled.energy_j = cancelled.billing_s = 0;
  cancelled.processors = cancelled.nodes = cancelled.gpus = 0;
  EXPECT_TRUE(check_usage_values(cancelled).ok());
}

TEST(UsageValues, TheHelperMakesNamesFitThatABatchSystemAllows) {
  UsageValues usage = usage_values();
  usage.partition = "tab\there";
  usage.user = std::string(63, 'u') + "\xc3\xbc";  // the cut falls inside a character
  const auto made = usage_import(7, 2, usage);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->job, 7U);
  EXPECT_EQ(made->attempt, 2U);
  EXPECT_EQ(made->usage.partition, "tab?here");
  EXPECT_EQ(made->usage.user, std::string(63, 'u') + "?");
  const KeyPair key = key_of(1);
  EXPECT_TRUE(decode_record(encode_record(sign_record({}, key, 1, 1, *made))).ok());
  usage.state = "R";
  EXPECT_FALSE(usage_import(7, 2, usage).ok());
}

}  // namespace
}  // namespace ufab::test
