// Every operator of every optimised backend, on 1, 2 and 3 threads, gives the reference's bits.
#include "kernels/backend.h"

#include <gtest/gtest.h>

#include <functional>

#include "kernels/adamw.h"
#include "tests/kernels/support.h"

namespace ufab::kernels {
namespace {

using test::Random;
using test::volume;

// Runs `operation` with the reference and with every variant; each returns its outputs in one vector.
using Operation = std::function<std::vector<float>(Backend&)>;
void expect_same_bits(const std::string& what, const Operation& operation) {
  const auto reference = make_backend(BackendKind::reference, 1);
  const std::vector<float> expected = operation(*reference);
  for (const test::Variant& variant : test::optimised_variants()) {
    const auto backend = make_backend(variant.kind, variant.threads);
    const std::vector<float> got = operation(*backend);
    const std::ptrdiff_t at = test::first_difference(expected, got);
    ASSERT_EQ(at, -1) << what << " on " << test::variant_name(variant) << ": "
                      << expected[static_cast<std::size_t>(at)] << " and "
                      << got[static_cast<std::size_t>(at)] << " at " << at;
  }
}

void append(std::vector<float>& to, const std::vector<float>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

struct MatmulShape {
  int rows, in_width, out_width;
};
// One, primes, tile sizes and their neighbours, depth beyond a block, and sizes that several threads share.
constexpr MatmulShape kMatmulShapes[] = {{1, 1, 1},      {1, 17, 31},    {2, 3, 5},      {7, 16, 15},
                                         {8, 48, 48},    {9, 49, 47},    {13, 385, 33},  {5, 800, 64},
                                         {64, 64, 192},  {3, 130, 257},  {23, 7, 211},   {97, 130, 201},
                                         {50, 128, 384}, {130, 33, 449}, {140, 520, 600}};

void check_matmul(bool difficult, MatmulFormat format) {
  for (const auto& [rows, in_width, out_width] : kMatmulShapes) {
    Random random(volume({rows, in_width, out_width}));
    std::vector<float> in = random.floats(volume({rows, in_width})),
                       weight = random.floats(volume({out_width, in_width}));
    std::vector<float> bias = random.floats(volume({out_width})),
                       dout = random.floats(volume({rows, out_width}));
    const std::vector<float> start = random.floats(weight.size());
    if (difficult) {
      for (auto* values : {&in, &weight, &bias, &dout}) test::make_difficult(*values, random);
    }
    const std::string shape =
        std::to_string(rows) + "x" + std::to_string(in_width) + "x" + std::to_string(out_width);
    expect_same_bits(format_name(format) + (" matmul " + shape),
                     [&, rows = rows, in_width = in_width, out_width = out_width](Backend& backend) {
                       std::vector<float> all(dout.size()), part(dout.size());
                       backend.matmul_forward(all.data(), in.data(), weight.data(), bias.data(), rows,
                                              in_width, out_width, format);
                       backend.matmul_forward(part.data(), in.data(), weight.data(), nullptr, rows, in_width,
                                              out_width, format);
                       append(all, part);
                       part.resize(in.size());
                       backend.matmul_backward_input(part.data(), dout.data(), weight.data(), rows, in_width,
                                                     out_width, format);
                       append(all, part);
                       part = start;
                       backend.matmul_backward_weight(part.data(), in.data(), dout.data(), rows, in_width,
                                                      out_width, out_width, true, format);
                       append(all, part);
                       backend.matmul_backward_weight(part.data(), in.data(), dout.data(), rows, in_width,
                                                      out_width, out_width, false, format);
                       append(all, part);
                       // Some columns of a wider dout.
                       const int columns = (out_width + 1) / 2, skipped = out_width - columns;
                       backend.matmul_backward_weight(part.data(), in.data(), dout.data() + skipped, rows,
                                                      in_width, columns, out_width, false, format);
                       append(all, part);
                       part.resize(bias.size());
                       backend.bias_backward(part.data(), dout.data(), rows, out_width);
                       append(all, part);
                       return all;
                     });
    if (testing::Test::HasFatalFailure()) return;
  }
}
constexpr MatmulFormat kFormats[] = {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8};
TEST(Backend, MatmulsAreBitIdentical) {
  for (const MatmulFormat format : kFormats) check_matmul(false, format);
}
TEST(Backend, MatmulsAreBitIdenticalOnDifficultValues) {
  for (const MatmulFormat format : kFormats) check_matmul(true, format);
}

void check_rows(bool difficult) {
  for (const auto& [rows, width] :
       {std::pair{1, 1}, {3, 2}, {5, 15}, {4, 16}, {7, 17}, {33, 48}, {2, 768}, {301, 211}}) {
    Random random(volume({rows, width}));
    std::vector<float> in = random.floats(volume({rows, width}), 3), dout = random.floats(in.size());
    std::vector<float> gamma = random.floats(volume({width})), beta = random.floats(volume({width}));
    const std::vector<float> residual = random.floats(in.size());
    if (difficult) {
      for (auto* values : {&in, &dout, &gamma, &beta}) test::make_difficult(*values, random);
    }
    expect_same_bits("layer norm and elements " + std::to_string(rows) + "x" + std::to_string(width),
                     [&, rows = rows, width = width](Backend& backend) {
                       const std::size_t count = in.size();
                       std::vector<float> out(count), mean(volume({rows})), rstd(volume({rows})), all;
                       backend.layernorm_forward(out.data(), mean.data(), rstd.data(), in.data(),
                                                 gamma.data(), beta.data(), rows, width);
                       for (const auto* values : {&out, &mean, &rstd}) append(all, *values);
                       std::vector<float> din = residual, dgamma(volume({width})), dbeta(volume({width}));
                       backend.layernorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(),
                                                        mean.data(), rstd.data(), rows, width);
                       backend.layernorm_backward_parameters(dgamma.data(), dbeta.data(), dout.data(),
                                                             in.data(), mean.data(), rstd.data(), rows,
                                                             width);
                       for (const auto* values : {&din, &dgamma, &dbeta}) append(all, *values);
                       backend.gelu_forward(out.data(), in.data(), count);
                       append(all, out);
                       backend.gelu_backward(out.data(), dout.data(), in.data(), count);
                       append(all, out);
                       backend.residual_forward(out.data(), in.data(), dout.data(), count);
                       append(all, out);
                       return all;
                     });
    if (testing::Test::HasFatalFailure()) return;
  }
}
TEST(Backend, RowAndElementOperatorsAreBitIdentical) {
  check_rows(false);
}
TEST(Backend, RowAndElementOperatorsAreBitIdenticalOnDifficultValues) {
  check_rows(true);
}

struct AttentionCase {
  int batch, seq, heads, head_width;
};
void check_attention(bool difficult) {
  for (const auto& [batch, seq, heads, head_width] : {AttentionCase{1, 1, 1, 1},
                                                      {2, 7, 3, 5},
                                                      {1, 63, 2, 16},
                                                      {1, 64, 1, 32},
                                                      {3, 65, 2, 17},
                                                      {1, 129, 1, 64},
                                                      {2, 200, 1, 49},
                                                      {1, 71, 1, 80}}) {
    Random random(volume({batch, seq, heads, head_width}));
    const std::size_t count = volume({batch, seq, heads, head_width});
    std::vector<float> qkv = random.floats(3 * count, 2), dout = random.floats(count);
    if (difficult) {
      test::make_difficult(qkv, random);
      test::make_difficult(dout, random);
    }
    expect_same_bits(
        "attention over " + std::to_string(seq) + " of width " + std::to_string(head_width),
        [&, b = batch, t = seq, h = heads, d = head_width](Backend& backend) {
          std::vector<float> out(count), logsumexp(volume({b, h, t})), dqkv(3 * count, 7.0F), all;
          backend.attention_forward(out.data(), logsumexp.data(), qkv.data(), b, t, h, h, d);
          backend.attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(), qkv.data(), b, t,
                                     h, h, d);
          for (const auto* values : {&out, &logsumexp, &dqkv}) append(all, *values);
          return all;
        });
    if (testing::Test::HasFatalFailure()) return;
  }
}
TEST(Backend, AttentionIsBitIdentical) {
  check_attention(false);
}
TEST(Backend, AttentionIsBitIdenticalOnDifficultValues) {
  check_attention(true);
}

TEST(Backend, EmbeddingsAreBitIdentical) {
  for (const auto& [batch, seq, width, vocab] : {std::array{1, 1, 1, 1}, {3, 5, 17, 11}, {4, 64, 210, 50}}) {
    Random random(static_cast<std::uint64_t>(width));
    const std::vector<float> wte = random.floats(volume({vocab, width})),
                             wpe = random.floats(volume({seq, width}));
    const std::vector<float> dout = random.floats(volume({batch, seq, width}));
    const auto tokens = random.tokens(volume({batch, seq}), vocab);
    expect_same_bits("embedding", [&, b = batch, t = seq, c = width, v = vocab](Backend& backend) {
      std::vector<float> out(dout.size()), dwte = wte, dwpe(wpe.size(), 9.0F);
      backend.embedding_forward(out.data(), wte.data(), wpe.data(), tokens.data(), b, t, c);
      backend.embedding_backward_tokens(dwte.data(), dout.data(), tokens.data(), b * t, c, 0, v);
      backend.embedding_backward_tokens(dwte.data(), dout.data(), tokens.data(), b * t, c, v / 3, v - v / 2);
      backend.embedding_backward_positions(dwpe.data(), dout.data(), b, t, c);
      append(out, dwte);
      append(out, dwpe);
      return out;
    });
  }
}

TEST(Backend, SoftmaxCrossEntropyIsBitIdentical) {
  for (const bool difficult : {false, true}) {
    for (const auto& [rows, vocab] : {std::pair{1, 1}, {2, 2}, {5, 15}, {3, 16}, {4, 257}, {70, 1009}}) {
      Random random(volume({rows, vocab}));
      std::vector<float> logits = random.floats(volume({rows, vocab}), 20);
      if (difficult) test::make_difficult(logits, random);
      const auto targets = random.tokens(volume({rows}), vocab);
      expect_same_bits("cross entropy", [&, rows = rows, vocab = vocab](Backend& backend) {
        std::vector<float> values = logits, losses(volume({rows})), only_losses(volume({rows}));
        backend.softmax_cross_entropy(losses.data(), values.data(), targets.data(), rows, vocab, 3 * rows,
                                      true);
        append(values, losses);
        std::vector<float> scratch = logits;
        backend.softmax_cross_entropy(only_losses.data(), scratch.data(), targets.data(), rows, vocab,
                                      3 * rows, false);
        append(values, only_losses);
        return values;
      });
    }
  }
}

TEST(Backend, AdamWAndTheNormAreBitIdentical) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{15}, std::size_t{33}, std::size_t{140001}}) {
    Random random(count);
    std::vector<std::int32_t> sums(count);
    for (std::int32_t& sum : sums) {
      sum = static_cast<std::int32_t>(random.word()) >> random.below(32);  // all magnitudes, both signs
    }
    const std::vector<ParameterTensor> tensors = {{"a", {}, 0, count / 3, true},
                                                  {"b", {}, count / 3, count - count / 3, false}};
    const std::vector<int> exponents = {40, -9};
    const std::vector<float> params = random.floats(count), m = random.floats(count, 0.1F);
    expect_same_bits("adamw", [&](Backend& backend) {
      std::vector<float> p = params, first = m, second(count, 0.01F), all;
      const AdamWConfig config{.lr = 1e-3F, .clip = 0};
      adamw_step(backend, config, 7, 40, 3, 0.7F, true, sums, p, first, second);
      for (const auto* values : {&p, &first, &second}) append(all, *values);
      const double norm = gradient_norm(backend, tensors, sums, exponents, 3);
      const auto bits = std::bit_cast<std::array<float, 2>>(norm);
      all.insert(all.end(), bits.begin(), bits.end());
      return all;
    });
  }
}

