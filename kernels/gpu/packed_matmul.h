// Matrix products of packed operands: in the integer formats of kernels/integer.h, and in bfloat16.
//
// First each operand is packed: a row's blocks of 32 words one after another, zeros past the end of the
// contraction. An integer format's block is its 128 elements as bytes, in one plane (8 bits) or two (12 bits:
// q = 64 * high + low with -32 <= low < 32, both in a byte), with the scales beside them; one of bfloat16 is
// 64 elements, two a word. Then a block of threads makes a tile of outputs. Of integers it adds up a block's
// exact sum and rounds once, in a fused multiply-add with the scales; of two planes there are the sums hh,
// hl + lh and ll, of which it makes (hh * 64 + (hl + lh)) * 64 + ll, below 2^30. Sums of bfloat16 are
// binary32 and go on over the blocks: which outputs are computed beside one does not show in its bits.
//
// Three kernels: packed_matmul_group_kernel on units that multiply 64 by 128 lines of shared memory (Hopper's
// tensor cores), packed_matmul_mma_kernel on units that multiply 16 x 8 by 8 x 8 words (NVIDIA's older ones),
// and packed_matmul_dot_kernel on a word's products at a time (any other).
#pragma once

#include "kernels/bf16.h"
#include "kernels/gpu/fours.h"
#include "kernels/gpu/lanes.h"
#include "kernels/integer.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kBlockWords = 32;  // of a row's block in one plane

// How a format's operands are packed. It is not for f32.
template <MatmulFormat format>
struct Packing {
  static constexpr bool kScaled = is_exact(format);  // integers, with a scale a block
  static constexpr int kPlanes = format == MatmulFormat::int12 ? 2 : 1;
  static constexpr int kPerWord = kScaled ? 4 : 2, kBlock = kBlockWords * kPerWord;
  static constexpr int kSums = 2 * kPlanes - 1;  // of integers: products of planes a and b go to sum a + b
  static_assert(!kScaled || kBlock == kIntegerBlock);
};

// words [planes][rows][blocks][kBlockWords], scales [blocks][rows].
struct PackedOperand {
  std::uint32_t* words;
  float* scales;
  int rows, blocks;
};
UFAB_DEVICE std::ptrdiff_t scale_at(const PackedOperand& operand, int row, int block) {
  return offset(block, operand.rows) + row;
}
// First word of a row's block.
UFAB_DEVICE std::ptrdiff_t packed_at(const PackedOperand& operand, int plane, int row, int block) {
  return (offset(plane, operand.rows) + row) * (offset(operand.blocks, kBlockWords)) +
         offset(block, kBlockWords);
}

UFAB_DEVICE std::uint32_t magnitude_bits(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7FFFFFFFU;
}
UFAB_DEVICE std::uint32_t larger(std::uint32_t a, std::uint32_t b) {
  return a > b ? a : b;
}

// Packs a row's block: 32 neighbouring threads a word of each plane, of the elements x. All 32 call it; only
// where `active` is there a row.
template <MatmulFormat format>
UFAB_DEVICE void pack_word(const PackedOperand& to, int row, int block, int word,
                           const float (&x)[Packing<format>::kPerWord], bool active) {
  if constexpr (!Packing<format>::kScaled) {
    if (active) to.words[packed_at(to, 0, row, block) + word] = pack_bf16(x[0], x[1]);
  } else {
    constexpr int bits = bits_of(format), limit = (1 << (bits - 1)) - 1, planes = Packing<format>::kPlanes;
    std::uint32_t largest = 0;
    UFAB_UNROLL
    for (int i = 0; i < 4; ++i) largest = larger(largest, magnitude_bits(x[i]));
    for (int mask = 16; mask > 0; mask /= 2) largest = larger(largest, exchange_xor<32>(largest, mask));
    if (!active) return;
    const IntegerScale scale = integer_scale(largest, bits);
    std::uint32_t high = 0, low = 0;
    UFAB_UNROLL
    for (int i = 0; i < 4; ++i) {
      // An inverse of 0 is for blocks of zeros, and of infinities and NaN, whose products with it are NaN.
      int q = scale.inverse == 0.0F ? 0 : static_cast<int>(round_even(x[i] * scale.inverse));
      q = q > limit ? limit : q < -limit ? -limit : q;
      const int upper = planes == 1 ? q : (q + 32) >> 6;
      high |= (static_cast<std::uint32_t>(upper) & 0xFFU) << (8 * i);
      low |= (static_cast<std::uint32_t>(q - 64 * upper) & 0xFFU) << (8 * i);
    }
    to.words[packed_at(to, 0, row, block) + word] = high;
    if (planes == 2) to.words[packed_at(to, 1, row, block) + word] = low;
    if (word == 0) to.scales[scale_at(to, row, block)] = scale.scale;
  }
}

