// Operators over rows: norms, column sums, softmax cross-entropy.
#pragma once

#include "kernels/gpu/lanes.h"
#include "kernels/order/layer_norm.h"
#include "kernels/order/rms_norm.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

UFAB_KERNEL(kRowThreads)
void layernorm_forward_kernel(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                              const float* beta, int rows, int width) {
  const RowLane at = row_lane(rows, width);
  const float* x = in + offset(at.row, width);
  const float count = static_cast<float>(width);
  float sum = 0;
  along_row(
      at, [&](int, float value) { sum += value; }, x);
  const Lane center{lane_total(sum) / count};
  float squares = 0;
  along_row(
      at,
      [&](int, float value) {
        const float d = value - center.v;
        squares = fma_once(d, d, squares);
      },
      x);
  const Lane scale = layer_norm_rstd(Lane{lane_total(squares) / count}, Lane{kLayerNormEpsilon});
  float* y = out + offset(at.row, width);
  along_row(
      at,
      [&](int c, float value, float factor, float shift) {
        y[c] = layer_norm(Lane{value}, center, scale, Lane{factor}, Lane{shift}).v;
      },
      x, gamma, beta);
  if (at.active && at.lane == 0) {
    mean[at.row] = center.v;
    rstd[at.row] = scale.v;
  }
}

