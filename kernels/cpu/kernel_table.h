// The leaf kernels of one instruction set: each works on a range, on one thread, and a CpuBackend cuts an
// operator into such ranges. Shapes and orders are those of kernels/backend.h and kernels/semantics.h.
//
// Plain functions behind a table, and no standard library, so that nothing compiled for a newer processor can
// be chosen by the linker for code that an older one runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/operand.h"

namespace ufab::kernels {

// c(i, j) = chain over k ascending from (c(i, j) | bias[j] | +0) of a(i, k) * b(k, j).
struct MatmulRange {
  float* c;  // row-major
  std::ptrdiff_t c_row;
  const float* a;  // a(i, k) at a[i * a_row + k * a_depth]; one of the two strides is 1
  std::ptrdiff_t a_row, a_depth;
  const float* b;  // b(k, j) at b[k * b_depth + j * b_column]; one of the two strides is 1
  std::ptrdiff_t b_depth, b_column;
  const float* bias;  // null: none
  int rows, columns, depth;
  bool accumulate;  // start from c
};

// c(i, j) as kernels/integer.h or kernels/bf16.h says, of operands packed into panels of 16 rows, `panel`
// words each; rows and columns from the first panels on.
struct PackedRange {
  float* c;  // row-major
  std::ptrdiff_t c_row;
  const std::int32_t *a, *b;
  std::ptrdiff_t panel;
  const float* bias;               // null: none
  int rows, columns, depth, bits;  // bits: 8 or 12 of integers; of no meaning to bf16
  bool accumulate;                 // start from c
};

// Products of operands that are packed before they are multiplied, in the integer formats or in bf16.
struct PackedKernels {
  std::size_t (*panel_words)(int depth, int bits);
  // Panels [first, first + count) of the operand, to `out`, which is where the first of them goes.
  void (*pack)(std::int32_t* out, const Operand& operand, int depth, int bits, bool is_b, int first,
               int count);
  void (*multiply)(const PackedRange& range);
};

// Tiles of queries that one packing of keys and values serves, at most.
inline constexpr int kAttentionQueryTiles = 4;
struct AttentionShape {
  int seq, heads, kv_heads, head_width;
};

struct KernelTable {
  int tile_rows, tile_columns;  // of the matmul's register tile: cuts at multiples waste nothing
  std::size_t matmul_scratch;   // floats
  void (*matmul)(const MatmulRange& range, float* scratch);
  PackedKernels integer, bf16;
  void (*column_sums)(float* sums, const float* in, int rows, int stride, int columns);

  void (*layernorm_forward)(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                            const float* beta, int rows, int width);
  void (*layernorm_backward_input)(float* din, const float* dout, const float* in, const float* gamma,
                                   const float* mean, const float* rstd, int rows, int width);
  // Columns [0, columns) of pointers already moved to the first one; `stride` between rows.
  void (*layernorm_backward_parameters)(float* dgamma, float* dbeta, const float* dout, const float* in,
                                        const float* mean, const float* rstd, int rows, int stride,
                                        int columns);
  void (*rmsnorm_forward)(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                          int width);
  void (*rmsnorm_backward_input)(float* din, const float* dout, const float* in, const float* gamma,
                                 const float* rstd, int rows, int width);
  // As that of layer norm.
  void (*rmsnorm_backward_parameters)(float* dgamma, const float* dout, const float* in, const float* rstd,
                                      int rows, int stride, int columns);
  void (*swiglu_forward)(float* out, const float* gate_up, int rows, int hidden);
  void (*swiglu_backward)(float* dgate_up, const float* dout, const float* gate_up, int rows, int hidden);
  // Rotates `heads` heads of one row, by that row of the table; back: by the opposite angles.
  void (*rope)(float* row, const float* cosine, const float* sine, int heads, int head_width, bool back);
  void (*gelu_forward)(float* out, const float* in, std::size_t count);
  void (*gelu_backward)(float* din, const float* dout, const float* in, std::size_t count);
  void (*add)(float* out, const float* a, const float* b, std::size_t count);
  void (*softmax_cross_entropy)(float* losses, float* logits, const std::int32_t* targets, int rows,
                                int vocab, int count, bool gradient);

  std::size_t (*attention_scratch)(int head_width);  // floats
  // One head of one sequence, queries of up to query_tiles (1..kAttentionQueryTiles) tiles, of which the
  // first starts at first_query. qkv, out: at the sequence's first position; logsumexp: at the head's first.
  void (*attention_forward)(float* out, float* logsumexp, const float* qkv, AttentionShape shape, int head,
                            int first_query, int query_tiles, float* scratch);
  // The first head of those that share keys and values starts their gradients, the others, ascending, go on.
  void (*attention_backward)(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                             const float* qkv, AttentionShape shape, int head, float* scratch);

  QuantizeResult (*quantize_add)(std::int32_t* sums, const float* gradient, std::size_t count, int exponent,
                                 std::uint64_t first_index, bool fresh);
  double (*sum_of_squares)(const std::int32_t* sums, std::size_t count);  // one block
  void (*adamw)(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
                const AdamWScalars& scalars);
};

const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const PackedKernels& avx512vnni_integer_kernels();
const PackedKernels& avx512bf16_kernels();

}  // namespace ufab::kernels
