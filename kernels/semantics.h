// The order of every floating-point operation of this project's operators: the exactness contract.
//
// All arithmetic is IEEE 754 binary32, round to nearest even, denormals kept. "fma chain" means
// acc = fma(a_i, b_i, acc) for i ascending, one rounding each. "lane sum" means sixteen partial results,
// lane l taking the elements i with i mod 16 == l in ascending order from +0, then the fixed tree
// l += l+8, l += l+4, l += l+2, l += l+1. A lane maximum starts from -inf and uses (a > b ? a : b).
// An order is a pure function of the tensors' shapes: never of threads, tiles, vector width or machine.
// A result that is NaN is NaN everywhere; which NaN is not part of the contract.
//
// matmul          y[m][n] = fma chain over k from bias[n] (or +0) of x[m][k] * w[n][k]
//   input grad    dx[m][k] = fma chain over n from +0 of dy[m][n] * w[n][k]
//   weight grad   dw[n][k] = fma chain over m from +0 of dy[m][n] * x[m][k]
//   bias grad     db[n] = column sum over m of dy[m][n]
//   integers      in an integer format the three products are those of kernels/integer.h, contracted over k,
//   n
//                 and m; all else stays binary32
// column sum      kernels/order/column_sum.h: chains over blocks of 64 rows, then a chain over the blocks
// layer norm      mean = lanesum(x) / C; var = lanesum of fma(d, d, .) with d = x - mean, / C;
//                 rstd = 1 / sqrt(var + 1e-5); n = (x - mean) * rstd; y = fma(n, gamma, beta)
//   input grad    g = dy * gamma; a = lanesum(g) / C; c = lanesum of fma(g, n, .) / C;
//                 dx += rstd * fma(-n, c, g - a); the residual stream's gradient starts from +0
//   parameters    dgamma[c] = column sum of fma(dy, n, .); dbeta[c] = column sum of dy
// rms norm        kernels/order/rms_norm.h; dgamma[c] = column sum of fma(dy, n, .)
// swiglu, rope    kernels/order/swiglu.h, kernels/order/rope.h with the angles of kernels/rope_table.h
// gelu            gelu() and gelu_gradient() of kernels/math.h; the gradient is multiplied by dy
// attention       scale = 1 / sqrt(head width). Keys in tiles of 64, ascending; per query i only keys j <= i:
//                 s_j = (fma chain over the head's components of q * k) * scale;
//                 m' = max(m, lane maximum of the tile), c = exp(m - m'), p_j = exp(s_j - m');
//                 l = fma(l, c, lanesum(p)); o = o * c, then fma chain over j of p_j * v_j.
//                 In the first tile m is -inf, l and o are +0, and c is not computed (l = lanesum(p), o
//                 starts from +0). At the end o = o * (1 / l), logsumexp = m + log(l).
//   gradient      delta_i = lanesum of fma(do, o, .); p_ij = exp(s_ij - logsumexp_i);
//                 dp_ij = fma chain over components of do_i * v_j; ds_ij = (p_ij * (dp_ij - delta_i)) *
//                 scale; dq_i = fma chain over j ascending of ds_ij * k_j; dk_j = fma chain of ds_ij * q_i
//                 and dv_j = fma chain of p_ij * do_i, both over the heads that read the key, ascending, and
//                 inside over i ascending
// cross entropy   max = lane maximum; e = exp(x - max); sum = lanesum(e);
//                 loss = (log(sum) + max) - x[target]; dx = e * ((1 / sum) * (1 / count)), then dx[target] -=
//                 1 / count
//   mean loss     binary64 chain over rows from +0, divided by the row count, rounded to binary32
// embedding       y = wte[token] + wpe[position], or wte[token] as it is without learned positions; dwte:
//                 the head's weight gradient where it is tied, else +0, then an addition per position in
//                 ascending order; dwpe[t]: chain over sequences of additions from +0
// head            its matmul runs in row blocks; the weight gradient's chain continues across them
// gradients       kernels/gradient.h; optimizer: kernels/adamw.h; initial values: kernels/model.h
#pragma once

#include <cstddef>

namespace ufab::kernels {

// Goes up whenever any result of any operator changes by a bit. Jobs record it; nodes compare it.
inline constexpr int kSemanticsVersion = 3;

inline constexpr int kLanes = 16;                 // of a lane sum
inline constexpr int kRowBlock = 64;              // rows of a block of a sum over rows
inline constexpr int kAttentionKeyTile = 64;      // keys per online-softmax step
inline constexpr std::size_t kNormBlock = 65536;  // elements of one block of the sum of squares
inline constexpr float kLayerNormEpsilon = 1e-5F;

}  // namespace ufab::kernels
