// The operators of the Llama family: every backend gives the reference's bits at any shape and on difficult
// values, and the reference computes what the papers say.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>

#include "kernels/rope_table.h"
#include "tests/kernels/float64_llama.h"
#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;
using test::volume;
using Doubles = std::vector<double>;
using Floats = std::vector<float>;

using Operation = std::function<Floats(Backend&)>;
void expect_same_bits(const std::string& what, const Operation& operation) {
  const auto reference = make_backend(BackendKind::reference, 1);
  const Floats expected = operation(*reference);
  for (const test::Variant& variant : test::optimised_variants()) {
    const auto backend = make_backend(variant.kind, variant.threads);
    ASSERT_EQ(test::first_difference(expected, operation(*backend)), -1)
        << what << " on " << test::variant_name(variant);
  }
}
void append(Floats& to, const Floats& from) {
  to.insert(to.end(), from.begin(), from.end());
}
int any_extent(int most) {
  return *rc::gen::inRange(1, most + 1);
}
// Plain, difficult, or so small that products are denormal.
Floats any_floats(Random& random, std::size_t count, int kind, float scale = 1.0F) {
  Floats values = random.floats(count, kind == 2 ? 0x1p-70F : scale);
  if (kind == 1) test::make_difficult(values, random);
  return values;
}

RC_GTEST_PROP(LlamaOperators, RmsNormIsBitIdenticalAtAnyShape, (std::uint64_t seed)) {
  const int rows = any_extent(70), width = any_extent(300), kind = *rc::gen::inRange(0, 3);
  const float eps = *rc::gen::element(1e-5F, 1e-6F);
  Random random(seed);
  const std::size_t count = volume({rows, width});
  const Floats in = any_floats(random, count, kind, 3), gamma = any_floats(random, volume({width}), kind),
               dout = any_floats(random, count, kind), residual = any_floats(random, count, kind);
  expect_same_bits("rms norm", [&](Backend& backend) {
    Floats out(count), rstd(volume({rows})), din = residual, dgamma(volume({width})), all;
    backend.rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), eps, rows, width);
    backend.rmsnorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(), rstd.data(), rows,
                                   width);
    backend.rmsnorm_backward_parameters(dgamma.data(), dout.data(), in.data(), rstd.data(), rows, width);
    for (const auto* values : {&out, &rstd, &din, &dgamma}) append(all, *values);
    return all;
  });
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

RC_GTEST_PROP(LlamaOperators, SwigluIsBitIdenticalAtAnyShape, (std::uint64_t seed)) {
  const int rows = any_extent(70), hidden = any_extent(300), kind = *rc::gen::inRange(0, 3);
  Random random(seed);
  const Floats gate_up = any_floats(random, volume({rows, 2, hidden}), kind, 20),
               dout = any_floats(random, volume({rows, hidden}), kind);
  expect_same_bits("swiglu", [&](Backend& backend) {
    Floats out(dout.size()), gradient(gate_up.size()), in_place = gate_up;
    backend.swiglu_forward(out.data(), gate_up.data(), rows, hidden);
    backend.swiglu_backward(gradient.data(), dout.data(), gate_up.data(), rows, hidden);
    backend.swiglu_backward(in_place.data(), dout.data(), in_place.data(), rows, hidden);
    EXPECT_EQ(test::first_difference(gradient, in_place), -1);
    append(out, gradient);
    return out;
  });
  RC_ASSERT(!testing::Test::HasFailure());
}

