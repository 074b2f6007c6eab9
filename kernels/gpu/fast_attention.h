// Causal self-attention for precision fast: the products in bfloat16 on units for whole matrices, sums and
// softmax in binary32 (the scheme of Dao, "FlashAttention-2", 2023). Heads up to kFastHead wide; narrower
// ones are filled up with zeros.
//
// Four warps take a tile of 64 queries (forward, dq) or of 64 keys (dk and dv) of one head, 16 of them each,
// and go over the tiles that it meets, ascending: no sum is split among blocks, so that the bits do not
// depend on which block comes first. A tile in shared memory is words of two bfloat16: [row][pair of
// components] where a product goes over the components, [component][pair of rows] where it goes over the
// rows. Tiles that many blocks want are made once, in memory, by fast_attention_pack_kernel, and come from
// there while the one before is used. attention_delta_kernel is kernels/gpu/attention.h's.
#pragma once

#include "kernels/gpu/attention.h"

#if defined(UFAB_GPU_HAS_TILES)

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kFastHead = 64, kFastThreads = 128;
inline constexpr int kFastPairs = kFastHead / 2, kFastPitch = kFastPairs + 4;  // conflict-free for fragments
inline constexpr int kFastWords = kFastHead * kFastPitch;                      // of a tile
static_assert(kTileRows == kFastHead, "a tile is as many rows as components");

// A warp's 16 rows of 64 sums in fragments; and 16 rows of 64 factors, 16 of the contraction at a time.
using FastSums = float[1][8][4];
using FastFactors = std::uint32_t[4][1][4];
// Half of the columns, and as factors half of the contraction: where registers are few.
using HalfFastSums = float[1][4][4];
using HalfFastFactors = std::uint32_t[2][1][4];

// This thread's row of output e of a fragment, of the tile's 64; and its column in fragment j.
UFAB_DEVICE int fast_row(int e) {
  return thread_index() / 32 * 16 + thread_index() % 32 / 4 + e / 2 * 8;
}
UFAB_DEVICE int fast_column(int j, int e) {
  return 8 * j + thread_index() % 4 * 2 + e % 2;
}
// f(j, e) for the outputs of this many fragments.
template <int columns = 8, class F>
UFAB_DEVICE void each_fast_sum(const F& f) {
  UFAB_UNROLL
  for (int j = 0; j < columns; ++j) {
    UFAB_UNROLL
    for (int e = 0; e < 4; ++e) f(j, e);
  }
}

