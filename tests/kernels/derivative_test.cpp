// Every backward operator against central finite differences of the binary64 forward in float64.h.
#include <gtest/gtest.h>

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

Doubles widen(const Floats& values) {
  return {values.begin(), values.end()};
}
// sum_i out_i * dout_i: its gradient is what a backward operator returns for dout.
double project(const Doubles& out, const Floats& dout) {
  double sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * static_cast<double>(dout[i]);
  return sum;
}
// Compares `gradient` with central differences of `value` around `at`.
void expect_gradient(const char* what, const Floats& gradient, const Floats& at,
                     const std::function<double(const Doubles&)>& value) {
  ASSERT_EQ(gradient.size(), at.size());
  Doubles point = widen(at);
  double largest = 1e-3;
  for (const float g : gradient) largest = std::max(largest, std::fabs(static_cast<double>(g)));
  for (std::size_t i = 0; i < point.size(); ++i) {
    const double center = point[i], step = 1e-5;
    point[i] = center + step;
    const double above = value(point);
    point[i] = center - step;
    const double below = value(point);
    point[i] = center;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * step), 2e-5 * largest) << what << " element " << i;
  }
}

class Derivative : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    if (!backend_available(GetParam())) GTEST_SKIP() << "this processor lacks " << backend_name(GetParam());
    backend_ = make_backend(GetParam(), 2);
  }
  std::unique_ptr<Backend> backend_;
  Random random_{17};
};
INSTANTIATE_TEST_SUITE_P(Backends, Derivative,
                         testing::Values(BackendKind::reference, BackendKind::cpu_avx2,
                                         BackendKind::cpu_avx512),
                         [](const auto& kind) { return test::test_name(kind.param); });

TEST_P(Derivative, OfMatmulWithBias) {
  constexpr int kRows = 5, kIn = 19, kOut = 11;
  const Floats in = random_.floats(kRows * kIn), weight = random_.floats(kOut * kIn),
               bias = random_.floats(kOut);
  const Floats dout = random_.floats(kRows * kOut);
  Floats din(in.size()), dweight(weight.size()), dbias(bias.size());
  backend_->matmul_backward_input(din.data(), dout.data(), weight.data(), kRows, kIn, kOut);
  backend_->matmul_backward_weight(dweight.data(), in.data(), dout.data(), kRows, kIn, kOut, kOut, false);
  backend_->bias_backward(dbias.data(), dout.data(), kRows, kOut);
  const Doubles x = widen(in), w = widen(weight), b = widen(bias);
  const auto value = [&](const Doubles& at_x, const Doubles& at_w, const Doubles& at_b) {
    return project(float64::linear(at_x, at_w, at_b, kRows, kIn, kOut), dout);
  };
  expect_gradient("input", din, in, [&](const Doubles& at) { return value(at, w, b); });
  expect_gradient("weight", dweight, weight, [&](const Doubles& at) { return value(x, at, b); });
  expect_gradient("bias", dbias, bias, [&](const Doubles& at) { return value(x, w, at); });
}

TEST_P(Derivative, OfLayerNorm) {
  constexpr int kRows = 4, kWidth = 37;
  const Floats in = random_.floats(kRows * kWidth, 2), gamma = random_.floats(kWidth),
               beta = random_.floats(kWidth);
  const Floats dout = random_.floats(in.size());
  Floats out(in.size()), mean(kRows), rstd(kRows), din(in.size()), dgamma(kWidth), dbeta(kWidth);
  backend_->layernorm_forward(out.data(), mean.data(), rstd.data(), in.data(), gamma.data(), beta.data(),
                              kRows, kWidth);
  backend_->layernorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(), mean.data(),
                                     rstd.data(), kRows, kWidth);
  backend_->layernorm_backward_parameters(dgamma.data(), dbeta.data(), dout.data(), in.data(), mean.data(),
                                          rstd.data(), kRows, kWidth);
  const Doubles x = widen(in), g = widen(gamma), b = widen(beta);
  const auto value = [&](const Doubles& at_x, const Doubles& at_g, const Doubles& at_b) {
    return project(float64::layer_norm(at_x, at_g, at_b, kRows, kWidth), dout);
  };
  expect_gradient("input", din, in, [&](const Doubles& at) { return value(at, g, b); });
  expect_gradient("gamma", dgamma, gamma, [&](const Doubles& at) { return value(x, at, b); });
  expect_gradient("beta", dbeta, beta, [&](const Doubles& at) { return value(x, g, at); });
}