inline constexpr int kPackThreads = 256, kPackGroups = kPackThreads / 32;

// Of an operand whose rows are contiguous: a thread packs four elements. Where they are one word, thirty-two
// threads make a row's block; in bfloat16 they are two, and sixteen do.
template <MatmulFormat format>
inline constexpr int kBlocksAtATime = kPackThreads * 4 / Packing<format>::kBlock;

template <MatmulFormat format>
UFAB_KERNEL(kPackThreads)
void pack_rows_kernel(PackedOperand to, const float* base, std::ptrdiff_t row_stride, int depth) {
  constexpr int kThreads = Packing<format>::kBlock / 4;  // of a row's block
  const std::ptrdiff_t index =
      static_cast<std::ptrdiff_t>(block_index()) * kBlocksAtATime<format> + thread_index() / kThreads;
  const bool active = index < offset(to.rows, to.blocks);
  const auto row = static_cast<int>(active ? index / to.blocks : 0);
  const auto block = static_cast<int>(active ? index % to.blocks : 0);
  const int four = thread_index() % kThreads, first = block * Packing<format>::kBlock + 4 * four;
  const float* const from = base + row * row_stride + first;
  Four<float> x = {};
  if (((row_stride | depth) & 3) == 0 && in_fours(base)) {
    if (first < depth) x = load_four(from);
  } else {
    UFAB_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i < depth) x.v[i] = from[i];
    }
  }
  if constexpr (Packing<format>::kScaled) {
    pack_word<format>(to, row, block, four, x.v, active);
  } else {
    UFAB_UNROLL
    for (int i = 0; i < 2; ++i) {
      const float pair[2] = {x.v[2 * i], x.v[2 * i + 1]};
      pack_word<format>(to, row, block, 2 * four + i, pair, active);
    }
  }
}

// Of an operand whose columns are contiguous: a block of threads turns 32 rows' blocks in shared memory.
template <MatmulFormat format>
UFAB_KERNEL(kPackThreads)
void pack_columns_kernel(PackedOperand to, const float* base, std::ptrdiff_t depth_stride, int depth) {
  constexpr int kPitch = 33, kPerWord = Packing<format>::kPerWord, kBlock = Packing<format>::kBlock;
  UFAB_SHARED(float, turned, kBlock* kPitch);
  const int strips = (to.rows + 31) / 32, index = static_cast<int>(block_index());
  const int block = index / strips, first_row = index % strips * 32;
  const int lane = thread_index() % 32, group = thread_index() / 32;
  for (int k = group; k < kBlock; k += kPackGroups) {
    const int at = block * kBlock + k, row = first_row + lane;
    turned[k * kPitch + lane] = at < depth && row < to.rows ? base[at * depth_stride + row] : 0.0F;
  }
  block_barrier();
  for (int i = group; i < 32; i += kPackGroups) {
    float x[kPerWord];
    UFAB_UNROLL
    for (int j = 0; j < kPerWord; ++j) x[j] = turned[(kPerWord * lane + j) * kPitch + i];
    pack_word<format>(to, first_row + i, block, lane, x, first_row + i < to.rows);
  }
}

struct PackedArguments {
  float* c;
  std::ptrdiff_t c_row;
  PackedOperand a, b;
  const float* bias;
  bool accumulate;
};
UFAB_DEVICE float start_value(const PackedArguments& m, int row, int column) {
  if (row >= m.a.rows || column >= m.b.rows) return 0.0F;
  return m.accumulate ? m.c[row * m.c_row + column] : m.bias != nullptr ? m.bias[column] : 0.0F;
}

