// The register tile that every matrix product is made of: kRows x (16 kVectors) outputs, each one fma chain.
#pragma once

#include "kernels/cpu/vector.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

#if defined(__AVX512F__)
inline constexpr int kTileRows = 8, kTileVectors = 3;  // 24 accumulators of 32 registers
#else
inline constexpr int kTileRows = 6, kTileVectors = 1;  // 12 accumulators of 16 registers
#endif

enum class Start { zero, bias, load };
// none: every row's chain has the same `depth`. tail: row r's chain is r steps longer. head: row r's chain
// leaves out its first r steps.
enum class Triangle { none, tail, head };

// a(r, k): a[r * lda + k] row-major, a[k * lda + r] column-major. b(k, j): b[k * ldb + j], readable to
// 16 kVectors columns. The last vector of c has `last` valid columns (1..16).
struct TileArgs {
  const float* a;
  std::ptrdiff_t lda;
  const float* b;
  std::ptrdiff_t ldb;
  float* c;
  std::ptrdiff_t ldc;
  const float* bias;
  int depth, last;
  Start start;
};

template <int kRows, int kVectors, bool kColumnMajorA, Triangle kTriangle>
[[gnu::noinline]] void tile(const TileArgs& args) {
  const float* a = args.a;
  const float* b = args.b;
  const std::ptrdiff_t lda = args.lda, ldb = args.ldb;
  const bool whole = args.last == 16;
  F16 sum[std::size_t{kRows}][std::size_t{kVectors}];

  const auto start_from = [&](const float* row, int r) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; ++v) sum[r][v] = F16::load(row + 16 * v);
    const float* last = row + 16 * (kVectors - 1);
    sum[r][kVectors - 1] = whole ? F16::load(last) : F16::load_n(last, args.last);
  };
  if (args.start != Start::load) {  // c is not read: have its lines here by the time they are written
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) __builtin_prefetch(args.c + r * args.ldc + 16 * v, 1);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    if (args.start == Start::load) {
      start_from(args.c + r * args.ldc, r);
    } else if (args.start == Start::bias) {
      start_from(args.bias, r);
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = F16::broadcast(0.0F);
    }
  }

  const auto step = [&](auto row_range) __attribute__((always_inline)) {
    F16 columns[std::size_t{kVectors}];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = F16::load(b + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      if (!row_range(r)) continue;
      const F16 factor = F16::broadcast(kColumnMajorA ? a[r] : a[r * lda]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = fma(factor, columns[v], sum[r][v]);
    }
    a += kColumnMajorA ? lda : 1;
    b += ldb;
  };
  int depth = args.depth;
  if constexpr (kTriangle == Triangle::head) {
#pragma GCC unroll 8
    for (int t = 0; t < kRows - 1; ++t) {
      step([t](int r) __attribute__((always_inline)) { return r <= t; });
    }
    depth -= kRows - 1;
  }
  for (int k = 0; k < depth; ++k) {
    step([](int) __attribute__((always_inline)) { return true; });
  }
  if constexpr (kTriangle == Triangle::tail) {
#pragma GCC unroll 8
    for (int t = 1; t < kRows; ++t) {
      step([t](int r) __attribute__((always_inline)) { return r >= t; });
    }
  }

#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* row = args.c + r * args.ldc;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; ++v) sum[r][v].store(row + 16 * v);
    if (whole) {
      sum[r][kVectors - 1].store(row + 16 * (kVectors - 1));
    } else {
      sum[r][kVectors - 1].store_n(row + 16 * (kVectors - 1), args.last);
    }
  }
}

// kRows and kColumnMajorA given, the number of vectors chosen at run time: 1..kTileVectors.
template <int kRows, bool kColumnMajorA, Triangle kTriangle>
UFAB_INLINE void tile_rows(const TileArgs& args, int vectors) {
  if constexpr (kTileVectors == 3) {
    if (vectors == 3) return tile<kRows, 3, kColumnMajorA, kTriangle>(args);
    if (vectors == 2) return tile<kRows, 2, kColumnMajorA, kTriangle>(args);
  }
  tile<kRows, 1, kColumnMajorA, kTriangle>(args);
}

// Any number of rows at one panel of columns: whole tiles, then 4, 2 and 1 rows.
template <bool kColumnMajorA>
UFAB_INLINE void tile_strip(TileArgs args, int rows, int vectors) {
  const auto advance = [&](int by) __attribute__((always_inline)) {
    args.a += kColumnMajorA ? by : by * args.lda;
    args.c += by * args.ldc;
    rows -= by;
  };
  while (rows >= kTileRows) {
    tile_rows<kTileRows, kColumnMajorA, Triangle::none>(args, vectors);
    advance(kTileRows);
  }
  if (rows >= 4) {
    tile_rows<4, kColumnMajorA, Triangle::none>(args, vectors);
    advance(4);
  }
  if (rows >= 2) {
    tile_rows<2, kColumnMajorA, Triangle::none>(args, vectors);
    advance(2);
  }
  if (rows == 1) tile_rows<1, kColumnMajorA, Triangle::none>(args, vectors);
}

