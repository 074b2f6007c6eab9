// The GPU backend over a Device: which kernels each operator starts, with how many blocks. Compiled once for
// each target (kernels/gpu/portability.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/assert.h"
#include "kernels/backend.h"
#include "kernels/gpu/attention.h"
#include "kernels/gpu/elements.h"
#include "kernels/gpu/fast_attention.h"
#include "kernels/gpu/gpu_backend.h"
#include "kernels/gpu/matmul.h"
#include "kernels/gpu/optimizer.h"
#include "kernels/gpu/packed_matmul.h"
#include "kernels/gpu/rows.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

template <class Device>
class DeviceMemory final : public std::pmr::memory_resource {
 public:
  DeviceMemory(Device& device, bool shared) : device_(device), shared_(shared) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    return device_.allocate(bytes, alignment, shared_);
  }
  void do_deallocate(void* p, std::size_t, std::size_t alignment) override {
    device_.wait();
    device_.release(p, alignment, shared_);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
  Device& device_;
  bool shared_;
};

// Device memory for what kernels leave each other; grows to the largest need and stays.
template <class Device>
class Scratch {
 public:
  explicit Scratch(std::pmr::memory_resource& memory) : memory_(memory) {}
  ~Scratch() { release(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* at_least(std::size_t bytes) {
    if (bytes > bytes_) {
      release();
      bytes_ = 0;
      data_ = memory_.allocate(bytes, kAlignment);
      bytes_ = bytes;
    }
    return data_;
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  void release() {
    if (data_ != nullptr) memory_.deallocate(data_, bytes_, kAlignment);
    data_ = nullptr;
  }
  std::pmr::memory_resource& memory_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

template <class Device>
class GpuBackend final : public Backend {
 public:
  template <class... DeviceArguments>
  explicit GpuBackend(gpu::IntegerUnit unit, DeviceArguments... arguments)
      : device_(arguments...),
        shared_memory_(device_, true),
        device_memory_(device_, false),
        unit_(unit),
        packed_a_(device_memory_),
        packed_b_(device_memory_),
        partial_(device_memory_) {}
  ~GpuBackend() override { device_.wait(); }

  BackendKind kind() const override { return Device::kKind; }
  int threads() const override { return device_.threads(); }
  std::pmr::memory_resource& shared_memory() override { return shared_memory_; }
  std::pmr::memory_resource& device_memory() override { return device_memory_; }
  std::optional<DeviceMemoryLeft> device_memory_left() override { return device_.memory_left(); }
  DeviceGroupMaker* device_groups() override { return device_.device_groups(); }
  void wait() override { device_.wait(); }
  // Enough rows at a time to give every processor a tile.
  std::size_t logits_bytes() const override { return std::size_t{1} << 30; }
  std::size_t scratch_bytes(const ScratchQuestion& question) const override {
    const std::size_t column_parts = product(parts_of(question.rows, kRowBlock), question.widest);
    const std::size_t deltas = product(question.rows, question.heads);
    const std::size_t partial = std::max(
        {column_parts * sizeof(float), deltas * sizeof(float), question.norm_blocks * sizeof(double)});
    if (question.format == MatmulFormat::f32) return partial;
    return partial + with_packed_format(question.format, [&](auto packed) {
             std::size_t a = 0, b = 0;
             const auto both = [&](int rows, int columns, int depth) {
               a = std::max(a, packed_bytes<packed.value>(rows, depth));
               b = std::max(b, packed_bytes<packed.value>(columns, depth));
             };
             for (const auto& [rows, in_width, out_width] : question.products) {
               both(rows, out_width, in_width);
               both(rows, in_width, out_width);
               both(out_width, in_width, rows);
             }
#if defined(UFAB_GPU_HAS_TILES)
             if (fast_attention(question.format, question.head_width)) {
               const AttentionShape shape{question.rows / question.seq, question.seq, question.heads,
                                          question.kv_heads, question.head_width};
               a = std::max(a, 4 * fast_bytes(shape, shape.heads) + 3 * fast_bytes(shape, shape.kv_heads));
             }
#endif
#if defined(UFAB_GPU_HAS_LIBRARY)
             if (question.format == MatmulFormat::bf16) a += device_.library().scratch_bytes();
#endif
             return a + b;
           });
  }

  void zero(void* memory, std::size_t bytes) override {
    device_.zero(memory, bytes);
  }

  void copy(float* to, const float* from, std::size_t count) override {
    each_element(copy_kernel, count, to, from, count);
  }

  void matmul_forward(float* out, const float* in, const float* weight, const float* bias, int rows,
                      int in_width, int out_width, MatmulFormat format) override {
    matmul(format,
           {out, out_width, in, in_width, 1, weight, in_width, 1, bias, rows, out_width, in_width, false});
  }
  void matmul_backward_input(float* din, const float* dout, const float* weight, int rows, int in_width,
                             int out_width, MatmulFormat format) override {
    matmul(format, {din, in_width, dout, out_width, 1, weight, 1, in_width, nullptr, rows, in_width,
                    out_width, false});
  }
  void matmul_backward_weight(float* dweight, const float* in, const float* dout, int rows, int in_width,
                              int out_width, int dout_stride, bool accumulate, MatmulFormat format) override {
    matmul(format, {dweight, in_width, dout, 1, dout_stride, in, 1, in_width, nullptr, out_width, in_width,
                    rows, accumulate});
  }
  void bias_backward(float* dbias, const float* dout, int rows, int width) override {
    sum_columns(column_sum_kernel, dbias, rows, width, dout);
  }

  void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                         const float* beta, int rows, int width) override {
    each_row(layernorm_forward_kernel, rows, out, mean, rstd, in, gamma, beta, rows, width);
  }
  void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                const float* mean, const float* rstd, int rows, int width) override {
    each_row(layernorm_backward_input_kernel, rows, din, dout, in, gamma, mean, rstd, rows, width);
  }
  void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                     const float* mean, const float* rstd, int rows, int width) override {
    const int parts = parts_of(rows, kRowBlock);
    auto* const partial = static_cast<float*>(partial_.at_least(product(2 * parts, width) * sizeof(float)));
    device_.launch(layernorm_parameters_kernel, product(parts, parts_of(width, kRowThreads)), kRowThreads,
                   partial, dout, in, mean, rstd, rows, width);
    total_columns(dgamma, dbeta, partial, parts, width, 2 * width);
  }
  void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps, int rows,
                       int width) override {
    each_row(rmsnorm_forward_kernel, rows, out, rstd, in, gamma, eps, rows, width);
  }
  void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                              const float* rstd, int rows, int width) override {
    each_row(rmsnorm_backward_input_kernel, rows, din, dout, in, gamma, rstd, rows, width);
  }
  void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in, const float* rstd,
                                   int rows, int width) override {
    sum_columns(rmsnorm_gamma_kernel, dgamma, rows, width, dout, in, rstd);
  }

  void gelu_forward(float* out, const float* in, std::size_t count) override {
    each_element(gelu_forward_kernel, count, out, in, count);
  }
  void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) override {
    each_element(gelu_backward_kernel, count, din, dout, in, count);
  }
  void residual_forward(float* out, const float* a, const float* b, std::size_t count) override {
    each_element(residual_kernel, count, out, a, b, count);
  }
  void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) override {
    const std::size_t count = product(rows, hidden);
    each_element(swiglu_forward_kernel, count, out, gate_up, count, static_cast<std::size_t>(hidden));
  }
  void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows,
                       int hidden) override {
    const std::size_t count = product(rows, hidden);
    each_element(swiglu_backward_kernel, count, dgate_up, dout, gate_up, count,
                 static_cast<std::size_t>(hidden));
  }

  void rope_forward(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                    int kv_heads, int head_width) override {
    rope(qkv, cosine, sine, batch * seq, seq, heads, kv_heads, head_width, false);
  }
  void rope_backward(float* dqkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                     int kv_heads, int head_width) override {
    rope(dqkv, cosine, sine, batch * seq, seq, heads, kv_heads, head_width, true);
  }
  void attention_forward(float* out, float* logsumexp, const float* qkv, int batch, int seq, int heads,
                         int kv_heads, int head_width, MatmulFormat format) override {
    const AttentionShape shape{batch, seq, heads, kv_heads, head_width};
#if defined(UFAB_GPU_HAS_TILES)
    if (fast_attention(format, head_width)) {
      auto* words = static_cast<std::uint32_t*>(packed_a_.at_least(2 * fast_bytes(shape, kv_heads)));
      const auto row = static_cast<std::ptrdiff_t>(product(heads + 2 * kv_heads, head_width));
      const std::uint32_t* const k = pack_tiles(words, qkv, row, heads, kv_heads, shape, true, false).by_row;
      const std::uint32_t* const v =
          pack_tiles(words, qkv, row, heads + kv_heads, kv_heads, shape, false, true).by_component;
      device_.launch(fast_attention_forward_kernel, attention_blocks(shape, heads, kFastHead), kFastThreads,
                     out, logsumexp, qkv, k, v, shape);
      return;
    }
#else
    static_cast<void>(format);
#endif
    with_dims(head_width, [&](auto dims) {
      device_.launch(attention_forward_kernel<dims()>, attention_blocks(shape, heads, dims()),
                     kAttentionThreads, out, logsumexp, qkv, shape);
    });
  }
  void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                          const float* qkv, int batch, int seq, int heads, int kv_heads, int head_width,
                          MatmulFormat format) override {
    const AttentionShape shape{batch, seq, heads, kv_heads, head_width};
    const int rows = batch * seq * heads;
    auto* const delta = static_cast<float*>(partial_.at_least(product(rows, sizeof(float))));
    each_row(attention_delta_kernel, rows, delta, dout, out, shape);
#if defined(UFAB_GPU_HAS_TILES)
    if (fast_attention(format, head_width)) {
      auto* words = static_cast<std::uint32_t*>(
          packed_a_.at_least(4 * fast_bytes(shape, heads) + 3 * fast_bytes(shape, kv_heads)));
      const auto row = static_cast<std::ptrdiff_t>(product(heads + 2 * kv_heads, head_width));
      const FastForms q = pack_tiles(words, qkv, row, 0, heads, shape, true, true);
      const FastForms k = pack_tiles(words, qkv, row, heads, kv_heads, shape, true, true);
      const FastForms v = pack_tiles(words, qkv, row, heads + kv_heads, kv_heads, shape, true, false);
      const FastForms d_o = pack_tiles(words, dout, static_cast<std::ptrdiff_t>(product(heads, head_width)),
                                       0, heads, shape, true, true);
      const auto* const shifts = static_cast<const float*>(delta);
      device_.launch_large(fast_attention_query_gradient_kernel,
                           kFastQueryGradientWords * sizeof(std::uint32_t),
                           attention_blocks(shape, heads, kFastHead), kFastThreads, dqkv, dout, logsumexp,
                           shifts, qkv, k.by_row, k.by_component, v.by_row, shape);
      device_.launch_large(fast_attention_key_gradient_kernel, kFastKeyGradientWords * sizeof(std::uint32_t),
                           attention_blocks(shape, kv_heads, kFastHead), kFastThreads, dqkv, logsumexp,
                           shifts, qkv, q.by_row, q.by_component, d_o.by_row, d_o.by_component, shape);
      return;
    }
#else
    static_cast<void>(format);
#endif
    with_dims(head_width, [&](auto dims) {
      device_.launch(attention_query_gradient_kernel<dims()>, attention_blocks(shape, heads, dims()),
                     kAttentionThreads, dqkv, dout, logsumexp, static_cast<const float*>(delta), qkv, shape);
      device_.launch(attention_key_gradient_kernel<dims()>, attention_blocks(shape, kv_heads, dims()),
                     kAttentionThreads, dqkv, dout, logsumexp, static_cast<const float*>(delta), qkv, shape);
    });
  }

  void embedding_forward(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                         int batch, int seq, int width) override {
    const std::size_t count = product(batch * seq, width);
    each_element(embedding_forward_kernel, count, out, wte, wpe, tokens, count, seq, width);
  }
  void embedding_backward_tokens(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                 int width, int first_token, int token_count) override {
    device_.launch(embedding_backward_tokens_kernel, static_cast<std::size_t>(rows), kElementThreads, dwte,
                   dout, tokens, rows, width, first_token, token_count);
  }
  void embedding_backward_positions(float* dwpe, const float* dout, int batch, int seq, int width) override {
    const std::size_t count = product(seq, width);
    each_element(embedding_backward_positions_kernel, count, dwpe, dout, count, batch);
  }

  void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows, int vocab,
                             int count, bool gradient) override {
    device_.launch(softmax_cross_entropy_kernel, static_cast<std::size_t>(rows), kSoftmaxThreads, losses,
                   logits, targets, vocab, 1.0F / static_cast<float>(count), gradient ? 1 : 0);
  }

  void quantize_add(QuantizeResult* result, std::int32_t* sums, const float* gradient, std::size_t count,
                    int exponent, std::uint64_t first_index, bool fresh) override {
    each_element(quantize_add_kernel, count, result, sums, gradient, count, std::ldexp(1.0F, exponent),
                 first_index, fresh ? 1 : 0);
  }
  void sum_of_squares(double* result, const std::int32_t* sums, std::size_t count) override {
    const SumRange range{0, count};
    sums_of_squares(result, sums, {&range, 1});
  }
  void sums_of_squares(double* results, const std::int32_t* sums, std::span<const SumRange> ranges) override {
    for (std::size_t first = 0; first < ranges.size(); first += SquaresOf::kMost) {
      const auto some = ranges.subspan(first, std::min<std::size_t>(ranges.size() - first, SquaresOf::kMost));
      SquaresOf of = {};
      of.count = static_cast<int>(some.size());
      for (std::size_t i = 0; i < some.size(); ++i) {
        of.ranges[i] = some[i];
        of.first_block[i + 1] =
            of.first_block[i] + static_cast<int>((some[i].count + kNormBlock - 1) / kNormBlock);
      }
      const int blocks = of.first_block[of.count];
      auto* const of_block =
          static_cast<double*>(partial_.at_least(static_cast<std::size_t>(blocks) * sizeof(double)));
      if (blocks > 0) each_row(sums_of_squares_kernel, blocks, of_block, sums, of);
      device_.launch(sums_of_blocks_kernel, some.size(), kElementThreads, results + first,
                     static_cast<const double*>(of_block), of);
    }
  }
  void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
             const AdamWScalars& scalars) override {
    each_element(adamw_kernel, count, params, m, v, sums, count, scalars);
  }

 private:
  static std::size_t product(int a, std::size_t b) {
    return static_cast<std::size_t>(a) * b;
  }
  static std::size_t product(int a, int b) {
    return product(a, static_cast<std::size_t>(b));
  }
  static std::size_t product(std::size_t a, int b) {
    return product(b, a);
  }
  static int parts_of(int count, int size) {
    return (count + size - 1) / size;
  }

  // A thread an element, up to what keeps a device busy; then each thread takes several.
  template <class Kernel, class... Arguments>
  void each_element(Kernel kernel, std::size_t count, Arguments... arguments) {
    const std::size_t wanted = (count + kElementThreads - 1) / kElementThreads;
    const auto most = static_cast<std::size_t>(device_.processors()) * 32;
    device_.launch(kernel, std::clamp<std::size_t>(wanted, 1, most), kElementThreads, arguments...);
  }
  template <class Kernel, class... Arguments>
  void each_row(Kernel kernel, int rows, Arguments... arguments) {
    device_.launch(kernel, static_cast<std::size_t>(parts_of(rows, kRowsPerBlock)), kRowThreads,
                   arguments...);
  }
  template <class Kernel, class... Arguments>
  void sum_columns(Kernel kernel, float* sums, int rows, int width, Arguments... arguments) {
    const int parts = parts_of(rows, kRowBlock), across = parts_of(width, kRowThreads);
    float* const partial =
        parts == 1 ? sums : static_cast<float*>(partial_.at_least(product(parts, width) * sizeof(float)));
    device_.launch(kernel, product(parts, across), kRowThreads, partial, arguments..., rows, width);
    if (parts == 1) return;
    total_columns(sums, sums, partial, parts, width, width);
  }
  void total_columns(float* sums, float* more, const float* partial, int parts, int width, int across) {
    device_.launch(column_total_kernel, static_cast<std::size_t>(parts_of(across, kRowThreads)), kRowThreads,
                   sums, more, partial, parts, width, across);
  }

  void rope(float* qkv, const float* cosine, const float* sine, int rows, int seq, int heads, int kv_heads,
            int head_width, bool back) {
    const int turned = heads + kv_heads, half = head_width / 2;
    const std::size_t count = product(rows, product(turned, half));
    each_element(rope_kernel, count, qkv, cosine, sine, count, seq, heads + 2 * kv_heads, turned, half,
                 back ? 1 : 0);
  }