// The first row and column of a tile of kRows x kColumns outputs. Tiles that are made at the same time are
// near one another in both directions, so that they find their operands in the cache.
struct TilePlace {
  int row, column;
};
template <int kRows, int kColumns>
UFAB_DEVICE TilePlace tile_place(const PackedArguments& m, int index) {
  constexpr int kStrip = 8;  // tiles
  const int down = (m.a.rows + kRows - 1) / kRows, across = (m.b.rows + kColumns - 1) / kColumns;
  const int in_strip = index % (kStrip * across);
  const int first = index / (kStrip * across) * kStrip, rest = down - first;
  const int height = rest < kStrip ? rest : kStrip;
  return {(first + in_strip % height) * kRows, in_strip / height * kColumns};
}

// A tile's rows of one operand in shared memory, step_words of their blocks at a time: a row every kPitch
// words, so that the eight rows and four words that a warp reads at a time lie in different banks.
template <MatmulFormat format, int tile_rows, int threads, int step_words>
struct PackedTile {
  static constexpr int kPlanes = Packing<format>::kPlanes, kPitch = step_words + 4;
  static constexpr int kWords = kPlanes * tile_rows * kPitch, kSteps = kBlockWords / step_words;
  static UFAB_DEVICE int at(int plane, int row) { return (plane * tile_rows + row) * kPitch; }
  static UFAB_DEVICE void copy(std::uint32_t* words, const PackedOperand& from, int first_row, int step) {
    constexpr int kEach = 4, kAcross = step_words / kEach, kRowsAtATime = threads / kAcross;
    static_assert(threads % kAcross == 0 && tile_rows % kRowsAtATime == 0);
    const int word = thread_index() % kAcross * kEach, my_row = thread_index() / kAcross;
    const std::uint32_t* const source =
        from.words + packed_at(from, 0, first_row + my_row, 0) + offset(step, step_words) + word;
    UFAB_UNROLL
    for (int plane = 0; plane < kPlanes; ++plane) {
      UFAB_UNROLL
      for (int row = 0; row < tile_rows; row += kRowsAtATime) {
        copy_async<kEach>(words + at(plane, my_row + row) + word, source + packed_at(from, plane, row, 0),
                          first_row + my_row + row < from.rows);
      }
    }
  }
  static UFAB_DEVICE void copy_scales(float* scales, const PackedOperand& from, int first_row, int block) {
    for (int row = thread_index(); row < tile_rows; row += threads) {
      copy_async<1>(scales + row, from.scales + scale_at(from, first_row + row, block),
                    first_row + row < from.rows);
    }
  }
};

#if defined(UFAB_GPU_HAS_TILES)
inline constexpr int kMmaStepWords = 16;

// Warps of 32 threads, each a tile of `down` x `across` fragments of 16 x 8 outputs.
template <int warps_down, int warps_across, int down, int across>
struct MmaShape {
  static constexpr int kThreads = 32 * warps_down * warps_across;
  static constexpr int kRows = 16 * down * warps_down, kColumns = 8 * across * warps_across;
};

