#include "kernels/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/gradient.h"
#include "kernels/integer.h"
#include "kernels/math.h"
#include "kernels/order/column_sum.h"
#include "kernels/order/layer_norm.h"
#include "kernels/order/optimizer.h"
#include "kernels/order/rms_norm.h"
#include "kernels/order/rope.h"
#include "kernels/order/swiglu.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/integer_matmul.h"
#include "kernels/reference/lanes.h"
#include "kernels/semantics.h"

namespace ufab::kernels {
namespace {

using reference::LaneMaximum;
using reference::LaneSum;

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(int threads) : threads_(threads) {}
  BackendKind kind() const override { return BackendKind::reference; }
  int threads() const override { return threads_; }
  std::size_t scratch_bytes(const ScratchQuestion& question) const override {
    return static_cast<std::size_t>(question.head_width) * sizeof(float);
  }

  void matmul_forward(float* out, const float* in, const float* weight, const float* bias, int rows,
                      int in_width, int out_width, MatmulFormat format) override {
    if (format != MatmulFormat::f32) {
      return product(out, out_width, {in, in_width, 1, rows}, {weight, in_width, 1, out_width}, in_width,
                     format, bias, false);
    }
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < out_width; ++n) {
        float sum = bias == nullptr ? 0.0F : bias[n];
        const float *x = in + at(m, in_width), *w = weight + at(n, in_width);
        for (int k = 0; k < in_width; ++k) sum = __builtin_fmaf(x[k], w[k], sum);
        out[at(m, out_width) + n] = sum;
      }
    }
  }
  void matmul_backward_input(float* din, const float* dout, const float* weight, int rows, int in_width,
                             int out_width, MatmulFormat format) override {
    if (format != MatmulFormat::f32) {
      return product(din, in_width, {dout, out_width, 1, rows}, {weight, 1, in_width, in_width}, out_width,
                     format, nullptr, false);
    }
    for (int m = 0; m < rows; ++m) {
      float* dx = din + at(m, in_width);
      std::fill_n(dx, in_width, 0.0F);
      for (int n = 0; n < out_width; ++n) {
        const float dy = dout[at(m, out_width) + n];
        for (int k = 0; k < in_width; ++k) dx[k] = __builtin_fmaf(dy, weight[at(n, in_width) + k], dx[k]);
      }
    }
  }
  void matmul_backward_weight(float* dweight, const float* in, const float* dout, int rows, int in_width,
                              int out_width, int dout_stride, bool accumulate, MatmulFormat format) override {
    if (format != MatmulFormat::f32) {
      return product(dweight, in_width, {dout, 1, dout_stride, out_width}, {in, 1, in_width, in_width}, rows,
                     format, nullptr, accumulate);
    }
    for (int n = 0; n < out_width; ++n) {
      float* dw = dweight + at(n, in_width);
      if (!accumulate) std::fill_n(dw, in_width, 0.0F);
      for (int m = 0; m < rows; ++m) {
        const float dy = dout[at(m, dout_stride) + n];
        for (int k = 0; k < in_width; ++k) dw[k] = __builtin_fmaf(dy, in[at(m, in_width) + k], dw[k]);
      }
    }
  }
  void bias_backward(float* dbias, const float* dout, int rows, int width) override {
    for (int n = 0; n < width; ++n) {
      dbias[n] =
          column_sum<Lane>(rows, [&](int m, Lane sum) { return sum + Lane{dout[at(m, width) + n]}; }).v;
    }
  }

  void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                         const float* beta, int rows, int width) override {
    for (int r = 0; r < rows; ++r) {
      const float* x = in + at(r, width);
      LaneSum<float> sum, squares;
      for (int c = 0; c < width; ++c) sum.add(c, x[c]);
      mean[r] = sum.total() / static_cast<float>(width);
      for (int c = 0; c < width; ++c) squares.add_product(c, x[c] - mean[r], x[c] - mean[r]);
      const float variance = squares.total() / static_cast<float>(width);
      rstd[r] = layer_norm_rstd(Lane{variance}, Lane{kLayerNormEpsilon}).v;
      for (int c = 0; c < width; ++c) {
        out[at(r, width) + c] =
            layer_norm(Lane{x[c]}, Lane{mean[r]}, Lane{rstd[r]}, Lane{gamma[c]}, Lane{beta[c]}).v;
      }
    }
  }
  void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                const float* mean, const float* rstd, int rows, int width) override {
    for (int r = 0; r < rows; ++r) {
      const float *x = in + at(r, width), *dy = dout + at(r, width);
      LaneSum<float> sum, projected;
      for (int c = 0; c < width; ++c) {
        const float g = dy[c] * gamma[c];
        sum.add(c, g);
        projected.add_product(c, g, layer_norm_normal(Lane{x[c]}, Lane{mean[r]}, Lane{rstd[r]}).v);
      }
      const Lane a{sum.total() / static_cast<float>(width)};
      const Lane b{projected.total() / static_cast<float>(width)};
      for (int c = 0; c < width; ++c) {
        din[at(r, width) + c] +=
            layer_norm_gradient(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, Lane{mean[r]}, Lane{rstd[r]}, a, b)
                .v;
      }
    }
  }
  void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                     const float* mean, const float* rstd, int rows, int width) override {
    bias_backward(dbeta, dout, rows, width);
    for (int c = 0; c < width; ++c) {
      dgamma[c] =
          column_sum<Lane>(rows, [&](int r, Lane sum) {
            return layer_norm_add_gamma_gradient(Lane{dout[at(r, width) + c]}, Lane{in[at(r, width) + c]},
                                                 Lane{mean[r]}, Lane{rstd[r]}, sum);
          }).v;
    }
  }

  void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                       int width) override {
    for (int r = 0; r < rows; ++r) {
      const float* x = in + at(r, width);
      LaneSum<float> squares;
      for (int c = 0; c < width; ++c) {
        float& lane = squares.lane[c % kLanes];
        lane = rms_norm_add_square(Lane{x[c]}, Lane{lane}).v;
      }
      rstd[r] = rms_norm_rstd(Lane{squares.total()}, Lane{static_cast<float>(width)}, Lane{eps}).v;
      for (int c = 0; c < width; ++c) {
        out[at(r, width) + c] = rms_norm(Lane{x[c]}, Lane{rstd[r]}, Lane{gamma[c]}).v;
      }
    }
  }
  void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                              const float* rstd, int rows, int width) override {
    for (int r = 0; r < rows; ++r) {
      const float *x = in + at(r, width), *dy = dout + at(r, width);
      LaneSum<float> sum;
      for (int c = 0; c < width; ++c) {
        float& lane = sum.lane[c % kLanes];
        lane = rms_norm_add_projection(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, Lane{rstd[r]}, Lane{lane}).v;
      }
      const Lane projection{sum.total() / static_cast<float>(width)};
      for (int c = 0; c < width; ++c) {
        din[at(r, width) + c] +=
            rms_norm_gradient(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, Lane{rstd[r]}, projection).v;
      }
    }
  }
  void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in, const float* rstd,
                                   int rows, int width) override {
    for (int c = 0; c < width; ++c) {
      dgamma[c] = column_sum<Lane>(rows, [&](int r, Lane sum) {
                    return rms_norm_add_gamma_gradient(Lane{dout[at(r, width) + c]},
                                                       Lane{in[at(r, width) + c]}, Lane{rstd[r]}, sum);
                  }).v;
    }
  }

  void gelu_forward(float* out, const float* in, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) out[i] = gelu(Lane{in[i]}).v;
  }
  void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) din[i] = gelu_gradient(Lane{in[i]}).v * dout[i];
  }
  void residual_forward(float* out, const float* a, const float* b, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
  }

  void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) override {
    for (int r = 0; r < rows; ++r) {
      const float *gate = gate_up + at(2 * r, hidden), *up = gate + hidden;
      for (int c = 0; c < hidden; ++c) out[at(r, hidden) + c] = swiglu(Lane{gate[c]}, Lane{up[c]}).v;
    }
  }
  void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows,
                       int hidden) override {
    for (int r = 0; r < rows; ++r) {
      const float *gate = gate_up + at(2 * r, hidden), *up = gate + hidden;
      for (int c = 0; c < hidden; ++c) {
        Lane dgate, dup;
        swiglu_gradient(Lane{dout[at(r, hidden) + c]}, Lane{gate[c]}, Lane{up[c]}, dgate, dup);
        dgate_up[at(2 * r, hidden) + c] = dgate.v;
        dgate_up[at(2 * r + 1, hidden) + c] = dup.v;
      }
    }
  }

  void rope_forward(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                    int kv_heads, int head_width) override {
    rope(qkv, cosine, sine, batch, seq, heads, kv_heads, head_width, false);
  }
  void rope_backward(float* dqkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                     int kv_heads, int head_width) override {
    rope(dqkv, cosine, sine, batch, seq, heads, kv_heads, head_width, true);
  }

  void attention_forward(float* out, float* logsumexp, const float* qkv, int batch, int seq, int heads,
                         int kv_heads, int head_width, MatmulFormat) override {
    const reference::AttentionShape shape{seq, heads, kv_heads, head_width};
    for (int b = 0; b < batch; ++b) {
      for (int h = 0; h < heads; ++h) {
        reference::attention_forward(out + at(b * seq, heads * head_width),
                                     logsumexp + at(b * heads + h, seq),
                                     qkv + at(b * seq, (heads + 2 * kv_heads) * head_width), shape, h);
      }
    }
  }
  void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                          const float* qkv, int batch, int seq, int heads, int kv_heads, int head_width,
                          MatmulFormat) override {
    const reference::AttentionShape shape{seq, heads, kv_heads, head_width};
    for (int b = 0; b < batch; ++b) {
      const std::ptrdiff_t first = at(b * seq, heads * head_width);
      const std::ptrdiff_t first_qkv = at(b * seq, (heads + 2 * kv_heads) * head_width);
      for (int h = 0; h < heads; ++h) {
        reference::attention_backward(dqkv + first_qkv, dout + first, out + first,
                                      logsumexp + at(b * heads + h, seq), qkv + first_qkv, shape, h);
      }
    }
  }

  void embedding_forward(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                         int batch, int seq, int width) override {
    for (int r = 0; r < batch * seq; ++r) {
      for (int c = 0; c < width; ++c) {
        const float token = wte[at(tokens[r], width) + c];
        out[at(r, width) + c] = wpe == nullptr ? token : token + wpe[at(r % seq, width) + c];
      }
    }
  }
  void embedding_backward_tokens(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                 int width, int first_token, int token_count) override {
    for (int r = 0; r < rows; ++r) {
      const int token = tokens[r] - first_token;
      if (token < 0 || token >= token_count) continue;
      for (int c = 0; c < width; ++c) dwte[at(token, width) + c] += dout[at(r, width) + c];
    }
  }
  void embedding_backward_positions(float* dwpe, const float* dout, int batch, int seq, int width) override {
    std::fill_n(dwpe, at(seq, width), 0.0F);
    for (int r = 0; r < batch * seq; ++r) {
      for (int c = 0; c < width; ++c) dwpe[at(r % seq, width) + c] += dout[at(r, width) + c];
    }
  }

  void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows, int vocab,
                             int count, bool gradient) override {
    const float share = 1.0F / static_cast<float>(count);
    for (int r = 0; r < rows; ++r) {
      float* x = logits + at(r, vocab);
      LaneMaximum highest;
      for (int j = 0; j < vocab; ++j) highest.add(j, x[j]);
      const float top = highest.total(), target_logit = x[targets[r]];
      LaneSum<float> sum;
      for (int j = 0; j < vocab; ++j) {
        x[j] = exp(Lane{x[j] - top}).v;
        sum.add(j, x[j]);
      }
      losses[r] = (log(Lane{sum.total()}).v + top) - target_logit;
      if (!gradient) continue;
      const float factor = (1.0F / sum.total()) * share;
      for (int j = 0; j < vocab; ++j) x[j] *= factor;
      x[targets[r]] -= share;
    }
  }

  void quantize_add(QuantizeResult* into, std::int32_t* sums, const float* gradient, std::size_t count,
                    int exponent, std::uint64_t first_index, bool fresh) override {
    QuantizeResult& result = *into;
    const float factor = std::ldexp(1.0F, exponent);
    for (std::size_t i = 0; i < count; ++i) {
      if (fresh) sums[i] = 0;
      const float scaled = gradient[i] * factor;
      if (!std::isfinite(gradient[i])) result.non_finite = 1;
      if (!(std::fabs(scaled) < kGradientBound)) {
        result.peak = kPeakLimit;
        continue;
      }
      const auto q = static_cast<std::int32_t>(std::nearbyint(scaled));
      result.peak = std::max(result.peak, static_cast<std::uint64_t>(std::abs(q)));
      result.fingerprint +=
          static_cast<std::uint64_t>(std::int64_t{q}) * fingerprint_key((first_index + i) * kFingerprintStep);
      sums[i] =
          static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[i]) + static_cast<std::uint32_t>(q));
    }
  }
  void sum_of_squares(double* result, const std::int32_t* sums, std::size_t count) override {
    double total = 0;
    for (std::size_t from = 0; from < count; from += kNormBlock) {
      LaneSum<double> block;
      for (std::size_t i = from; i < std::min(count, from + kNormBlock); ++i) {
        const double x = static_cast<double>(sums[i]);
        block.add_product(static_cast<int>(i - from), x, x);
      }
      total += block.total();
    }
    *result = total;
  }
  void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
             const AdamWScalars& s) override {
    const auto lanes = AdamWLanes<Lane>::of(s);
    for (std::size_t i = 0; i < count; ++i) {
      Lane p{params[i]}, first{m[i]}, second{v[i]};
      adamw_update(lanes, Lane{static_cast<float>(sums[i])}, p, first, second);
      params[i] = p.v;
      m[i] = first.v;
      v[i] = second.v;
    }
  }

 private:
  // Of a format that is not f32.
  static void product(float* c, int c_row, const Operand& a, const Operand& b, int depth, MatmulFormat format,
                      const float* bias, bool accumulate) {
    if (format != MatmulFormat::bf16) {
      return reference::integer_matmul(c, c_row, a, b, depth, bits_of(format), bias, accumulate);
    }
    const auto value = [](const Operand& operand, int row, int k) {
      return round_to_bf16(operand.base[row * operand.row_stride + k * operand.depth_stride]);
    };
    for (int i = 0; i < a.rows; ++i) {
      for (int j = 0; j < b.rows; ++j) {
        float& sum = c[at(i, c_row) + j];
        if (!accumulate) sum = bias == nullptr ? 0.0F : bias[j];
        for (int k = 0; k < depth; ++k) sum = __builtin_fmaf(value(a, i, k), value(b, j, k), sum);
      }
    }
  }

  static void rope(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                   int kv_heads, int head_width, bool back) {
    const int half = head_width / 2;
    for (int row = 0; row < batch * seq; ++row) {
      for (int head = 0; head < heads + kv_heads; ++head) {
        float* x = qkv + at(row, (heads + 2 * kv_heads) * head_width) + at(head, head_width);
        for (int j = 0; j < half; ++j) {
          Lane a{x[j]}, b{x[half + j]};
          const Lane s{sine[at(row % seq, half) + j]};
          rope_rotate(a, b, Lane{cosine[at(row % seq, half) + j]}, back ? -s : s);
          x[j] = a.v;
          x[half + j] = b.v;
        }
      }
    }
  }
  static std::ptrdiff_t at(int row, int width) { return static_cast<std::ptrdiff_t>(row) * width; }
  int threads_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(int threads) {
  return std::make_unique<ReferenceBackend>(threads);
}

}  // namespace ufab::kernels
