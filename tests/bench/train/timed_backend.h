// A Backend that gives every call to another one and keeps the time of each kind of operator, and which
// products were asked for. For backends whose calls return when the operator is done: those of the processor.
#pragma once

#include <compare>
#include <map>
#include <string>

#include "kernels/backend.h"
#include "tests/bench/kernels/products.h"
#include "tests/bench/kernels/support.h"

namespace ufab::bench {

// A product of a linear layer as an operator is asked for it; stride: between rows of dout.
struct Product {
  Pass pass;
  int rows, in_width, out_width, stride;
  bool bias, accumulate;
  kernels::MatmulFormat format;
  friend auto operator<=>(const Product&, const Product&) = default;
  [[nodiscard]] double flop() const { return 2.0 * rows * in_width * out_width; }
};

struct OperatorTime {
  int calls = 0;
  double seconds = 0;
};

class TimedBackend final : public kernels::Backend {
  using Format = kernels::MatmulFormat;

 public:
  explicit TimedBackend(kernels::Backend& inner) : inner_(inner) {}

  [[nodiscard]] const std::map<Product, OperatorTime>& products() const { return products_; }
  [[nodiscard]] const std::map<std::string, OperatorTime>& others() const { return others_; }
  void reset() {
    products_.clear();
    others_.clear();
  }

  std::pmr::memory_resource& shared_memory() override { return inner_.shared_memory(); }
  std::pmr::memory_resource& device_memory() override { return inner_.device_memory(); }
  void wait() override { inner_.wait(); }
  kernels::BackendKind kind() const override { return inner_.kind(); }
  int threads() const override { return inner_.threads(); }
  std::size_t scratch_bytes(const kernels::ScratchQuestion& question) const override {
    return inner_.scratch_bytes(question);
  }
  std::size_t logits_bytes() const override { return inner_.logits_bytes(); }
  void zero(void* memory, std::size_t bytes) override {
    timed("zero", [&] { inner_.zero(memory, bytes); });
  }
  void copy(float* to, const float* from, std::size_t count) override {
    timed("copy", [&] { inner_.copy(to, from, count); });
  }

  void matmul_forward(float* out, const float* in, const float* weight, const float* bias, int rows,
                      int in_width, int out_width, Format format) override {
    const Product product{Pass::forward,   rows,  in_width, out_width, out_width,
                          bias != nullptr, false, format};
    add(products_[product],
        [&] { inner_.matmul_forward(out, in, weight, bias, rows, in_width, out_width, format); });
  }
  void matmul_backward_input(float* din, const float* dout, const float* weight, int rows, int in_width,
                             int out_width, Format format) override {
    const Product product{Pass::dinput, rows, in_width, out_width, out_width, false, false, format};
    add(products_[product],
        [&] { inner_.matmul_backward_input(din, dout, weight, rows, in_width, out_width, format); });
  }
  void matmul_backward_weight(float* dweight, const float* in, const float* dout, int rows, int in_width,
                              int out_width, int dout_stride, bool accumulate, Format format) override {
    const Product product{Pass::dweight, rows, in_width, out_width, dout_stride, false, accumulate, format};
    add(products_[product], [&] {
      inner_.matmul_backward_weight(dweight, in, dout, rows, in_width, out_width, dout_stride, accumulate,
                                    format);
    });
  }
  void bias_backward(float* dbias, const float* dout, int rows, int width) override {
    timed("bias gradient", [&] { inner_.bias_backward(dbias, dout, rows, width); });
  }