// While a step's words are multiplied, the next one's are on their way into the other half of the shared
// arrays.
template <MatmulFormat format, int warps_down, int warps_across, int down, int across>
UFAB_KERNEL(32 * warps_down * warps_across)
void packed_matmul_mma_kernel(PackedArguments m) {
  using Format = Packing<format>;
  using Shape = MmaShape<warps_down, warps_across, down, across>;
  using TileA = PackedTile<format, Shape::kRows, Shape::kThreads, kMmaStepWords>;
  using TileB = PackedTile<format, Shape::kColumns, Shape::kThreads, kMmaStepWords>;
  constexpr int kPlanes = Format::kPlanes;
  UFAB_SHARED(std::uint32_t, words_a, 2 * TileA::kWords);
  UFAB_SHARED(std::uint32_t, words_b, 2 * TileB::kWords);
  UFAB_SHARED(float, scales_a, Format::kScaled ? 2 * Shape::kRows : 1);
  UFAB_SHARED(float, scales_b, Format::kScaled ? 2 * Shape::kColumns : 1);
  const TilePlace first = tile_place<Shape::kRows, Shape::kColumns>(m, static_cast<int>(block_index()));
  const int warp = thread_index() / 32, lane = thread_index() % 32, g = lane / 4, q = lane % 4;
  const int warp_row = warp / warps_across * (16 * down), warp_column = warp % warps_across * (8 * across);

  // Output e of fragment (i, j): see the fragments of multiply_tile.
  const auto row_of = [&](int i, int e) { return warp_row + 16 * i + g + e / 2 * 8; };
  const auto column_of = [&](int j, int e) { return warp_column + 8 * j + 2 * q + e % 2; };
  float result[down][across][4];
  const auto each_output = [&](const auto& f) {
    UFAB_UNROLL
    for (int i = 0; i < down; ++i) {
      UFAB_UNROLL
      for (int j = 0; j < across; ++j) {
        UFAB_UNROLL
        for (int e = 0; e < 4; ++e) f(i, j, e);
      }
    }
  };
  each_output([&](int i, int j, int e) {
    result[i][j][e] = start_value(m, first.row + row_of(i, e), first.column + column_of(j, e));
  });

  const int steps = m.a.blocks * TileA::kSteps;
  const auto copy = [&](int step) {
    TileA::copy(words_a + step % 2 * TileA::kWords, m.a, first.row, step);
    TileB::copy(words_b + step % 2 * TileB::kWords, m.b, first.column, step);
    if constexpr (Format::kScaled) {
      if (step % TileA::kSteps != 0) return;
      const int block = step / TileA::kSteps;
      TileA::copy_scales(scales_a + block % 2 * Shape::kRows, m.a, first.row, block);
      TileB::copy_scales(scales_b + block % 2 * Shape::kColumns, m.b, first.column, block);
    }
  };
  copy(0);
  for (int block = 0; block < m.a.blocks; ++block) {
    [[maybe_unused]] std::int32_t sums[Format::kSums][down][across][4] = {};
    for (int step = block * TileA::kSteps; step < (block + 1) * TileA::kSteps; ++step) {
      await_copies();
      block_barrier();  // all of this step's words are there, and the step before has been read
      if (step + 1 < steps) copy(step + 1);
      const std::uint32_t* const step_a = words_a + step % 2 * TileA::kWords;
      const std::uint32_t* const step_b = words_b + step % 2 * TileB::kWords;
      UFAB_UNROLL
      for (int word = 0; word < kMmaStepWords; word += 8) {
        std::uint32_t a[kPlanes][down][4], b[kPlanes][across][2];
        UFAB_UNROLL
        for (int plane = 0; plane < kPlanes; ++plane) {
          UFAB_UNROLL
          for (int i = 0; i < down; ++i) {
            UFAB_UNROLL
            for (int r = 0; r < 4; ++r) {
              a[plane][i][r] =
                  step_a[TileA::at(plane, warp_row + 16 * i + g + r % 2 * 8) + word + q + r / 2 * 4];
            }
          }
          UFAB_UNROLL
          for (int j = 0; j < across; ++j) {
            UFAB_UNROLL
            for (int r = 0; r < 2; ++r) {
              b[plane][j][r] = step_b[TileB::at(plane, warp_column + 8 * j + g) + word + q + r * 4];
            }
          }
        }
        if constexpr (Format::kScaled) {
          UFAB_UNROLL
          for (int plane = 0; plane < kPlanes * kPlanes; ++plane) {
            const int plane_a = plane / kPlanes, plane_b = plane % kPlanes;
            multiply_tile(sums[plane_a + plane_b], a[plane_a], b[plane_b]);
          }
        } else {
          multiply_tile(result, a[0], b[0]);
        }
      }
    }
    if constexpr (Format::kScaled) {
      each_output([&](int i, int j, int e) {
        std::int32_t sum = sums[0][i][j][e];
        UFAB_UNROLL
        for (int s = 1; s < Format::kSums; ++s) sum = sum * 64 + sums[s][i][j][e];
        result[i][j][e] =
            fma_once(static_cast<float>(sum) * scales_a[block % 2 * Shape::kRows + row_of(i, e)],
                     scales_b[block % 2 * Shape::kColumns + column_of(j, e)], result[i][j][e]);
      });
    }
  }

  each_output([&](int i, int j, int e) {
    const int row = first.row + row_of(i, e), column = first.column + column_of(j, e);
    if (row < m.a.rows && column < m.b.rows) m.c[row * m.c_row + column] = result[i][j][e];
  });
}

