// Causal self-attention in tiles of 64 queries by 64 keys (kAttentionKeyTile), with grouped queries.
//
// A block of 16 x 16 threads takes a tile of queries (forward, dq) or of keys (dk and dv) of one head and
// goes over the tiles that it meets, ascending. In a tile of scores thread (ty, tx) has queries 4 ty .. 4 ty
// + 3 and keys tx, tx + 16, tx + 32, tx + 48: the sixteen threads of a query are its lanes. Sums over keys or
// queries are made for kDims components of the head at a time; a wider head takes several blocks, each with
// the scores for itself.
#pragma once

#include "kernels/gpu/lanes.h"
#include "kernels/order/attention.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kAttentionThreads = 256, kTileSide = 16, kTileEach = 4;
inline constexpr int kTileRows = kAttentionKeyTile;  // queries or keys of a tile
inline constexpr int kTilePitch = kTileRows + 4;     // of a component's row of a tile
inline constexpr int kComponents = 16;               // of the head that a step of the scores takes
inline constexpr int kDims = 128, kDimsEach = kDims / kTileSide;
inline constexpr int kPiece = 16;  // keys or queries that a step of the sums takes
static_assert(kTileRows == kTileSide * kTileEach);

struct AttentionShape {
  int batch, seq, heads, kv_heads, head_width;
};

// Rows of one head, or of one kv head, of one sequence.
struct HeadRows {
  const float* first;
  std::ptrdiff_t stride;
  UFAB_DEVICE const float* operator[](int i) const { return first + i * stride; }
};
UFAB_DEVICE std::ptrdiff_t qkv_stride(const AttentionShape& s) {
  return offset(s.heads + 2 * s.kv_heads, s.head_width);
}
// Where head `index` (of queries, then keys, then values) of a sequence begins in qkv or dqkv.
UFAB_DEVICE std::ptrdiff_t qkv_at(const AttentionShape& s, int item, int index) {
  return item * (s.seq * qkv_stride(s)) + offset(index, s.head_width);
}
UFAB_DEVICE HeadRows query_rows(const AttentionShape& s, const float* qkv, int item, int head) {
  return {qkv + qkv_at(s, item, head), qkv_stride(s)};
}
UFAB_DEVICE HeadRows key_rows(const AttentionShape& s, const float* qkv, int item, int kv_head) {
  return {qkv + qkv_at(s, item, s.heads + kv_head), qkv_stride(s)};
}
UFAB_DEVICE HeadRows value_rows(const AttentionShape& s, const float* qkv, int item, int kv_head) {
  return {qkv + qkv_at(s, item, s.heads + s.kv_heads + kv_head), qkv_stride(s)};
}
UFAB_DEVICE HeadRows output_rows(const AttentionShape& s, const float* out, int item, int head) {
  return {out + offset(item * s.seq, s.heads * s.head_width) + offset(head, s.head_width),
          offset(s.heads, s.head_width)};
}

// Components [first, first + kComponents) of the tile's rows, kept [component][row]; zeros past the ends.
UFAB_DEVICE void load_components(float* shared, const HeadRows& rows, int first_row, int seq, int first,
                                 int head_width) {
  for (int i = thread_index(); i < kTileRows * kComponents; i += kAttentionThreads) {
    const int row = i / kComponents, component = i % kComponents;
    const bool inside = first_row + row < seq && first + component < head_width;
    shared[component * kTilePitch + row] = inside ? rows[first_row + row][first + component] : 0.0F;
  }
}
// kDims components from `first_dim` on of kPiece rows from `first_row` on, kept [row][component].
UFAB_DEVICE void load_piece(float* shared, const HeadRows& rows, int first_row, int seq, int first_dim,
                            int head_width) {
  for (int i = thread_index(); i < kPiece * kDims; i += kAttentionThreads) {
    const int row = i / kDims, dim = i % kDims;
    const bool inside = first_row + row < seq && first_dim + dim < head_width;
    shared[i] = inside ? rows[first_row + row][first_dim + dim] : 0.0F;
  }
}

using Scores = float[kTileEach][kTileEach];

