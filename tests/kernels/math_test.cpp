// The elementary functions against binary64, in units in the last place, over every 61st binary32 value.
#include "kernels/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace ufab::kernels {
namespace {

// Distance of `value` from the exact result, in units of the last place of the exact result's binade.
double ulp_error(float value, double exact) {
  if (std::isinf(value) && std::fabs(exact) > 0x1.ffffffp127) return 0;
  int exponent = 0;
  std::frexp(exact, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::fabs(static_cast<double>(value) - exact) / unit;
}

template <class Approximate, class Exact>
double largest_error(Approximate approximate, Exact exact, float low, float high, float* at) {
  double largest = 0;
  for (std::uint64_t bits = 0; bits <= 0xFFFFFFFFU; bits += 61) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!(x >= low && x <= high)) continue;
    const double error = ulp_error(approximate(x), exact(static_cast<double>(x)));
    if (error > largest) {
      largest = error;
      *at = x;
    }
  }
  return largest;
}

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
float my_exp(float x) {
  return exp(Lane{x}).v;
}
float my_log(float x) {
  return log(Lane{x}).v;
}
float my_tanh(float x) {
  return tanh(Lane{x}).v;
}

TEST(Math, ExpIsWithinOnePointOneUlp) {
  float at = 0;
  const double error = largest_error(
      my_exp, [](double x) { return std::exp(x); }, -kMax, kMax, &at);
  RecordProperty("ulp", std::to_string(error));
  EXPECT_LE(error, 1.1) << "at " << at;
}
TEST(Math, LogIsWithinPointNineUlp) {
  float at = 0;
  const double error = largest_error(
      my_log, [](double x) { return std::log(x); }, std::numeric_limits<float>::denorm_min(), kMax, &at);
  RecordProperty("ulp", std::to_string(error));
  EXPECT_LE(error, 0.9) << "at " << at;
}
TEST(Math, TanhIsWithinOnePointFourUlp) {
  float at = 0;
  const double error = largest_error(
      my_tanh, [](double x) { return std::tanh(x); }, -kMax, kMax, &at);
  RecordProperty("ulp", std::to_string(error));
  EXPECT_LE(error, 1.4) << "at " << at;
}

TEST(Math, SpecialValuesFollowTheStandard) {
  EXPECT_EQ(my_exp(0.0F), 1.0F);
  EXPECT_EQ(my_exp(-kInfinity), 0.0F);
  EXPECT_EQ(my_exp(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(my_exp(NAN)));
  EXPECT_EQ(my_log(1.0F), 0.0F);
  EXPECT_EQ(my_log(0.0F), -kInfinity);
  EXPECT_EQ(my_log(-0.0F), -kInfinity);
  EXPECT_EQ(my_log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(my_log(-1.0F)));
  EXPECT_TRUE(std::isnan(my_log(NAN)));
  EXPECT_EQ(my_tanh(kInfinity), 1.0F);
  EXPECT_EQ(my_tanh(-kInfinity), -1.0F);
  EXPECT_TRUE(std::signbit(my_tanh(-0.0F)));
  EXPECT_TRUE(std::isnan(my_tanh(NAN)));
}

// GELU is compared absolutely: its far negative tail is a difference of nearly equal numbers by definition.
TEST(Math, GeluAndItsDerivativeAreWithinAFewRoundings) {
  const double k0 = std::sqrt(2 / std::acos(-1.0)), k1 = 0.044715 * k0;
  for (int i = -120000; i <= 120000; ++i) {
    const double x = i * 1e-4;
    const float input = static_cast<float>(x);
    const double exact_input = static_cast<double>(input);
    const double t = std::tanh(exact_input * (k0 + k1 * exact_input * exact_input));
    const double value = 0.5 * exact_input * (1 + t);
    const double slope =
        0.5 * (1 + t) + 0.5 * exact_input * (1 - t * t) * (k0 + 3 * k1 * exact_input * exact_input);
    ASSERT_NEAR(gelu(Lane{input}).v, value, 3e-7 * (1 + std::fabs(x))) << x;
    ASSERT_NEAR(gelu_gradient(Lane{input}).v, slope, 2e-6) << x;
  }
}

TEST(Math, CosineAndSineOfTurnsAreWithinTwoTenMillionths) {
  for (std::uint32_t i = 0; i < (1U << 24); i += 7) {
    const float turns = static_cast<float>(i) * 0x1p-24F;
    float cosine = 0, sine = 0;
    cos_sin_turns(turns, cosine, sine);
    const double angle = 2 * std::acos(-1.0) * static_cast<double>(turns);
    ASSERT_NEAR(cosine, std::cos(angle), 2e-7) << turns;
    ASSERT_NEAR(sine, std::sin(angle), 2e-7) << turns;
  }
}

}  // namespace
}  // namespace ufab::kernels