UFAB_KERNEL(kRowThreads)
void layernorm_backward_input_kernel(float* din, const float* dout, const float* in, const float* gamma,
                                     const float* mean, const float* rstd, int rows, int width) {
  const RowLane at = row_lane(rows, width);
  const float *x = in + offset(at.row, width), *dy = dout + offset(at.row, width);
  const Lane center{at.active ? mean[at.row] : 0.0F}, scale{at.active ? rstd[at.row] : 0.0F};
  float sum = 0, projected = 0;
  along_row(
      at,
      [&](int, float gradient, float factor, float value) {
        const float g = gradient * factor;
        sum += g;
        projected = fma_once(g, layer_norm_normal(Lane{value}, center, scale).v, projected);
      },
      dy, gamma, x);
  const float count = static_cast<float>(width);
  const Lane a{lane_total(sum) / count}, b{lane_total(projected) / count};
  float* dx = din + offset(at.row, width);
  along_row(
      at,
      [&](int c, float before, float gradient, float factor, float value) {
        dx[c] =
            before + layer_norm_gradient(Lane{gradient}, Lane{factor}, Lane{value}, center, scale, a, b).v;
      },
      dx, dy, gamma, x);
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_forward_kernel(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                            int width) {
  const RowLane at = row_lane(rows, width);
  const float* x = in + offset(at.row, width);
  Lane sum{0};
  along_row(
      at, [&](int, float value) { sum = rms_norm_add_square(Lane{value}, sum); }, x);
  const Lane scale = rms_norm_rstd(Lane{lane_total(sum.v)}, Lane{static_cast<float>(width)}, Lane{eps});
  float* y = out + offset(at.row, width);
  along_row(
      at, [&](int c, float value, float factor) { y[c] = rms_norm(Lane{value}, scale, Lane{factor}).v; }, x,
      gamma);
  if (at.active && at.lane == 0) rstd[at.row] = scale.v;
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_backward_input_kernel(float* din, const float* dout, const float* in, const float* gamma,
                                   const float* rstd, int rows, int width) {
  const RowLane at = row_lane(rows, width);
  const float *x = in + offset(at.row, width), *dy = dout + offset(at.row, width);
  const Lane scale{at.active ? rstd[at.row] : 0.0F};
  Lane sum{0};
  along_row(
      at,
      [&](int, float gradient, float factor, float value) {
        sum = rms_norm_add_projection(Lane{gradient}, Lane{factor}, Lane{value}, scale, sum);
      },
      dy, gamma, x);
  const Lane projection{lane_total(sum.v) / static_cast<float>(width)};
  float* dx = din + offset(at.row, width);
  along_row(
      at,
      [&](int c, float before, float gradient, float factor, float value) {
        dx[c] = before + rms_norm_gradient(Lane{gradient}, Lane{factor}, Lane{value}, scale, projection).v;
      },
      dx, dy, gamma, x);
}

// ---- column sums: one block of kRowBlock rows and kRowThreads columns a block; then, where there is more
// than
//      one block of rows, column_total_kernel adds them. partial: [row blocks][width] ----

struct ColumnBlock {
  int column, first_row, part;
};
UFAB_DEVICE ColumnBlock column_block(int width) {
  const int across = (width + kRowThreads - 1) / kRowThreads, block = static_cast<int>(block_index());
  return {block % across * kRowThreads + thread_index(), block / across * kRowBlock, block / across};
}
// add(i) for i from `first` to before `end`, ascending; sixteen at a time, so that their loads are on their
// way together.
template <class Add>
UFAB_DEVICE void each_in_sixteens(int first, int end, const Add& add) {
  for (; end - first >= 16; first += 16) {
    UFAB_UNROLL
    for (int i = 0; i < 16; ++i) add(first + i);
  }
  for (; first < end; ++first) add(first);
}
UFAB_DEVICE int end_of_block(int first_row, int rows) {
  return rows - first_row < kRowBlock ? rows : first_row + kRowBlock;
}

UFAB_KERNEL(kRowThreads)
void column_sum_kernel(float* partial, const float* in, int rows, int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  float sum = 0;
  each_in_sixteens(at.first_row, end_of_block(at.first_row, rows),
                   [&](int row) { sum += in[offset(row, width) + at.column]; });
  partial[offset(at.part, width) + at.column] = sum;
}

// partial: [row blocks][2][width], of gamma and of beta.
UFAB_KERNEL(kRowThreads)
void layernorm_parameters_kernel(float* partial, const float* dout, const float* in, const float* mean,
                                 const float* rstd, int rows, int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  Lane of_gamma{0}, of_beta{0};
  each_in_sixteens(at.first_row, end_of_block(at.first_row, rows), [&](int row) {
    const std::ptrdiff_t i = offset(row, width) + at.column;
    const Lane dy{dout[i]};
    of_gamma = layer_norm_add_gamma_gradient(dy, Lane{in[i]}, Lane{mean[row]}, Lane{rstd[row]}, of_gamma);
    of_beta = of_beta + dy;
  });
  float* const sums = partial + offset(2 * at.part, width) + at.column;
  sums[0] = of_gamma.v;
  sums[width] = of_beta.v;
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_gamma_kernel(float* partial, const float* dout, const float* in, const float* rstd, int rows,
                          int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  Lane sum{0};
  each_in_sixteens(at.first_row, end_of_block(at.first_row, rows), [&](int row) {
    const std::ptrdiff_t i = offset(row, width) + at.column;
    sum = rms_norm_add_gamma_gradient(Lane{dout[i]}, Lane{in[i]}, Lane{rstd[row]}, sum);
  });
  partial[offset(at.part, width) + at.column] = sum.v;
}

// partial [parts][across]: the first `width` columns' sums go to `sums`, what is beyond to `more`.
UFAB_KERNEL(kRowThreads)
void column_total_kernel(float* sums, float* more, const float* partial, int parts, int width, int across) {
  const int column = static_cast<int>(block_index()) * kRowThreads + thread_index();
  if (column >= across) return;
  float total = partial[column];
  each_in_sixteens(1, parts, [&](int part) { total += partial[offset(part, across) + column]; });
  (column < width ? sums + column : more + (column - width))[0] = total;
}

// ---- softmax cross-entropy: a block a row. All threads make the exponentials of a tile, the first sixteen
// add
//      them in the order of the lanes while the others are at the next tile ----

// So many that few rows are under way at a time: they stay in the cache until they are read again.
inline constexpr int kSoftmaxThreads = 1024, kSoftmaxEach = 4, kSoftmaxTile = kSoftmaxEach * kSoftmaxThreads;

UFAB_KERNEL(kSoftmaxThreads)
void softmax_cross_entropy_kernel(float* losses, float* logits, const std::int32_t* targets, int vocab,
                                  float share, int gradient) {
  UFAB_SHARED(float, tiles, 2 * kSoftmaxTile);
  UFAB_SHARED(float, of_group, kSoftmaxThreads / kLanes);
  UFAB_SHARED(float, row_sum, 1);
  const int row = static_cast<int>(block_index()), thread = thread_index();
  float* x = logits + offset(row, vocab);
  const std::int32_t target = targets[row];
  const float target_logit = x[target];

  // This thread's elements of a tile from `first` on, or `none` past the end: all loads on their way at once.
  const auto load_tile = [&](float(&values)[kSoftmaxEach], int first, float none) {
    UFAB_UNROLL
    for (int i = 0; i < kSoftmaxEach; ++i) {
      const int j = first + i * kSoftmaxThreads + thread;
      values[i] = j < vocab ? x[j] : none;
    }
  };
  float largest = -__builtin_inff(), here[kSoftmaxEach];
  for (int first = 0; first < vocab; first += kSoftmaxTile) {
    load_tile(here, first, -__builtin_inff());
    UFAB_UNROLL
    for (int i = 0; i < kSoftmaxEach; ++i) largest = largest < here[i] ? here[i] : largest;
  }
  largest = lane_maximum(largest);
  if (thread % kLanes == 0) of_group[thread / kLanes] = largest;
  block_barrier();  // also: everybody has the target's logit before it changes
  float top = -__builtin_inff();
  for (int group = 0; group < kSoftmaxThreads / kLanes; group += kLanes) {
    const float other = lane_maximum(of_group[group + thread % kLanes]);
    top = top < other ? other : top;
  }

  float sum = 0;
  load_tile(here, 0, 0);
  for (int first = 0, side = 0; first < vocab; first += kSoftmaxTile, side = kSoftmaxTile - side) {
    UFAB_UNROLL
    for (int i = 0; i < kSoftmaxEach; ++i) {
      tiles[side + i * kSoftmaxThreads + thread] = exp(Lane{here[i] - top}).v;
    }
    if (first + kSoftmaxTile < vocab) load_tile(here, first + kSoftmaxTile, 0);
    block_barrier();
    if (thread < kLanes) {
      const int end = vocab - first < kSoftmaxTile ? vocab - first : kSoftmaxTile;
      each_in_sixteens(0, (end - thread + kLanes - 1) / kLanes,
                       [&](int i) { sum += tiles[side + i * kLanes + thread]; });
    }
  }
  // The first group alone has sums; a whole warp exchanges.
  if (thread < 32) {
    const float total = lane_total(sum);
    if (thread == 0) row_sum[0] = total;
  }
  block_barrier();
  const float total = row_sum[0];
  if (thread == 0) losses[row] = (log(Lane{total}).v + top) - target_logit;
  if (gradient == 0) return;
  // The exponentials once more: that takes less than to write them and read them again.
  const float factor = (1.0F / total) * share;
  for (int first = 0; first < vocab; first += kSoftmaxTile) {
    load_tile(here, first, 0);
    UFAB_UNROLL
    for (int i = 0; i < kSoftmaxEach; ++i) {
      const int j = first + i * kSoftmaxThreads + thread;
      const float e = exp(Lane{here[i] - top}).v * factor;
      if (j < vocab) x[j] = j == target ? e - share : e;
    }
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
