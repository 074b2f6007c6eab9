// Causal attention of one head over tiles of 64 queries by 64 keys. Nothing larger than a tile is stored:
// the backward pass computes the probabilities again from the saved logsumexp.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tile.h"
#include "kernels/order/attention.h"
#include "kernels/semantics.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

inline constexpr int kTile = kAttentionKeyTile;
inline constexpr int kTileSquare = kTile * kTile;

UFAB_INLINE int padded_width(int head_width) {
  return (head_width + 15) & ~15;
}
// What a tile of queries carries from one tile of keys to the next: maxima and sums of the softmax, and the
// weighted sums of values.
UFAB_INLINE int carried_floats(int head_width) {
  return kTile * (2 + padded_width(head_width));
}
// The sums over dout * out of so many queries are made once, of later ones for each tile of keys again.
inline constexpr int kKeptDeltas = 64 * kTile;

// The larger of what the two passes lay out.
inline std::size_t attention_scratch(int head_width) {
  const int operand = kTile * padded_width(head_width);
  const int forward = kTileSquare + kTile + 2 * operand + kAttentionQueryTiles * carried_floats(head_width);
  const int backward = 2 * kTileSquare + kTile + kKeptDeltas + 4 * operand;
  return static_cast<std::size_t>(forward > backward ? forward : backward);
}

// One head's view: rows of q, k or v are `stride` floats apart.
struct HeadView {
  const float *q, *k, *v;
  std::ptrdiff_t stride;
};
UFAB_INLINE HeadView head_view(const float* qkv, AttentionShape shape, int head) {
  const std::ptrdiff_t width = shape.head_width;
  const int kv_head = head / (shape.heads / shape.kv_heads);
  const float* k = qkv + (shape.heads + kv_head) * width;
  return {qkv + head * width, k, k + shape.kv_heads * width, (shape.heads + 2 * shape.kv_heads) * width};
}
UFAB_INLINE float attention_scale(int head_width) {
  return 1.0F / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(static_cast<float>(head_width))));
}

// Online softmax of one tile of scores: rows of probabilities replace them, running maxima and sums go on.
struct SoftmaxState {
  float *maximum, *sum, *correction;  // [kTile] each
};
UFAB_INLINE void softmax_tile(float* scores, SoftmaxState state, int queries, int keys, bool first,
                              bool diagonal, float scale) {
  const F16 scale_all = F16::broadcast(scale), lowest = F16::broadcast(-__builtin_inff());
  float previous[kTile];
  for (int i = 0; i < queries; ++i) {
    float* row = scores + i * kTile;
    const int valid = diagonal ? i + 1 : keys;
    F16 top = lowest;
    for (int j = 0; j < valid; j += 16) {
      const F16 s = select_first(smaller(valid - j, 16), F16::load(row + j) * scale_all, lowest);
      s.store(row + j);
      top = select_less(top, s, s, top);
    }
    const float tile_top = tree_max(top);
    previous[i] = first ? -__builtin_inff() : state.maximum[i];
    state.maximum[i] = previous[i] > tile_top ? previous[i] : tile_top;
  }
  if (!first) {
    for (int i = queries; i < kTile; ++i) previous[i] = state.maximum[i] = 0.0F;
    for (int i = 0; i < kTile; i += 16) {
      attention_correction(F16::load(previous + i), F16::load(state.maximum + i)).store(state.correction + i);
    }
  }
  for (int i = 0; i < queries; ++i) {
    float* row = scores + i * kTile;
    const int valid = diagonal ? i + 1 : keys;
    const F16 top = F16::broadcast(state.maximum[i]);
    F16 sum = F16::broadcast(0.0F);
    for (int j = 0; j < valid; j += 16) {
      const F16 p = select_first(smaller(valid - j, 16), attention_probability(F16::load(row + j), top),
                                 F16::broadcast(0.0F));
      p.store(row + j);
      sum = sum + p;
    }
    const float total = tree_sum(sum);
    state.sum[i] = first ? total : __builtin_fmaf(state.sum[i], state.correction[i], total);
  }
}

// Queries of one tile with keys of one tile. sums: [kTile][padded].
UFAB_INLINE void attention_tiles(const HeadView& view, int width, int first_query, int queries, int first_key,
                                 int keys, float scale, const float* keys_packed, const float* values_packed,
                                 float* scores, SoftmaxState state, float* sums) {
  const bool first = first_key == 0, diagonal = first_key == first_query;
  const int padded = padded_width(width);
  const TileArgs score_args{.a = view.q + first_query * view.stride,
                            .lda = view.stride,
                            .b = keys_packed,
                            .ldb = kTile,
                            .c = scores,
                            .ldc = kTile,
                            .bias = nullptr,
                            .depth = width,
                            .last = 16,
                            .start = Start::zero};
  multiply<false>(score_args, queries, padded_width(keys));
  softmax_tile(scores, state, queries, keys, first, diagonal, scale);
  if (!first) {
    for (int i = 0; i < queries; ++i) {
      const F16 correction = F16::broadcast(state.correction[i]);
      float* row = sums + i * padded;
      for (int d = 0; d < padded; d += 16) (F16::load(row + d) * correction).store(row + d);
    }
  }
  const TileArgs value_args{.a = scores,
                            .lda = kTile,
                            .b = values_packed,
                            .ldb = padded,
                            .c = sums,
                            .ldc = padded,
                            .bias = nullptr,
                            .depth = keys,
                            .last = 16,
                            .start = first ? Start::zero : Start::load};
  if (diagonal) {
    multiply_triangle<Triangle::tail>(value_args, queries, padded);
  } else {
    multiply<false>(value_args, queries, padded);
  }
}

