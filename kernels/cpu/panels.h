// Products of packed operands: what the integer formats and bf16 have in common.
//
// A panel holds 16 rows of an operand, block of kPackedBlock of the contraction after block. A Format says
// how: panel_words(depth), block_words(), pack(out, source, depth) of one block, and
// multiply<kVectors>(y, a, b, panel, depth), which adds kPackedRows rows of a's panel times kVectors panels
// of b to y (row-major, 16 kPackedVectors apart) over some blocks.
#pragma once

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/tile.h"

namespace ufab::kernels::UFAB_KERNELS_ISA {

#if defined(__AVX512F__)
inline constexpr int kPackedRows = 8, kPackedVectors = 3;  // 24 accumulators of 32 registers
#else
inline constexpr int kPackedRows = 4, kPackedVectors = 1;  // 4 accumulators of two registers each
#endif
inline constexpr int kDepthGroup = 4;  // blocks that go through a tile at once
inline constexpr int kPackedBlock = 128;

// Sixteen rows' values of one k: in place, or from a transposed copy.
struct LaneSource {
  const float* base;
  std::ptrdiff_t stride;  // between k
  int lanes;              // valid
  UFAB_INLINE F16 load(int k) const {
    const float* at = base + k * stride;
    return lanes == 16 ? F16::load(at) : F16::load_n(at, lanes);
  }
};

// Panels [first, first + count) of the operand, to `out`, which is where the first of them goes. Block after
// block of all panels: neighbouring panels read neighbouring parts of the same rows.
template <class Format>
inline void pack_panels(std::int32_t* out, const Operand& operand, int depth, int first, int count) {
  alignas(64) float transposed[kPackedBlock * 16];
  const auto panel_words = static_cast<std::ptrdiff_t>(Format::panel_words(depth));
  for (int k = 0; k < depth; k += kPackedBlock) {
    const int length = smaller(depth - k, kPackedBlock);
    std::int32_t* to = out + k / kPackedBlock * Format::block_words();
    for (int panel = first; panel < first + count; ++panel, to += panel_words) {
      const int row = 16 * panel, rows = smaller(operand.rows - row, 16);
      const float* corner = operand.base + row * operand.row_stride + k * operand.depth_stride;
      LaneSource source{corner, operand.depth_stride, rows};
      if (operand.row_stride != 1) {
        pack_transposed(transposed, 16, corner, operand.row_stride, rows, length);
        source = {transposed, 16, 16};
      }
      Format::pack(to, source, length);
    }
  }
}

// The tile's values live in y while a group of blocks is added.
template <class Format>
UFAB_INLINE void multiply_packed_tile(const PackedRange& range, int row, int column, int k0, int depth) {
  constexpr int kWidth = 16 * kPackedVectors;
  const int rows = smaller(range.rows - row, kPackedRows), columns = smaller(range.columns - column, kWidth);
  const std::ptrdiff_t panel = range.panel, skipped = k0 / kPackedBlock * Format::block_words();
  const std::int32_t* a = range.a + row / 16 * panel + skipped + row % 16;
  const std::int32_t* b = range.b + column / 16 * panel + skipped;
  alignas(64) float y[kPackedRows * kWidth];
  const auto each_vector = [&](const auto& body) __attribute__((always_inline)) {
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < columns; j += 16) {
        body(y + kWidth * r + j, range.c + (row + r) * range.c_row + column + j, column + j,
             smaller(columns - j, 16));
      }
    }
  };
  const F16 zero = F16::broadcast(0.0F);
  for (int i = 0; i < kPackedRows * kWidth; i += 16) zero.store(y + i);
  if (k0 > 0 || range.accumulate) {
    each_vector([](float* to, const float* c, int, int n) { F16::load_n(c, n).store(to); });
  } else if (range.bias != nullptr) {
    each_vector([&](float* to, const float*, int j, int n) { F16::load_n(range.bias + j, n).store(to); });
  }
  if constexpr (kPackedVectors == 3) {
    if (columns > 32) {
      Format::template multiply<3>(y, a, b, panel, depth);
    } else if (columns > 16) {
      Format::template multiply<2>(y, a, b, panel, depth);
    } else {
      Format::template multiply<1>(y, a, b, panel, depth);
    }
  } else {
    Format::template multiply<1>(y, a, b, panel, depth);
  }
  each_vector([](const float* from, float* c, int, int n) {
    n == 16 ? F16::load(from).store(c) : F16::load(from).store_n(c, n);
  });
}

// Columns in blocks of 192, so that a group's b panels stay in the L2 cache while all rows pass by.
template <class Format>
inline void multiply_panels(const PackedRange& range) {
  constexpr int kGroup = kDepthGroup * kPackedBlock, kColumns = 192;
  for (int column0 = 0; column0 < range.columns; column0 += kColumns) {
    const int column_end = smaller(range.columns, column0 + kColumns);
    for (int k = 0; k < range.depth; k += kGroup) {
      const int depth = smaller(range.depth - k, kGroup);
      for (int row = 0; row < range.rows; row += kPackedRows) {
        for (int column = column0; column < column_end; column += 16 * kPackedVectors) {
          multiply_packed_tile<Format>(range, row, column, k, depth);
        }
      }
    }
  }
}

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