  void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                         const float* beta, int rows, int width) override {
    timed("norm", [&] { inner_.layernorm_forward(out, mean, rstd, in, gamma, beta, rows, width); });
  }
  void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                const float* mean, const float* rstd, int rows, int width) override {
    timed("norm gradient, input",
          [&] { inner_.layernorm_backward_input(din, dout, in, gamma, mean, rstd, rows, width); });
  }
  void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                     const float* mean, const float* rstd, int rows, int width) override {
    timed("norm gradient, parameters",
          [&] { inner_.layernorm_backward_parameters(dgamma, dbeta, dout, in, mean, rstd, rows, width); });
  }
  void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                       int width) override {
    timed("norm", [&] { inner_.rmsnorm_forward(out, rstd, in, gamma, eps, rows, width); });
  }
  void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                              const float* rstd, int rows, int width) override {
    timed("norm gradient, input",
          [&] { inner_.rmsnorm_backward_input(din, dout, in, gamma, rstd, rows, width); });
  }
  void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in, const float* rstd,
                                   int rows, int width) override {
    timed("norm gradient, parameters",
          [&] { inner_.rmsnorm_backward_parameters(dgamma, dout, in, rstd, rows, width); });
  }

  void gelu_forward(float* out, const float* in, std::size_t count) override {
    timed("activation", [&] { inner_.gelu_forward(out, in, count); });
  }
  void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) override {
    timed("activation gradient", [&] { inner_.gelu_backward(din, dout, in, count); });
  }
  void residual_forward(float* out, const float* a, const float* b, std::size_t count) override {
    timed("residual", [&] { inner_.residual_forward(out, a, b, count); });
  }
  void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) override {
    timed("activation", [&] { inner_.swiglu_forward(out, gate_up, rows, hidden); });
  }
  void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows,
                       int hidden) override {
    timed("activation gradient", [&] { inner_.swiglu_backward(dgate_up, dout, gate_up, rows, hidden); });
  }

  void rope_forward(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                    int kv_heads, int head_width) override {
    timed("rope", [&] { inner_.rope_forward(qkv, cosine, sine, batch, seq, heads, kv_heads, head_width); });
  }
  void rope_backward(float* dqkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                     int kv_heads, int head_width) override {
    timed("rope", [&] { inner_.rope_backward(dqkv, cosine, sine, batch, seq, heads, kv_heads, head_width); });
  }
  void attention_forward(float* out, float* logsumexp, const float* qkv, int batch, int seq, int heads,
                         int kv_heads, int head_width, Format format) override {
    timed("attention", [&] {
      inner_.attention_forward(out, logsumexp, qkv, batch, seq, heads, kv_heads, head_width, format);
    });
  }
  void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                          const float* qkv, int batch, int seq, int heads, int kv_heads, int head_width,
                          Format format) override {
    timed("attention gradient", [&] {
      inner_.attention_backward(dqkv, dout, out, logsumexp, qkv, batch, seq, heads, kv_heads, head_width,
                                format);
    });
  }

  void embedding_forward(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                         int batch, int seq, int width) override {
    timed("embedding", [&] { inner_.embedding_forward(out, wte, wpe, tokens, batch, seq, width); });
  }
  void embedding_backward_tokens(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                 int width, int first_token, int token_count) override {
    timed("embedding gradient", [&] {
      inner_.embedding_backward_tokens(dwte, dout, tokens, rows, width, first_token, token_count);
    });
  }
  void embedding_backward_positions(float* dwpe, const float* dout, int batch, int seq, int width) override {
    timed("embedding gradient", [&] { inner_.embedding_backward_positions(dwpe, dout, batch, seq, width); });
  }
  void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows, int vocab,
                             int count, bool gradient) override {
    timed("softmax cross-entropy",
          [&] { inner_.softmax_cross_entropy(losses, logits, targets, rows, vocab, count, gradient); });
  }

  void quantize_add(kernels::QuantizeResult* result, std::int32_t* sums, const float* gradient,
                    std::size_t count, int exponent, std::uint64_t first_index, bool fresh) override {
    timed("quantize_add",
          [&] { inner_.quantize_add(result, sums, gradient, count, exponent, first_index, fresh); });
  }
  void sum_of_squares(double* result, const std::int32_t* sums, std::size_t count) override {
    timed("sum of squares", [&] { inner_.sum_of_squares(result, sums, count); });
  }
  void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
             const kernels::AdamWScalars& scalars) override {
    timed(kAdamW, [&] { inner_.adamw(params, m, v, sums, count, scalars); });
  }
  static constexpr const char* kAdamW = "AdamW";

 private:
  template <class Call>
  void add(OperatorTime& to, const Call& call) {
    to.seconds += time_once(call);
    ++to.calls;
  }
  template <class Call>
  void timed(const char* name, const Call& call) {
    add(others_[name], call);
  }

  kernels::Backend& inner_;
  std::map<Product, OperatorTime> products_;
  std::map<std::string, OperatorTime> others_;
};

}  // namespace ufab::bench