// Divides by the softmax's sums. out: at the head's first component of the first query.
UFAB_INLINE void attention_finish(float* out, std::ptrdiff_t out_stride, float* logsumexp, int width,
                                  int queries, SoftmaxState state, const float* sums) {
  float inverse[kTile];
  for (int i = queries; i < kTile; ++i) state.sum[i] = 1.0F;
  for (int i = 0; i < kTile; i += 16) {
    const F16 sum = F16::load(state.sum + i);
    (F16::broadcast(1.0F) / sum).store(inverse + i);
    const int valid = smaller(queries - i, 16);
    if (valid > 0) (F16::load_n(state.maximum + i, valid) + log(sum)).store_n(logsumexp + i, valid);
  }
  for (int i = 0; i < queries; ++i) {
    const F16 factor = F16::broadcast(inverse[i]);
    const float* from = sums + i * padded_width(width);
    for (int d = 0; d < width; d += 16) {
      (F16::load(from + d) * factor).store_n(out + i * out_stride + d, smaller(width - d, 16));
    }
  }
}

inline void attention_forward(float* out, float* logsumexp, const float* qkv, AttentionShape shape, int head,
                              int first_query, int query_tiles, float* scratch) {
  const HeadView view = head_view(qkv, shape, head);
  const int width = shape.head_width, padded = padded_width(width);
  const std::ptrdiff_t out_stride = static_cast<std::ptrdiff_t>(shape.heads) * width;
  const int end_query = smaller(shape.seq, first_query + query_tiles * kTile);
  const float scale = attention_scale(width);
  float* const scores = scratch;
  float* const correction = scores + kTileSquare;
  float* const keys_packed = correction + kTile;
  float* const values_packed = keys_packed + kTile * padded;
  float* const carried = values_packed + kTile * padded;
  const auto each_tile = [&](int from, const auto& body) __attribute__((always_inline)) {
    for (int query = from; query < end_query; query += kTile) {
      float* const own = carried + (query - first_query) / kTile * carried_floats(width);
      body(query, smaller(end_query - query, kTile), SoftmaxState{own, own + kTile, correction},
           own + 2 * kTile);
    }
  };

  for (int first_key = 0; first_key < end_query; first_key += kTile) {
    const int keys = smaller(shape.seq - first_key, kTile);
    pack_transposed(keys_packed, kTile, view.k + first_key * view.stride, view.stride, keys, width);
    pack_rows(values_packed, padded, view.v + first_key * view.stride, view.stride, width, keys);
    each_tile(first_key > first_query ? first_key : first_query,
              [&](int query, int queries, SoftmaxState state, float* sums) {
                attention_tiles(view, width, query, queries, first_key, keys, scale, keys_packed,
                                values_packed, scores, state, sums);
              });
  }
  each_tile(first_query, [&](int query, int queries, SoftmaxState state, const float* sums) {
    attention_finish(out + query * out_stride + static_cast<std::ptrdiff_t>(head) * width, out_stride,
                     logsumexp + query, width, queries, state, sums);
  });
}

// Scores become probabilities, and the products with dout become the scores' gradients.
UFAB_INLINE void softmax_gradient_tile(float* scores, float* products, const float* logsumexp,
                                       const float* delta, int queries, int keys, bool diagonal,
                                       float scale) {
  const F16 scale_all = F16::broadcast(scale);
  for (int i = 0; i < queries; ++i) {
    const int valid = diagonal ? i + 1 : keys;
    const F16 total = F16::broadcast(logsumexp[i]), shift = F16::broadcast(delta[i]);
    for (int j = 0; j < valid; j += 16) {
      float* score = scores + i * kTile + j;
      float* product = products + i * kTile + j;
      const F16 p = attention_probability(F16::load(score) * scale_all, total);
      p.store(score);
      attention_score_gradient(p, F16::load(product), shift, scale_all).store(product);
    }
  }
}