#if defined(UFAB_GPU_HAS_TILES)
  [[nodiscard]] bool fast_attention(MatmulFormat format, int head_width) const {
    return format == MatmulFormat::bf16 && unit_ != gpu::IntegerUnit::dot4 && head_width <= kFastHead;
  }
#endif
#if defined(UFAB_GPU_HAS_TILES)
  // Of one tensor in one form.
  static std::size_t fast_bytes(const AttentionShape& s, int heads) {
    return product(product(s.batch, heads), parts_of(s.seq, kTileRows)) * kFastTileWords *
           sizeof(std::uint32_t);
  }
  struct FastForms {
    const std::uint32_t *by_row, *by_component;
  };
  // Heads first_head .. first_head + heads - 1 of rows `row` floats apart, in the forms wanted, at `place`,
  // which moves on.
  FastForms pack_tiles(std::uint32_t*& place, const float* base, std::ptrdiff_t row, int first_head,
                       int heads, const AttentionShape& s, bool by_row, bool by_component) {
    const std::size_t blocks = product(product(s.batch, heads), parts_of(s.seq, kTileRows));
    std::uint32_t* const rows = by_row ? place : nullptr;
    if (by_row) place += blocks * kFastTileWords;
    std::uint32_t* const components = by_component ? place : nullptr;
    if (by_component) place += blocks * kFastTileWords;
    device_.launch(fast_attention_pack_kernel, blocks, kFastThreads, rows, components,
                   base + product(first_head, s.head_width), s.seq * row, row, heads, s.seq, s.head_width);
    return {rows, components};
  }
