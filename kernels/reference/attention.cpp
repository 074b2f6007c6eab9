#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/order/attention.h"
#include "kernels/reference/lanes.h"

namespace ufab::kernels::reference {
namespace {

// Row i of q, k or v of one head.
struct Rows {
  const float* first;
  std::ptrdiff_t stride;
  const float* operator[](int i) const { return first + i * stride; }
};

float dot(const float* a, const float* b, int count) {
  float sum = 0;
  for (int d = 0; d < count; ++d) sum = __builtin_fmaf(a[d], b[d], sum);
  return sum;
}

// Where a head's components lie in a row of qkv.
struct Offsets {
  std::ptrdiff_t q, k, v, row;
};
Offsets offsets(const AttentionShape& shape, int head) {
  const std::ptrdiff_t width = shape.head_width;
  const int kv_head = head / (shape.heads / shape.kv_heads);
  return {head * width, (shape.heads + kv_head) * width, (shape.heads + shape.kv_heads + kv_head) * width,
          (shape.heads + 2 * shape.kv_heads) * width};
}

}  // namespace

void attention_forward(float* out, float* logsumexp, const float* qkv, const AttentionShape& shape,
                       int head) {
  const int seq = shape.seq, head_width = shape.head_width;
  const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(shape.heads) * head_width;
  const Offsets at = offsets(shape, head);
  const Rows q{qkv + at.q, at.row}, k{qkv + at.k, at.row}, v{qkv + at.v, at.row};
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  std::vector<float> sums(static_cast<std::size_t>(head_width));

  for (int i = 0; i < seq; ++i) {
    float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
    for (int first = 0; first <= i; first += kAttentionKeyTile) {
      const int keys = std::min(kAttentionKeyTile, i + 1 - first);
      float s[kAttentionKeyTile];
      LaneMaximum tile_maximum;
      for (int j = 0; j < keys; ++j) {
        s[j] = dot(q[i], k[first + j], head_width) * scale;
        tile_maximum.add(j, s[j]);
      }
      const float previous = maximum;
      const float top = tile_maximum.total();
      maximum = maximum > top ? maximum : top;
      LaneSum<float> tile_sum;
      for (int j = 0; j < keys; ++j) {
        s[j] = attention_probability(Lane{s[j]}, Lane{maximum}).v;
        tile_sum.add(j, s[j]);
      }
      const float correction = first == 0 ? 0.0F : attention_correction(Lane{previous}, Lane{maximum}).v;
      sum = first == 0 ? tile_sum.total() : __builtin_fmaf(sum, correction, tile_sum.total());
      for (int d = 0; d < head_width; ++d) {
        float& o = sums[static_cast<std::size_t>(d)];
        o = first == 0 ? 0.0F : o * correction;
        for (int j = 0; j < keys; ++j) o = __builtin_fmaf(s[j], v[first + j][d], o);
      }
    }
    const float inverse = 1.0F / sum;
    float* row = out + i * width + static_cast<std::ptrdiff_t>(head) * head_width;
    for (int d = 0; d < head_width; ++d) row[d] = sums[static_cast<std::size_t>(d)] * inverse;
    logsumexp[i] = maximum + log(Lane{sum}).v;
  }
}

void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                        const float* qkv, const AttentionShape& shape, int head) {
  const int seq = shape.seq, head_width = shape.head_width;
  const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(shape.heads) * head_width;
  const std::ptrdiff_t head_offset = static_cast<std::ptrdiff_t>(head) * head_width;
  const Offsets at = offsets(shape, head);
  const Rows q{qkv + at.q, at.row}, k{qkv + at.k, at.row}, v{qkv + at.v, at.row};
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
  const bool first_of_group = head % (shape.heads / shape.kv_heads) == 0;
  for (int i = 0; i < seq; ++i) {
    std::fill_n(dqkv + i * at.row + at.q, head_width, 0.0F);
    if (!first_of_group) continue;
    std::fill_n(dqkv + i * at.row + at.k, head_width, 0.0F);
    std::fill_n(dqkv + i * at.row + at.v, head_width, 0.0F);
  }
  // Queries ascending, and keys ascending inside: every chain meets its terms in order.
  for (int i = 0; i < seq; ++i) {
    const float* o = out + i * width + head_offset;
    const float* d_o = dout + i * width + head_offset;
    LaneSum<float> delta_sum;
    for (int d = 0; d < head_width; ++d) delta_sum.add_product(d, d_o[d], o[d]);
    const float delta = delta_sum.total();
    float* dq = dqkv + i * at.row + at.q;
    for (int j = 0; j <= i; ++j) {
      const float p = attention_probability(Lane{dot(q[i], k[j], head_width) * scale}, Lane{logsumexp[i]}).v;
      const float dp = dot(d_o, v[j], head_width);
      const float ds = attention_score_gradient(Lane{p}, Lane{dp}, Lane{delta}, Lane{scale}).v;
      float* dk = dqkv + j * at.row + at.k;
      float* dv = dqkv + j * at.row + at.v;
      for (int d = 0; d < head_width; ++d) {
        dq[d] = __builtin_fmaf(ds, k[j][d], dq[d]);
        dk[d] = __builtin_fmaf(ds, q[i][d], dk[d]);
        dv[d] = __builtin_fmaf(p, d_o[d], dv[d]);
      }
    }
  }
}

}  // namespace ufab::kernels::reference
