// Causal self-attention in tiles of 64 queries by 64 keys (kAttentionKeyTile), with grouped queries.
//
// A block of 8 x 16 threads takes a tile of queries (forward, dq) or of keys (dk and dv) of one head, its
// rows, and goes over the tiles that it meets, ascending, their columns. In a tile of scores thread (ty, tx)
// has rows 8 ty .. 8 ty + 7 and columns tx, tx + 16, tx + 32, tx + 48: where rows are queries, the sixteen
// threads of one are its lanes. Sums over columns are made for kDims components of the head at a time; a
// wider head takes several blocks, each with the scores for itself. The scores' products are the same bits
// whichever of the two is called a row.
//
// What threads share is read in fours, whose place in their line is turned (xor) by the line's number, so
// that they do not meet in a bank. What comes from memory is on its way while something else is computed.
#pragma once

#include "kernels/gpu/fours.h"
#include "kernels/gpu/lanes.h"
#include "kernels/order/attention.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kAttentionThreads = 128, kTileSide = 16;
inline constexpr int kTileRows = kAttentionKeyTile;  // queries or keys of a tile
inline constexpr int kRowsEach = 8, kColumnsOfTile = 4;
inline constexpr int kComponents = 16;        // of the head that a step of the scores takes
inline constexpr int kPieceFloats = 64 * 64;  // of the rows that a step of the sums takes
static_assert(kTileRows == kTileSide * kColumnsOfTile);
static_assert(kTileRows * kTileSide == kRowsEach * kAttentionThreads);

struct AttentionShape {
  int batch, seq, heads, kv_heads, head_width;
};

// Rows of one head, or of one kv head, of one sequence.
struct HeadRows {
  const float* first;
  std::ptrdiff_t stride;
  UFAB_DEVICE const float* operator[](int i) const { return first + i * stride; }
};
// Components component .. component + 3 of a row; zeros past the ends. `fours`: every row's width and place
// allow to load them at once.
UFAB_DEVICE Four<float> four_components(const HeadRows& rows, int row, int seq, int component, int head_width,
                                        bool fours) {
  Four<float> x = {};
  if (row >= seq) return x;
  const float* const from = rows[row] + component;
  if (fours) return component < head_width ? load_four(from) : x;
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    if (component + i < head_width) x.v[i] = from[i];
  }
  return x;
}
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

// Starts the copy of components component .. component + 3 of a row, zeros past the ends. `fours` as above.
UFAB_DEVICE void copy_components(float* to, const HeadRows& rows, int row, int seq, int component,
                                 int head_width, bool fours) {
  const float* const from = rows[row] + component;
  if (fours) return copy_async<4>(to, from, row < seq && component < head_width);
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) copy_async<1>(to + i, from + i, row < seq && component + i < head_width);
}

using Scores = float[kRowsEach][kColumnsOfTile];

// Two tiles of rows whose products with one another are wanted.
struct Operands {
  HeadRows a;
  int first_a;
  HeadRows b;
  int first_b;
};

// What makes scores: two halves of shared memory, each for kComponents of both tiles, used in turns by all
// products that follow one another, so that the first components of one may be fetched during the one before.
struct Products {
  static constexpr int kTileFloats = kTileRows * kComponents, kHalf = 2 * kTileFloats, kFloats = 2 * kHalf;
  float* shared;
  int seq, head_width;
  bool fours;
  int half = 0;

  // Of a tile's row, where its i-th four of components is: a warp reads rows of a 8 apart, and sixteen rows
  // of b side by side. The turn is the same for all rows of a thread.
  static UFAB_DEVICE int at_a(int row, int i) { return row * kComponents + (i ^ (row / kRowsEach % 4)) * 4; }
  static UFAB_DEVICE int at_b(int row, int i) { return row * kComponents + (i ^ (row / 2 % 4)) * 4; }

