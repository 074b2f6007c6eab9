#include "kernels/rope_table.h"

#include <bit>
#include <cstdint>

#include "kernels/assert.h"

namespace ufab::kernels {
namespace {

constexpr double kLog2 = 0x1.62e42fefa39efp-1, kTwoPi = 0x1.921fb54442d18p+2;

double power_of_two(std::int64_t exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

// Natural logarithm of a normal x >= 1: 2 atanh((m - 1) / (m + 1)) of m in [1/2, 1], as a series, and the
// exponent's part.
double logarithm(double x) {
  const std::int64_t exponent = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(x) >> 52) - 1022;
  const double m = x * power_of_two(-exponent);
  const double s = (m - 1) / (m + 1), square = s * s;  // square <= 1/9
  double sum = 0;
  for (int k = 41; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * s * sum + static_cast<double>(exponent) * kLog2;
}

// e^-x for 0 <= x <= 30: Taylor's series on the remainder after powers of two.
double exponential_of_minus(double x) {
  const auto n = static_cast<std::int64_t>(x / kLog2 + 0.5);
  const double r = static_cast<double>(n) * kLog2 - x;  // |r| <= log(2) / 2
  double sum = 1;
  for (int k = 20; k >= 1; --k) sum = 1 + sum * r / k;
  return sum * power_of_two(-n);
}

// Cosine and sine of x radians, 0 <= x <= 2^16: Taylor's series on the remainder after quarter turns.
void cos_sin(double x, double& cosine, double& sine) {
  const double turns = x / kTwoPi;
  const auto quarter = static_cast<std::int64_t>(4 * turns + 0.5);
  const double r = (turns - static_cast<double>(quarter) * 0.25) * kTwoPi, square = r * r;  // |r| <= pi / 4
  double c = 1, s = 1;
  for (int k = 20; k >= 2; k -= 2) {
    c = 1 - c * square / (k * (k - 1));
    s = 1 - s * square / (k * (k + 1));
  }
  s = s * r;
  switch (quarter & 3) {
    case 0: cosine = c, sine = s; break;
    case 1: cosine = -s, sine = c; break;
    case 2: cosine = -c, sine = -s; break;
    default: cosine = s, sine = -c; break;
  }
}

}  // namespace

RopeTable rope_table(int seq, int head_width, double theta) {
  UFAB_KERNELS_ASSERT(seq >= 1 && seq <= kMaxRopeSeq && head_width >= 2 && head_width % 2 == 0);
  UFAB_KERNELS_ASSERT(theta >= 1 && theta <= 1e9);
  const int half = head_width / 2;
  const double log_theta = logarithm(theta);
  std::vector<double> frequency;
  for (int j = 0; j < half; ++j) {
    frequency.push_back(exponential_of_minus(static_cast<double>(2 * j) / head_width * log_theta));
  }
  RopeTable table;
  const std::size_t count = static_cast<std::size_t>(seq) * static_cast<std::size_t>(half);
  table.cosine.reserve(count);
  table.sine.reserve(count);
  for (int position = 0; position < seq; ++position) {
    for (const double f : frequency) {
      double cosine, sine;
      cos_sin(position * f, cosine, sine);
      table.cosine.push_back(static_cast<float>(cosine));
      table.sine.push_back(static_cast<float>(sine));
    }
  }
  return table;
}

}  // namespace ufab::kernels
