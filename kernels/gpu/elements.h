// Operators element by element: activations, additions, rotary positions, embeddings.
#pragma once

#include <type_traits>

#include "kernels/gpu/fours.h"
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

// body(i, n), n an integral constant, over all elements of the grid: for the n neighbours from i on. Four
// where `fours` says that they may be loaded and stored so, one of the rest.
template <class Body>
UFAB_DEVICE void each_group(std::size_t count, bool fours, const Body& body) {
  const std::size_t in_groups = fours ? count / 4 * 4 : 0;
  for (std::size_t i = 4 * first_element(); i < in_groups; i += 4 * element_stride()) {
    body(i, std::integral_constant<int, 4>());
  }
  for (std::size_t i = in_groups + first_element(); i < count; i += element_stride()) {
    body(i, std::integral_constant<int, 1>());
  }
}

UFAB_KERNEL(kElementThreads)
void copy_kernel(float* to, const float* from, std::size_t count) {
  each_group(count, in_fours(to, from), [&](std::size_t i, auto n) {
    float x[n()];
    load(x, from + i);
    store(to + i, x);
  });
}
UFAB_KERNEL(kElementThreads)
void gelu_forward_kernel(float* out, const float* in, std::size_t count) {
  each_group(count, in_fours(out, in), [&](std::size_t i, auto n) {
    float x[n()];
    load(x, in + i);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) x[j] = gelu(Lane{x[j]}).v;
    store(out + i, x);
  });
}
UFAB_KERNEL(kElementThreads)
void gelu_backward_kernel(float* din, const float* dout, const float* in, std::size_t count) {
  each_group(count, in_fours(din, dout, in), [&](std::size_t i, auto n) {
    float x[n()], dy[n()];
    load(x, in + i);
    load(dy, dout + i);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) x[j] = gelu_gradient(Lane{x[j]}).v * dy[j];
    store(din + i, x);
  });
}
UFAB_KERNEL(kElementThreads)
void residual_kernel(float* out, const float* a, const float* b, std::size_t count) {
  each_group(count, in_fours(out, a, b), [&](std::size_t i, auto n) {
    float x[n()], y[n()];
    load(x, a + i);
    load(y, b + i);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) x[j] = x[j] + y[j];
    store(out + i, x);
  });
}

// count = rows * hidden; gate and up of element (r, j) are (r, 0, j) and (r, 1, j).
UFAB_DEVICE std::size_t gate_index(std::size_t i, std::size_t hidden) {
  return i + i / hidden * hidden;
}
UFAB_KERNEL(kElementThreads)
void swiglu_forward_kernel(float* out, const float* gate_up, std::size_t count, std::size_t hidden) {
  each_group(count, hidden % 4 == 0 && in_fours(out, gate_up), [&](std::size_t i, auto n) {
    const float* const row = gate_up + gate_index(i, hidden);
    float gate[n()], up[n()];
    load(gate, row);
    load(up, row + hidden);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) gate[j] = swiglu(Lane{gate[j]}, Lane{up[j]}).v;
    store(out + i, gate);
  });
}
UFAB_KERNEL(kElementThreads)
void swiglu_backward_kernel(float* dgate_up, const float* dout, const float* gate_up, std::size_t count,
                            std::size_t hidden) {
  each_group(count, hidden % 4 == 0 && in_fours(dgate_up, dout, gate_up), [&](std::size_t i, auto n) {
    const std::size_t at = gate_index(i, hidden);
    float dy[n()], gate[n()], up[n()];
    load(dy, dout + i);
    load(gate, gate_up + at);
    load(up, gate_up + at + hidden);
    UFAB_UNROLL
    for (int j = 0; j < n(); ++j) {
      Lane dgate{0}, dup{0};
      swiglu_gradient(Lane{dy[j]}, Lane{gate[j]}, Lane{up[j]}, dgate, dup);
      gate[j] = dgate.v;
      up[j] = dup.v;
    }
    store(dgate_up + at, gate);
    store(dgate_up + at + hidden, up);
  });
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
  each_group(count, width % 4 == 0 && in_fours(out, wte, wpe), [&](std::size_t i, auto n) {
    const auto column = static_cast<int>(i % static_cast<std::size_t>(width));
    const auto row = static_cast<int>(i / static_cast<std::size_t>(width));
    float x[n()];
    load(x, wte + offset(tokens[row], width) + column);
    if (wpe != nullptr) {
      float position[n()];
      load(position, wpe + offset(row % seq, width) + column);
      UFAB_UNROLL
      for (int j = 0; j < n(); ++j) x[j] = x[j] + position[j];
    }
    store(out + i, x);
  });
}