#endif  // UFAB_GPU_HAS_TILES

#if defined(UFAB_GPU_HAS_GROUPS)
// Two groups of 128 threads, each 64 rows of a tile of 128 x 128 outputs.
inline constexpr int kGroupThreads = 256, kGroupTile = 128;
inline constexpr int kGroupStages = 4, kGroupAhead = kGroupStages - 2;  // blocks that are on their way
inline constexpr int kGroupLineWords = 2 * kGroupTile * kBlockWords;    // of a stage
inline constexpr std::size_t kGroupSharedBytes =
    kGroupStages * (kGroupLineWords + 2 * kGroupTile) * sizeof(std::uint32_t);

// A block of threads makes tile after tile, as one row of steps, each a block of one tile's contraction: two
// more are on their way whichever tile they belong to, and of integers a step's products are made while those
// of the step before are added to the results. A stage is filled again once all threads have waited for its
// products.
template <MatmulFormat format>
UFAB_KERNEL(kGroupThreads)
void packed_matmul_group_kernel(PackedArguments m, int tiles) {
  constexpr bool kScaled = Packing<format>::kScaled;
  static_assert(Packing<format>::kPlanes == 1);
  UFAB_SHARED_LARGE(std::uint32_t, shared, kGroupSharedBytes / sizeof(std::uint32_t));
  float* const scales = reinterpret_cast<float*>(shared + kGroupStages * kGroupLineWords);
  const int thread = thread_index(), lane = thread % 32, stride = static_cast<int>(grid_blocks());
  const int blocks = m.a.blocks, first_tile = static_cast<int>(block_index());
  const int steps = (tiles - first_tile + stride - 1) / stride * blocks;

  // The thread's i-th output of a tile: see start_products.
  const int first_row = thread / 32 * 16 + lane / 4, first_column = lane % 4 * 2;
  const auto row_of = [&](int i) { return first_row + i % 4 / 2 * 8; };
  const auto column_of = [&](int i) { return first_column + i / 4 * 8 + i % 2; };
  const auto place_of = [&](int tile) { return tile_place<kGroupTile, kGroupTile>(m, tile); };
  float result[64];
  const auto begin_tile = [&](int tile) {
    const bool from_zero = tile >= tiles || (!m.accumulate && m.bias == nullptr);
    const TilePlace first = place_of(tile);
    UFAB_UNROLL
    for (int i = 0; i < 64; ++i) {
      result[i] = from_zero ? 0.0F : start_value(m, first.row + row_of(i), first.column + column_of(i));
    }
  };
  const auto end_tile = [&](int tile) {
    const TilePlace first = place_of(tile);
    const bool inside = first.row + kGroupTile <= m.a.rows && first.column + kGroupTile <= m.b.rows;
    UFAB_UNROLL
    for (int half = 0; half < 4; half += 2) {
      const int row = first.row + row_of(half), column = first.column + first_column;
      float* const to = m.c + row * m.c_row + column;
      UFAB_UNROLL
      for (int i = half; i < 64; i += 4) {
        UFAB_UNROLL
        for (int j = 0; j < 2; ++j) {
          const int across = i / 4 * 8 + j;
          if (inside || (row < m.a.rows && column + across < m.b.rows)) to[across] = result[i + j];
        }
      }
    }
  };

  const auto lines_of = [&](int step) { return shared + step % kGroupStages * kGroupLineWords; };
  [[maybe_unused]] const auto scales_of = [&](int step) {
    return scales + step % kGroupStages * (2 * kGroupTile);
  };
  // What is fetched next: where this thread finds its part of it, and which of its lines there are.
  constexpr int kLinesAtATime = kGroupThreads / 8, kPasses = kGroupTile / kLinesAtATime;
  const int my_line = thread / 8, my_four = thread % 8;
  const std::ptrdiff_t pass_words = offset(blocks, kLinesAtATime * kBlockWords);
  int fetch_tile = first_tile, fetch_block = 0, lines_a = 0, lines_b = 0;
  const std::uint32_t *from_a = nullptr, *from_b = nullptr;
  [[maybe_unused]] const float* from_scales = nullptr;
  [[maybe_unused]] std::ptrdiff_t scale_step = 0;
  [[maybe_unused]] bool has_scale = false;
  const auto fetch = [&](int step) {
    if (step < steps) {
      if (fetch_block == 0) {
        const TilePlace first = place_of(fetch_tile);
        from_a = m.a.words + packed_at(m.a, 0, first.row + my_line, 0) + 4 * my_four;
        from_b = m.b.words + packed_at(m.b, 0, first.column + my_line, 0) + 4 * my_four;
        lines_a = m.a.rows - first.row - my_line;
        lines_b = m.b.rows - first.column - my_line;
        if constexpr (kScaled) {
          const bool of_a = thread < kGroupTile;
          const PackedOperand& from = of_a ? m.a : m.b;
          const int line = (of_a ? first.row : first.column) + thread % kGroupTile;
          has_scale = line < from.rows;
          from_scales = from.scales + line;
          scale_step = from.rows;
        }
      }
      std::uint32_t* const to = lines_of(step) + in_line(my_line, my_four);
      UFAB_UNROLL
      for (int pass = 0; pass < kPasses; ++pass) {
        const int lines = pass * kLinesAtATime;
        copy_async<4>(to + lines * kBlockWords, from_a + pass * pass_words, lines < lines_a);
        copy_async<4>(to + (kGroupTile + lines) * kBlockWords, from_b + pass * pass_words, lines < lines_b);
      }
      from_a += kBlockWords;
      from_b += kBlockWords;
      if constexpr (kScaled) {
        copy_async<1>(scales_of(step) + thread, from_scales, has_scale);
        from_scales += scale_step;
      }
      if (++fetch_block == blocks) {
        fetch_block = 0;
        fetch_tile += stride;
      }
    }
    close_copies();
  };
  const auto start = [&](int step, auto& sums, bool fresh) {
    await_copies_but<kGroupAhead - 1>();
    publish_shared();
    block_barrier();  // this step's lines are there; the products of the last but one have been waited for
    const std::uint32_t* const lines = lines_of(step);
    start_products(sums, lines + thread / 128 * (64 * kBlockWords), lines + kGroupTile * kBlockWords, fresh);
    fetch(step + kGroupAhead);
  };

  int tile = first_tile, block = 0;  // of the results
  for (int step = 0; step < kGroupAhead; ++step) fetch(step);
  if constexpr (kScaled) {
    std::int32_t even[64], odd[64];
    const auto finish = [&](int step, const std::int32_t(&sums)[64]) {
      const float *const of_a = scales_of(step) + first_row, *const of_b =
                                                                 scales_of(step) + kGroupTile + first_column;
      const float scale_a[2] = {of_a[0], of_a[8]};
      UFAB_UNROLL
      for (int i = 0; i < 64; ++i) {
        result[i] =
            fma_once(static_cast<float>(sums[i]) * scale_a[i % 4 / 2], of_b[i / 4 * 8 + i % 2], result[i]);
      }
      if (++block < blocks) return;
      end_tile(tile);
      tile += stride;
      block = 0;
      begin_tile(tile);
    };
    begin_tile(tile);
    int step = 0;
    start(0, even, true);
    for (; step + 2 < steps; step += 2) {
      start(step + 1, odd, true);
      await_products<1>(even);
      finish(step, even);
      start(step + 2, even, true);
      await_products<1>(odd);
      finish(step + 1, odd);
    }
    if (step + 2 == steps) {
      start(step + 1, odd, true);
      await_products<1>(even);
      finish(step, even);
      await_products<0>(odd);
      finish(step + 1, odd);
    } else {
      await_products<0>(even);
      finish(step, even);
    }
  } else {
    float sums[64];
    for (int step = 0; step < steps; ++step) {
      start(step, sums, block == 0);
      if (++block < blocks) {
        await_products<1>();
        continue;
      }
      await_products<0>(sums);
      begin_tile(tile);
      UFAB_UNROLL
      for (int i = 0; i < 64; ++i) result[i] = result[i] + sums[i];
      end_tile(tile);
      tile += stride;
      block = 0;
    }
  }
  await_copies();
}
#endif  // UFAB_GPU_HAS_GROUPS

