// Operators over rows: norms, column sums, softmax cross-entropy.
#pragma once

#include "kernels/gpu/lanes.h"
#include "kernels/order/column_sum.h"
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
  for (int c = at.lane; c < at.end; c += kLanes) sum += x[c];
  const Lane center{lane_total(sum) / count};
  float squares = 0;
  for (int c = at.lane; c < at.end; c += kLanes) {
    const float d = x[c] - center.v;
    squares = fma_once(d, d, squares);
  }
  const Lane scale = layer_norm_rstd(Lane{lane_total(squares) / count}, Lane{kLayerNormEpsilon});
  float* y = out + offset(at.row, width);
  for (int c = at.lane; c < at.end; c += kLanes) {
    y[c] = layer_norm(Lane{x[c]}, center, scale, Lane{gamma[c]}, Lane{beta[c]}).v;
  }
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
  for (int c = at.lane; c < at.end; c += kLanes) {
    const float g = dy[c] * gamma[c];
    sum += g;
    projected = fma_once(g, layer_norm_normal(Lane{x[c]}, center, scale).v, projected);
  }
  const float count = static_cast<float>(width);
  const Lane a{lane_total(sum) / count}, b{lane_total(projected) / count};
  float* dx = din + offset(at.row, width);
  for (int c = at.lane; c < at.end; c += kLanes) {
    dx[c] += layer_norm_gradient(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, center, scale, a, b).v;
  }
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_forward_kernel(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                            int width) {
  const RowLane at = row_lane(rows, width);
  const float* x = in + offset(at.row, width);
  Lane sum{0};
  for (int c = at.lane; c < at.end; c += kLanes) sum = rms_norm_add_square(Lane{x[c]}, sum);
  const Lane scale = rms_norm_rstd(Lane{lane_total(sum.v)}, Lane{static_cast<float>(width)}, Lane{eps});
  float* y = out + offset(at.row, width);
  for (int c = at.lane; c < at.end; c += kLanes) y[c] = rms_norm(Lane{x[c]}, scale, Lane{gamma[c]}).v;
  if (at.active && at.lane == 0) rstd[at.row] = scale.v;
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_backward_input_kernel(float* din, const float* dout, const float* in, const float* gamma,
                                   const float* rstd, int rows, int width) {
  const RowLane at = row_lane(rows, width);
  const float *x = in + offset(at.row, width), *dy = dout + offset(at.row, width);
  const Lane scale{at.active ? rstd[at.row] : 0.0F};
  Lane sum{0};
  for (int c = at.lane; c < at.end; c += kLanes) {
    sum = rms_norm_add_projection(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, scale, sum);
  }
  const Lane projection{lane_total(sum.v) / static_cast<float>(width)};
  float* dx = din + offset(at.row, width);
  for (int c = at.lane; c < at.end; c += kLanes) {
    dx[c] += rms_norm_gradient(Lane{dy[c]}, Lane{gamma[c]}, Lane{x[c]}, scale, projection).v;
  }
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

UFAB_KERNEL(kRowThreads)
void column_sum_kernel(float* partial, const float* in, int rows, int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  partial[offset(at.part, width) + at.column] =
      column_block_sum<Lane>(at.first_row, rows, [&](int row, Lane sum) {
        return sum + Lane{in[offset(row, width) + at.column]};
      }).v;
}

UFAB_KERNEL(kRowThreads)
void layernorm_gamma_kernel(float* partial, const float* dout, const float* in, const float* mean,
                            const float* rstd, int rows, int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  partial[offset(at.part, width) + at.column] =
      column_block_sum<Lane>(at.first_row, rows, [&](int row, Lane sum) {
        const std::ptrdiff_t i = offset(row, width) + at.column;
        return layer_norm_add_gamma_gradient(Lane{dout[i]}, Lane{in[i]}, Lane{mean[row]}, Lane{rstd[row]},
                                             sum);
      }).v;
}

UFAB_KERNEL(kRowThreads)
void rmsnorm_gamma_kernel(float* partial, const float* dout, const float* in, const float* rstd, int rows,
                          int width) {
  const ColumnBlock at = column_block(width);
  if (at.column >= width) return;
  partial[offset(at.part, width) + at.column] =
      column_block_sum<Lane>(at.first_row, rows, [&](int row, Lane sum) {
        const std::ptrdiff_t i = offset(row, width) + at.column;
        return rms_norm_add_gamma_gradient(Lane{dout[i]}, Lane{in[i]}, Lane{rstd[row]}, sum);
      }).v;
}

UFAB_KERNEL(kRowThreads)
void column_total_kernel(float* sums, const float* partial, int parts, int width) {
  const int column = static_cast<int>(block_index()) * kRowThreads + thread_index();
  if (column >= width) return;
  float total = partial[column];
  for (int part = 1; part < parts; ++part) total += partial[offset(part, width) + column];
  sums[column] = total;
}

// ---- softmax cross-entropy: a block a row. All threads make the exponentials of a tile, the first sixteen
// add
//      them in the order of the lanes while the others are at the next tile ----

inline constexpr int kSoftmaxThreads = 512, kSoftmaxTile = 4 * kSoftmaxThreads;

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

  float largest = -__builtin_inff();
  for (int j = thread; j < vocab; j += kSoftmaxThreads) largest = largest < x[j] ? x[j] : largest;
  largest = lane_maximum(largest);
  if (thread % kLanes == 0) of_group[thread / kLanes] = largest;
  block_barrier();  // also: everybody has the target's logit before it changes
  largest = lane_maximum(of_group[thread % kLanes]);
  const float other = lane_maximum(of_group[kLanes + thread % kLanes]);
  const float top = largest < other ? other : largest;

  float sum = 0;
  for (int first = 0, side = 0; first < vocab; first += kSoftmaxTile, side = kSoftmaxTile - side) {
    for (int i = thread; i < kSoftmaxTile && first + i < vocab; i += kSoftmaxThreads) {
      const float e = exp(Lane{x[first + i] - top}).v;
      x[first + i] = e;
      tiles[side + i] = e;
    }
    block_barrier();
    if (thread < kLanes) {
      const int end = vocab - first < kSoftmaxTile ? vocab - first : kSoftmaxTile;
      for (int i = thread; i < end; i += kLanes) sum += tiles[side + i];
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
  const float factor = (1.0F / total) * share;
  for (int j = thread; j < vocab; j += kSoftmaxThreads) {
    const float e = x[j] * factor;
    x[j] = j == target ? e - share : e;
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
