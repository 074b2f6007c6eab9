// Integer gradient sums: order-free, exact up to the limit, and the same in every backend.
#include "kernels/gradient.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;

std::vector<std::unique_ptr<Backend>> all_backends() {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(make_backend(BackendKind::reference, 1));
  for (const test::Variant& variant : test::operator_variants()) {
    backends.push_back(make_backend(variant.kind, variant.threads));
  }
  return backends;
}

RC_GTEST_PROP(Gradient, SumsDoNotDependOnTheOrderOfContributions, (std::uint64_t seed)) {
  constexpr std::size_t kContributions = 8, kSize = 37;
  const auto backend = make_backend(BackendKind::cpu, 1);
  Random random(seed);
  std::vector<std::pmr::vector<float>> gradients;
  for (std::size_t i = 0; i < kContributions; ++i) gradients.push_back(random.floats(kSize, 1e-2F));
  std::vector<std::size_t> order(kContributions);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto sum_in = [&](const std::vector<std::size_t>& indices) {
    std::pmr::vector<std::int32_t> sums(kSize);
    for (const std::size_t i : indices) {
      const auto result = quantize_add(*backend, gradients[i], 33, 0, sums);
      RC_ASSERT(result.peak < kPeakLimit / kContributions && !result.non_finite);
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
  const auto right = sum_in({shuffled.begin() + static_cast<std::ptrdiff_t>(cut), shuffled.end()});
  std::transform(left.begin(), left.end(), right.begin(), left.begin(), std::plus<>());
  RC_ASSERT(left == straight);
}

TEST(Gradient, EveryBackendGivesTheSameSumsFlagPeakAndFingerprint) {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{1003}, std::size_t{50000}}) {
    for (const bool difficult : {false, true}) {
      for (const int exponent : {kExponentMin, -20, 0, 24, 29, 30, 31, kExponentMax}) {
        Random random(count);
        std::pmr::vector<float> gradient = random.floats(count);
        if (difficult) test::make_difficult(gradient, random);
        std::pmr::vector<std::int32_t> expected_sums;
        QuantizeResult expected;
        for (const auto& backend : all_backends()) {
          std::pmr::vector<std::int32_t> sums(count, 5);
          const auto result = quantize_add(*backend, gradient, exponent, 12345, sums);
          if (backend->kind() == BackendKind::reference) {
            expected_sums = sums;
            expected = result;
          }
          ASSERT_EQ(sums, expected_sums) << backend_name(backend->kind()) << " exponent " << exponent;
          ASSERT_EQ(result.non_finite, expected.non_finite);
          ASSERT_EQ(result.peak, expected.peak);
          ASSERT_EQ(result.fingerprint, expected.fingerprint);
          std::pmr::vector<std::int32_t> fresh(count, 77);
          const auto again = quantize_add(*backend, gradient, exponent, 12345, fresh, true);
          for (std::int32_t& sum : sums) sum -= 5;
          ASSERT_EQ(fresh, sums) << backend_name(backend->kind()) << " exponent " << exponent;
          ASSERT_EQ(again.fingerprint, expected.fingerprint);
        }
      }
    }
  }
}

TEST(Gradient, RoundsToNearestTiesToEven) {
  const std::pmr::vector<float> gradient = {0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 0.75F, -0.25F, 8388609.0F};
  for (const auto& backend : all_backends()) {
    std::pmr::vector<std::int32_t> sums(gradient.size());
    EXPECT_EQ(quantize_add(*backend, gradient, 0, 0, sums).peak, 8388609U);
    EXPECT_EQ(sums, (std::pmr::vector<std::int32_t>{0, 2, 2, 0, -2, 1, 0, 8388609}));
  }
}

TEST(Gradient, AnElementIsAddedExactlyBelowTwoToTheThirty) {
  for (const auto& backend : all_backends()) {
    for (const float sign : {1.0F, -1.0F}) {
      const auto add = [&](float value) {
        std::pmr::vector<std::int32_t> sums(20, 7);
        std::pmr::vector<float> gradient(20);
        gradient[3] = 0x1p-9F;
        gradient[17] = sign * value * 0x1p-10F;
        const auto result = quantize_add(*backend, gradient, 10, 0, sums);
        EXPECT_FALSE(result.non_finite);
        EXPECT_EQ(sums[3], 9);  // what surrounds it is added
        EXPECT_EQ(sums[17], result.peak == kPeakLimit ? 7 : 7 + static_cast<int>(sign * value));
        return result.peak;
      };
      EXPECT_EQ(add(0x1p30F), kPeakLimit);
      EXPECT_EQ(add(std::numeric_limits<float>::max()), kPeakLimit);
      EXPECT_EQ(add(0x1p30F - 64), (std::uint64_t{1} << 30) - 64);
      EXPECT_EQ(add(1), 2U);
    }
  }
}

