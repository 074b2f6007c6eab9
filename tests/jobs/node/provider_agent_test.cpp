#include "jobs/node/provider_agent.h"

#include <gtest/gtest.h>

namespace ufab::jobs {
namespace {

TEST(UsageReceipt, IsWhatWasMeasured) {
  RunStatus status;
  status.start_us = 1'000'000;
  status.end_us = 3'000'000;
  status.cpu_us = 1'500'000;
  status.max_rss_kib = 10;
  status.exit_code = 7;
  status.result = RunResult::failed;
  const UsageReceipt usage = usage_receipt(4, 2, status, 1);
  EXPECT_EQ(usage.job, 4U);
  EXPECT_EQ(usage.attempt, 2U);
  EXPECT_EQ(usage.cpu_us, 1'500'000U);
  EXPECT_EQ(usage.wall_us, 2'000'000U);
  EXPECT_EQ(usage.memory_peak_bytes, 10240U);
  EXPECT_EQ(usage.exit_code, 7U);
}

TEST(UsageReceipt, ChargesNoMoreThanTheLeasedProcessorsCanSpend) {
  RunStatus status;
  status.result = RunResult::completed;
  status.start_us = 1'000'000;
  status.end_us = 3'000'000;
  status.cpu_us = 7'900'000;  // make -j4 in a script that asked for one processor
  EXPECT_EQ(usage_receipt(4, 1, status, 1).cpu_us, 2'000'000U);
  EXPECT_EQ(usage_receipt(4, 1, status, 4).cpu_us, 7'900'000U);
  status.end_us = 900'000;  // the clock was set back
  EXPECT_EQ(usage_receipt(4, 1, status, 1).cpu_us, 0U);
}

TEST(UsageReceipt, ALimitIsNoSuccessWhateverTheScriptSays) {
  RunStatus status;
  status.result = RunResult::timeout;  // and exit code 0: it caught TERM
  EXPECT_EQ(usage_receipt(4, 1, status, 1).signal, 15U);
  status.result = RunResult::completed;
  EXPECT_EQ(usage_receipt(4, 1, status, 1).signal, 0U);
}

TEST(PaidSeconds, AreWhatTheEscrowCoversWithItsFee) {
  // 0.05 UNC an hour on two processors, 1 % fee: 0.101 UNC pay for one hour.
  EXPECT_EQ(paid_seconds(101'000, 10'000, 50'000, 2), 3601U);
  EXPECT_EQ(paid_seconds(1, 10'000, 50'000, 2), 1U);
  EXPECT_EQ(paid_seconds(101'000, 10'000, 0, 2), std::nullopt);
  EXPECT_EQ(paid_seconds(101'000, 10'000, UINT64_MAX, 2), 1U);
}

TEST(CheckOrdered, AScriptThatWantsOtherProcessorsOrMoreMemoryThanItsOrderIsDeclined) {
  JobSpec spec;
  spec.options.tasks = 4;
  spec.options.cpus_per_task = 2;
  spec.options.memory_mib = 1000;
  JobOrder order;
  order.slots = 8;
  order.memory_mib = 1000;
  EXPECT_TRUE(check_ordered(spec, order).ok());
  order.memory_mib = 999;
  EXPECT_EQ(check_ordered(spec, order).error().message,
            "declined: the job's script wants 1000 MiB, its order 999");
  order.slots = 1;
  EXPECT_EQ(check_ordered(spec, order).error().message,
            "declined: the job's script wants 8 processors, its order 1");
  EXPECT_EQ(check_ordered(spec, order).error().code, ErrorCode::limit);
}

TEST(RunLimit, IsTheShorterOfTheScriptsAndTheOrders) {
  JobSpec spec;
  JobOrder order;
  spec.options.time_limit_minutes = 10;
  EXPECT_EQ(run_limit_s(spec, order), 600U);
  order.time_limit_s = 60;
  EXPECT_EQ(run_limit_s(spec, order), 60U) << "others count on what was ordered";
  spec.options.time_limit_minutes.reset();
  EXPECT_EQ(run_limit_s(spec, order), 60U);
  order.time_limit_s = 0;
  EXPECT_EQ(run_limit_s(spec, order), 0U);
}

}  // namespace
}  // namespace ufab::jobs
