// Operators element by element: activations, additions, rotary positions, embeddings.
#pragma once

#include "kernels/gpu/lanes.h"
#include "kernels/order/rope.h"
#include "kernels/order/swiglu.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kElementThreads = 256;

// The thread's first element, and how far it is to its next one.
UFAB_DEVICE std::size_t first_element() {
  return static_cast<std::size_t>(block_index()) * kElementThreads + static_cast<std::size_t>(thread_index());
}
UFAB_DEVICE std::size_t element_stride() {
  return static_cast<std::size_t>(grid_blocks()) * kElementThreads;
}

UFAB_KERNEL(kElementThreads)
void copy_kernel(float* to, const float* from, std::size_t count) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) to[i] = from[i];
}
UFAB_KERNEL(kElementThreads)
void gelu_forward_kernel(float* out, const float* in, std::size_t count) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) out[i] = gelu(Lane{in[i]}).v;
}
UFAB_KERNEL(kElementThreads)
void gelu_backward_kernel(float* din, const float* dout, const float* in, std::size_t count) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    din[i] = gelu_gradient(Lane{in[i]}).v * dout[i];
  }
}
UFAB_KERNEL(kElementThreads)
void residual_kernel(float* out, const float* a, const float* b, std::size_t count) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) out[i] = a[i] + b[i];
}

// count = rows * hidden; gate and up of element (r, j) are (r, 0, j) and (r, 1, j).
UFAB_DEVICE std::size_t gate_index(std::size_t i, std::size_t hidden) {
  return i + i / hidden * hidden;
}
UFAB_KERNEL(kElementThreads)
void swiglu_forward_kernel(float* out, const float* gate_up, std::size_t count, std::size_t hidden) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    const std::size_t gate = gate_index(i, hidden);
    out[i] = swiglu(Lane{gate_up[gate]}, Lane{gate_up[gate + hidden]}).v;
  }
}
UFAB_KERNEL(kElementThreads)
void swiglu_backward_kernel(float* dgate_up, const float* dout, const float* gate_up, std::size_t count,
                            std::size_t hidden) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    const std::size_t gate = gate_index(i, hidden);
    Lane dgate{0}, dup{0};
    swiglu_gradient(Lane{dout[i]}, Lane{gate_up[gate]}, Lane{gate_up[gate + hidden]}, dgate, dup);
    dgate_up[gate] = dgate.v;
    dgate_up[gate + hidden] = dup.v;
  }
}

// A thread turns one pair. count = rows * turned heads * half; a row of qkv has `heads` heads in all.
UFAB_KERNEL(kElementThreads)
void rope_kernel(float* qkv, const float* cosine, const float* sine, std::size_t count, int seq, int heads,
                 int turned, int half, int back) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    const auto pair = static_cast<int>(i % static_cast<std::size_t>(half));
    const std::size_t head_row = i / static_cast<std::size_t>(half);
    const auto head = static_cast<int>(head_row % static_cast<std::size_t>(turned));
    const auto row = static_cast<int>(head_row / static_cast<std::size_t>(turned));
    float* first = qkv + (offset(row, heads) + head) * (2 * half) + pair;
    const std::ptrdiff_t angle = offset(row % seq, half) + pair;
    Lane a{first[0]}, b{first[half]};
    const Lane s{sine[angle]};
    rope_rotate(a, b, Lane{cosine[angle]}, back != 0 ? -s : s);
    first[0] = a.v;
    first[half] = b.v;
  }
}

UFAB_KERNEL(kElementThreads)
void embedding_forward_kernel(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                              std::size_t count, int seq, int width) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    const auto column = static_cast<int>(i % static_cast<std::size_t>(width));
    const auto row = static_cast<int>(i / static_cast<std::size_t>(width));
    const float token = wte[offset(tokens[row], width) + column];
    out[i] = wpe == nullptr ? token : token + wpe[offset(row % seq, width) + column];
  }
}

// A block a row: the first row of each token adds the rows of all its positions, ascending.
UFAB_KERNEL(kElementThreads)
void embedding_backward_tokens_kernel(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                      int width, int first_token, int token_count) {
  UFAB_SHARED(int, seen_before, 1);
  const int row = static_cast<int>(block_index());
  const std::int32_t token = tokens[row];
  if (token < first_token || token - first_token >= token_count) return;  // the whole block
  if (thread_index() == 0) seen_before[0] = 0;
  block_barrier();
  for (int r = thread_index(); r < row; r += kElementThreads) {
    if (tokens[r] == token) seen_before[0] = 1;  // whoever writes, writes 1
  }
  block_barrier();
  if (seen_before[0] != 0) return;
  float* into = dwte + offset(token - first_token, width);
  for (int column = thread_index(); column < width; column += kElementThreads) {
    float sum = into[column];
    for (int r = row; r < rows; ++r) {
      if (tokens[r] == token) sum += dout[offset(r, width) + column];
    }
    into[column] = sum;
  }
}

// count = seq * width.
UFAB_KERNEL(kElementThreads)
void embedding_backward_positions_kernel(float* dwpe, const float* dout, std::size_t count, int batch) {
  for (std::size_t i = first_element(); i < count; i += element_stride()) {
    float sum = 0;
    for (int item = 0; item < batch; ++item) sum += dout[static_cast<std::size_t>(item) * count + i];
    dwpe[i] = sum;
  }
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
