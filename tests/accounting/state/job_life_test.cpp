// A job's way over the ledger, from order to settlement.
#include <gtest/gtest.h>

#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

const std::vector<Share> three{{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}};

TEST(JobLife, AVerifiedJobPaysWorkTimesPriceAndRefundsTheRest) {
  World world;
  world.add_organisations();
  const JobId job = world.start_job(alpha, three);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  EXPECT_EQ(world.state().balance(alpha), 900 * micro_per_unc);
  EXPECT_EQ(world.state().organisation(alpha)->escrowed, 100 * micro_per_unc);
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  EXPECT_EQ(world.job(job).phase, JobPhase::validating);
  ASSERT_EQ(world.assigned(job).size(), 1U);
  world.vote_all_good(job);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
  const Settlement& done = *world.job(job).settlement;
  EXPECT_TRUE(done.verified);
  EXPECT_EQ(done.windows_paid, 5U);
  EXPECT_EQ(done.final_digest, World::parameters(job, 5));
  // 10 steps × 10 TFLOP × (1, 3, 2) micro-batches × 1000 micro-UNC.
  ASSERT_EQ(done.payments.size(), 3U);
  EXPECT_EQ(done.payments[0].amount, 100'000U);
  EXPECT_EQ(done.payments[1].amount, 300'000U);
  EXPECT_EQ(done.payments[2].amount, 200'000U);
  EXPECT_EQ(done.fee_burned + done.fee_treasury, 6'000U);
  EXPECT_EQ(done.refund, 100 * micro_per_unc - 606'000);
  EXPECT_EQ(world.state().organisation(alpha)->escrowed, 0U);
  EXPECT_EQ(world.state().organisation(alpha)->spent, 606'000U);
  EXPECT_EQ(world.state().balance(beta), 1000 * micro_per_unc + 300'000);
  EXPECT_TRUE(world.state().accounts().recount());
}

TEST(JobLife, ReplicasThatImportTheBlocksEndWithTheSameState) {
  World world;
  world.add_organisations();
  const JobId job = world.start_job(alpha, three);
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(job, window);
  world.vote_all_good(job);
  world.empty_blocks(120);  // over two epochs, past the job's retention
  const Chain replica = world.replica();
  EXPECT_EQ(encode_header(replica.head()), encode_header(decode_block(world.blocks().back())->header));
  EXPECT_EQ(replica.state().accounts().all(), world.state().accounts().all());
  EXPECT_EQ(world.state().job(job), nullptr);
}

}  // namespace
}  // namespace ufab::test