// delta[i] = lane sum of dout * out over the head's components of query i.
UFAB_INLINE void attention_deltas(float* delta, const float* dout, const float* out, std::ptrdiff_t stride,
                                  int width, int queries) {
  for (int i = 0; i < queries; ++i) {
    F16 sum = F16::broadcast(0.0F);
    for (int d = 0; d < width; d += 16) {
      const int valid = smaller(width - d, 16);
      sum = fma(F16::load_n(dout + i * stride + d, valid), F16::load_n(out + i * stride + d, valid), sum);
    }
    delta[i] = tree_sum(sum);
  }
}

inline void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                               const float* qkv, AttentionShape shape, int head, float* scratch) {
  const HeadView view = head_view(qkv, shape, head);
  const HeadView gradient = head_view(dqkv, shape, head);
  float* const dq = dqkv + (gradient.q - dqkv);
  float* const dk = dqkv + (gradient.k - dqkv);
  float* const dv = dqkv + (gradient.v - dqkv);
  const int width = shape.head_width, padded = padded_width(width);
  const std::ptrdiff_t out_stride = static_cast<std::ptrdiff_t>(shape.heads) * width;
  const float* const head_out = out + static_cast<std::ptrdiff_t>(head) * width;
  const float* const head_dout = dout + static_cast<std::ptrdiff_t>(head) * width;
  const float scale = attention_scale(width);
  const bool first_of_group = head % (shape.heads / shape.kv_heads) == 0;
  float* const scores = scratch;
  float* const products = scores + kTileSquare;
  float* const kept_deltas = products + kTileSquare;
  float* const other_delta = kept_deltas + kKeptDeltas;
  float* const keys_transposed = other_delta + kTile;
  float* const values_transposed = keys_transposed + kTile * padded;
  float* const keys_rows = values_transposed + kTile * padded;
  float* const query_rows = keys_rows + kTile * padded;  // q, then dout, of the tile at hand

  for (int first_key = 0; first_key < shape.seq; first_key += kTile) {
    const int keys = smaller(shape.seq - first_key, kTile);
    const std::ptrdiff_t key_offset = first_key * view.stride;
    pack_transposed(keys_transposed, kTile, view.k + key_offset, view.stride, keys, width);
    pack_transposed(values_transposed, kTile, view.v + key_offset, view.stride, keys, width);
    pack_rows(keys_rows, padded, view.k + key_offset, view.stride, width, keys);
    for (int first_query = first_key; first_query < shape.seq; first_query += kTile) {
      const bool diagonal = first_query == first_key;
      const int queries = smaller(shape.seq - first_query, kTile);
      const std::ptrdiff_t query_offset = first_query * view.stride;
      const float* const tile_dout = head_dout + first_query * out_stride;
      const bool kept = first_query < kKeptDeltas;
      float* const delta = kept ? kept_deltas + first_query : other_delta;
      if (first_key == 0 || !kept) {
        attention_deltas(delta, tile_dout, head_out + first_query * out_stride, out_stride, width, queries);
      }
      TileArgs args{.a = view.q + query_offset,
                    .lda = view.stride,
                    .b = keys_transposed,
                    .ldb = kTile,
                    .c = scores,
                    .ldc = kTile,
                    .bias = nullptr,
                    .depth = width,
                    .last = 16,
                    .start = Start::zero};
      multiply<false>(args, queries, padded_width(keys));
      args.a = tile_dout;
      args.lda = out_stride;
      args.b = values_transposed;
      args.c = products;
      multiply<false>(args, queries, padded_width(keys));
      softmax_gradient_tile(scores, products, logsumexp + first_query, delta, queries, keys, diagonal, scale);

      // dq += ds k; dk += ds^T q; dv += p^T dout.
      const TileArgs dq_args{.a = products,
                             .lda = kTile,
                             .b = keys_rows,
                             .ldb = padded,
                             .c = dq + query_offset,
                             .ldc = view.stride,
                             .bias = nullptr,
                             .depth = keys,
                             .last = 16,
                             .start = first_key == 0 ? Start::zero : Start::load};
      TileArgs dk_args{.a = products,
                       .lda = kTile,
                       .b = query_rows,
                       .ldb = padded,
                       .c = dk + key_offset,
                       .ldc = view.stride,
                       .bias = nullptr,
                       .depth = queries,
                       .last = 16,
                       .start = diagonal && first_of_group ? Start::zero : Start::load};
      pack_rows(query_rows, padded, view.q + query_offset, view.stride, width, queries);
      if (diagonal) {
        multiply_triangle<Triangle::tail>(dq_args, queries, width);
        multiply_triangle<Triangle::head>(dk_args, keys, width);
      } else {
        multiply<false>(dq_args, queries, width);
        multiply<true>(dk_args, keys, width);
      }
      pack_rows(query_rows, padded, tile_dout, out_stride, width, queries);
      dk_args.a = scores;
      dk_args.c = dv + key_offset;
      if (diagonal) {
        multiply_triangle<Triangle::head>(dk_args, keys, width);
      } else {
        multiply<true>(dk_args, keys, width);
      }
    }
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