  UFAB_DEVICE void fetch(const Operands& of, int first) {
    float* const to = shared + half * kHalf;
    UFAB_UNROLL
    for (int pass = 0; pass < kTileFloats / 4; pass += kAttentionThreads) {
      const int row = (pass + thread_index()) / 4, four = thread_index() % 4;
      copy_components(to + at_a(row, four), of.a, of.first_a + row, seq, first + 4 * four, head_width, fours);
      copy_components(to + kTileFloats + at_b(row, four), of.b, of.first_b + row, seq, first + 4 * four,
                      head_width, fours);
    }
  }

  // scores[r][c] = chain over the head's components of a(8 ty + r) * b(tx + 16 c), whose first components
  // have been fetched. As soon as all threads are here, meanwhile() is called; then, unless it is null, the
  // first components of `next` are fetched.
  template <class Meanwhile>
  UFAB_DEVICE void make(Scores& scores, const Operands& of, const Operands* next,
                        const Meanwhile& meanwhile) {
    const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
    UFAB_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
      UFAB_UNROLL
      for (int c = 0; c < kColumnsOfTile; ++c) scores[r][c] = 0;
    }
    for (int first = 0; first < head_width; first += kComponents) {
      await_copies();
      block_barrier();  // these components are there, and those before them have been read
      const float *const a = shared + half * kHalf, *const b = a + kTileFloats;
      half = 1 - half;
      if (first == 0) meanwhile();
      if (first + kComponents < head_width) {
        fetch(of, first + kComponents);
      } else if (next != nullptr) {
        fetch(*next, 0);
      }
      const auto four = [&](int i, int count) {
        const float *const my_a = a + at_a(kRowsEach * ty, i), *const my_b = b + at_b(tx, i);
        Four<float> y[kColumnsOfTile];
        UFAB_UNROLL
        for (int c = 0; c < kColumnsOfTile; ++c) y[c] = load_four(my_b + kTileSide * c * kComponents);
        UFAB_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
          const Four<float> x = load_four(my_a + r * kComponents);
          UFAB_UNROLL
          for (int d = 0; d < 4; ++d) {
            if (d >= count) break;
            UFAB_UNROLL
            for (int c = 0; c < kColumnsOfTile; ++c) scores[r][c] = fma_once(x.v[d], y[c].v[d], scores[r][c]);
          }
        }
      };
      if (head_width - first >= kComponents) {
        UFAB_UNROLL
        for (int i = 0; i < kComponents / 4; ++i) four(i, 4);
      } else {
        for (int i = 0; 4 * i < head_width - first; ++i) four(i, head_width - first - 4 * i);
      }
    }
  }
};

// Of a head's sums a block makes kDims components, a thread dim_at(e) of its rows.
template <int kDims>
inline constexpr int kDimsEach = kDims / kTileSide;
template <int kDims>
using Sums = float[kRowsEach][kDimsEach<kDims>];
UFAB_DEVICE int dim_at(int e) {
  return e / 4 * (4 * kTileSide) + thread_index() % kTileSide * 4 + e % 4;
}

// A tile of scores in shared memory, a line a column.
UFAB_DEVICE int weight_at(int column, int row) {
  return column * kTileRows + (row ^ (column % 8 * 4));
}
UFAB_DEVICE void share_scores(float* weights, const Scores& scores) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  UFAB_UNROLL
  for (int c = 0; c < kColumnsOfTile; ++c) {
    UFAB_UNROLL
    for (int r = 0; r < kRowsEach; r += 4) {
      store_four(weights + weight_at(tx + kTileSide * c, kRowsEach * ty + r),
                 Four<float>{{scores[r][c], scores[r + 1][c], scores[r + 2][c], scores[r + 3][c]}});
    }
  }
}
// A thread's own ones back.
UFAB_DEVICE void own_scores(Scores& scores, const float* weights) {
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  UFAB_UNROLL
  for (int c = 0; c < kColumnsOfTile; ++c) {
    UFAB_UNROLL
    for (int r = 0; r < kRowsEach; r += 4) {
      const Four<float> four = load_four(weights + weight_at(tx + kTileSide * c, kRowsEach * ty + r));
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) scores[r + i][c] = four.v[i];
    }
  }
}

// The columns [begin, end) of a tile that a row's sum takes.
struct Columns {
  int begin, end;
};