TEST(Backend, FormatNamesAreInverseAndUnknownNamesAreRefused) {
  for (const MatmulFormat format : kFormats) EXPECT_EQ(format_from_name(format_name(format)), format);
  EXPECT_EQ(format_from_name("int4"), std::nullopt);
  EXPECT_EQ(format_from_name(""), std::nullopt);
}

TEST(Backend, NamesAreInverseAndUnknownNamesAreRefused) {
  for (const BackendKind kind :
       {BackendKind::reference, BackendKind::cpu, BackendKind::cpu_avx2, BackendKind::cpu_avx512,
        BackendKind::cpu_avx512vnni, BackendKind::gpu_host, BackendKind::cuda, BackendKind::hip}) {
    EXPECT_EQ(backend_from_name(backend_name(kind)), kind);
    EXPECT_EQ(backend_available(kind), why_unavailable(kind).empty());
    EXPECT_EQ(backend_available(kind), make_backend(kind, 1) != nullptr);
    EXPECT_NE(backend_names().find(backend_name(kind)), std::string::npos);
  }
  EXPECT_EQ(backend_from_name("avx2"), std::nullopt);
  EXPECT_EQ(backend_from_name(""), std::nullopt);
}

TEST(Backend, ImpossibleThreadCountsGiveNoBackend) {
  EXPECT_EQ(make_backend(BackendKind::reference, 0), nullptr);
  EXPECT_EQ(make_backend(BackendKind::cpu, kMaxThreads + 1), nullptr);
  EXPECT_NE(make_backend(BackendKind::cpu, 2), nullptr);
}

}  // namespace
}  // namespace ufab::kernels
