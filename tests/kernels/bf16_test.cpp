// Matrix products in bfloat16: the rounding bit for bit, the sums within the error of such sums.
#include "kernels/bf16.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;
using test::volume;
using Floats = std::pmr::vector<float>;

TEST(Bf16, RoundsToTheNearestWithTiesToEvenAndKeepsInfinitiesAndNan) {
  const auto bits = [](std::uint32_t word) { return bf16_bits(std::bit_cast<float>(word)); };
  EXPECT_EQ(bits(0x3F800000U), 0x3F80U);
  EXPECT_EQ(bits(0x3F808000U), 0x3F80U);  // half way, to even
  EXPECT_EQ(bits(0x3F818000U), 0x3F82U);
  EXPECT_EQ(bits(0x3F808001U), 0x3F81U);
  EXPECT_EQ(bits(0x80000000U), 0x8000U);
  EXPECT_EQ(bits(0x00008001U), 0x0001U);  // a subnormal
  EXPECT_EQ(bits(0x7F7FFFFFU), 0x7F80U);  // past the largest
  EXPECT_EQ(bits(0xFF800000U), 0xFF80U);
  EXPECT_EQ(bits(0x7F800001U), 0x7FC0U);
  EXPECT_EQ(bits(0xFFFFFFFFU), 0xFFFFU);
  for (std::uint32_t upper = 0; upper <= 0xFFFFU; ++upper) {
    if ((upper & 0x7F80U) == 0x7F80U && (upper & 0x7FU) != 0) continue;
    ASSERT_EQ(bf16_bits(from_bf16_bits(upper)), upper);
  }
}

// What a backend makes of the three products, each against the sum in binary64 of the rounded operands.
struct Products {
  int rows, depth, columns;
  bool accumulate;
  Floats in, weight, bias, dout;

  void check(Backend& backend, const std::string& name) const {
    Floats out(dout.size()), din(in.size()), dweight(weight);
    backend.matmul_forward(out.data(), in.data(), weight.data(), bias.data(), rows, depth, columns,
                           MatmulFormat::bf16);
    backend.matmul_backward_input(din.data(), dout.data(), weight.data(), rows, depth, columns,
                                  MatmulFormat::bf16);
    backend.matmul_backward_weight(dweight.data(), in.data(), dout.data(), rows, depth, columns, columns,
                                   accumulate, MatmulFormat::bf16);
    compare(out, rows, columns, depth, name + ", forward", [&](int i, int j, int k) {
      return Term{in[at(i, depth, k)], weight[at(j, depth, k)], bias[static_cast<std::size_t>(j)]};
    });
    compare(din, rows, depth, columns, name + ", input gradient", [&](int i, int j, int k) {
      return Term{dout[at(i, columns, k)], weight[at(k, depth, j)], 0};
    });
    compare(dweight, columns, depth, rows, name + ", weight gradient", [&](int i, int j, int k) {
      return Term{dout[at(k, columns, i)], in[at(k, depth, j)], accumulate ? weight[at(i, depth, j)] : 0};
    });
  }

 private:
  struct Term {
    float a, b, start;
  };
  static std::size_t at(int row, int width, int column) {
    return volume({row, width}) + static_cast<std::size_t>(column);
  }
  template <class TermOf>
  static void compare(const Floats& c, int rows, int columns, int depth, const std::string& name,
                      const TermOf& term) {
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        double sum = term(i, j, 0).start, size = std::fabs(sum);
        for (int k = 0; k < depth; ++k) {
          const Term t = term(i, j, k);
          const double product = double{round_to_bf16(t.a)} * double{round_to_bf16(t.b)};
          sum += product;
          size += std::fabs(product);
        }
        // Each of depth additions rounds, perhaps towards zero.
        ASSERT_NEAR(c[at(i, columns, j)], sum, (depth + 1) * 0x1p-23 * size) << name << " " << i << " " << j;
      }
    }
  }
};

void check_everywhere(const Products& products) {
  products.check(*make_backend(BackendKind::reference, 1), "reference");
  for (const test::Variant& variant : test::operator_variants()) {
    products.check(*make_backend(variant.kind, variant.threads), test::variant_name(variant));
  }
}

Products any_products(int rows, int depth, int columns, bool accumulate, std::uint64_t seed) {
  Random random(seed);
  return {rows,
          depth,
          columns,
          accumulate,
          random.floats(volume({rows, depth}), 3.0F),
          random.floats(volume({columns, depth}), 0.02F),
          random.floats(volume({columns})),
          random.floats(volume({rows, columns}), 1e-3F)};
}