// Sums over a tile's columns, weighted by scores: of `rows`, from row first_row on, components first_dim to
// first_dim + kDims - 1, a piece of the rows at a time.
template <int kDims>
struct Weighted {
  static constexpr int kPiece = kPieceFloats / kDims;  // rows
  float* piece;
  HeadRows rows;
  int first_row, seq, first_dim, head_width;
  bool fours;

  UFAB_DEVICE void fetch(int first) const {
    constexpr int kFours = kDims / 4;
    UFAB_UNROLL
    for (int pass = 0; pass < kPieceFloats / 4; pass += kAttentionThreads) {
      const int i = pass + thread_index();
      copy_components(piece + 4 * i, rows, first_row + first + i / kFours, seq, first_dim + i % kFours * 4,
                      head_width, fours);
    }
  }
  // sums[r][e] goes on over t ascending: weight(t, 8 ty + r) * rows[first_row + t][first_dim + dim_at(e)],
  // for t of columns(8 ty + r), or for all where `whole`. weights: of share_scores(). The first piece has
  // been fetched.
  template <class ColumnsOf>
  UFAB_DEVICE void add(Sums<kDims>& sums, const float* weights, bool whole, const ColumnsOf& columns) const {
    constexpr int kFoursEach = kDimsEach<kDims> / 4, kTogether = 8;
    const int ty = thread_index() / kTileSide;
    for (int first = 0; first < kTileRows; first += kPiece) {
      if (first > 0) {
        block_barrier();  // the piece before has been read
        fetch(first);
      }
      await_copies();
      block_barrier();  // the weights and the piece are there
      // Column t = first + i + j; i is a multiple of kTogether.
      const auto column = [&](int i, int j, const auto& takes) {
        const float* const row = piece + i * kDims + dim_at(0) + j * kDims;
        Four<float> x[kFoursEach];
        UFAB_UNROLL
        for (int f = 0; f < kFoursEach; ++f) x[f] = load_four(row + f * (4 * kTileSide));
        // weight_at(t, 8 ty) and weight_at(t, 8 ty + 4), whose turn is j's.
        const float* const line =
            weights + (first + i) * kTileRows + ((kRowsEach * ty) ^ (j / 2 * 8)) + j * kTileRows;
        const Four<float> w[2] = {load_four(line + j % 2 * 4), load_four(line + 4 - j % 2 * 4)};
        UFAB_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
          if (!takes(r, first + i + j)) continue;
          UFAB_UNROLL
          for (int e = 0; e < kDimsEach<kDims>; ++e) {
            sums[r][e] = fma_once(w[r / 4].v[r % 4], x[e / 4].v[e % 4], sums[r][e]);
          }
        }
      };
      for (int i = 0; i < kPiece; i += kTogether) {
        if (whole) {
          UFAB_UNROLL
          for (int j = 0; j < kTogether; ++j) column(i, j, [](int, int) { return true; });
        } else {
          UFAB_UNROLL
          for (int j = 0; j < kTogether; ++j) {
            column(i, j, [&](int r, int t) {
              const Columns of = columns(kRowsEach * ty + r);
              return of.begin <= t && t < of.end;
            });
          }
        }
      }
    }
  }
};

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
UFAB_DEVICE AttentionBlock attention_block(const AttentionShape& s, int heads, int dims) {
  const int tiles = (s.seq + kTileRows - 1) / kTileRows, parts = (s.head_width + dims - 1) / dims;
  const int index = static_cast<int>(block_index()), rest = index / tiles;
  return {tiles - 1 - index % tiles, rest % parts * dims, rest / parts % heads, rest / parts / heads};
}