#endif
  // f(n): how many components of such a head a block of attention makes.
  template <class F>
  static void with_dims(int head_width, const F& f) {
    if (head_width <= 64) return f(std::integral_constant<int, 64>());
    f(std::integral_constant<int, 128>());
  }
  static std::size_t attention_blocks(const AttentionShape& s, int heads, int dims) {
    return product(parts_of(s.seq, kTileRows),
                   product(s.batch, product(heads, parts_of(s.head_width, dims))));
  }

  void matmul(MatmulFormat format, const MatmulArguments& m) {
    if (format != MatmulFormat::f32) {
      return with_packed_format(format, [&](auto packed) { packed_matmul<packed.value>(m); });
    }
    const bool a_first = m.a_depth == 1, b_first = m.b_depth == 1;
    const bool large = product(parts_of(m.rows, 128), parts_of(m.columns, 128)) >=
                       static_cast<std::size_t>(device_.processors());
    const auto run = [&](auto kernel, int span) {
      device_.launch(kernel, product(parts_of(m.rows, span), parts_of(m.columns, span)), kMatmulThreads, m);
    };
    if (large) {
      run(a_first ? (b_first ? matmul_kernel<8, true, true> : matmul_kernel<8, true, false>)
                  : (b_first ? matmul_kernel<8, false, true> : matmul_kernel<8, false, false>),
          128);
    } else {
      run(a_first ? (b_first ? matmul_kernel<4, true, true> : matmul_kernel<4, true, false>)
                  : (b_first ? matmul_kernel<4, false, true> : matmul_kernel<4, false, false>),
          64);
    }
  }

  // f(std::integral_constant<MatmulFormat, format>) of a format whose operands are packed.
  template <class F>
  static auto with_packed_format(MatmulFormat format, const F& f) {
    switch (format) {
      case MatmulFormat::int12: return f(std::integral_constant<MatmulFormat, MatmulFormat::int12>());
      case MatmulFormat::int8: return f(std::integral_constant<MatmulFormat, MatmulFormat::int8>());
      default: break;
    }
    UFAB_KERNELS_ASSERT(format == MatmulFormat::bf16);
    return f(std::integral_constant<MatmulFormat, MatmulFormat::bf16>());
  }
  template <MatmulFormat format>
  static std::size_t packed_bytes(int rows, int depth) {
    using Format = Packing<format>;
    const std::size_t words = kBlockWords * Format::kPlanes, scales = Format::kScaled ? 1 : 0;
    return product(rows, parts_of(depth, Format::kBlock)) *
           (words * sizeof(std::uint32_t) + scales * sizeof(float));
  }
  template <MatmulFormat format>
  PackedOperand pack(Scratch<Device>& memory, const float* base, std::ptrdiff_t row_stride,
                     std::ptrdiff_t depth_stride, int rows, int depth) {
    using Format = Packing<format>;
    const int blocks = parts_of(depth, Format::kBlock);
    auto* const words = static_cast<std::uint32_t*>(memory.at_least(packed_bytes<format>(rows, depth)));
    const std::size_t word_count = product(Format::kPlanes * kBlockWords, product(rows, blocks));
    const PackedOperand operand{words, reinterpret_cast<float*>(words + word_count), rows, blocks};
    if (depth_stride == 1) {
      const std::size_t groups = product(rows, blocks);
      device_.launch(pack_rows_kernel<format>, (groups + kBlocksAtATime<format> - 1) / kBlocksAtATime<format>,
                     kPackThreads, operand, base, row_stride, depth);
    } else {
      device_.launch(pack_columns_kernel<format>, product(blocks, parts_of(rows, 32)), kPackThreads, operand,
                     base, depth_stride, depth);
    }
    return operand;
  }
  template <MatmulFormat format>
  void packed_matmul(const MatmulArguments& m) {
    const PackedArguments arguments{m.c,
                                    m.c_row,
                                    pack<format>(packed_a_, m.a, m.a_row, m.a_depth, m.rows, m.depth),
                                    pack<format>(packed_b_, m.b, m.b_row, m.b_depth, m.columns, m.depth),
                                    m.bias,
                                    m.accumulate};
#if defined(UFAB_GPU_HAS_LIBRARY)
    // Of one plane without scales, a packed operand is a plain matrix whose rows are filled up with zeros.
    if constexpr (format == MatmulFormat::bf16) {
      const PackedOperand &a = arguments.a, &b = arguments.b;
      if (device_.multiply_by_library({m.c, m.c_row, a.words, b.words, m.accumulate ? nullptr : m.bias,
                                       m.rows, m.columns, a.blocks * Packing<format>::kBlock,
                                       m.accumulate})) {
        return;
      }
    }
#endif
#if defined(UFAB_GPU_HAS_GROUPS)
    if constexpr (Packing<format>::kPlanes == 1) {
      // Four tiles of the other kind take longer than one of these.
      if (groups_usable<format>() &&
          4 * group_tiles(arguments) >= static_cast<std::size_t>(device_.processors())) {
        return launch_groups<format>(arguments, static_cast<std::size_t>(device_.processors()));
      }
    }
#endif
#if defined(UFAB_GPU_HAS_TILES)
    if (unit_ != gpu::IntegerUnit::dot4) {
      // What the registers hold: of an integer format the sums of a block beside the results.
      if constexpr (format == MatmulFormat::bf16) {
        if (launch_mma<format, 4, 8>(arguments, true)) return;
      } else if constexpr (format == MatmulFormat::int8) {
        if (launch_mma<format, 4, 4>(arguments, true)) return;
      }
      launch_mma<format, 2, 4>(arguments, false);
      return;
    }
#endif
#if defined(UFAB_GPU_CUDA)
    UFAB_KERNELS_ASSERT(false);  // every device has the best unit, and the plug-in asks for it
#else
    device_.launch(packed_matmul_dot_kernel<format>,
                   product(parts_of(m.rows, kDotTile), parts_of(m.columns, kDotTile)), kDotThreads,
                   arguments);
#endif
  }
