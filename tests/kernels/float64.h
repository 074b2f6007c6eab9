// GPT-2 in binary64, written from its definition and independent of kernels/: no tiles, no lanes, no saved
// statistics. Templated over the number type: double evaluates, Var (below) also differentiates.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace ufab::kernels::float64 {

// Reverse-mode differentiation of scalars on a tape.
class Tape {
 public:
  struct Node {
    std::int32_t left, right;
    double dleft, dright;
  };
  std::int32_t push(std::int32_t left, double dleft, std::int32_t right, double dright) {
    nodes_.push_back({left, right, dleft, dright});
    return static_cast<std::int32_t>(nodes_.size()) - 1;
  }
  void clear() { nodes_.clear(); }
  // Derivatives of node `output` with respect to every node.
  std::vector<double> gradient(std::int32_t output) const {
    std::vector<double> adjoint(nodes_.size());
    adjoint[static_cast<std::size_t>(output)] = 1;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      const Node& node = nodes_[i];
      if (node.left >= 0) adjoint[static_cast<std::size_t>(node.left)] += node.dleft * adjoint[i];
      if (node.right >= 0) adjoint[static_cast<std::size_t>(node.right)] += node.dright * adjoint[i];
    }
    return adjoint;
  }
  static Tape& current() {
    static thread_local Tape tape;
    return tape;
  }

 private:
  std::vector<Node> nodes_;
};

struct Var {
  double value = 0;
  std::int32_t node = -1;  // -1: a constant
  Var() = default;
  Var(double constant) : value(constant) {}
  Var(double v, std::int32_t n) : value(v), node(n) {}
  static Var variable(double v) { return {v, Tape::current().push(-1, 0, -1, 0)}; }
};
inline Var make(double value, Var a, double da, Var b, double db) {
  if (a.node < 0 && b.node < 0) return {value};
  return {value, Tape::current().push(a.node, da, b.node, db)};
}
inline Var operator+(Var a, Var b) {
  return make(a.value + b.value, a, 1, b, 1);
}
inline Var operator-(Var a, Var b) {
  return make(a.value - b.value, a, 1, b, -1);
}
inline Var operator*(Var a, Var b) {
  return make(a.value * b.value, a, b.value, b, a.value);
}
inline Var operator/(Var a, Var b) {
  return make(a.value / b.value, a, 1 / b.value, b, -a.value / (b.value * b.value));
}
inline Var exp(Var a) {
  return make(std::exp(a.value), a, std::exp(a.value), Var(), 0);
}
inline Var log(Var a) {
  return make(std::log(a.value), a, 1 / a.value, Var(), 0);
}
inline Var sqrt(Var a) {
  return make(std::sqrt(a.value), a, 0.5 / std::sqrt(a.value), Var(), 0);
}
inline Var tanh(Var a) {
  const double t = std::tanh(a.value);
  return make(t, a, 1 - t * t, Var(), 0);
}

template <class T>
using Vector = std::vector<T>;

inline std::size_t index(int row, int width, int column) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(width) + static_cast<std::size_t>(column);
}

// in [rows][in_width], weight [out_width][in_width], bias [out_width] or empty.
template <class T>
Vector<T> linear(const Vector<T>& in, const Vector<T>& weight, const Vector<T>& bias, int rows, int in_width,
                 int out_width) {
  Vector<T> out(index(rows, out_width, 0));
  for (int r = 0; r < rows; ++r) {
    for (int n = 0; n < out_width; ++n) {
      T sum = bias.empty() ? T(0.0) : bias[static_cast<std::size_t>(n)];
      for (int k = 0; k < in_width; ++k)
        sum = sum + in[index(r, in_width, k)] * weight[index(n, in_width, k)];
      out[index(r, out_width, n)] = sum;
    }
  }
  return out;
}

template <class T>
Vector<T> layer_norm(const Vector<T>& in, const Vector<T>& gamma, const Vector<T>& beta, int rows,
                     int width) {
  using std::sqrt;
  Vector<T> out(in.size());
  const T count = T(static_cast<double>(width));
  for (int r = 0; r < rows; ++r) {
    T mean = T(0.0), variance = T(0.0);
    for (int c = 0; c < width; ++c) mean = mean + in[index(r, width, c)];
    mean = mean / count;
    for (int c = 0; c < width; ++c) {
      const T d = in[index(r, width, c)] - mean;
      variance = variance + d * d;
    }
    const T deviation = sqrt(variance / count + T(1e-5));
    for (int c = 0; c < width; ++c) {
      const std::size_t i = index(r, width, c);
      out[i] =
          (in[i] - mean) / deviation * gamma[static_cast<std::size_t>(c)] + beta[static_cast<std::size_t>(c)];
    }
  }
  return out;
}