// scores[r][c] = chain over the head's components of a(4 ty + r) * b(tx + 16 c). All threads; the shared
// arrays may be used again after the next barrier.
UFAB_DEVICE void dot_tile(Scores& scores, float* shared_a, float* shared_b, const HeadRows& a, int first_a,
                          const HeadRows& b, int first_b, int seq, int head_width) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    UFAB_UNROLL
    for (int c = 0; c < kTileEach; ++c) scores[r][c] = 0;
  }
  for (int first = 0; first < head_width; first += kComponents) {
    block_barrier();
    load_components(shared_a, a, first_a, seq, first, head_width);
    load_components(shared_b, b, first_b, seq, first, head_width);
    block_barrier();
    const int rest = head_width - first, end = rest < kComponents ? rest : kComponents;
    for (int d = 0; d < end; ++d) {
      float x[kTileEach], y[kTileEach];
      UFAB_UNROLL
      for (int i = 0; i < kTileEach; ++i) {
        x[i] = shared_a[d * kTilePitch + kTileEach * ty + i];
        y[i] = shared_b[d * kTilePitch + tx + kTileSide * i];
      }
      UFAB_UNROLL
      for (int r = 0; r < kTileEach; ++r) {
        UFAB_UNROLL
        for (int c = 0; c < kTileEach; ++c) scores[r][c] = fma_once(x[r], y[c], scores[r][c]);
      }
    }
  }
}

using Sums = float[kTileEach][kDimsEach];

// sums[r][e] goes on over a tile's rows t ascending: weight(4 ty + r, t) * rows[first_row + t][first_dim + tx
// + 16 e], for t from begin(4 ty + r) to before end(4 ty + r). weights: shared, written by all threads
// before.
template <class Weight, class Begin, class End>
UFAB_DEVICE void add_weighted(Sums& sums, float* piece, const HeadRows& rows, int first_row, int seq,
                              int first_dim, int head_width, const Weight& weight, const Begin& begin,
                              const End& end) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  for (int first = 0; first < kTileRows; first += kPiece) {
    block_barrier();  // the weights are there, the piece before has been read
    load_piece(piece, rows, first_row + first, seq, first_dim, head_width);
    block_barrier();
    for (int i = 0; i < kPiece; ++i) {
      float x[kDimsEach];
      UFAB_UNROLL
      for (int e = 0; e < kDimsEach; ++e) x[e] = piece[i * kDims + tx + kTileSide * e];
      UFAB_UNROLL
      for (int r = 0; r < kTileEach; ++r) {
        const int mine = kTileEach * ty + r, t = first + i;
        if (t < begin(mine) || t >= end(mine)) continue;
        const float w = weight(mine, t);
        UFAB_UNROLL
        for (int e = 0; e < kDimsEach; ++e) sums[r][e] = fma_once(w, x[e], sums[r][e]);
      }
    }
  }
}

inline constexpr int kWeightPitch = kTileRows + 1;

UFAB_DEVICE float attention_scale(int head_width) {
  return 1.0F / sqrt_once(static_cast<float>(head_width));
}
// How many of the 64 keys from first_key on query `query` sees.
UFAB_DEVICE int keys_seen(int query, int first_key) {
  const int seen = query + 1 - first_key;
  return seen < 0 ? 0 : seen < kTileRows ? seen : kTileRows;
}

// The block's place: tiles fastest, from the last one (which has the most to do), then the parts of the head,
// heads, sequences.
struct AttentionBlock {
  int tile, first_dim, head, item;
};
UFAB_DEVICE AttentionBlock attention_block(const AttentionShape& s, int heads) {
  const int tiles = (s.seq + kTileRows - 1) / kTileRows, parts = (s.head_width + kDims - 1) / kDims;
  const int index = static_cast<int>(block_index()), rest = index / tiles;
  return {tiles - 1 - index % tiles, rest % parts * kDims, rest / parts % heads, rest / parts / heads};
}