// Rows 8 ty + r of a head that begins at `rows`.
template <int kDims>
UFAB_DEVICE void store_sums(float* rows, std::ptrdiff_t stride, const Sums<kDims>& sums, int first_row,
                            int seq, int first_dim, int head_width, bool fours) {
  const int ty = thread_index() / kTileSide;
  UFAB_UNROLL
  for (int r = 0; r < kRowsEach; ++r) {
    const int row = first_row + kRowsEach * ty + r;
    if (row >= seq) continue;
    UFAB_UNROLL
    for (int e = 0; e < kDimsEach<kDims>; e += 4) {
      const int dim = first_dim + dim_at(e);
      float* const to = rows + row * stride + dim;
      if (fours) {
        if (dim < head_width) {
          store_four(to, Four<float>{{sums[r][e], sums[r][e + 1], sums[r][e + 2], sums[r][e + 3]}});
        }
        continue;
      }
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (dim + i < head_width) to[i] = sums[r][e + i];
      }
    }
  }
}

inline constexpr int kAttentionBeside = 3;  // blocks on one processor

template <int kDims>
UFAB_KERNEL_BESIDE(kAttentionThreads, kDims == 64 ? kAttentionBeside : 2)
void attention_forward_kernel(float* out, float* logsumexp, const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, operands, Products::kFloats);
  UFAB_SHARED(float, weights, kTileRows* kTileRows);
  UFAB_SHARED(float, piece, kPieceFloats);
  const AttentionBlock at = attention_block(s, s.heads, kDims);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const HeadRows q = query_rows(s, qkv, at.item, at.head), k = key_rows(s, qkv, at.item, kv_head),
                 v = value_rows(s, qkv, at.item, kv_head);
  const bool fours = s.head_width % 4 == 0 && in_fours(out, qkv);
  const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
  const float scale = attention_scale(s.head_width);
  float maximum[kRowsEach], sum[kRowsEach];
  Sums<kDims> o = {};
  UFAB_UNROLL
  for (int r = 0; r < kRowsEach; ++r) {
    maximum[r] = -__builtin_inff();
    sum[r] = 0;
  }

  Products products{operands, s.seq, s.head_width, fours};
  products.fetch({q, first_query, k, 0}, 0);
  for (int first_key = 0; first_key <= first_query; first_key += kTileRows) {
    const Operands now{q, first_query, k, first_key}, next{q, first_query, k, first_key + kTileRows};
    const Weighted<kDims> values{piece, v, first_key, s.seq, at.first_dim, s.head_width, fours};
    Scores p;
    products.make(p, now, first_key < first_query ? &next : nullptr, [&] { values.fetch(0); });
    UFAB_UNROLL
    for (int r = 0; r < kRowsEach; ++r) {
      const int seen = keys_seen(first_query + kRowsEach * ty + r, first_key);
      float top = -__builtin_inff();
      UFAB_UNROLL
      for (int c = 0; c < kColumnsOfTile; ++c) {
        p[r][c] *= scale;
        if (tx + kTileSide * c < seen) top = top < p[r][c] ? p[r][c] : top;
      }
      top = lane_maximum(top);
      const float before = maximum[r];
      maximum[r] = before > top ? before : top;
      float tile_sum = 0;
      UFAB_UNROLL
      for (int c = 0; c < kColumnsOfTile; ++c) {
        p[r][c] = attention_probability(Lane{p[r][c]}, Lane{maximum[r]}).v;
        if (tx + kTileSide * c < seen) tile_sum += p[r][c];
      }
      tile_sum = lane_total(tile_sum);
      if (first_key == 0) {
        sum[r] = tile_sum;
        continue;
      }
      const float correction = attention_correction(Lane{before}, Lane{maximum[r]}).v;
      sum[r] = fma_once(sum[r], correction, tile_sum);
      UFAB_UNROLL
      for (int e = 0; e < kDimsEach<kDims>; ++e) o[r][e] = o[r][e] * correction;
    }
    share_scores(weights, p);
    values.add(o, weights, first_key < first_query, [&](int mine) {
      return Columns{0, keys_seen(first_query + mine, first_key)};
    });
  }

  UFAB_UNROLL
  for (int r = 0; r < kRowsEach; ++r) {
    const int query = first_query + kRowsEach * ty + r;
    const float inverse = 1.0F / sum[r];
    UFAB_UNROLL
    for (int e = 0; e < kDimsEach<kDims>; ++e) o[r][e] = o[r][e] * inverse;
    if (query < s.seq && at.first_dim == 0 && tx == 0) {
      logsumexp[offset(at.item * s.heads + at.head, s.seq) + query] = maximum[r] + log(Lane{sum[r]}).v;
    }
  }
  store_sums<kDims>(out + offset(at.item * s.seq, s.heads * s.head_width) + offset(at.head, s.head_width),
                    offset(s.heads, s.head_width), o, first_query, s.seq, at.first_dim, s.head_width, fours);
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