RC_GTEST_PROP(LlamaOperators, RopeIsBitIdenticalAtAnyShape, (std::uint64_t seed)) {
  const int batch = any_extent(3), seq = any_extent(70), kv_heads = any_extent(3), group = any_extent(3);
  const int head_width = 2 * any_extent(40), heads = kv_heads * group, kind = *rc::gen::inRange(0, 3);
  Random random(seed);
  const Floats qkv = any_floats(random, volume({batch, seq, heads + 2 * kv_heads, head_width}), kind);
  const RopeTable table = rope_table(seq + random.below(9), head_width, 10000);
  expect_same_bits("rope", [&](Backend& backend) {
    Floats forward = qkv, back = qkv;
    backend.rope_forward(forward.data(), table.cosine.data(), table.sine.data(), batch, seq, heads, kv_heads,
                         head_width);
    backend.rope_backward(back.data(), table.cosine.data(), table.sine.data(), batch, seq, heads, kv_heads,
                          head_width);
    append(forward, back);
    return forward;
  });
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

RC_GTEST_PROP(LlamaOperators, GroupedAttentionIsBitIdenticalAtAnyShape, (std::uint64_t seed)) {
  const int batch = any_extent(2), seq = any_extent(140), kv_heads = any_extent(3), group = any_extent(4);
  const int head_width = any_extent(40), heads = kv_heads * group, kind = *rc::gen::inRange(0, 3);
  Random random(seed);
  const Floats qkv = any_floats(random, volume({batch, seq, heads + 2 * kv_heads, head_width}), kind, 2);
  const Floats dout = any_floats(random, volume({batch, seq, heads, head_width}), kind);
  expect_same_bits("grouped attention", [&](Backend& backend) {
    Floats out(dout.size()), logsumexp(volume({batch, heads, seq})), dqkv(qkv.size(), 7.0F), all;
    backend.attention_forward(out.data(), logsumexp.data(), qkv.data(), batch, seq, heads, kv_heads,
                              head_width);
    backend.attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(), qkv.data(), batch, seq,
                               heads, kv_heads, head_width);
    for (const auto* values : {&out, &logsumexp, &dqkv}) append(all, *values);
    return all;
  });
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

TEST(LlamaOperators, GroupedAttentionGivesTheBitsOfOrdinaryAttentionOnRepeatedKeysAndValues) {
  constexpr int kSeq = 70, kHeads = 6, kKvHeads = 2, kWidth = 5;
  Random random(2);
  const Floats qkv = random.floats(volume({kSeq, kHeads + 2 * kKvHeads, kWidth}));
  Floats repeated;
  for (int row = 0; row < kSeq; ++row) {
    const auto add = [&](int head) {
      const auto from =
          qkv.begin() +
          static_cast<std::ptrdiff_t>(volume({row, kHeads + 2 * kKvHeads, kWidth}) + volume({head, kWidth}));
      repeated.insert(repeated.end(), from, from + kWidth);
    };
    for (int h = 0; h < kHeads; ++h) add(h);
    for (int h = 0; h < kHeads; ++h) add(kHeads + h / 3);
    for (int h = 0; h < kHeads; ++h) add(kHeads + kKvHeads + h / 3);
  }
  const auto backend = make_backend(BackendKind::cpu, 2);
  const auto attend = [&](const Floats& input, int kv_heads) {
    Floats out(volume({kSeq, kHeads, kWidth})), logsumexp(volume({kHeads, kSeq}));
    backend->attention_forward(out.data(), logsumexp.data(), input.data(), 1, kSeq, kHeads, kv_heads, kWidth);
    return out;
  };
  EXPECT_EQ(test::first_difference(attend(qkv, kKvHeads), attend(repeated, kHeads)), -1);
}

TEST(LlamaOperators, ForwardOperatorsMatchTheirDefinitions) {
  constexpr int kRows = 9, kWidth = 37;
  Random random(5);
  const Floats in = random.floats(kRows * kWidth, 2), gamma = random.floats(kWidth),
               up = random.floats(kRows * kWidth);
  const auto backend = make_backend(BackendKind::cpu, 1);
  Floats out(in.size()), rstd(kRows);
  backend->rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), 1e-5F, kRows, kWidth);
  const Doubles x(in.begin(), in.end()), g(gamma.begin(), gamma.end()), u(up.begin(), up.end());
  const Doubles normal = float64::rms_norm(x, g, 1e-5, kRows, kWidth);
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], normal[i], 1e-6) << i;

  Floats gate_up;
  for (int row = 0; row < kRows; ++row) {
    gate_up.insert(gate_up.end(), in.begin() + row * kWidth, in.begin() + (row + 1) * kWidth);
    gate_up.insert(gate_up.end(), up.begin() + row * kWidth, up.begin() + (row + 1) * kWidth);
  }
  backend->swiglu_forward(out.data(), gate_up.data(), kRows, kWidth);
  const Doubles gated = float64::swiglu(x, u);
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], gated[i], 1e-6) << i;
}

