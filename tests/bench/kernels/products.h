// The three products of one linear layer, for a backend and for a peer, and how exact a result is.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/backend.h"
#include "kernels/philox.h"
#include "tests/bench/kernels/peers.h"

namespace ufab::bench {

struct Shape {
  int rows, in_width, out_width;
  bool bias;
};
inline double flop(const Shape& shape) {
  return 2.0 * shape.rows * shape.in_width * shape.out_width;
}

enum class Pass { forward, dinput, dweight };
inline constexpr Pass kPasses[] = {Pass::forward, Pass::dinput, Pass::dweight};
inline const char* pass_name(Pass pass) {
  return pass == Pass::forward ? "forward" : pass == Pass::dinput ? "dinput" : "dweight";
}

// Near to normal, as a model's values are: an integer format's error depends on how far the largest of a
// block is from the rest. Sums of four uniform values, of variance 1.
inline std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const kernels::PhiloxCounter words = kernels::philox_block(seed, 0, i);
    double sum = 0;
    for (int w = 0; w < 4; ++w) sum += words[static_cast<std::size_t>(w)] * 0x1p-32 - 0.5;
    values[i] = static_cast<float>(sum * std::sqrt(3.0));
  }
  return values;
}

// A layer's operands and results.
struct Layer {
  Shape shape;
  std::vector<float> in, weight, dout, bias, out, din, dweight;

  explicit Layer(const Shape& s) : shape(s) {
    const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
    in = random_floats(size(s.rows, s.in_width), 1);
    weight = random_floats(size(s.out_width, s.in_width), 2);
    dout = random_floats(size(s.rows, s.out_width), 3);
    if (s.bias) bias = random_floats(size(1, s.out_width), 4);
    out.resize(dout.size());
    din.resize(in.size());
    dweight.resize(weight.size());
  }

  void ours(kernels::Backend& backend, Pass pass, kernels::MatmulFormat format) {
    const auto [m, k, n, with_bias] = shape;
    if (pass == Pass::forward) {
      backend.matmul_forward(out.data(), in.data(), weight.data(), with_bias ? bias.data() : nullptr, m, k, n,
                             format);
    } else if (pass == Pass::dinput) {
      backend.matmul_backward_input(din.data(), dout.data(), weight.data(), m, k, n, format);
    } else {
      backend.matmul_backward_weight(dweight.data(), in.data(), dout.data(), m, k, n, n, false, format);
    }
  }
  // The same product, without the bias, as a peer is asked for it.
  Gemm gemm(Pass pass) {
    const auto [m, k, n, with_bias] = shape;
    if (pass == Pass::forward) return {false, true, m, n, k, in.data(), k, weight.data(), k, out.data(), n};
    if (pass == Pass::dinput) return {false, false, m, k, n, dout.data(), n, weight.data(), k, din.data(), k};
    return {true, false, n, k, m, dout.data(), n, in.data(), k, dweight.data(), k};
  }
};

// The product in float64, of the same binary32 operands, at some of its elements.
class ExactSample {
 public:
  // bias: null, or what is added to each row of the product.
  ExactSample(const Gemm& g, const float* bias) {
    for (std::uint64_t i = 0; i < kElements; ++i) {
      const kernels::PhiloxCounter words = kernels::philox_block(5, 0, i);
      Element element{static_cast<int>(words[0] % static_cast<std::uint32_t>(g.m)),
                      static_cast<int>(words[1] % static_cast<std::uint32_t>(g.n)), 0, 0};
      for (int k = 0; k < g.k; ++k) {
        const float a = g.transpose_a ? at(g.a, g.lda, k, element.row) : at(g.a, g.lda, element.row, k);
        const float b = g.transpose_b ? at(g.b, g.ldb, element.column, k) : at(g.b, g.ldb, k, element.column);
        element.product += static_cast<double>(a) * static_cast<double>(b);
      }
      if (bias != nullptr) element.bias = static_cast<double>(bias[element.column]);
      elements_.push_back(element);
    }
  }
  // sqrt(sum of (c - exact)^2 / sum of exact^2) over the sample.
  double relative_error(const Gemm& g, bool with_bias) const {
    double errors = 0, squares = 0;
    for (const Element& element : elements_) {
      const double exact = element.product + (with_bias ? element.bias : 0);
      const double error = static_cast<double>(at(g.c, g.ldc, element.row, element.column)) - exact;
      errors += error * error;
      squares += exact * exact;
    }
    return std::sqrt(errors / squares);
  }

 private:
  static constexpr std::uint64_t kElements = 512;
  struct Element {
    int row, column;
    double product, bias;
  };
  static float at(const float* base, int stride, int row, int column) {
    return base[static_cast<std::ptrdiff_t>(row) * stride + column];
  }
  std::vector<Element> elements_;
};

}  // namespace ufab::bench
