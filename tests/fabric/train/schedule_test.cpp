#include "fabric/train/schedule.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <numeric>

#include "fabric/train/gang.h"

namespace ufab {
namespace {

JobDefinition example() {
  return *parse_definition(
      "[model]\nlayers = 1\nheads = 1\nwidth = 8\ncontext = 16\n"
      "[train]\nsteps = 1000\nwarmup_steps = 100\nlearning_rate = 1e-3\n"
      "min_learning_rate = 1e-4\nmicro_batch = 3\neval_batches = 5\n",
      "job.toml");
}

TEST(ScheduleTest, OwnCosineIsWithin1em15OfTheLibrarys) {
  for (int i = 0; i <= 100'000; ++i) {
    const double x = i / 100'000.0;
    EXPECT_NEAR(cosine_pi(x), std::cos(3.14159265358979323846 * x), 1e-15) << x;
  }
}

TEST(ScheduleTest, LearningRateRisesToItsTopAndFallsToItsMinimum) {
  const JobDefinition d = example();
  EXPECT_FLOAT_EQ(learning_rate_at(d, 1), static_cast<float>(1e-3 / 101));
  EXPECT_FLOAT_EQ(learning_rate_at(d, 100), static_cast<float>(1e-3 * 100 / 101));
  EXPECT_FLOAT_EQ(learning_rate_at(d, 101), 1e-3F);
  EXPECT_FLOAT_EQ(learning_rate_at(d, 1000), 1e-4F);
  for (std::uint64_t step = 102; step <= 1000; ++step) {
    EXPECT_LE(learning_rate_at(d, step), learning_rate_at(d, step - 1)) << step;
  }
  EXPECT_NEAR(learning_rate_at(d, 551), (1e-3 + 1e-4) / 2, 2e-6);
}

TEST(ScheduleTest, LearningRatesHaveTheRecordedBits) {
  const JobDefinition d = example();
  EXPECT_EQ(std::bit_cast<std::uint32_t>(learning_rate_at(d, 300)), 980074577U);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(learning_rate_at(d, 777)), 963708699U);
}

TEST(ScheduleTest, SamplesStayInsideTheTrainPartAndEvaluationsInsideTheirs) {
  EXPECT_TRUE(rc::check("sequences lie inside their part", [] {
    JobDefinition d = example();
    d.eval_fraction = *rc::gen::element(0.0, 0.1, 0.5);
    const auto tokens = *rc::gen::inRange<std::uint64_t>(200, 1'000'000);
    const auto split = split_corpus(d, tokens);
    RC_ASSERT(split.ok());
    RC_ASSERT(split->train_tokens + split->eval_tokens == tokens);
    const auto step = *rc::gen::inRange<std::uint64_t>(1, 1000);
    const auto batch = *rc::gen::inRange<std::uint64_t>(0, 5);
    const auto sequence = *rc::gen::inRange<std::uint64_t>(0, 3);
    RC_ASSERT(sample_start(d, *split, step, batch, sequence) + 17 <= split->train_tokens);
    const std::uint64_t at = eval_start(d, *split, batch, sequence);
    RC_ASSERT(at + 17 <= tokens);
    RC_ASSERT(split->eval_tokens == 0 || at >= split->train_tokens);
  }));
}

TEST(ScheduleTest, SamplesDependOnEachOfSeedStepAndSampleAndCoverTheRange) {
  JobDefinition d = example();
  const Split split = *split_corpus(d, 100'000);
  const std::uint64_t one = sample_start(d, split, 5, 2, 1);
  EXPECT_NE(sample_start(d, split, 6, 2, 1), one);
  EXPECT_NE(sample_start(d, split, 5, 3, 1), one);
  EXPECT_NE(sample_start(d, split, 5, 2, 0), one);
  d.seed = 2;
  EXPECT_NE(sample_start(d, split, 5, 2, 1), one);
  std::vector<int> quarters(4);
  for (std::uint64_t step = 1; step <= 4000; ++step) {
    ++quarters[sample_start(d, split, step, 0, 0) * 4 / split.train_tokens];
  }
  for (const int count : quarters) EXPECT_NEAR(count, 1000, 150);
}

TEST(ScheduleTest, ACorpusTooShortForOneSequenceIsRefused) {
  const JobDefinition d = example();
  EXPECT_FALSE(split_corpus(d, 17).ok());   // nothing left to evaluate
  EXPECT_FALSE(split_corpus(d, 169).ok());  // 16 tokens to evaluate
  EXPECT_TRUE(split_corpus(d, 170).ok());
}

TEST(DivideTest, SharesSumToTheTotalAndStayWithinOneOfTheirProportion) {
  EXPECT_TRUE(rc::check("largest remainder", [] {
    const auto total = *rc::gen::inRange<std::uint32_t>(0, 65536);
    const auto weights = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(1, 1'000'000)));
    const auto shares = divide_by_weight(total, weights);
    const auto sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
    RC_ASSERT(std::accumulate(shares.begin(), shares.end(), std::uint32_t{0}) == total);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const double exact =
          static_cast<double>(total) * static_cast<double>(weights[i]) / static_cast<double>(sum);
      RC_ASSERT(std::fabs(shares[i] - exact) < 1.0);
    }
  }));
  EXPECT_EQ(divide_by_weight(8, {1, 5, 2}), (std::vector<std::uint32_t>{1, 5, 2}));
  EXPECT_EQ(divide_by_weight(8, {1, 1, 1}), (std::vector<std::uint32_t>{3, 3, 2}));
}

}  // namespace
}  // namespace ufab
