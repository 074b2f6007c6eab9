// Matrix products in integer formats: the same bits everywhere, as near to the real product as the format
// allows.
#include "kernels/integer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;
using test::volume;

struct Product {
  int rows, depth, columns;
  MatmulFormat format;
  std::vector<float> in, weight, bias;

  Product(int rows_, int depth_, int columns_, MatmulFormat format_, std::uint64_t seed)
      : rows(rows_), depth(depth_), columns(columns_), format(format_) {
    Random random(seed);
    in = random.floats(volume({rows, depth}), 3.0F);
    weight = random.floats(volume({columns, depth}), 0.02F);
    bias = random.floats(volume({columns}));
    // Rows of very different sizes, as activations are.
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::ldexp(in[i], random.below(12) - 8);
  }
  [[nodiscard]] std::vector<float> on(Backend& backend) const {
    std::vector<float> out(volume({rows, columns}));
    backend.matmul_forward(out.data(), in.data(), weight.data(), bias.data(), rows, depth, columns, format);
    return out;
  }
};

void expect_reference_bits(const Product& product) {
  const auto reference = make_backend(BackendKind::reference, 1);
  const std::vector<float> expected = product.on(*reference);
  for (const test::Variant& variant : test::optimised_variants()) {
    const auto backend = make_backend(variant.kind, variant.threads);
    ASSERT_EQ(test::first_difference(expected, product.on(*backend)), -1)
        << format_name(product.format) << " on " << test::variant_name(variant);
  }
}

MatmulFormat any_format() {
  return *rc::gen::element(MatmulFormat::int12, MatmulFormat::int8);
}
int any_extent(int most) {
  return *rc::gen::inRange(1, most + 1);
}

RC_GTEST_PROP(Integer, EveryBackendGivesTheReferencesBitsAtAnyShape, (std::uint64_t seed)) {
  const Product product(any_extent(70), any_extent(300), any_extent(120), any_format(), seed);
  expect_reference_bits(product);
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

TEST(Integer, OperandsLargerThanWhatIsPackedAtOnceGiveTheSameBits) {
  for (const MatmulFormat format : {MatmulFormat::int12, MatmulFormat::int8}) {
    expect_reference_bits({5000, 800, 20, format, 1});
    expect_reference_bits({20, 800, 9500, format, 2});
  }
}

// What quantisation can change of a product: half a unit of either operand, a whole one where it was clamped.
double error_bound(const Product& p, int row, int column) {
  const int bits = p.format == MatmulFormat::int8 ? 8 : 12;
  double bound = 0;
  for (int k0 = 0; k0 < p.depth; k0 += kIntegerBlock) {
    double largest_a = 0, largest_b = 0;
    const auto a = [&](int k) {
      return std::fabs(double{p.in[static_cast<std::size_t>(row * p.depth + k)]});
    };
    const auto b = [&](int k) {
      return std::fabs(double{p.weight[static_cast<std::size_t>(column * p.depth + k)]});
    };
    const int end = std::min(p.depth, k0 + kIntegerBlock);
    for (int k = k0; k < end; ++k) {
      largest_a = std::max(largest_a, a(k));
      largest_b = std::max(largest_b, b(k));
    }
    const double unit_a = std::ldexp(1.0, std::ilogb(largest_a) + 2 - bits),
                 unit_b = std::ldexp(1.0, std::ilogb(largest_b) + 2 - bits);
    for (int k = k0; k < end; ++k) bound += a(k) * unit_b + b(k) * unit_a + unit_a * unit_b;
  }
  return bound;
}

RC_GTEST_PROP(Integer, AProductIsWithinWhatTheFormatAllows, (std::uint64_t seed)) {
  const Product p(any_extent(9), any_extent(400), any_extent(20), any_format(), seed);
  const auto backend = make_backend(BackendKind::cpu, 1);
  const std::vector<float> got = p.on(*backend);
  for (int i = 0; i < p.rows; ++i) {
    for (int j = 0; j < p.columns; ++j) {
      double exact = double{p.bias[static_cast<std::size_t>(j)]};
      for (int k = 0; k < p.depth; ++k) {
        exact += double{p.in[static_cast<std::size_t>(i * p.depth + k)]} *
                 double{p.weight[static_cast<std::size_t>(j * p.depth + k)]};
      }
      const double value = double{got[static_cast<std::size_t>(i * p.columns + j)]};
      const double rounding = 1e-5 * (1 + std::fabs(exact));
      RC_ASSERT(std::fabs(value - exact) <= error_bound(p, i, j) + rounding);
    }
  }
}

TEST(Integer, IntegersThatFitAreMultipliedExactly) {
  // Every operand is a multiple of its scale, so nothing is rounded: 8 bits hold -127 .. 127.
  constexpr int kRows = 5, kDepth = 200, kColumns = 37;
  Random random(9);
  std::vector<float> in(volume({kRows, kDepth})), weight(volume({kColumns, kDepth}));
  for (float& x : in) x = static_cast<float>(random.below(255) - 127);
  for (float& x : weight) x = static_cast<float>(random.below(255) - 127) * 0x1p-20F;
  for (const MatmulFormat format : {MatmulFormat::int12, MatmulFormat::int8}) {
    const auto backend = make_backend(BackendKind::cpu, 2);
    std::vector<float> out(volume({kRows, kColumns}));
    backend->matmul_forward(out.data(), in.data(), weight.data(), nullptr, kRows, kDepth, kColumns, format);
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kColumns; ++j) {
        double exact = 0;
        for (int k = 0; k < kDepth; ++k) {
          exact += double{in[static_cast<std::size_t>(i * kDepth + k)]} *
                   double{weight[static_cast<std::size_t>(j * kDepth + k)]};
        }
        ASSERT_EQ(double{out[static_cast<std::size_t>(i * kColumns + j)]}, exact) << format_name(format);
      }
    }
  }
}

TEST(Integer, AnInfinityOrNaNMakesItsRowNaNAndATinyBlockBecomesZero) {
  for (const auto kind : {BackendKind::reference, BackendKind::cpu}) {
    const auto backend = make_backend(kind, 1);
    std::vector<float> in(3 * 130, 1.0F), weight(2 * 130, 1.0F), out(6);
    in[7] = std::numeric_limits<float>::infinity();
    std::fill(in.begin() + 130, in.begin() + 258, 0x1p-101F);  // row 1: its first block
    backend->matmul_forward(out.data(), in.data(), weight.data(), nullptr, 3, 130, 2, MatmulFormat::int12);
    EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1]));
    EXPECT_EQ(out[2], 2.0F);
    EXPECT_EQ(out[4], 130.0F);
  }
}

}  // namespace
}  // namespace ufab::kernels