TEST_P(Derivative, OfRmsNorm) {
  constexpr int kRows = 4, kWidth = 37;
  const Floats in = random_.floats(kRows * kWidth, 2), gamma = random_.floats(kWidth),
               dout = random_.floats(in.size());
  Floats out(in.size()), rstd(kRows), din(in.size()), dgamma(kWidth);
  backend_->rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), 1e-5F, kRows, kWidth);
  backend_->rmsnorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(), rstd.data(), kRows,
                                   kWidth);
  backend_->rmsnorm_backward_parameters(dgamma.data(), dout.data(), in.data(), rstd.data(), kRows, kWidth);
  const Doubles x = widen(in), g = widen(gamma);
  const auto value = [&](const Doubles& at_x, const Doubles& at_g) {
    return project(float64::rms_norm(at_x, at_g, 1e-5, kRows, kWidth), dout);
  };
  expect_gradient("input", din, in, [&](const Doubles& at) { return value(at, g); });
  expect_gradient("gamma", dgamma, gamma, [&](const Doubles& at) { return value(x, at); });
}

TEST_P(Derivative, OfSwiglu) {
  constexpr int kRows = 3, kHidden = 21;
  const Floats gate_up = random_.floats(2 * kRows * kHidden, 6), dout = random_.floats(kRows * kHidden);
  Floats gradient(gate_up.size());
  backend_->swiglu_backward(gradient.data(), dout.data(), gate_up.data(), kRows, kHidden);
  expect_gradient("gate and up", gradient, gate_up, [&](const Doubles& at) {
    Doubles gate, up;
    for (std::size_t i = 0; i < at.size(); ++i) (i / kHidden % 2 == 0 ? gate : up).push_back(at[i]);
    return project(float64::swiglu(gate, up), dout);
  });
}

// Splits rows of qkv into q, k and v.
void split_heads(const Doubles& qkv, int heads, int kv_heads, int head_width, Doubles& q, Doubles& k,
                 Doubles& v) {
  for (std::size_t i = 0; i < qkv.size(); ++i) {
    const int head = static_cast<int>(i) / head_width % (heads + 2 * kv_heads);
    (head < heads ? q : head < heads + kv_heads ? k : v).push_back(qkv[i]);
  }
}

TEST_P(Derivative, OfRotaryPositionsAndGroupedAttentionTogether) {
  for (const auto& [batch, seq, heads, kv_heads, head_width] :
       {std::array{2, 9, 4, 2, 6}, {1, 67, 3, 1, 4}}) {
    const std::size_t count = volume({batch, seq, heads, head_width});
    const Floats qkv = random_.floats(volume({batch, seq, heads + 2 * kv_heads, head_width}), 1.5F),
                 dout = random_.floats(count);
    const RopeTable table = rope_table(seq, head_width, 100);
    Floats rotated = qkv, out(count), logsumexp(volume({batch, heads, seq})), dqkv(qkv.size());
    backend_->rope_forward(rotated.data(), table.cosine.data(), table.sine.data(), batch, seq, heads,
                           kv_heads, head_width);
    backend_->attention_forward(out.data(), logsumexp.data(), rotated.data(), batch, seq, heads, kv_heads,
                                head_width);
    backend_->attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(), rotated.data(),
                                 batch, seq, heads, kv_heads, head_width);
    backend_->rope_backward(dqkv.data(), table.cosine.data(), table.sine.data(), batch, seq, heads, kv_heads,
                            head_width);
    expect_gradient("qkv", dqkv, qkv,
                    [&, b = batch, t = seq, h = heads, g = kv_heads, d = head_width](const Doubles& at) {
                      Doubles q, k, v;
                      split_heads(at, h, g, d, q, k, v);
                      return project(
                          float64::grouped_attention(float64::rope(q, 100, b, t, h, d),
                                                     float64::rope(k, 100, b, t, g, d), v, b, t, h, g, d),
                          dout);
                    });
  }
}