// As tile_strip, at four vectors of columns that are all whole.
template <bool kColumnMajorA>
UFAB_INLINE void tile_strip_of_four(TileArgs args, int rows) {
  constexpr Triangle kNone = Triangle::none;
  args.last = 16;
  const auto advance = [&](int by) __attribute__((always_inline)) {
    args.a += kColumnMajorA ? by : by * args.lda;
    args.c += by * args.ldc;
    rows -= by;
  };
  for (; rows >= 6; advance(6)) tile<6, 4, kColumnMajorA, kNone>(args);
  if (rows >= 4) {
    tile<4, 4, kColumnMajorA, kNone>(args);
    advance(4);
  }
  for (; rows > 0; advance(1)) tile<1, 4, kColumnMajorA, kNone>(args);
}

// A whole product: c [rows][columns], b with rows readable to a multiple of 16 columns.
template <bool kColumnMajorA>
UFAB_INLINE void multiply(TileArgs args, int rows, int columns) {
  if constexpr (kTileVectors == 3) {
    // Keys of a whole tile, components of a common head: 6 x 4 accumulators keep the processor busier than
    // 8 x 3 and then 8 x 1.
    if (columns == 64) return tile_strip_of_four<kColumnMajorA>(args, rows);
  }
  const float* b = args.b;
  float* c = args.c;
  for (int j = 0; j < columns; j += 16 * kTileVectors) {
    const int width = smaller(columns - j, 16 * kTileVectors);
    const int vectors = (width + 15) / 16;
    args.b = b + j;
    args.c = c + j;
    args.last = width - 16 * (vectors - 1);
    tile_strip<kColumnMajorA>(args, rows, vectors);
  }
}

// As multiply, where row r's chain covers k <= r (row-major a, Triangle::tail) or k >= r (column-major a,
// Triangle::head; `rows` <= args.depth).
template <Triangle kTriangle>
UFAB_INLINE void multiply_triangle(const TileArgs& args, int rows, int columns) {
  constexpr bool kColumnMajorA = kTriangle == Triangle::head;
  for (int j = 0; j < columns; j += 16 * kTileVectors) {
    const int width = smaller(columns - j, 16 * kTileVectors);
    const int vectors = (width + 15) / 16;
    TileArgs part = args;
    part.last = width - 16 * (vectors - 1);
    for (int r = 0; r < rows;) {
      // A head tile needs kTileRows - 1 steps before its common part, all inside the depth.
      const bool fits = r + kTileRows <= rows;
      part.c = args.c + r * args.ldc + j;
      if constexpr (kTriangle == Triangle::tail) {
        part.a = args.a + r * args.lda;
        part.b = args.b + j;
        part.depth = r + 1;
      } else {
        part.a = args.a + r * args.lda + r;
        part.b = args.b + r * args.ldb + j;
        part.depth = args.depth - r;
      }
      if (fits) {
        tile_rows<kTileRows, kColumnMajorA, kTriangle>(part, vectors);
        r += kTileRows;
      } else {
        tile_rows<1, kColumnMajorA, Triangle::none>(part, vectors);
        r += 1;
      }
    }
  }
}

// out[k][16 * vectors] <- in(k, j) = in[j * stride + k], j < columns, k < depth; the rest of a row is +0.
UFAB_INLINE void pack_transposed(float* out, std::ptrdiff_t out_row, const float* in, std::ptrdiff_t stride,
                                 int columns, int depth) {
  for (int j = 0; j < columns; j += 16) {
    const int valid = smaller(columns - j, 16);
    for (int k = 0; k < depth; k += 16) {
      const int steps = smaller(depth - k, 16);
      F16 block[16];
      const float* corner = in + j * stride + k;
      if (valid == 16 && steps == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) block[i] = F16::load(corner + i * stride);
      } else {
        for (int i = 0; i < 16; ++i) {
          block[i] = i < valid ? F16::load_n(corner + i * stride, steps) : F16::broadcast(0.0F);
        }
      }
      transpose(block);
      float* destination = out + k * out_row + j;
      if (steps == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) block[i].store(destination + i * out_row);
      } else {
        for (int i = 0; i < steps; ++i) block[i].store(destination + i * out_row);
      }
    }
  }
}

// out[k][16 * vectors] <- in[k * stride + j], j < columns; the rest of a row is +0.
UFAB_INLINE void pack_rows(float* out, std::ptrdiff_t out_row, const float* in, std::ptrdiff_t stride,
                           int columns, int depth) {
  const int whole = columns & ~15, rest = columns & 15;
  for (int k = 0; k < depth; ++k) {
    for (int j = 0; j < whole; j += 16) F16::load(in + j).store(out + j);
    if (rest != 0) F16::load_n(in + whole, rest).store(out + whole);
    in += stride;
    out += out_row;
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