// Rows first_row .. first_row + 63 as a tile in either form, or in both; null: not in this one.
UFAB_DEVICE void load_fast_tile(std::uint32_t* by_row, std::uint32_t* by_component, const HeadRows& rows,
                                int first_row, int seq, int head_width, bool fours) {
  // Two rows by four components at a time; a warp eight pairs of rows by four fours.
  const int across = thread_index() % 4 + thread_index() / 32 * 4;
  UFAB_UNROLL
  for (int pass = 0; pass < kFastPairs; pass += 8) {
    const int down = pass + thread_index() / 4 % 8;
    Four<float> x[2];
    UFAB_UNROLL
    for (int r = 0; r < 2; ++r) {
      x[r] = four_components(rows, first_row + 2 * down + r, seq, 4 * across, head_width, fours);
    }
    if (by_row != nullptr) {
      UFAB_UNROLL
      for (int r = 0; r < 2; ++r) {
        UFAB_UNROLL
        for (int i = 0; i < 4; i += 2) {
          by_row[(2 * down + r) * kFastPitch + 2 * across + i / 2] = pack_bf16(x[r].v[i], x[r].v[i + 1]);
        }
      }
    }
    if (by_component != nullptr) {
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        by_component[(4 * across + i) * kFastPitch + down] = pack_bf16(x[0].v[i], x[1].v[i]);
      }
    }
  }
}
// What fast_attention_pack_kernel makes of one tensor: [sequence][head][tile][line][word].
inline constexpr int kFastTileWords = kFastHead * kFastPairs;
UFAB_DEVICE int fast_tiles(int seq) {
  return (seq + kTileRows - 1) / kTileRows;
}
UFAB_DEVICE const std::uint32_t* fast_tile(const std::uint32_t* words, int seq, int heads, int item, int head,
                                           int tile) {
  return words + (offset(item * heads + head, fast_tiles(seq)) + tile) * kFastTileWords;
}
// A block a tile. by_row, by_component: null where that form is not wanted. Row r of head h of sequence i is
// at base + i * item_stride + r * row_stride + h * head_width.
UFAB_KERNEL(kFastThreads)
void fast_attention_pack_kernel(std::uint32_t* by_row, std::uint32_t* by_component, const float* base,
                                std::ptrdiff_t item_stride, std::ptrdiff_t row_stride, int heads, int seq,
                                int head_width) {
  UFAB_SHARED(std::uint32_t, rows_tile, kFastWords);
  UFAB_SHARED(std::uint32_t, components_tile, kFastWords);
  const int index = static_cast<int>(block_index()), tiles = fast_tiles(seq), of_head = index / tiles;
  const HeadRows rows{base + of_head / heads * item_stride + offset(of_head % heads, head_width), row_stride};
  const bool fours = ((row_stride | item_stride | head_width) & 3) == 0 && in_fours(base);
  load_fast_tile(rows_tile, components_tile, rows, index % tiles * kTileRows, seq, head_width, fours);
  block_barrier();
  for (int i = thread_index(); i < kFastTileWords / 4; i += kFastThreads) {
    const int from = i / (kFastPairs / 4) * kFastPitch + i % (kFastPairs / 4) * 4;
    const std::ptrdiff_t to = offset(index, kFastTileWords) + 4 * i;
    if (by_row != nullptr) store_four(by_row + to, load_four(rows_tile + from));
    if (by_component != nullptr) store_four(by_component + to, load_four(components_tile + from));
  }
}
UFAB_DEVICE void fetch_fast_tile(std::uint32_t* to, const std::uint32_t* tile) {
  UFAB_UNROLL
  for (int pass = 0; pass < kFastTileWords / 4; pass += kFastThreads) {
    const int i = pass + thread_index();
    copy_async<4>(to + i / (kFastPairs / 4) * kFastPitch + i % (kFastPairs / 4) * 4, tile + 4 * i, true);
  }
}

// This warp's 16 rows of a tile [row][pair of components].
UFAB_DEVICE void read_fast_factors(FastFactors& a, const std::uint32_t* by_row) {
  const int q = thread_index() % 4;
  UFAB_UNROLL
  for (int t = 0; t < 4; ++t) {
    UFAB_UNROLL
    for (int r = 0; r < 4; ++r) a[t][0][r] = by_row[fast_row(r % 2 * 2) * kFastPitch + 8 * t + q + r / 2 * 4];
  }
}
// Sums as factors of the next product: a thread has of them what it needs.
template <int steps>
UFAB_DEVICE void as_fast_factors(std::uint32_t (&a)[steps][1][4], const float (&c)[1][2 * steps][4]) {
  UFAB_UNROLL
  for (int t = 0; t < steps; ++t) {
    UFAB_UNROLL
    for (int r = 0; r < 4; ++r) {
      const int j = 2 * t + r / 2, e = r % 2 * 2;
      a[t][0][r] = pack_bf16(c[0][j][e], c[0][j][e + 1]);
    }
  }
}
// c += a times a tile, whose rows become c's columns.
template <int columns, int steps>
UFAB_DEVICE void multiply_fast(float (&c)[1][columns][4], const std::uint32_t (&a)[steps][1][4],
                               const std::uint32_t* tile) {
  const int g = thread_index() % 32 / 4, q = thread_index() % 4;
  UFAB_UNROLL
  for (int t = 0; t < steps; ++t) {
    std::uint32_t b[columns][2];
    UFAB_UNROLL
    for (int j = 0; j < columns; ++j) {
      UFAB_UNROLL
      for (int r = 0; r < 2; ++r) b[j][r] = tile[(8 * j + g) * kFastPitch + 8 * t + q + 4 * r];
    }
    multiply_tile(c, a[t], b);
  }
}

// Shared words of the gradients' kernels: of every tile two.
inline constexpr int kFastQueryGradientWords = 2 * 3 * kFastWords;
inline constexpr int kFastKeyGradientWords = 2 * 4 * kFastWords + 2 * kTileRows;

