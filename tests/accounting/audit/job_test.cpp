// What `audit job` and `audit report` say about a job with a conviction in it.
#include <gtest/gtest.h>

#include "accounting/audit/audit.h"
#include "accounting/audit/charts.h"
#include "accounting/log/segment_log.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

class AuditedJob : public ::testing::Test {
 protected:
  void SetUp() override {
    World world;
    world.add_organisations();
    JobOrder order = World::order();
    order.verify_rate_ppm = 1'000'000;
    const JobId job = world.start_job(alpha, {{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}}, order);
    for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
    EXPECT_NE(world.refused(beta, ReceiptBatch::of({world.receipt(job, beta, 0)})), "");
    Vote vote = world.honest_vote(job, 2);
    EXPECT_NE(world.refused(alpha, vote), "");
    vote.end_digest = digest_of("right");
    vote.findings[1] = {beta, true, 5, 2};
    world.must(world.job(job).windows.at(2).verifier, vote);
    world.vote_all_good(job);
    world.attempt(alpha, job, {{alpha, 0, 3}, {gamma, 3, 3}});
    for (std::uint64_t window = 2; window < 5; ++window) world.file_window(job, window);
    world.vote_all_good(job);
    world.empty_blocks(50);
    ASSERT_TRUE(make_folders(folder.path("l/log")).ok());
    auto log = SegmentLog::open(folder.path("l/log"), 1 << 20, block_size_max,
                                [](std::uint64_t, ByteView) { return Status{}; });
    for (const Bytes& block : world.blocks()) ASSERT_TRUE(log->append(block).ok());
  }
  Folder folder;
};

TEST_F(AuditedJob, TheTextShowsEveryStepOfItsLifeAndHowRewardsCame) {
  const auto audit = audit_job(folder.path("l"), 1);
  ASSERT_TRUE(audit.ok()) << audit.error().message;
  for (const char* what :
       {"job_order        alpha", "attempt 1 from window 0, micro-batches alpha:1 beta:3 gamma:2", "lease",
        "receipt_batch    beta", "countersignature gamma", "refused: receipt for window 0 of job 1 by beta",
        "Refused records", "receipt_batch of beta: receipt for window 0 of job 1 by beta:", "vote of alpha: ",
        "BAD: window 2 re-executed", "beta wrong at step 5", "beta loses 40 UNC", "settlement",
        "escrow:1 -> balance:gamma", "reward = 95 UNC of emission x"}) {
    EXPECT_NE(audit->text.find(what), std::string::npos) << what << "\n" << audit->text;
  }
  std::size_t line = 0;
  for (const char c : audit->text) {
    line = c == '\n' ? 0 : line + 1;
    ASSERT_LE(line, 112U);
  }
  EXPECT_TRUE(audit->json.starts_with("{\"schema\":\"ufab.audit.job/1\",\"job\":1,"));
  EXPECT_EQ(audit_job(folder.path("l"), 2).error().code, ErrorCode::not_found);
}

TEST_F(AuditedJob, TheReportIsOneSelfContainedPage) {
  ReportInput input;
  for (std::uint64_t step = 0; step < 10; ++step) {
    input.losses.push_back({step, "4." + std::to_string(9 - step), false});
  }
  input.losses.push_back({9, "4.05", true});
  const auto page = audit_report(folder.path("l"), input);
  ASSERT_TRUE(page.ok()) << page.error().message;
  for (const char* outside : {"http:", "https:", "<script", "src=", "url("}) {
    EXPECT_EQ(page->find(outside), std::string::npos) << outside;
  }
  for (const char* what : {"Training loss", "Money flow", "Timeline", "re-executed, equal", "wrong at step 5",
                           "prefers-color-scheme:dark", "role=\"img\"", "95 UNC"}) {
    EXPECT_NE(page->find(what), std::string::npos) << what;
  }
  input.job = 9;
  EXPECT_EQ(audit_report(folder.path("l"), input).error().code, ErrorCode::not_found);
}

TEST(Charts, TextThatPeopleChoseIsEscaped) {
  EXPECT_EQ(audit::html_escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
}

TEST(Charts, LinesStandAloneWithAxesLegendAndColours) {
  const std::vector<audit::Line> lines = {{"slow", 0, false, {{4, 3'000}, {100, 90'000}}},
                                          {"fast", 1, true, {{4, 1'000}}}};
  const std::string svg = audit::stand_alone(audit::lines_chart("A title", "validators", "ms", lines));
  EXPECT_EQ(svg.find("<svg xmlns="), 0U);
  EXPECT_EQ(svg.find("var("), std::string::npos) << "a file of its own has no page to take colours from";
  for (const char* what : {">validators<", ">ms<", ">slow<", ">fast<", ">100<", ">50<", "stroke-dasharray"})
    EXPECT_NE(svg.find(what), std::string::npos) << what;
  EXPECT_EQ(audit::lines_chart("A title", "x", "y", {}), "");
  EXPECT_EQ(audit::stand_alone(""), "");
}

TEST(Charts, DecimalTextBecomesMillionths) {
  std::uint64_t value = 0;
  EXPECT_TRUE(audit::parse_millionths("1.897", value));
  EXPECT_EQ(value, 1'897'000U);
  EXPECT_TRUE(audit::parse_millionths("12", value));
  EXPECT_EQ(value, 12'000'000U);
  for (const char* text : {"", "nan", "-1", "1e3", "1.2.3", ".5"})
    EXPECT_FALSE(audit::parse_millionths(text, value));
}

}  // namespace
}  // namespace ufab::test