template <class T>
Vector<T> gelu(const Vector<T>& in) {
  using std::tanh;
  const double k = std::sqrt(2 / std::acos(-1.0));
  Vector<T> out(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const T x = in[i];
    out[i] = T(0.5) * x * (T(1.0) + tanh(T(k) * (x + T(0.044715) * x * x * x)));
  }
  return out;
}

// qkv [batch][seq][3][heads][head_width] -> [batch][seq][heads][head_width].
template <class T>
Vector<T> attention(const Vector<T>& qkv, int batch, int seq, int heads, int head_width) {
  using std::exp;
  const int width = heads * head_width;
  Vector<T> out(index(batch * seq, width, 0));
  for (int b = 0; b < batch; ++b) {
    for (int h = 0; h < heads; ++h) {
      const auto at = [&](int position, int part, int d) {
        return qkv[index(b * seq + position, 3 * width, part * width + h * head_width + d)];
      };
      for (int i = 0; i < seq; ++i) {
        Vector<T> weight(static_cast<std::size_t>(i) + 1);
        T total = T(0.0);
        for (int j = 0; j <= i; ++j) {
          T score = T(0.0);
          for (int d = 0; d < head_width; ++d) score = score + at(i, 0, d) * at(j, 1, d);
          weight[static_cast<std::size_t>(j)] = exp(score / T(std::sqrt(static_cast<double>(head_width))));
          total = total + weight[static_cast<std::size_t>(j)];
        }
        for (int d = 0; d < head_width; ++d) {
          T sum = T(0.0);
          for (int j = 0; j <= i; ++j) sum = sum + weight[static_cast<std::size_t>(j)] * at(j, 2, d);
          out[index(b * seq + i, width, h * head_width + d)] = sum / total;
        }
      }
    }
  }
  return out;
}

// Sum over rows of -log softmax(logits)[target].
template <class T>
T cross_entropy(const Vector<T>& logits, std::span<const std::int32_t> targets, int rows, int vocab) {
  using std::exp;
  using std::log;
  T loss = T(0.0);
  for (int r = 0; r < rows; ++r) {
    T total = T(0.0);
    for (int j = 0; j < vocab; ++j) total = total + exp(logits[index(r, vocab, j)]);
    loss = loss + log(total) - logits[index(r, vocab, targets[static_cast<std::size_t>(r)])];
  }
  return loss;
}

template <class T>
Vector<T> add(const Vector<T>& a, const Vector<T>& b) {
  Vector<T> out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = a[i] + b[i];
  return out;
}

struct Model {
  int vocab, context, layers, heads, width;
};

// Mean loss of one micro-batch. params in the order that kernels/model.h documents.
template <class T>
T gpt2_loss(const Model& model, const Vector<T>& params, std::span<const std::int32_t> inputs,
            std::span<const std::int32_t> targets, int batch, int seq) {
  const int rows = batch * seq, c = model.width;
  std::size_t next = 0;
  const auto take = [&](int count) {
    const auto from = params.begin() + static_cast<std::ptrdiff_t>(next);
    next += static_cast<std::size_t>(count);
    return Vector<T>(from, from + count);
  };
  const Vector<T> wte = take(model.vocab * c), wpe = take(model.context * c);
  Vector<T> x(index(rows, c, 0));
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < c; ++j) {
      x[index(r, c, j)] = wte[index(inputs[static_cast<std::size_t>(r)], c, j)] + wpe[index(r % seq, c, j)];
    }
  }
  const Vector<T> none;
  for (int layer = 0; layer < model.layers; ++layer) {
    const Vector<T> ln1w = take(c), ln1b = take(c), qkvw = take(3 * c * c), qkvb = take(3 * c);
    const Vector<T> projw = take(c * c), projb = take(c), ln2w = take(c), ln2b = take(c);
    const Vector<T> fcw = take(4 * c * c), fcb = take(4 * c), outw = take(4 * c * c), outb = take(c);
    const Vector<T> qkv = linear(layer_norm(x, ln1w, ln1b, rows, c), qkvw, qkvb, rows, c, 3 * c);
    x = add(x, linear(attention(qkv, batch, seq, model.heads, c / model.heads), projw, projb, rows, c, c));
    const Vector<T> hidden = gelu(linear(layer_norm(x, ln2w, ln2b, rows, c), fcw, fcb, rows, c, 4 * c));
    x = add(x, linear(hidden, outw, outb, rows, 4 * c, c));
  }
  const Vector<T> lnfw = take(c), lnfb = take(c);
  const Vector<T> logits = linear(layer_norm(x, lnfw, lnfb, rows, c), wte, none, rows, c, model.vocab);
  return cross_entropy(logits, targets, rows, model.vocab) / T(static_cast<double>(rows));
}

}  // namespace ufab::kernels::float64