UFAB_KERNEL(kAttentionThreads)
void attention_forward_kernel(float* out, float* logsumexp, const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, shared_q, kComponents* kTilePitch);
  UFAB_SHARED(float, shared_k, kComponents* kTilePitch);
  UFAB_SHARED(float, weights, kTileRows* kWeightPitch);
  UFAB_SHARED(float, piece, kPiece* kDims);
  const AttentionBlock at = attention_block(s, s.heads);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const HeadRows q = query_rows(s, qkv, at.item, at.head), k = key_rows(s, qkv, at.item, kv_head),
                 v = value_rows(s, qkv, at.item, kv_head);
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  const float scale = attention_scale(s.head_width);
  float maximum[kTileEach], sum[kTileEach];
  Sums o;
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    maximum[r] = -__builtin_inff();
    sum[r] = 0;
    UFAB_UNROLL
    for (int e = 0; e < kDimsEach; ++e) o[r][e] = 0;
  }

  for (int first_key = 0; first_key <= first_query; first_key += kTileRows) {
    Scores p;
    dot_tile(p, shared_q, shared_k, q, first_query, k, first_key, s.seq, s.head_width);
    UFAB_UNROLL
    for (int r = 0; r < kTileEach; ++r) {
      const int seen = keys_seen(first_query + kTileEach * ty + r, first_key);
      float top = -__builtin_inff();
      UFAB_UNROLL
      for (int c = 0; c < kTileEach; ++c) {
        p[r][c] *= scale;
        if (tx + kTileSide * c < seen) top = top < p[r][c] ? p[r][c] : top;
      }
      top = lane_maximum(top);
      const float before = maximum[r];
      maximum[r] = before > top ? before : top;
      float tile_sum = 0;
      UFAB_UNROLL
      for (int c = 0; c < kTileEach; ++c) {
        p[r][c] = attention_probability(Lane{p[r][c]}, Lane{maximum[r]}).v;
        if (tx + kTileSide * c < seen) tile_sum += p[r][c];
        weights[(kTileEach * ty + r) * kWeightPitch + tx + kTileSide * c] = p[r][c];
      }
      tile_sum = lane_total(tile_sum);
      if (first_key == 0) {
        sum[r] = tile_sum;
        continue;
      }
      const float correction = attention_correction(Lane{before}, Lane{maximum[r]}).v;
      sum[r] = fma_once(sum[r], correction, tile_sum);
      UFAB_UNROLL
      for (int e = 0; e < kDimsEach; ++e) o[r][e] = o[r][e] * correction;
    }
    add_weighted(
        o, piece, v, first_key, s.seq, at.first_dim, s.head_width,
        [&](int mine, int t) { return weights[mine * kWeightPitch + t]; }, [](int) { return 0; },
        [&](int mine) { return keys_seen(first_query + mine, first_key); });
  }

  float* rows = out + offset(at.item * s.seq, s.heads * s.head_width) + offset(at.head, s.head_width);
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    const int query = first_query + kTileEach * ty + r;
    if (query >= s.seq) continue;
    const float inverse = 1.0F / sum[r];
    UFAB_UNROLL
    for (int e = 0; e < kDimsEach; ++e) {
      const int dim = at.first_dim + tx + kTileSide * e;
      if (dim < s.head_width) rows[query * offset(s.heads, s.head_width) + dim] = o[r][e] * inverse;
    }
    if (at.first_dim == 0 && tx == 0) {
      logsumexp[offset(at.item * s.heads + at.head, s.seq) + query] = maximum[r] + log(Lane{sum[r]}).v;
    }
  }
}

// delta [batch][heads][seq]: a group of sixteen threads a query and head.
UFAB_KERNEL(kRowThreads)
void attention_delta_kernel(float* delta, const float* dout, const float* out, AttentionShape s) {
  const RowLane at = row_lane(s.batch * s.seq * s.heads, s.head_width);
  const std::ptrdiff_t first = offset(at.row, s.head_width);
  float sum = 0;
  for (int d = at.lane; d < at.end; d += kLanes) sum = fma_once(dout[first + d], out[first + d], sum);
  sum = lane_total(sum);
  if (!at.active || at.lane != 0) return;
  const int head = at.row % s.heads, query = at.row / s.heads % s.seq, item = at.row / s.heads / s.seq;
  delta[offset(item * s.heads + head, s.seq) + query] = sum;
}

// What both gradients need of a tile: p and, in place of dp, ds. logsumexp and delta: of the head, [seq].
UFAB_DEVICE void gradient_scores(Scores& p, Scores& dp, const float* logsumexp, const float* delta,
                                 int first_query, int seq, float scale) {
  const int ty = thread_index() / kTileSide;
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    const int query = first_query + kTileEach * ty + r;
    const Lane total{query < seq ? logsumexp[query] : 0.0F}, shift{query < seq ? delta[query] : 0.0F};
    UFAB_UNROLL
    for (int c = 0; c < kTileEach; ++c) {
      p[r][c] = attention_probability(Lane{p[r][c] * scale}, total).v;
      dp[r][c] = attention_score_gradient(Lane{p[r][c]}, Lane{dp[r][c]}, shift, Lane{scale}).v;
    }
  }
}
UFAB_DEVICE void share_scores(float* weights, const Scores& scores) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    UFAB_UNROLL
    for (int c = 0; c < kTileEach; ++c) {
      weights[(kTileEach * ty + r) * kWeightPitch + tx + kTileSide * c] = scores[r][c];
    }
  }
}
// Rows 4 ty + r of a tile of one head of dqkv.
UFAB_DEVICE void store_sums(float* rows, std::ptrdiff_t stride, const Sums& sums, int first_row, int seq,
                            int first_dim, int head_width) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  UFAB_UNROLL
  for (int r = 0; r < kTileEach; ++r) {
    const int row = first_row + kTileEach * ty + r;
    UFAB_UNROLL
    for (int e = 0; e < kDimsEach; ++e) {
      const int dim = first_dim + tx + kTileSide * e;
      if (row < seq && dim < head_width) rows[row * stride + dim] = sums[r][e];
    }
  }
}