TEST_P(Derivative, OfGelu) {
  const Floats in = random_.floats(101, 5), dout = random_.floats(in.size());
  Floats din(in.size());
  backend_->gelu_backward(din.data(), dout.data(), in.data(), in.size());
  expect_gradient("input", din, in, [&](const Doubles& at) { return project(float64::gelu(at), dout); });
}

TEST_P(Derivative, OfAttentionWithinAndAcrossKeyTiles) {
  for (const auto& [batch, seq, heads, head_width] : {std::array{2, 9, 2, 3}, {1, 70, 1, 4}}) {
    const std::size_t count = volume({batch, seq, heads, head_width});
    const Floats qkv = random_.floats(3 * count, 1.5F), dout = random_.floats(count);
    Floats out(count), logsumexp(volume({batch, heads, seq})), dqkv(3 * count);
    backend_->attention_forward(out.data(), logsumexp.data(), qkv.data(), batch, seq, heads, heads,
                                head_width);
    backend_->attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(), qkv.data(), batch,
                                 seq, heads, heads, head_width);
    expect_gradient("qkv", dqkv, qkv, [&, b = batch, t = seq, h = heads, d = head_width](const Doubles& at) {
      return project(float64::attention(at, b, t, h, d), dout);
    });
  }
}

TEST_P(Derivative, OfSoftmaxCrossEntropy) {
  constexpr int kRows = 3, kVocab = 41;
  const Floats logits = random_.floats(kRows * kVocab, 4);
  const auto targets = random_.tokens(kRows, kVocab);
  Floats gradient = logits, losses(kRows);
  backend_->softmax_cross_entropy(losses.data(), gradient.data(), targets.data(), kRows, kVocab, kRows, true);
  expect_gradient("logits", gradient, logits, [&](const Doubles& at) {
    return float64::cross_entropy(at, std::span<const std::int32_t>(targets), kRows, kVocab) / kRows;
  });
}

TEST_P(Derivative, ForwardOperatorsMatchTheirDefinitions) {
  constexpr int kBatch = 2, kSeq = 67, kHeads = 2, kHeadWidth = 8, kWidth = kHeads * kHeadWidth,
                kRows = kBatch * kSeq;
  const Floats in = random_.floats(kRows * kWidth, 2), weight = random_.floats(3 * kWidth * kWidth);
  const Floats bias = random_.floats(3 * kWidth), gamma = random_.floats(kWidth),
               beta = random_.floats(kWidth);
  Floats normal(in.size()), mean(kRows), rstd(kRows), qkv(3 * in.size()), out(in.size()),
      logsumexp(kHeads * kRows);
  backend_->layernorm_forward(normal.data(), mean.data(), rstd.data(), in.data(), gamma.data(), beta.data(),
                              kRows, kWidth);
  backend_->matmul_forward(qkv.data(), normal.data(), weight.data(), bias.data(), kRows, kWidth, 3 * kWidth);
  backend_->attention_forward(out.data(), logsumexp.data(), qkv.data(), kBatch, kSeq, kHeads, kHeads,
                              kHeadWidth);
  const Doubles exact_normal = float64::layer_norm(widen(in), widen(gamma), widen(beta), kRows, kWidth);
  const Doubles exact_qkv =
      float64::linear(exact_normal, widen(weight), widen(bias), kRows, kWidth, 3 * kWidth);
  const Doubles exact = float64::attention(exact_qkv, kBatch, kSeq, kHeads, kHeadWidth);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_NEAR(normal[i], exact_normal[i], 1e-5) << i;
    ASSERT_NEAR(out[i], exact[i], 5e-5) << i;
  }
}

}  // namespace
}  // namespace ufab::kernels