// Scores are kept times log2(e), for exp2.
inline constexpr float kLog2E = 0x1.715476p+0F, kLn2 = 0x1.62e430p-1F;

UFAB_DEVICE void store_fast_sums(float* rows, std::ptrdiff_t stride, const FastSums& sums, int first_row,
                                 int seq, int head_width) {
  each_fast_sum([&](int j, int e) {
    const int row = first_row + fast_row(e), column = fast_column(j, e);
    if (row < seq && column < head_width) rows[row * stride + column] = sums[0][j][e];
  });
}

UFAB_KERNEL_BESIDE(kFastThreads, 4)
void fast_attention_forward_kernel(float* out, float* logsumexp, const float* qkv, const std::uint32_t* k,
                                   const std::uint32_t* v, AttentionShape s) {
  UFAB_SHARED(std::uint32_t, both_keys, 2 * kFastWords);
  UFAB_SHARED(std::uint32_t, both_values, 2 * kFastWords);
  const AttentionBlock at = attention_block(s, s.heads, kFastHead);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const float scale = attention_scale(s.head_width) * kLog2E;
  FastFactors q;
  load_fast_tile(both_keys, nullptr, query_rows(s, qkv, at.item, at.head), first_query, s.seq, s.head_width,
                 s.head_width % 4 == 0 && in_fours(qkv));
  block_barrier();
  read_fast_factors(q, both_keys);
  FastSums o = {};
  float maximum[2] = {-__builtin_inff(), -__builtin_inff()}, sum[2] = {};  // sum: of this thread's columns

  const auto fetch = [&](int tile) {
    if (tile <= at.tile) {
      const int half = tile % 2 * kFastWords;
      fetch_fast_tile(both_keys + half, fast_tile(k, s.seq, s.kv_heads, at.item, kv_head, tile));
      fetch_fast_tile(both_values + half, fast_tile(v, s.seq, s.kv_heads, at.item, kv_head, tile));
    }
    close_copies();
  };
  block_barrier();  // the queries have been read
  fetch(0);
  for (int tile = 0; tile <= at.tile; ++tile) {
    const int first_key = tile * kTileRows;
    const std::uint32_t *const keys = both_keys + tile % 2 * kFastWords, *const values =
                                                                             both_values +
                                                                             tile % 2 * kFastWords;
    fetch(tile + 1);
    await_copies_but<1>();
    block_barrier();  // this tile is there
    FastSums p = {};
    multiply_fast(p, q, keys);
    const auto seen = [&](int j, int e) {
      return first_key + fast_column(j, e) <= first_query + fast_row(e);
    };
    float top[2] = {maximum[0], maximum[1]};
    each_fast_sum([&](int j, int e) {
      p[0][j][e] *= scale;
      if (seen(j, e)) top[e / 2] = top[e / 2] < p[0][j][e] ? p[0][j][e] : top[e / 2];
    });
    UFAB_UNROLL
    for (int r = 0; r < 2; ++r) {
      // A row's columns are with four neighbouring threads.
      for (int mask = 1; mask < 4; mask *= 2) {
        const float other = exchange_xor<32>(top[r], mask);
        top[r] = top[r] < other ? other : top[r];
      }
      const float correction = exp2_fast(maximum[r] - top[r]);
      maximum[r] = top[r];
      sum[r] *= correction;
      UFAB_UNROLL
      for (int j = 0; j < 8; ++j) {
        o[0][j][2 * r] *= correction;
        o[0][j][2 * r + 1] *= correction;
      }
    }
    each_fast_sum([&](int j, int e) {
      p[0][j][e] = seen(j, e) ? exp2_fast(p[0][j][e] - maximum[e / 2]) : 0.0F;
      sum[e / 2] += p[0][j][e];
    });
    FastFactors weights;
    as_fast_factors(weights, p);
    multiply_fast(o, weights, values);
    block_barrier();  // this tile has been read
  }

  UFAB_UNROLL
  for (int r = 0; r < 2; ++r) {
    for (int mask = 1; mask < 4; mask *= 2) sum[r] += exchange_xor<32>(sum[r], mask);
    const int query = first_query + fast_row(2 * r);
    if (query < s.seq && thread_index() % 4 == 0) {
      logsumexp[offset(at.item * s.heads + at.head, s.seq) + query] =
          fma_once(maximum[r], kLn2, log(Lane{sum[r]}).v);
    }
    const float inverse = 1.0F / sum[r];
    UFAB_UNROLL
    for (int j = 0; j < 8; ++j) {
      o[0][j][2 * r] *= inverse;
      o[0][j][2 * r + 1] *= inverse;
    }
  }
  store_fast_sums(out + offset(at.item * s.seq, s.heads * s.head_width) + offset(at.head, s.head_width),
                  offset(s.heads, s.head_width), o, first_query, s.seq, s.head_width);
}