#if defined(UFAB_GPU_HAS_GROUPS)
  static std::size_t group_tiles(const PackedArguments& m) {
    return product(parts_of(m.a.rows, kGroupTile), parts_of(m.b.rows, kGroupTile));
  }
  template <MatmulFormat format>
  void launch_groups(const PackedArguments& m, std::size_t blocks) {
    const std::size_t tiles = group_tiles(m);
    device_.launch_large(packed_matmul_group_kernel<format>, kGroupSharedBytes, std::min(tiles, blocks),
                         kGroupThreads, m, static_cast<int>(tiles));
  }
  // Of an exact format they are used where they had the bits of the kernel for tiles on a trial.
  template <MatmulFormat format>
  bool groups_usable() {
    if (unit_ != gpu::IntegerUnit::best || !device_.has_groups()) return false;
    if constexpr (is_exact(format)) {
      if (!groups_agree_) groups_agree_ = groups_on_trial<format>();
      return *groups_agree_;
    } else {
      return true;
    }
  }
  template <MatmulFormat format>
  bool groups_on_trial() {
    constexpr int kRows = 150, kColumns = 140, kBlocks = 5;  // four tiles, by one block of threads
    std::pmr::memory_resource* const memory = &shared_memory_;
    const auto operand = [&](std::pmr::vector<std::uint32_t>& words, std::pmr::vector<float>& scales,
                             int rows, std::uint32_t seed) {
      words.resize(product(rows, kBlocks * kBlockWords));
      scales.resize(product(rows, kBlocks));
      for (std::uint32_t& word : words) {
        seed = seed * 1664525U + 1013904223U;  // Numerical Recipes' generator; -128 is no value of the format
        word = seed ^ seed >> 16;
        for (int shift = 0; shift < 32; shift += 8) {
          if ((word >> shift & 0xFFU) == 0x80U) word ^= 1U << shift;
        }
      }
      for (std::size_t i = 0; i < scales.size(); ++i)
        scales[i] = std::ldexp(1.0F, static_cast<int>(i % 23) - 11);
      return PackedOperand{words.data(), scales.data(), rows, kBlocks};
    };
    std::pmr::vector<std::uint32_t> words_a(memory), words_b(memory);
    std::pmr::vector<float> scales_a(memory), scales_b(memory), bias(product(1, kColumns), 0.75F, memory),
        tiles(product(kRows, kColumns), memory), groups(tiles.size(), memory);
    PackedArguments m{
        tiles.data(), kColumns, operand(words_a, scales_a, kRows, 1), operand(words_b, scales_b, kColumns, 2),
        bias.data(),  false};
    launch_mma<format, 2, 4>(m, false);
    m.c = groups.data();
    launch_groups<format>(m, 1);
    device_.wait();
    return std::memcmp(tiles.data(), groups.data(), tiles.size() * sizeof(float)) == 0;
  }
#endif
#if defined(UFAB_GPU_HAS_TILES)
  // Four warps of down x across fragments. False, and nothing, where it would leave processors idle that
  // should have a tile each.
  template <MatmulFormat format, int down, int across>
  bool launch_mma(const PackedArguments& m, bool only_if_large) {
    using Shape = MmaShape<2, 2, down, across>;
    const std::size_t tiles = product(parts_of(m.a.rows, Shape::kRows), parts_of(m.b.rows, Shape::kColumns));
    if (only_if_large && tiles < static_cast<std::size_t>(device_.processors())) return false;
    device_.launch(packed_matmul_mma_kernel<format, 2, 2, down, across>, tiles, Shape::kThreads, m);
    return true;
  }
#endif

  Device device_;
  DeviceMemory<Device> shared_memory_, device_memory_;
  [[maybe_unused]] gpu::IntegerUnit unit_;
  [[maybe_unused]] std::optional<bool> groups_agree_;  // nothing: not tried yet
  Scratch<Device> packed_a_, packed_b_;                // the operands of a product that packs them
  Scratch<Device> partial_;                            // partial sums and the like, within one operator
};

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