TEST(Gradient, NonFiniteValuesAreFlaggedAndNotAdded) {
  for (const auto& backend : all_backends()) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      std::pmr::vector<float> gradient(19, 1.0F);
      gradient[18] = bad;
      std::pmr::vector<std::int32_t> sums(19, 100);
      const auto result = quantize_add(*backend, gradient, 4, 0, sums);
      EXPECT_TRUE(result.non_finite);
      EXPECT_EQ(result.peak, kPeakLimit);
      EXPECT_EQ(sums[17], 116);
      EXPECT_EQ(sums[18], 100);
    }
  }
}

RC_GTEST_PROP(Gradient, NoPartialSumWrapsWhileThePeaksAddUpBelowTheLimit, (std::uint64_t seed)) {
  const auto backend = make_backend(BackendKind::cpu, 1);
  Random random(seed);
  constexpr std::size_t kSize = 21;
  std::pmr::vector<std::int32_t> sums(kSize);
  std::vector<std::int64_t> wide(kSize);
  std::uint64_t peak = 0;
  for (int contribution = 0; contribution < 12; ++contribution) {
    std::pmr::vector<float> gradient = random.floats(kSize, 0x1p20F);
    if (random.below(2) == 0) std::fill(gradient.begin(), gradient.end(), 0x1p19F);  // all one way
    std::pmr::vector<std::int32_t> alone(kSize);
    peak += quantize_add(*backend, gradient, 9, 0, alone).peak;
    (void)quantize_add(*backend, gradient, 9, 0, sums);
    for (std::size_t i = 0; i < kSize; ++i) wide[i] += alone[i];
    if (peak >= kPeakLimit) break;
    for (std::size_t i = 0; i < kSize; ++i) RC_ASSERT(wide[i] == sums[i]);
  }
}

TEST(Gradient, TheNextExponentGivesTheSamePeakTheBitsAimedAt) {
  for (const std::uint64_t peak : {1ULL, 2ULL, 1000ULL, (1ULL << 26) - 1, 1ULL << 26, (1ULL << 31) - 1}) {
    const int change = next_exponent(10, peak) - 10;
    const double scaled = std::ldexp(static_cast<double>(peak), change);
    EXPECT_LT(scaled, std::ldexp(1.0, kPeakBits));
    EXPECT_GE(scaled, std::ldexp(1.0, kPeakBits - 1));
  }
  EXPECT_EQ(next_exponent(-7, 0), -7);
  EXPECT_EQ(next_exponent(kExponentMax, 1), kExponentMax);
  EXPECT_EQ(next_exponent(kExponentMin, kPeakLimit - 1), kExponentMin);
}

TEST(Gradient, AStepIsDoneAgainAfterAnOverflowAndTheFirstOneUntilItsScaleFits) {
  std::vector<int> exponents = {5, 5, 5, kExponentMin};
  const std::vector<std::uint64_t> fine = {1000, 0, kPeakLimit - 1, 1};
  EXPECT_FALSE(adjust_exponents(2, fine, exponents));
  EXPECT_EQ(exponents, (std::vector<int>{5, 5, 5, kExponentMin}));
  const std::vector<std::uint64_t> overflow = {1000, 0, kPeakLimit, kPeakLimit};
  EXPECT_TRUE(adjust_exponents(2, overflow, exponents));
  EXPECT_EQ(exponents, (std::vector<int>{5, 5, 5 - kOverflowStep, kExponentMin}));

  exponents = {5, 5, 5, kExponentMax};
  const std::vector<std::uint64_t> first = {1000, 0, std::uint64_t{1} << (kPeakBits - 2), 1};
  EXPECT_TRUE(adjust_exponents(1, first, exponents));
  EXPECT_EQ(exponents, (std::vector<int>{5 + kPeakBits - 10, 5, 5, kExponentMax}));
  const std::vector<std::uint64_t> again = {(std::uint64_t{1} << kPeakBits) - 9, 0, 1 << (kPeakBits - 2), 1};
  EXPECT_FALSE(adjust_exponents(1, again, exponents));
}

TEST(Gradient, FingerprintsOfPartsAddUpAndTellPositionsApart) {
  const auto backend = make_backend(BackendKind::cpu, 1);
  Random random(4);
  std::pmr::vector<float> gradient = random.floats(100);
  const auto fingerprint = [&](std::span<const float> part, std::uint64_t first) {
    std::pmr::vector<std::int32_t> sums(part.size());
    return quantize_add(*backend, part, 27, first, sums).fingerprint;
  };
  const std::span<const float> whole(gradient);
  const std::uint64_t expected = fingerprint(whole, 50);
  EXPECT_EQ(fingerprint(whole.first(37), 50) + fingerprint(whole.subspan(37), 87), expected);
  std::swap(gradient[3], gradient[4]);
  EXPECT_NE(fingerprint(whole, 50), expected);
}

}  // namespace
}  // namespace ufab::kernels