RC_GTEST_PROP(Bf16, ProductsOfAnyShapeAreThoseOfTheRoundedOperands, (std::uint64_t seed)) {
  const auto extent = [](int most) { return *rc::gen::inRange(1, most + 1); };
  check_everywhere(any_products(extent(70), extent(300), extent(120), *rc::gen::arbitrary<bool>(), seed));
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

TEST(Bf16, ProductsLargerThanWhatIsPackedAtOnceAreRightToo) {
  check_everywhere(any_products(7, 2500, 20, false, 1));
  check_everywhere(any_products(1300, 30, 20, true, 2));
}

TEST(Bf16, InfinitiesAndNanReachTheResultsThatTheyBelongTo) {
  constexpr int kDepth = 131;
  for (const test::Variant& variant : test::operator_variants()) {
    const auto backend = make_backend(variant.kind, variant.threads);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Floats in(volume({3, kDepth}), 1.0F), weight(volume({2, kDepth}), 1.0F), out(6);
      in[volume({1, kDepth}) + 130] = bad;
      backend->matmul_forward(out.data(), in.data(), weight.data(), nullptr, 3, kDepth, 2,
                              MatmulFormat::bf16);
      for (std::size_t i = 0; i < out.size(); ++i) {
        const bool is_bad = i / 2 == 1;
        ASSERT_EQ(std::isfinite(out[i]), !is_bad) << test::variant_name(variant) << " " << i;
        ASSERT_EQ(std::isnan(out[i]), is_bad && std::isnan(bad)) << test::variant_name(variant) << " " << i;
      }
    }
  }
}

// Of inputs that are bfloat16 already, against binary32: what is left is the rounding of probabilities and
// score gradients, 2^-9 of each.
void check_attention(int seq, int kv_heads, int group, int head_width, std::uint64_t seed) {
  constexpr int kBatch = 2;
  Random random(seed);
  const int heads = kv_heads * group;
  Floats qkv = random.floats(volume({kBatch, seq, heads + 2 * kv_heads, head_width}), 2.0F);
  Floats dout = random.floats(volume({kBatch, seq, heads, head_width}));
  for (Floats* values : {&qkv, &dout}) {
    for (float& x : *values) x = round_to_bf16(x);
  }
  const auto run = [&](Backend& backend, MatmulFormat format) {
    std::array<Floats, 3> results{Floats(dout.size()), Floats(volume({kBatch, heads, seq})),
                                  Floats(qkv.size())};
    auto& [out, logsumexp, dqkv] = results;
    backend.attention_forward(out.data(), logsumexp.data(), qkv.data(), kBatch, seq, heads, kv_heads,
                              head_width, format);
    backend.attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(), qkv.data(), kBatch,
                               seq, heads, kv_heads, head_width, format);
    return results;
  };
  const auto expected = run(*make_backend(BackendKind::reference, 1), MatmulFormat::f32);
  for (const test::Variant& variant : test::operator_variants()) {
    const auto got = run(*make_backend(variant.kind, variant.threads), MatmulFormat::bf16);
    const std::string name = test::variant_name(variant);
    for (std::size_t i = 0; i < expected[0].size(); ++i) {
      ASSERT_NEAR(got[0][i], expected[0][i], 0x1p-8 * 2) << name << ", out " << i;  // values are at most 2
    }
    for (std::size_t i = 0; i < expected[1].size(); ++i) {
      ASSERT_NEAR(got[1][i], expected[1][i], 1e-4) << name << ", logsumexp " << i;
    }
    float largest = 0;
    for (const float x : expected[2]) largest = std::max(largest, std::fabs(x));
    for (std::size_t i = 0; i < expected[2].size(); ++i) {
      ASSERT_NEAR(got[2][i], expected[2][i], 0x1p-6 * largest + 1e-6) << name << ", gradient " << i;
    }
  }
}

RC_GTEST_PROP(Bf16, AttentionOfAnyShapeIsNearToThatInBinary32, (std::uint64_t seed)) {
  const auto extent = [](int most) { return *rc::gen::inRange(1, most + 1); };
  check_attention(extent(150), extent(2), extent(3), extent(70), seed);
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

TEST(Bf16, AttentionOverSeveralTilesOfWholeHeadsIsNearToThatInBinary32) {
  check_attention(200, 1, 2, 64, 1);
}

// A row of a product does not depend on how many rows there are, nor on the threads: what a run may rely on
// when it goes on with other ranks on machines of one kind.
TEST(Bf16, ARowOfAProductIsTheSameWhateverIsComputedBesideIt) {
  const Products all = any_products(61, 700, 90, false, 3);
  for (const test::Variant& variant : test::operator_variants()) {
    const auto backend = make_backend(variant.kind, variant.threads), one = make_backend(variant.kind, 1);
    Floats together(volume({61, 90})), alone(90);
    backend->matmul_forward(together.data(), all.in.data(), all.weight.data(), all.bias.data(), 61, 700, 90,
                            MatmulFormat::bf16);
    for (const int row : {0, 17, 60}) {
      one->matmul_forward(alone.data(), all.in.data() + volume({row, 700}), all.weight.data(),
                          all.bias.data(), 1, 700, 90, MatmulFormat::bf16);
      ASSERT_EQ(test::first_difference(alone, {together.data() + volume({row, 90}), 90}), -1)
          << test::variant_name(variant) << " " << row;
    }
  }
}

}  // namespace
}  // namespace ufab::kernels