TEST(LlamaOperators, SwigluOfLargeGatesIsTheGateOrNothing) {
  const auto backend = make_backend(BackendKind::reference, 1);
  const auto of = [&](float gate) {
    const float gate_up[] = {gate, 1.0F};
    float out;
    backend->swiglu_forward(&out, gate_up, 1, 1);
    return out;
  };
  EXPECT_EQ(of(100.0F), 100.0F);
  EXPECT_EQ(of(3e38F), 3e38F);
  EXPECT_EQ(of(-1e30F), 0.0F);
  EXPECT_EQ(of(0.0F), 0.0F);
  EXPECT_NEAR(of(-80.0F), -80 * std::exp(-80.0), 1e-40);
}

TEST(LlamaOperators, RopeMatchesItsDefinitionAndLeavesValuesAlone) {
  constexpr int kBatch = 2, kSeq = 19, kHeads = 4, kKvHeads = 2, kWidth = 6, kRow = kHeads + 2 * kKvHeads;
  Random random(7);
  const Floats before = random.floats(volume({kBatch, kSeq, kRow, kWidth}));
  const RopeTable table = rope_table(kSeq, kWidth, 500000);
  const auto backend = make_backend(BackendKind::cpu, 1);
  Floats after = before;
  backend->rope_forward(after.data(), table.cosine.data(), table.sine.data(), kBatch, kSeq, kHeads, kKvHeads,
                        kWidth);
  const Doubles exact =
      float64::rope(Doubles(before.begin(), before.end()), 500000.0, kBatch, kSeq, kRow, kWidth);
  for (std::size_t i = 0; i < after.size(); ++i) {
    const bool value = static_cast<int>(i / kWidth) % kRow >= kHeads + kKvHeads;
    ASSERT_NEAR(after[i], value ? static_cast<double>(before[i]) : exact[i], value ? 0 : 3e-7) << i;
  }
  backend->rope_backward(after.data(), table.cosine.data(), table.sine.data(), kBatch, kSeq, kHeads, kKvHeads,
                         kWidth);
  for (std::size_t i = 0; i < after.size(); ++i) ASSERT_NEAR(after[i], before[i], 3e-7) << i;
}

TEST(LlamaOperators, AnEmbeddingWithoutPositionsIsTheTokensRow) {
  Random random(4);
  const Floats wte = random.floats(11 * 7);
  const auto tokens = random.tokens(10, 11);
  for (const BackendKind kind : {BackendKind::reference, BackendKind::cpu_avx2, BackendKind::cpu_avx512}) {
    const auto backend = make_backend(kind, 2);
    if (backend == nullptr) continue;
    Floats out(10 * 7);
    backend->embedding_forward(out.data(), wte.data(), nullptr, tokens.data(), 2, 5, 7);
    for (int i = 0; i < 70; ++i) {
      EXPECT_EQ(out[static_cast<std::size_t>(i)],
                wte[static_cast<std::size_t>(tokens[static_cast<std::size_t>(i / 7)] * 7 + i % 7)]);
    }
  }
}

TEST(RopeTable, IsWithinHalfAnUlpAndABitOfTheExactAngles) {
  for (const double theta : {10000.0, 500000.0, 1e9, 1.0}) {
    for (const int width : {2, 6, 64, 128}) {
      const RopeTable table = rope_table(kMaxRopeSeq, width, theta);
      const int half = width / 2;
      for (int position = 0; position < kMaxRopeSeq; position += position < 64 ? 1 : 997) {
        for (int j = 0; j < half; ++j) {
          const long double angle = position * std::pow(static_cast<long double>(theta), -2.0L * j / width);
          const auto at = static_cast<std::size_t>(position) * static_cast<std::size_t>(half) +
                          static_cast<std::size_t>(j);
          const auto allowed = [](long double exact) {
            return static_cast<double>(std::fabs(exact) * 0x1p-24L + 1e-10L);
          };
          ASSERT_NEAR(table.cosine[at], static_cast<double>(std::cos(angle)), allowed(std::cos(angle)));
          ASSERT_NEAR(table.sine[at], static_cast<double>(std::sin(angle)), allowed(std::sin(angle)));
        }
      }
    }
  }
}

}  // namespace
}  // namespace ufab::kernels