// Of each query of a thread's rows or columns: statistics [seq] of its head.
template <bool kQueriesAreRows>
struct OfQueries {
  static constexpr int kCount = kQueriesAreRows ? kRowsEach : kColumnsOfTile;
  Lane values[kCount];
  UFAB_DEVICE OfQueries(const float* statistics, int first_query, int seq) {
    const int ty = thread_index() / kTileSide, tx = thread_index() % kTileSide;
    UFAB_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const int query = first_query + (kQueriesAreRows ? kRowsEach * ty + i : tx + kTileSide * i);
      values[i] = Lane{query < seq ? statistics[query] : 0.0F};
    }
  }
  UFAB_DEVICE Lane of(int r, int c) const { return values[kQueriesAreRows ? r : c]; }
};
// f(score, r, c) of a thread's scores.
template <class F>
UFAB_DEVICE void each_score(Scores& scores, const F& f) {
  UFAB_UNROLL
  for (int r = 0; r < kRowsEach; ++r) {
    UFAB_UNROLL
    for (int c = 0; c < kColumnsOfTile; ++c) f(scores[r][c], r, c);
  }
}
// Of products of queries and keys, the probabilities, which go to `weights`.
template <bool kQueriesAreRows>
UFAB_DEVICE void gradient_probabilities(Scores& scores, float* weights, const float* logsumexp,
                                        int first_query, int seq, float scale) {
  const OfQueries<kQueriesAreRows> total(logsumexp, first_query, seq);
  each_score(scores,
             [&](float& p, int r, int c) { p = attention_probability(Lane{p * scale}, total.of(r, c)).v; });
  share_scores(weights, scores);
}
// Of products of the output's gradients and values, the scores' gradients, with the probabilities that the
// thread has left in `weights`.
template <bool kQueriesAreRows>
UFAB_DEVICE void gradient_scores(Scores& scores, const float* weights, const float* delta, int first_query,
                                 int seq, float scale) {
  const OfQueries<kQueriesAreRows> shift(delta, first_query, seq);
  Scores p;
  own_scores(p, weights);
  each_score(scores, [&](float& dp, int r, int c) {
    dp = attention_score_gradient(Lane{p[r][c]}, Lane{dp}, shift.of(r, c), Lane{scale}).v;
  });
}

template <int kDims>
UFAB_KERNEL_BESIDE(kAttentionThreads, kDims == 64 ? kAttentionBeside : 2)
void attention_query_gradient_kernel(float* dqkv, const float* dout, const float* logsumexp,
                                     const float* delta, const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, operands, Products::kFloats);
  UFAB_SHARED(float, weights, kTileRows* kTileRows);
  UFAB_SHARED(float, piece, kPieceFloats);
  const AttentionBlock at = attention_block(s, s.heads, kDims);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const HeadRows q = query_rows(s, qkv, at.item, at.head), k = key_rows(s, qkv, at.item, kv_head),
                 v = value_rows(s, qkv, at.item, kv_head), d_o = output_rows(s, dout, at.item, at.head);
  const bool fours = s.head_width % 4 == 0 && in_fours(dqkv, dout, qkv);
  const std::ptrdiff_t statistics = offset(at.item * s.heads + at.head, s.seq);
  const float scale = attention_scale(s.head_width);
  Sums<kDims> dq = {};
  Products products{operands, s.seq, s.head_width, fours};
  products.fetch({q, first_query, k, 0}, 0);
  for (int first_key = 0; first_key <= first_query; first_key += kTileRows) {
    const Operands of_p{q, first_query, k, first_key}, of_dp{d_o, first_query, v, first_key},
        next{q, first_query, k, first_key + kTileRows};
    const Weighted<kDims> keys{piece, k, first_key, s.seq, at.first_dim, s.head_width, fours};
    Scores scores;
    products.make(scores, of_p, &of_dp, [&] { keys.fetch(0); });
    gradient_probabilities<true>(scores, weights, logsumexp + statistics, first_query, s.seq, scale);
    products.make(scores, of_dp, first_key < first_query ? &next : nullptr, [] {});
    gradient_scores<true>(scores, weights, delta + statistics, first_query, s.seq, scale);
    share_scores(weights, scores);
    keys.add(dq, weights, first_key < first_query, [&](int mine) {
      return Columns{0, keys_seen(first_query + mine, first_key)};
    });
  }
  store_sums<kDims>(dqkv + qkv_at(s, at.item, at.head), qkv_stride(s), dq, first_query, s.seq, at.first_dim,
                    s.head_width, fours);
}

