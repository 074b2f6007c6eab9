#include "kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "kernels/integer.h"
#include "kernels/semantics.h"
#include "kernels/thread_pool.h"

namespace ufab::kernels {
namespace {

// Below this many scalar operations waking a thread costs more than it gains.
constexpr double kWorthAThread = 60e3;

// A buffer for packed operands; grows to the largest need and stays.
template <class T>
class Scratch {
 public:
  T* at_least(std::size_t count) {
    if (count > capacity_) {
      memory_.reset(static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{64})));
      capacity_ = count;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> memory_;
  std::size_t capacity_ = 0;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend(BackendKind kind, const KernelTable& table, const PackedKernels& integer,
             const PackedKernels& bf16, int threads)
      : kind_(kind),
        table_(table),
        integer_(integer),
        bf16_(bf16),
        pool_(threads),
        scratch_(static_cast<std::size_t>(threads)),
        worker_packed_(static_cast<std::size_t>(threads)) {}

  BackendKind kind() const override { return kind_; }
  int threads() const override { return pool_.threads(); }
  std::size_t scratch_bytes(const ScratchQuestion& question) const override {
    const std::size_t floats = std::max(table_.matmul_scratch, table_.attention_scratch(question.head_width));
    const std::size_t bytes = scratch_.size() * floats * sizeof(float);
    if (question.format == MatmulFormat::f32) return bytes;
    int packed_rows = 0;  // of the operand that is packed whole
    for (const auto& [rows, in_width, out_width] : question.products) {
      packed_rows = std::max(
          {packed_rows, std::min(rows, out_width), std::min(rows, in_width), std::min(out_width, in_width)});
    }
    const std::size_t panels = static_cast<std::size_t>((packed_rows + 15) / 16);
    const std::size_t words = packed(question.format).panel_words(kDepthChunk, bits_of(question.format));
    return bytes + (panels + worker_packed_.size() * kWorkerPanels) * words * sizeof(std::int32_t);
  }

  void zero(void* memory, std::size_t bytes) override {
    split_elements(bytes, 0.25, [&](std::size_t from, std::size_t n, int) {
      std::memset(static_cast<std::byte*>(memory) + from, 0, n);
    });
  }

  void matmul_forward(float* out, const float* in, const float* weight, const float* bias, int rows,
                      int in_width, int out_width, MatmulFormat format) override {
    matmul(format, {.c = out,
                    .c_row = out_width,
                    .a = in,
                    .a_row = in_width,
                    .a_depth = 1,
                    .b = weight,
                    .b_depth = 1,
                    .b_column = in_width,
                    .bias = bias,
                    .rows = rows,
                    .columns = out_width,
                    .depth = in_width,
                    .accumulate = false});
  }
  void matmul_backward_input(float* din, const float* dout, const float* weight, int rows, int in_width,
                             int out_width, MatmulFormat format) override {
    matmul(format, {.c = din,
                    .c_row = in_width,
                    .a = dout,
                    .a_row = out_width,
                    .a_depth = 1,
                    .b = weight,
                    .b_depth = in_width,
                    .b_column = 1,
                    .bias = nullptr,
                    .rows = rows,
                    .columns = in_width,
                    .depth = out_width,
                    .accumulate = false});
  }
  void matmul_backward_weight(float* dweight, const float* in, const float* dout, int rows, int in_width,
                              int out_width, int dout_stride, bool accumulate, MatmulFormat format) override {
    matmul(format, {.c = dweight,
                    .c_row = in_width,
                    .a = dout,
                    .a_row = 1,
                    .a_depth = dout_stride,
                    .b = in,
                    .b_depth = in_width,
                    .b_column = 1,
                    .bias = nullptr,
                    .rows = out_width,
                    .columns = in_width,
                    .depth = rows,
                    .accumulate = accumulate});
  }
  void bias_backward(float* dbias, const float* dout, int rows, int width) override {
    split(width, 64, static_cast<double>(rows), [&](int from, int count, int) {
      table_.column_sums(dbias + from, dout + from, rows, width, count);
    });
  }