UFAB_KERNEL(kAttentionThreads)
void attention_query_gradient_kernel(float* dqkv, const float* dout, const float* logsumexp,
                                     const float* delta, const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, shared_a, kComponents* kTilePitch);
  UFAB_SHARED(float, shared_b, kComponents* kTilePitch);
  UFAB_SHARED(float, weights, kTileRows* kWeightPitch);
  UFAB_SHARED(float, piece, kPiece* kDims);
  const AttentionBlock at = attention_block(s, s.heads);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const HeadRows q = query_rows(s, qkv, at.item, at.head), k = key_rows(s, qkv, at.item, kv_head),
                 v = value_rows(s, qkv, at.item, kv_head), d_o = output_rows(s, dout, at.item, at.head);
  const std::ptrdiff_t statistics = offset(at.item * s.heads + at.head, s.seq);
  const float scale = attention_scale(s.head_width);
  Sums dq = {};
  for (int first_key = 0; first_key <= first_query; first_key += kTileRows) {
    Scores p, ds;
    dot_tile(p, shared_a, shared_b, q, first_query, k, first_key, s.seq, s.head_width);
    dot_tile(ds, shared_a, shared_b, d_o, first_query, v, first_key, s.seq, s.head_width);
    gradient_scores(p, ds, logsumexp + statistics, delta + statistics, first_query, s.seq, scale);
    share_scores(weights, ds);
    add_weighted(
        dq, piece, k, first_key, s.seq, at.first_dim, s.head_width,
        [&](int mine, int t) { return weights[mine * kWeightPitch + t]; }, [](int) { return 0; },
        [&](int mine) { return keys_seen(first_query + mine, first_key); });
  }
  store_sums(dqkv + qkv_at(s, at.item, at.head), qkv_stride(s), dq, first_query, s.seq, at.first_dim,
             s.head_width);
}

UFAB_KERNEL(kAttentionThreads)
void attention_key_gradient_kernel(float* dqkv, const float* dout, const float* logsumexp, const float* delta,
                                   const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, shared_a, kComponents* kTilePitch);
  UFAB_SHARED(float, shared_b, kComponents* kTilePitch);
  UFAB_SHARED(float, weights, kTileRows* kWeightPitch);
  UFAB_SHARED(float, piece, kPiece* kDims);
  const AttentionBlock at = attention_block(s, s.kv_heads);
  const int first_key = at.tile * kTileRows, group = s.heads / s.kv_heads;
  const HeadRows k = key_rows(s, qkv, at.item, at.head), v = value_rows(s, qkv, at.item, at.head);
  const float scale = attention_scale(s.head_width);
  Sums dk = {}, dv = {};
  for (int head = at.head * group; head < (at.head + 1) * group; ++head) {
    const HeadRows q = query_rows(s, qkv, at.item, head), d_o = output_rows(s, dout, at.item, head);
    const std::ptrdiff_t statistics = offset(at.item * s.heads + head, s.seq);
    for (int first_query = first_key; first_query < s.seq; first_query += kTileRows) {
      Scores p, ds;
      dot_tile(p, shared_a, shared_b, q, first_query, k, first_key, s.seq, s.head_width);
      dot_tile(ds, shared_a, shared_b, d_o, first_query, v, first_key, s.seq, s.head_width);
      gradient_scores(p, ds, logsumexp + statistics, delta + statistics, first_query, s.seq, scale);
      const int queries = s.seq - first_query;
      const auto weight = [&](int mine, int t) { return weights[t * kWeightPitch + mine]; };
      const auto begin = [&](int mine) { return first_query == first_key ? mine : 0; };
      const auto end = [&](int) { return queries < kTileRows ? queries : kTileRows; };
      share_scores(weights, p);
      add_weighted(dv, piece, d_o, first_query, s.seq, at.first_dim, s.head_width, weight, begin, end);
      block_barrier();  // the probabilities have been read
      share_scores(weights, ds);
      add_weighted(dk, piece, q, first_query, s.seq, at.first_dim, s.head_width, weight, begin, end);
    }
  }
  store_sums(dqkv + qkv_at(s, at.item, s.heads + at.head), qkv_stride(s), dk, first_key, s.seq, at.first_dim,
             s.head_width);
  store_sums(dqkv + qkv_at(s, at.item, s.heads + s.kv_heads + at.head), qkv_stride(s), dv, first_key, s.seq,
             at.first_dim, s.head_width);
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
