// The Llama family in binary64, written from its papers and independent of kernels/, as float64.h is for
// GPT-2: RMS norm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021) in Hugging Face's order of
// components, SwiGLU (Shazeer 2020), grouped-query attention (Ainslie et al. 2023).
#pragma once

#include "tests/kernels/float64.h"

namespace ufab::kernels::float64 {

template <class T>
Vector<T> rms_norm(const Vector<T>& in, const Vector<T>& gamma, double eps, int rows, int width) {
  using std::sqrt;
  Vector<T> out(in.size());
  for (int r = 0; r < rows; ++r) {
    T squares = T(0.0);
    for (int c = 0; c < width; ++c) squares = squares + in[index(r, width, c)] * in[index(r, width, c)];
    const T root = sqrt(squares / T(static_cast<double>(width)) + T(eps));
    for (int c = 0; c < width; ++c) {
      const std::size_t i = index(r, width, c);
      out[i] = in[i] / root * gamma[static_cast<std::size_t>(c)];
    }
  }
  return out;
}

// gate, up: [rows][hidden] each.
template <class T>
Vector<T> swiglu(const Vector<T>& gate, const Vector<T>& up) {
  using std::exp;
  Vector<T> out(gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) {
    out[i] = gate[i] / (T(1.0) + exp(T(0.0) - gate[i])) * up[i];
  }
  return out;
}

// x [batch][seq][heads][head_width], every head.
template <class T>
Vector<T> rope(const Vector<T>& x, double theta, int batch, int seq, int heads, int head_width) {
  Vector<T> out(x.size());
  const int half = head_width / 2, width = heads * head_width;
  for (int row = 0; row < batch * seq; ++row) {
    for (int h = 0; h < heads; ++h) {
      for (int j = 0; j < half; ++j) {
        const double angle = (row % seq) * std::pow(theta, -2.0 * j / head_width);
        const T a = x[index(row, width, h * head_width + j)];
        const T b = x[index(row, width, h * head_width + half + j)];
        out[index(row, width, h * head_width + j)] = a * T(std::cos(angle)) - b * T(std::sin(angle));
        out[index(row, width, h * head_width + half + j)] = b * T(std::cos(angle)) + a * T(std::sin(angle));
      }
    }
  }
  return out;
}

// q [batch][seq][heads][head_width], k and v [batch][seq][kv_heads][head_width] -> as q.
template <class T>
Vector<T> grouped_attention(const Vector<T>& q, const Vector<T>& k, const Vector<T>& v, int batch, int seq,
                            int heads, int kv_heads, int head_width) {
  // Every query head gets keys and values of its own, and attends as in GPT-2.
  Vector<T> qkv;
  for (int row = 0; row < batch * seq; ++row) {
    const auto add = [&](const Vector<T>& from, int of, int head) {
      for (int d = 0; d < head_width; ++d)
        qkv.push_back(from[index(row, of * head_width, head * head_width + d)]);
    };
    for (int h = 0; h < heads; ++h) add(q, heads, h);
    for (int h = 0; h < heads; ++h) add(k, kv_heads, h * kv_heads / heads);
    for (int h = 0; h < heads; ++h) add(v, kv_heads, h * kv_heads / heads);
  }
  return attention(qkv, batch, seq, heads, head_width);
}

struct LlamaModel {
  int vocab, layers, heads, kv_heads, width, hidden;
  double eps, theta;
  bool tied;
};

// Mean loss of one micro-batch. params in the order that kernels/model.h documents.
template <class T>
T llama_loss(const LlamaModel& model, const Vector<T>& params, std::span<const std::int32_t> inputs,
             std::span<const std::int32_t> targets, int batch, int seq) {
  const int rows = batch * seq, c = model.width, hidden = model.hidden, head_width = c / model.heads;
  const int kv = model.kv_heads * head_width;
  std::size_t next = 0;
  const auto take = [&](int count) {
    const auto from = params.begin() + static_cast<std::ptrdiff_t>(next);
    next += static_cast<std::size_t>(count);
    return Vector<T>(from, from + count);
  };
  const Vector<T> embedding = take(model.vocab * c), none;
  Vector<T> x(index(rows, c, 0));
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < c; ++j) {
      x[index(r, c, j)] = embedding[index(inputs[static_cast<std::size_t>(r)], c, j)];
    }
  }
  for (int layer = 0; layer < model.layers; ++layer) {
    const Vector<T> norm1 = take(c), wq = take(c * c), wk = take(kv * c), wv = take(kv * c), wo = take(c * c);
    const Vector<T> norm2 = take(c), gate = take(hidden * c), up = take(hidden * c), down = take(c * hidden);
    const Vector<T> n1 = rms_norm(x, norm1, model.eps, rows, c);
    const Vector<T> q =
        rope(linear(n1, wq, none, rows, c, c), model.theta, batch, seq, model.heads, head_width);
    const Vector<T> k =
        rope(linear(n1, wk, none, rows, c, kv), model.theta, batch, seq, model.kv_heads, head_width);
    const Vector<T> v = linear(n1, wv, none, rows, c, kv);
    const Vector<T> attended =
        grouped_attention(q, k, v, batch, seq, model.heads, model.kv_heads, head_width);
    x = add(x, linear(attended, wo, none, rows, c, c));
    const Vector<T> n2 = rms_norm(x, norm2, model.eps, rows, c);
    const Vector<T> inner =
        swiglu(linear(n2, gate, none, rows, c, hidden), linear(n2, up, none, rows, c, hidden));
    x = add(x, linear(inner, down, none, rows, hidden, c));
  }
  const Vector<T> norm = take(c);
  const Vector<T> head = model.tied ? embedding : take(model.vocab * c);
  const Vector<T> logits = linear(rms_norm(x, norm, model.eps, rows, c), head, none, rows, c, model.vocab);
  return cross_entropy(logits, targets, rows, model.vocab) / T(static_cast<double>(rows));
}

}  // namespace ufab::kernels::float64