UFAB_KERNEL_BESIDE(kFastThreads, 3)
void fast_attention_query_gradient_kernel(float* dqkv, const float* dout, const float* logsumexp,
                                          const float* delta, const float* qkv, const std::uint32_t* k,
                                          const std::uint32_t* k_by_component, const std::uint32_t* v,
                                          AttentionShape s) {
  UFAB_SHARED_LARGE(std::uint32_t, shared, kFastQueryGradientWords);
  const AttentionBlock at = attention_block(s, s.heads, kFastHead);
  const int kv_head = at.head / (s.heads / s.kv_heads), first_query = at.tile * kTileRows;
  const float scale = attention_scale(s.head_width), log2_scale = scale * kLog2E;
  const bool fours = s.head_width % 4 == 0 && in_fours(dout, qkv);
  FastFactors q, d_o;
  load_fast_tile(shared, nullptr, query_rows(s, qkv, at.item, at.head), first_query, s.seq, s.head_width,
                 fours);
  load_fast_tile(shared + kFastWords, nullptr, output_rows(s, dout, at.item, at.head), first_query, s.seq,
                 s.head_width, fours);
  block_barrier();
  read_fast_factors(q, shared);
  read_fast_factors(d_o, shared + kFastWords);
  const auto fetch = [&](int tile) {
    if (tile <= at.tile) {
      std::uint32_t* to = shared + tile % 2 * (3 * kFastWords);
      for (const std::uint32_t* words : {k, k_by_component, v}) {
        fetch_fast_tile(to, fast_tile(words, s.seq, s.kv_heads, at.item, kv_head, tile));
        to += kFastWords;
      }
    }
    close_copies();
  };
  const std::ptrdiff_t statistics = offset(at.item * s.heads + at.head, s.seq);
  float total[2], shift[2];
  UFAB_UNROLL
  for (int r = 0; r < 2; ++r) {
    const int query = first_query + fast_row(2 * r);
    total[r] = query < s.seq ? logsumexp[statistics + query] * kLog2E : 0.0F;
    shift[r] = query < s.seq ? delta[statistics + query] : 0.0F;
  }
  FastSums dq = {};
  block_barrier();  // the queries have been read
  fetch(0);
  for (int tile = 0; tile <= at.tile; ++tile) {
    const int first_key = tile * kTileRows;
    const std::uint32_t *const keys = shared + tile % 2 * (3 * kFastWords),
                               *const keys_by_component = keys + kFastWords,
                               *const values = keys_by_component + kFastWords;
    fetch(tile + 1);
    await_copies_but<1>();
    block_barrier();  // this tile is there
    FastSums p = {}, ds = {};
    multiply_fast(p, q, keys);
    multiply_fast(ds, d_o, values);
    each_fast_sum([&](int j, int e) {
      const bool seen = first_key + fast_column(j, e) <= first_query + fast_row(e);
      const float probability = exp2_fast(p[0][j][e] * log2_scale - total[e / 2]);
      ds[0][j][e] = seen ? probability * (ds[0][j][e] - shift[e / 2]) * scale : 0.0F;
    });
    FastFactors factors;
    as_fast_factors(factors, ds);
    multiply_fast(dq, factors, keys_by_component);
    block_barrier();  // this tile has been read
  }
  store_fast_sums(dqkv + qkv_at(s, at.item, at.head), qkv_stride(s), dq, first_query, s.seq, s.head_width);
}