// 16 x 16 threads, each 4 x 4 outputs, sixteen apart.
inline constexpr int kDotThreads = 256, kDotTile = 64;

template <MatmulFormat format>
UFAB_KERNEL(kDotThreads)
void packed_matmul_dot_kernel(PackedArguments m) {
  using Format = Packing<format>;
  using Tile = PackedTile<format, kDotTile, kDotThreads, kBlockWords>;
  UFAB_SHARED(std::uint32_t, words_a, Tile::kWords);
  UFAB_SHARED(std::uint32_t, words_b, Tile::kWords);
  UFAB_SHARED(float, scales_a, kDotTile);
  UFAB_SHARED(float, scales_b, kDotTile);
  const TilePlace first = tile_place<kDotTile, kDotTile>(m, static_cast<int>(block_index()));
  const int ty = thread_index() / 16, tx = thread_index() % 16;
  float result[4][4];
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      result[i][j] = start_value(m, first.row + ty + 16 * i, first.column + tx + 16 * j);
    }
  }
  // add(i, j, word of a, word of b) for all words of a block's planes.
  const auto multiply = [&](int plane_a, int plane_b, const auto& add) {
    for (int word = 0; word < kBlockWords; ++word) {
      std::uint32_t a[4], b[4];
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        a[i] = words_a[Tile::at(plane_a, ty + 16 * i) + word];
        b[i] = words_b[Tile::at(plane_b, tx + 16 * i) + word];
      }
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        UFAB_UNROLL
        for (int j = 0; j < 4; ++j) add(i, j, a[i], b[j]);
      }
    }
  };
  for (int block = 0; block < m.a.blocks; ++block) {
    block_barrier();  // the block before has been read
    Tile::copy(words_a, m.a, first.row, block);
    Tile::copy(words_b, m.b, first.column, block);
    if constexpr (Format::kScaled) {
      Tile::copy_scales(scales_a, m.a, first.row, block);
      Tile::copy_scales(scales_b, m.b, first.column, block);
    }
    await_copies();
    block_barrier();
    if constexpr (Format::kScaled) {
      std::int32_t sum[4][4] = {};
      const auto add = [&](int i, int j, std::uint32_t a, std::uint32_t b) {
        sum[i][j] = dot4(a, b, sum[i][j]);
      };
      const auto shift = [&] {
        UFAB_UNROLL
        for (int i = 0; i < 4; ++i) {
          UFAB_UNROLL
          for (int j = 0; j < 4; ++j) sum[i][j] *= 64;
        }
      };
      multiply(0, 0, add);
      if constexpr (Format::kPlanes == 2) {
        shift();
        multiply(0, 1, add);
        multiply(1, 0, add);
        shift();
        multiply(1, 1, add);
      }
      UFAB_UNROLL
      for (int i = 0; i < 4; ++i) {
        UFAB_UNROLL
        for (int j = 0; j < 4; ++j) {
          result[i][j] = fma_once(static_cast<float>(sum[i][j]) * scales_a[ty + 16 * i],
                                  scales_b[tx + 16 * j], result[i][j]);
        }
      }
    } else {
      multiply(0, 0, [&](int i, int j, std::uint32_t a, std::uint32_t b) {
        result[i][j] = fma_once(from_bf16_bits(a), from_bf16_bits(b), result[i][j]);
        result[i][j] = fma_once(from_bf16_bits(a >> 16), from_bf16_bits(b >> 16), result[i][j]);
      });
    }
  }
  UFAB_UNROLL
  for (int i = 0; i < 4; ++i) {
    UFAB_UNROLL
    for (int j = 0; j < 4; ++j) {
      const int row = first.row + ty + 16 * i, column = first.column + tx + 16 * j;
      if (row < m.a.rows && column < m.b.rows) m.c[row * m.c_row + column] = result[i][j];
    }
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