// A block a row: the first row of each token adds the rows of all its positions, ascending. The block looks
// for them in kTokensAtATime rows at a time, and takes kColumnsEach columns a thread.
inline constexpr int kTokensAtATime = 4 * kElementThreads, kColumnsEach = 4;

UFAB_KERNEL(kElementThreads)
void embedding_backward_tokens_kernel(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                      int width, int first_token, int token_count) {
  UFAB_SHARED(std::uint32_t, found, kTokensAtATime / 32);  // a bit a row
  const int row = static_cast<int>(block_index()), thread = thread_index();
  const std::int32_t token = tokens[row];
  if (token < first_token || token - first_token >= token_count) return;  // the whole block
  const auto find = [&](int first, int end) {
    if (thread < kTokensAtATime / 32) found[thread] = 0;
    block_barrier();
    for (int i = thread; i < kTokensAtATime && first + i < end; i += kElementThreads) {
      if (tokens[first + i] == token) atomic_or(&found[i / 32], std::uint32_t{1} << (i % 32));
    }
    block_barrier();
  };
  for (int first = 0; first < row; first += kTokensAtATime) {
    find(first, row);
    std::uint32_t any = 0;
    for (int word = 0; word < kTokensAtATime / 32; ++word) any |= found[word];
    if (any != 0) return;  // the whole block: an earlier row does it
    block_barrier();       // all have read it
  }
  float* const into = dwte + offset(token - first_token, width);
  for (int strip = 0; strip < width; strip += kColumnsEach * kElementThreads) {
    float sums[kColumnsEach] = {};
    const auto each_column = [&](const auto& f) {
      UFAB_UNROLL
      for (int i = 0; i < kColumnsEach; ++i) {
        const int column = strip + i * kElementThreads + thread;
        if (column < width) f(sums[i], column);
      }
    };
    each_column([&](float& sum, int column) { sum = into[column]; });
    for (int first = row; first < rows; first += kTokensAtATime) {
      find(first, rows);
      for (int word = 0; word < kTokensAtATime / 32; ++word) {
        const std::uint32_t bits = found[word];
        for (int bit = 0; bit < 32 && bits >> bit != 0; ++bit) {
          if ((bits >> bit & 1U) == 0) continue;
          const float* const from = dout + offset(first + 32 * word + bit, width);
          each_column([&](float& sum, int column) { sum += from[column]; });
        }
      }
      block_barrier();  // all have read them
    }
    each_column([&](float& sum, int column) { into[column] = sum; });
  }
}

// count = seq * width.
UFAB_KERNEL(kElementThreads)
void embedding_backward_positions_kernel(float* dwpe, const float* dout, std::size_t count, int batch) {
  each_group(count, count % 4 == 0 && in_fours(dwpe, dout), [&](std::size_t i, auto n) {
    float sums[n()] = {};
    for (int item = 0; item < batch; ++item) {
      float x[n()];
      load(x, dout + static_cast<std::size_t>(item) * count + i);
      UFAB_UNROLL
      for (int j = 0; j < n(); ++j) sums[j] += x[j];
    }
    store(dwpe + i, sums);
  });
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