  void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                         const float* beta, int rows, int width) override {
    split(rows, 1, 3.0 * width, [&](int from, int count, int) {
      const std::ptrdiff_t at = offset(from, width);
      table_.layernorm_forward(out + at, mean + from, rstd + from, in + at, gamma, beta, count, width);
    });
  }
  void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                const float* mean, const float* rstd, int rows, int width) override {
    split(rows, 1, 3.0 * width, [&](int from, int count, int) {
      const std::ptrdiff_t at = offset(from, width);
      table_.layernorm_backward_input(din + at, dout + at, in + at, gamma, mean + from, rstd + from, count,
                                      width);
    });
  }
  void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                     const float* mean, const float* rstd, int rows, int width) override {
    split(width, 16, 2.0 * rows, [&](int from, int count, int) {
      table_.layernorm_backward_parameters(dgamma + from, dbeta + from, dout + from, in + from, mean, rstd,
                                           rows, width, count);
    });
  }

  void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                       int width) override {
    split(rows, 1, 2.0 * width, [&](int from, int count, int) {
      const std::ptrdiff_t at = offset(from, width);
      table_.rmsnorm_forward(out + at, rstd + from, in + at, gamma, eps, count, width);
    });
  }
  void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                              const float* rstd, int rows, int width) override {
    split(rows, 1, 3.0 * width, [&](int from, int count, int) {
      const std::ptrdiff_t at = offset(from, width);
      table_.rmsnorm_backward_input(din + at, dout + at, in + at, gamma, rstd + from, count, width);
    });
  }
  void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in, const float* rstd,
                                   int rows, int width) override {
    split(width, 16, 2.0 * rows, [&](int from, int count, int) {
      table_.rmsnorm_backward_parameters(dgamma + from, dout + from, in + from, rstd, rows, width, count);
    });
  }
  void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) override {
    split(rows, 1, 20.0 * hidden, [&](int from, int count, int) {
      table_.swiglu_forward(out + offset(from, hidden), gate_up + offset(2 * from, hidden), count, hidden);
    });
  }
  void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows,
                       int hidden) override {
    split(rows, 1, 40.0 * hidden, [&](int from, int count, int) {
      const std::ptrdiff_t at = offset(2 * from, hidden);
      table_.swiglu_backward(dgate_up + at, dout + offset(from, hidden), gate_up + at, count, hidden);
    });
  }
  void rope_forward(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                    int kv_heads, int head_width) override {
    rope(qkv, cosine, sine, batch, seq, heads, kv_heads, head_width, false);
  }
  void rope_backward(float* dqkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                     int kv_heads, int head_width) override {
    rope(dqkv, cosine, sine, batch, seq, heads, kv_heads, head_width, true);
  }

  void gelu_forward(float* out, const float* in, std::size_t count) override {
    split_elements(count, 20, [&](std::size_t from, std::size_t n, int) {
      table_.gelu_forward(out + from, in + from, n);
    });
  }
  void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) override {
    split_elements(count, 25, [&](std::size_t from, std::size_t n, int) {
      table_.gelu_backward(din + from, dout + from, in + from, n);
    });
  }
  void residual_forward(float* out, const float* a, const float* b, std::size_t count) override {
    split_elements(count, 1, [&](std::size_t from, std::size_t n, int) {
      table_.add(out + from, a + from, b + from, n);
    });
  }

  void attention_forward(float* out, float* logsumexp, const float* qkv, int batch, int seq, int heads,
                         int kv_heads, int head_width, MatmulFormat) override {
    const AttentionShape shape{seq, heads, kv_heads, head_width};
    const int tiles = (seq + kAttentionKeyTile - 1) / kAttentionKeyTile;
    const std::size_t scratch = table_.attention_scratch(head_width);
    const std::ptrdiff_t sequence = offset(seq, heads * head_width);
    const std::ptrdiff_t sequence_qkv = offset(seq, (heads + 2 * kv_heads) * head_width);
    // Tiles that share a packing of keys, but some tasks for each thread.
    const int each = std::clamp(batch * heads * tiles / (4 * pool_.threads()), 1, kAttentionQueryTiles);
    const int blocks = (tiles + each - 1) / each;
    pool_.run(batch * heads * blocks, [&](int task, int worker) {
      // The last ones first: they cover the most keys.
      const int first_query = (blocks - 1 - task / (batch * heads)) * each * kAttentionKeyTile;
      const int head = task % heads, item = task / heads % batch;
      table_.attention_forward(out + item * sequence, logsumexp + offset(item * heads + head, seq),
                               qkv + item * sequence_qkv, shape, head, first_query, each,
                               scratch_[static_cast<std::size_t>(worker)].at_least(scratch));
    });
  }
  void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                          const float* qkv, int batch, int seq, int heads, int kv_heads, int head_width,
                          MatmulFormat) override {
    const AttentionShape shape{seq, heads, kv_heads, head_width};
    const int group = heads / kv_heads;
    const std::size_t scratch = table_.attention_scratch(head_width);
    const std::ptrdiff_t sequence = offset(seq, heads * head_width);
    const std::ptrdiff_t sequence_qkv = offset(seq, (heads + 2 * kv_heads) * head_width);
    // Heads that share keys and values add to the same gradients, one after the other.
    pool_.run(batch * kv_heads, [&](int task, int worker) {
      const int item = task / kv_heads, first = task % kv_heads * group;
      for (int head = first; head < first + group; ++head) {
        table_.attention_backward(dqkv + item * sequence_qkv, dout + item * sequence, out + item * sequence,
                                  logsumexp + offset(item * heads + head, seq), qkv + item * sequence_qkv,
                                  shape, head, scratch_[static_cast<std::size_t>(worker)].at_least(scratch));
      }
    });
  }

  void embedding_forward(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                         int batch, int seq, int width) override {
    split(batch * seq, 1, width, [&](int from, int count, int) {
      for (int row = from; row < from + count; ++row) {
        if (wpe == nullptr) {
          std::memcpy(out + offset(row, width), wte + offset(tokens[row], width),
                      static_cast<std::size_t>(width) * sizeof(float));
          continue;
        }
        table_.add(out + offset(row, width), wte + offset(tokens[row], width), wpe + offset(row % seq, width),
                   static_cast<std::size_t>(width));
      }
    });
  }
  void embedding_backward_tokens(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                 int width, int first_token, int token_count) override {
    split(width, 16, rows, [&](int from, int count, int) {
      for (int row = 0; row < rows; ++row) {
        const int token = tokens[row] - first_token;
        if (token < 0 || token >= token_count) continue;
        float* into = dwte + offset(token, width) + from;
        table_.add(into, into, dout + offset(row, width) + from, static_cast<std::size_t>(count));
      }
    });
  }
  void embedding_backward_positions(float* dwpe, const float* dout, int batch, int seq, int width) override {
    split(seq, 1, static_cast<double>(batch) * width, [&](int from, int count, int) {
      const std::size_t values = static_cast<std::size_t>(count) * static_cast<std::size_t>(width);
      float* into = dwpe + offset(from, width);
      std::memset(into, 0, values * sizeof(float));
      for (int item = 0; item < batch; ++item) {
        table_.add(into, into, dout + offset(item * seq + from, width), values);
      }
    });
  }

  void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows, int vocab,
                             int count, bool gradient) override {
    split(rows, 1, 8.0 * vocab, [&](int from, int n, int) {
      table_.softmax_cross_entropy(losses + from, logits + offset(from, vocab), targets + from, n, vocab,
                                   count, gradient);
    });
  }

  void quantize_add(QuantizeResult* result, std::int32_t* sums, const float* gradient, std::size_t count,
                    int exponent, std::uint64_t first_index, bool fresh) override {
    std::vector<QuantizeResult> parts(scratch_.size());
    split_elements(count, 4, [&](std::size_t from, std::size_t n, int worker) {
      merge(parts[static_cast<std::size_t>(worker)],
            table_.quantize_add(sums + from, gradient + from, n, exponent, first_index + from, fresh));
    });
    for (const QuantizeResult& part : parts) merge(*result, part);
  }
  void sum_of_squares(double* result, const std::int32_t* sums, std::size_t count) override {
    const std::size_t blocks = (count + kNormBlock - 1) / kNormBlock;
    std::vector<double> totals(blocks);
    pool_.run(static_cast<int>(blocks), [&](int block, int) {
      const std::size_t from = static_cast<std::size_t>(block) * kNormBlock;
      totals[static_cast<std::size_t>(block)] =
          table_.sum_of_squares(sums + from, std::min(kNormBlock, count - from));
    });
    double sum = 0;
    for (const double total : totals) sum += total;
    *result = sum;
  }
  void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
             const AdamWScalars& scalars) override {
    split_elements(count, 8, [&](std::size_t from, std::size_t n, int) {
      table_.adamw(params + from, m + from, v + from, sums + from, n, scalars);
    });
  }

 private:
  void rope(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads, int kv_heads,
            int head_width, bool back) {
    const int row_width = (heads + 2 * kv_heads) * head_width;
    split(batch * seq, 1, 4.0 * row_width, [&](int from, int count, int) {
      for (int row = from; row < from + count; ++row) {
        const std::ptrdiff_t at = offset(row % seq, head_width / 2);
        table_.rope(qkv + offset(row, row_width), cosine + at, sine + at, heads + kv_heads, head_width, back);
      }
    });
  }
  static std::ptrdiff_t offset(int rows, int width) { return static_cast<std::ptrdiff_t>(rows) * width; }
  static void merge(QuantizeResult& into, const QuantizeResult& part) {
    into.non_finite |= part.non_finite;
    into.peak = std::max(into.peak, part.peak);
    into.fingerprint += part.fingerprint;
  }

  // Ranges of [0, count) that start at multiples of `unit`, about `pieces` of them: body(from, n, worker).
  template <class Body>
  void run_ranges(int count, int unit, int pieces, const Body& body) {
    const int units = (count + unit - 1) / unit;
    pieces = std::clamp(pieces, 1, units);
    pool_.run(pieces, [&](int piece, int worker) {
      const auto edge = [&](int p) {
        return static_cast<int>(std::min<std::int64_t>(count, std::int64_t{units} * p / pieces * unit));
      };
      body(edge(piece), edge(piece + 1) - edge(piece), worker);
    });
  }
  int pieces_for(double operations) const { return operations < 2 * kWorthAThread ? 1 : pool_.threads(); }
  template <class Body>
  void split(int count, int unit, double operations_per_item, const Body& body) {
    run_ranges(count, unit, pieces_for(count * operations_per_item), body);
  }
  template <class Body>
  void split_elements(std::size_t count, double operations_each, const Body& body) {
    if (count == 0) return;
    // Cut in cache-sized blocks of 4096, in as few pieces as there are threads.
    constexpr std::size_t kBlock = 4096;
    const int blocks = static_cast<int>((count + kBlock - 1) / kBlock);
    run_ranges(blocks, 1, pieces_for(static_cast<double>(count) * operations_each),
               [&](int from, int n, int worker) {
                 const std::size_t first = static_cast<std::size_t>(from) * kBlock;
                 body(first, std::min(count, first + static_cast<std::size_t>(n) * kBlock) - first, worker);
               });
  }

  void matmul(MatmulFormat format, const MatmulRange& whole) {
    if (format == MatmulFormat::f32) return matmul_f32(whole);
    matmul_packed(whole, packed(format), bits_of(format));
  }
  const PackedKernels& packed(MatmulFormat format) const {
    return format == MatmulFormat::bf16 ? bf16_ : integer_;
  }
  static constexpr int kDepthChunk = 8 * kIntegerBlock;
  static constexpr int kWorkerPanels = 12;  // what a worker packs stays in its L2 cache

  // The contraction goes in chunks that keep what is packed small: the chains over blocks go on through c.
  void matmul_packed(const MatmulRange& whole, const PackedKernels& kernels, int bits) {
    MatmulRange part = whole;
    for (int k = 0; k < whole.depth; k += kDepthChunk) {
      part.depth = std::min(whole.depth - k, kDepthChunk);
      multiply_chunk(part, kernels, bits);
      part.a += kDepthChunk * whole.a_depth;
      part.b += kDepthChunk * whole.b_depth;
      part.bias = nullptr;
      part.accumulate = true;
    }
  }

  // The operand with fewer rows is packed whole, for all workers; of the other one each worker packs some
  // panels into its own cache and multiplies them at once.
  void multiply_chunk(const MatmulRange& chunk, const PackedKernels& kernels, int bits) {
    const Operand a{chunk.a, chunk.a_row, chunk.a_depth, chunk.rows},
        b{chunk.b, chunk.b_column, chunk.b_depth, chunk.columns};
    const std::size_t words = kernels.panel_words(chunk.depth, bits);
    const bool a_whole = a.rows <= b.rows;
    const Operand &whole = a_whole ? a : b, &other = a_whole ? b : a;
    const int whole_panels = (whole.rows + 15) / 16, other_panels = (other.rows + 15) / 16;
    std::int32_t* const packed = packed_.at_least(static_cast<std::size_t>(whole_panels) * words);
    const double operations = 8.0 * whole_panels * other_panels * chunk.depth;
    const int pieces = pieces_for(operations);
    const auto split_panels = [&](int panels, int most, const auto& body) {
      const int wanted = (panels + 4 * pieces - 1) / (4 * pieces);
      const int each = std::clamp((wanted + 2) / 3 * 3, 3, most);  // tiles are up to three panels wide
      run_ranges(panels, each, pieces == 1 ? 1 : (panels + each - 1) / each, body);
    };
    split_panels(whole_panels, whole_panels + 2, [&](int from, int count, int) {
      kernels.pack(packed + static_cast<std::size_t>(from) * words, whole, chunk.depth, bits, !a_whole, from,
                   count);
    });
    split_panels(other_panels, kWorkerPanels, [&](int from, int count, int worker) {
      for (int first = from; first < from + count; first += kWorkerPanels) {
        const int panels = std::min(kWorkerPanels, from + count - first);
        std::int32_t* const own =
            worker_packed_[static_cast<std::size_t>(worker)].at_least(kWorkerPanels * words);
        kernels.pack(own, other, chunk.depth, bits, a_whole, first, panels);
        const int at = 16 * first, rows = std::min(16 * panels, other.rows - at);
        kernels.multiply({.c = chunk.c + (a_whole ? at : at * chunk.c_row),
                          .c_row = chunk.c_row,
                          .a = a_whole ? packed : own,
                          .b = a_whole ? own : packed,
                          .panel = static_cast<std::ptrdiff_t>(words),
                          .bias = chunk.bias == nullptr || !a_whole ? chunk.bias : chunk.bias + at,
                          .rows = a_whole ? chunk.rows : rows,
                          .columns = a_whole ? rows : chunk.columns,
                          .depth = chunk.depth,
                          .bits = bits,
                          .accumulate = chunk.accumulate});
      }
    });
  }

  void matmul_f32(const MatmulRange& whole) {
    const double operations = static_cast<double>(whole.rows) * whole.columns * whole.depth / 16;
    const int pieces = pieces_for(operations);
    const auto run_part = [&](const MatmulRange& part, int worker) {
      table_.matmul(part, scratch_[static_cast<std::size_t>(worker)].at_least(table_.matmul_scratch));
    };
    // Cutting columns packs b once; cutting rows packs it once a piece, but evens out better when there are
    // few panels of columns, and packs a's strips once when a is the operand that needs it.
    const int panels = whole.columns / table_.tile_columns;
    if (whole.a_depth != 1 || panels < 8 * pieces) {
      run_ranges(whole.rows, table_.tile_rows, pieces, [&](int from, int count, int worker) {
        MatmulRange part = whole;
        part.a += from * whole.a_row;
        part.c += from * whole.c_row;
        part.rows = count;
        run_part(part, worker);
      });
    } else {
      // Some pieces a thread, none of them small: a thread that the machine holds up delays less.
      const int finer = pieces == 1 ? 1 : std::clamp(whole.columns / 384, pieces, 4 * pieces);
      run_ranges(whole.columns, table_.tile_columns, finer, [&](int from, int count, int worker) {
        MatmulRange part = whole;
        part.b += from * whole.b_column;
        part.c += from;
        if (part.bias != nullptr) part.bias += from;
        part.columns = count;
        run_part(part, worker);
      });
    }
  }

  BackendKind kind_;
  const KernelTable& table_;
  const PackedKernels &integer_, &bf16_;
  ThreadPool pool_;
  std::vector<Scratch<float>> scratch_;               // one a worker
  Scratch<std::int32_t> packed_;                      // of the operand that the workers share
  std::vector<Scratch<std::int32_t>> worker_packed_;  // one a worker
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(BackendKind kind, const KernelTable& table,
                                          const PackedKernels& integer, const PackedKernels& bf16,
                                          int threads) {
  return std::make_unique<CpuBackend>(kind, table, integer, bf16, threads);
}

}  // namespace ufab::kernels
