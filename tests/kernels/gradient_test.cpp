// Integer gradient sums: order-free, exact at the bound, and the same in every backend.
#include "kernels/gradient.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;

std::vector<std::unique_ptr<Backend>> all_backends() {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(make_backend(BackendKind::reference, 1));
  for (const test::Variant& variant : test::optimised_variants()) {
    backends.push_back(make_backend(variant.kind, variant.threads));
  }
  return backends;
}

RC_GTEST_PROP(Gradient, SumsDoNotDependOnTheOrderOfContributions, (std::uint64_t seed)) {
  constexpr std::size_t kContributions = 8, kSize = 37;
  const auto backend = make_backend(BackendKind::automatic, 1);
  Random random(seed);
  std::vector<std::vector<float>> gradients;
  for (std::size_t i = 0; i < kContributions; ++i) gradients.push_back(random.floats(kSize, 1e-2F));
  std::vector<std::size_t> order(kContributions);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto sum_in = [&](const std::vector<std::size_t>& indices) {
    std::vector<std::int64_t> sums(kSize);
    for (const std::size_t i : indices) {
      const auto result = quantize_add(*backend, gradients[i], 40, quantize_bound(kContributions), 0, sums);
      RC_ASSERT(!result.overflow && !result.non_finite);
    }
    return sums;
  };
  const auto straight = sum_in(order);
  const auto shuffled = *rc::gen::map(
      rc::gen::container<std::vector<std::uint32_t>>(kContributions, rc::gen::arbitrary<std::uint32_t>()),
      [&](const std::vector<std::uint32_t>& keys) {
        auto permuted = order;
        std::stable_sort(permuted.begin(), permuted.end(),
                         [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
        return permuted;
      });
  RC_ASSERT(sum_in(shuffled) == straight);

  // Any cut into two partial sums, added later, gives the same.
  const std::size_t cut = *rc::gen::inRange(std::size_t{0}, kContributions + 1);
  auto left = sum_in({shuffled.begin(), shuffled.begin() + static_cast<std::ptrdiff_t>(cut)});
  add_sums(*backend, sum_in({shuffled.begin() + static_cast<std::ptrdiff_t>(cut), shuffled.end()}), left);
  RC_ASSERT(left == straight);
}

TEST(Gradient, EveryBackendGivesTheSameSumsFlagsMaximumAndFingerprint) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{1003}, std::size_t{50000}}) {
    for (const bool difficult : {false, true}) {
      for (const int exponent : {-20, 0, 31, 62, 150}) {
        Random random(count);
        std::vector<float> gradient = random.floats(count);
        if (difficult) test::make_difficult(gradient, random);
        std::vector<std::int64_t> expected_sums;
        QuantizeResult expected;
        for (const auto& backend : all_backends()) {
          std::vector<std::int64_t> sums(count, 5);
          const auto result = quantize_add(*backend, gradient, exponent, std::uint64_t{1} << 60, 12345, sums);
          if (backend->kind() == BackendKind::reference) {
            expected_sums = sums;
            expected = result;
          }
          ASSERT_EQ(sums, expected_sums) << backend_name(backend->kind()) << " exponent " << exponent;
          ASSERT_EQ(result.overflow, expected.overflow);
          ASSERT_EQ(result.non_finite, expected.non_finite);
          ASSERT_EQ(result.max_abs, expected.max_abs);
          ASSERT_EQ(result.fingerprint, expected.fingerprint);
        }
      }
    }
  }
}

TEST(Gradient, RoundsToNearestTiesToEven) {
  const std::vector<float> gradient = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 0.75F, -0.25F, 8388609.0F};
  for (const auto& backend : all_backends()) {
    std::vector<std::int64_t> sums(gradient.size());
    (void)quantize_add(*backend, gradient, 0, std::uint64_t{1} << 62, 0, sums);
    EXPECT_EQ(sums, (std::vector<std::int64_t>{0, 2, 2, 0, -2, 1, 0, 8388609}));
  }
}

TEST(Gradient, OverflowIsFlaggedExactlyFromTheBoundOn) {
  for (const auto& backend : all_backends()) {
    for (const std::uint64_t bound : {std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{1} << 40}) {
      for (const int sign : {1, -1}) {
        const auto add = [&](std::uint64_t magnitude) {
          std::vector<std::int64_t> sums(20);
          std::vector<float> gradient(20);
          gradient[17] = static_cast<float>(sign) * static_cast<float>(magnitude) * 0x1p-10F;
          const auto result = quantize_add(*backend, gradient, 10, bound, 0, sums);
          EXPECT_EQ(sums[17], result.overflow ? 0 : sign * static_cast<std::int64_t>(magnitude));
          EXPECT_FALSE(result.non_finite);
          if (!result.overflow) {
            EXPECT_EQ(result.max_abs, magnitude);
          } else {
            EXPECT_GE(result.max_abs, bound);
          }
          return result.overflow;
        };
        EXPECT_TRUE(add(bound));
        if (bound - 1 < (std::uint64_t{1} << 24)) {
          EXPECT_FALSE(add(bound - 1));
        }
        EXPECT_FALSE(add(bound / 2));
      }
    }
  }
}

TEST(Gradient, NonFiniteValuesAreFlaggedAndNotAdded) {
  for (const auto& backend : all_backends()) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> gradient(19, 1.0F);
      gradient[18] = bad;
      std::vector<std::int64_t> sums(19, 100);
      const auto result = quantize_add(*backend, gradient, 4, 1 << 20, 0, sums);
      EXPECT_TRUE(result.non_finite);
      EXPECT_FALSE(result.overflow);
      EXPECT_EQ(sums[17], 116);
      EXPECT_EQ(sums[18], 100);
    }
  }
}

TEST(Gradient, TheBoundTimesTheContributionsNeverExceedsTwoToTheSixtyTwo) {
  for (const std::uint64_t n : {1ULL, 2ULL, 3ULL, 7ULL, 8ULL, 9ULL, 1000ULL, 1ULL << 32}) {
    const std::uint64_t bound = quantize_bound(n);
    EXPECT_LE(bound * n, std::uint64_t{1} << 62);
    EXPECT_GT(bound * n, std::uint64_t{1} << 61);
  }
}

TEST(Gradient, FingerprintsOfPartsAddUpAndTellPositionsApart) {
  const auto backend = make_backend(BackendKind::automatic, 1);
  Random random(4);
  std::vector<float> gradient = random.floats(100);
  const auto fingerprint = [&](std::span<const float> part, std::uint64_t first) {
    std::vector<std::int64_t> sums(part.size());
    return quantize_add(*backend, part, 30, std::uint64_t{1} << 62, first, sums).fingerprint;
  };
  const std::span<const float> whole(gradient);
  const std::uint64_t expected = fingerprint(whole, 50);
  EXPECT_EQ(fingerprint(whole.first(37), 50) + fingerprint(whole.subspan(37), 87), expected);
  std::swap(gradient[3], gradient[4]);
  EXPECT_NE(fingerprint(whole, 50), expected);
}

}  // namespace
}  // namespace ufab::kernels