UFAB_KERNEL_BESIDE(kFastThreads, 3)
void fast_attention_key_gradient_kernel(float* dqkv, const float* logsumexp, const float* delta,
                                        const float* qkv, const std::uint32_t* q,
                                        const std::uint32_t* q_by_component, const std::uint32_t* d_o,
                                        const std::uint32_t* d_o_by_component, AttentionShape s) {
  UFAB_SHARED_LARGE(std::uint32_t, shared, kFastKeyGradientWords);
  float* const totals = reinterpret_cast<float*>(shared + 8 * kFastWords);
  float* const shifts = totals + kTileRows;
  const AttentionBlock at = attention_block(s, s.kv_heads, kFastHead);
  const int first_key = at.tile * kTileRows, group = s.heads / s.kv_heads;
  const int tiles = fast_tiles(s.seq), tiles_of_head = tiles - at.tile, steps = group * tiles_of_head;
  const float scale = attention_scale(s.head_width), log2_scale = scale * kLog2E;
  const bool fours = s.head_width % 4 == 0 && in_fours(qkv);
  FastFactors k, v;
  load_fast_tile(shared, nullptr, key_rows(s, qkv, at.item, at.head), first_key, s.seq, s.head_width, fours);
  load_fast_tile(shared + kFastWords, nullptr, value_rows(s, qkv, at.item, at.head), first_key, s.seq,
                 s.head_width, fours);
  block_barrier();
  read_fast_factors(k, shared);
  read_fast_factors(v, shared + kFastWords);
  FastSums dk = {}, dv = {};
  // A step is one tile of queries of one head.
  const auto fetch = [&](int step) {
    if (step < steps) {
      const int head = at.head * group + step / tiles_of_head, tile = at.tile + step % tiles_of_head;
      std::uint32_t* to = shared + step % 2 * (4 * kFastWords);
      for (const std::uint32_t* words : {q, q_by_component, d_o, d_o_by_component}) {
        fetch_fast_tile(to, fast_tile(words, s.seq, s.heads, at.item, head, tile));
        to += kFastWords;
      }
    }
    close_copies();
  };
  block_barrier();  // the keys have been read
  fetch(0);
  for (int step = 0; step < steps; ++step) {
    const int head = at.head * group + step / tiles_of_head;
    const int first_query = (at.tile + step % tiles_of_head) * kTileRows;
    const std::uint32_t *const queries = shared + step % 2 * (4 * kFastWords),
                               *const queries_by_component = queries + kFastWords,
                               *const douts = queries_by_component + kFastWords,
                               *const douts_by_component = douts + kFastWords;
    const std::ptrdiff_t statistics = offset(at.item * s.heads + head, s.seq);
    fetch(step + 1);
    if (thread_index() < kTileRows) {
      const int query = first_query + thread_index();
      totals[thread_index()] = query < s.seq ? logsumexp[statistics + query] * kLog2E : 0.0F;
      shifts[thread_index()] = query < s.seq ? delta[statistics + query] : 0.0F;
    }
    await_copies_but<1>();
    block_barrier();  // this step is there
    // Keys down, queries across.
    for (int first = 0; first < kTileRows; first += kTileRows / 2) {
      HalfFastSums p = {}, ds = {};
      multiply_fast(p, k, queries + first * kFastPitch);
      multiply_fast(ds, v, douts + first * kFastPitch);
      each_fast_sum<4>([&](int j, int e) {
        const int column = first + fast_column(j, e), query = first_query + column;
        const bool seen = first_key + fast_row(e) <= query && query < s.seq;
        p[0][j][e] = seen ? exp2_fast(p[0][j][e] * log2_scale - totals[column]) : 0.0F;
        ds[0][j][e] = seen ? p[0][j][e] * (ds[0][j][e] - shifts[column]) * scale : 0.0F;
      });
      HalfFastFactors factors;
      as_fast_factors(factors, p);
      multiply_fast(dv, factors, douts_by_component + first / 2);
      as_fast_factors(factors, ds);
      multiply_fast(dk, factors, queries_by_component + first / 2);
    }
    block_barrier();  // this step has been read
  }
  store_fast_sums(dqkv + qkv_at(s, at.item, s.heads + at.head), qkv_stride(s), dk, first_key, s.seq,
                  s.head_width);
  store_fast_sums(dqkv + qkv_at(s, at.item, s.heads + s.kv_heads + at.head), qkv_stride(s), dv, first_key,
                  s.seq, s.head_width);
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#endif  // UFAB_GPU_HAS_TILES