template <int kDims>
UFAB_KERNEL_BESIDE(kAttentionThreads, kDims == 64 ? kAttentionBeside : 2)
void attention_key_gradient_kernel(float* dqkv, const float* dout, const float* logsumexp, const float* delta,
                                   const float* qkv, AttentionShape s) {
  UFAB_SHARED(float, operands, Products::kFloats);
  UFAB_SHARED(float, weights, kTileRows* kTileRows);
  UFAB_SHARED(float, piece, kPieceFloats);
  const AttentionBlock at = attention_block(s, s.kv_heads, kDims);
  const int first_key = at.tile * kTileRows, group = s.heads / s.kv_heads;
  const HeadRows k = key_rows(s, qkv, at.item, at.head), v = value_rows(s, qkv, at.item, at.head);
  const bool fours = s.head_width % 4 == 0 && in_fours(dqkv, dout, qkv);
  const float scale = attention_scale(s.head_width);
  Sums<kDims> dk = {}, dv = {};
  Products products{operands, s.seq, s.head_width, fours};
  for (int head = at.head * group; head < (at.head + 1) * group; ++head) {
    const HeadRows q = query_rows(s, qkv, at.item, head), d_o = output_rows(s, dout, at.item, head);
    const std::ptrdiff_t statistics = offset(at.item * s.heads + head, s.seq);
    products.fetch({k, first_key, q, first_key}, 0);
    for (int first_query = first_key; first_query < s.seq; first_query += kTileRows) {
      const Operands of_p{k, first_key, q, first_query}, of_dp{v, first_key, d_o, first_query},
          next{k, first_key, q, first_query + kTileRows};
      const Weighted<kDims> douts{piece, d_o, first_query, s.seq, at.first_dim, s.head_width, fours};
      const Weighted<kDims> queries{piece, q, first_query, s.seq, at.first_dim, s.head_width, fours};
      const int count = s.seq - first_query < kTileRows ? s.seq - first_query : kTileRows;
      const bool whole = first_query > first_key && count == kTileRows;
      const auto columns = [&](int mine) { return Columns{first_query == first_key ? mine : 0, count}; };
      Scores scores;
      products.make(scores, of_p, &of_dp, [&] { douts.fetch(0); });
      gradient_probabilities<false>(scores, weights, logsumexp + statistics, first_query, s.seq, scale);
      douts.add(dv, weights, whole, columns);
      products.make(scores, of_dp, first_query + kTileRows < s.seq ? &next : nullptr,
                    [&] { queries.fetch(0); });
      gradient_scores<false>(scores, weights, delta + statistics, first_query, s.seq, scale);
      share_scores(weights, scores);
      queries.add(dk, weights, whole, columns);
    }
  }
  store_sums<kDims>(dqkv + qkv_at(s, at.item, s.heads + at.head), qkv_stride(s), dk, first_key, s.seq,
                    at.first_dim, s.head_width, fours);
  store_sums<kDims>(dqkv + qkv_at(s, at.item, s.heads + s.kv_heads + at.head), qkv_stride(s), dv, first_key,
                    s.seq, at.first_dim, s.head_width, fours);
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
