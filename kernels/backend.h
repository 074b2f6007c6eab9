// The operator interface, and where backends come from.
//
// Every backend gives the same bits (kernels/semantics.h) for any number of threads, but for products in a
// format that is not exact. All tensors are dense,
// row-major, binary32 unless said otherwise, with no alignment required; outputs never overlap inputs unless
// said. Sizes are at least 1. Calls from several threads at once are not allowed; different Backend objects
// are independent.
//
// Memory: what an operator is given lies in the backend's device_memory() or shared_memory(). Operators run
// one after another, but a call may return before its operator is done: the host touches memory that an
// operator uses, and releases it, only after wait(). On the processor's own backends both are ordinary memory
// and wait() has nothing to do; a GPU's device memory is never touched by the host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/device_group.h"

namespace ufab::kernels {

// How the operands of a linear layer's products are represented: as they are, as integers of 12 or 8 bits
// (kernels/integer.h), or rounded to bfloat16 (kernels/bf16.h). Part of a job's definition: every backend
// gives the same bits for the same exact format; bf16 is fast, and not exact.
enum class MatmulFormat { f32, int12, int8, bf16 };
inline constexpr MatmulFormat kExactFormats[] = {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8};
constexpr bool is_exact(MatmulFormat format) {
  return format != MatmulFormat::bf16;
}

// reference: plain C++ on one thread. cpu: the fastest of the cpu_ kinds that this processor runs. gpu_host:
// the GPU's kernels run by the processor, block by block and thread by thread (kernels/gpu/host_executor.h),
// which is for tests: it is slow. cuda, hip: a device of that kind.
enum class BackendKind { reference, cpu, cpu_avx2, cpu_avx512, cpu_avx512vnni, gpu_host, cuda, hip };

// kernels/gradient.h. Two results merge by or, maximum and addition.
struct QuantizeResult {
  std::uint32_t non_finite = 0;   // 1: some gradient was infinite or NaN; such elements were not added
  std::uint64_t peak = 0;         // the largest |q|; kPeakLimit when one was too large to be added
  std::uint64_t fingerprint = 0;  // sum of q_i * key(i) mod 2^64 over the elements added
};

struct AdamWConfig {
  float lr = 6e-4F, beta1 = 0.9F, beta2 = 0.95F, eps = 1e-8F, weight_decay = 0.1F;
  float clip = 0;  // global norm above which the gradient is scaled down; 0: off
};

// What adamw_step() of kernels/adamw.h prepares once per tensor; see there for the formulas.
struct AdamWScalars {
  float gradient_factor;  // integer sum -> clipped mean gradient
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float inverse_correction1, inverse_correction2, lr, eps, weight_decay;
};

// Of a processor's backends: what its caches and memory bear well.
inline constexpr std::size_t kLogitsBytes = std::size_t{32} << 20;

// Elements [first, first + count) of the integer sums.
struct SumRange {
  std::size_t first, count;
};

// Memory of a device of its own: what is free now, and how many such devices this machine has.
struct DeviceMemoryLeft {
  std::size_t bytes;
  int devices;
};

// A product as the forward pass makes it, and with it those of its two gradients.
struct ProductShape {
  int rows, in_width, out_width;
};
// What a model asks of the operators, as far as their working memory depends on it.
struct ScratchQuestion {
  MatmulFormat format = MatmulFormat::f32;
  std::vector<ProductShape> products;
  int rows = 0, seq = 0, heads = 0, kv_heads = 0, head_width = 0;  // of attention; rows: batch * seq
  int widest = 0;                                                  // of the matrices whose columns are summed
  std::size_t norm_blocks = 0;  // of kNormBlock elements, of all parameters
};

class Backend {
 public:
  virtual ~Backend() = default;
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // Memory that operators and the host use, and memory for operators alone. They live as long as the backend,
  // and must be given back before. What does not fit is std::bad_alloc.
  [[nodiscard]] virtual std::pmr::memory_resource& shared_memory() {
    return *std::pmr::new_delete_resource();
  }
  [[nodiscard]] virtual std::pmr::memory_resource& device_memory() { return shared_memory(); }
  // nullopt: operators use the processor's memory.
  [[nodiscard]] virtual std::optional<DeviceMemoryLeft> device_memory_left() { return std::nullopt; }
  // Null: no library for sums between devices, or no device.
  [[nodiscard]] virtual DeviceGroupMaker* device_groups() { return nullptr; }
  // Returns when every operator called so far is done. A device that fails ends the process with one line: no
  // result may be used.
  virtual void wait() {}
  // Zeros, of any number type, in `bytes` bytes.
  virtual void zero(void* memory, std::size_t bytes) { std::memset(memory, 0, bytes); }
  virtual void copy(float* to, const float* from, std::size_t count) { std::copy_n(from, count, to); }

  // What a model's head may take for logits at a time. It never shows in the bits (kernels/model_arena.cpp).
  [[nodiscard]] virtual std::size_t logits_bytes() const { return kLogitsBytes; }

  [[nodiscard]] virtual BackendKind kind() const = 0;
  [[nodiscard]] virtual int threads() const = 0;
  // The most memory that the operators below keep beside their arguments.
  [[nodiscard]] virtual std::size_t scratch_bytes(const ScratchQuestion& question) const = 0;

  // ---- matmul: in [rows][in_width], weight [out_width][in_width], out [rows][out_width] ----
  // out = in * weight^T + bias; bias [out_width] may be null.
  virtual void matmul_forward(float* out, const float* in, const float* weight, const float* bias, int rows,
                              int in_width, int out_width, MatmulFormat format = MatmulFormat::f32) = 0;
  // din [rows][in_width] = dout * weight.
  virtual void matmul_backward_input(float* din, const float* dout, const float* weight, int rows,
                                     int in_width, int out_width,
                                     MatmulFormat format = MatmulFormat::f32) = 0;
  // dweight [out_width][in_width] = dout^T * in; with `accumulate` the chains go on from dweight's values.
  // Rows of dout are dout_stride >= out_width apart: dout may be some columns of a wider matrix.
  virtual void matmul_backward_weight(float* dweight, const float* in, const float* dout, int rows,
                                      int in_width, int out_width, int dout_stride, bool accumulate,
                                      MatmulFormat format = MatmulFormat::f32) = 0;
  // dbias [width] = column sums of dout [rows][width].
  virtual void bias_backward(float* dbias, const float* dout, int rows, int width) = 0;

  // ---- layer norm over rows of [rows][width]; mean and rstd [rows] ----
  virtual void layernorm_forward(float* out, float* mean, float* rstd, const float* in, const float* gamma,
                                 const float* beta, int rows, int width) = 0;
  // din += the gradient.
  virtual void layernorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                        const float* mean, const float* rstd, int rows, int width) = 0;
  virtual void layernorm_backward_parameters(float* dgamma, float* dbeta, const float* dout, const float* in,
                                             const float* mean, const float* rstd, int rows, int width) = 0;

  // ---- RMS norm over rows of [rows][width] (kernels/order/rms_norm.h); rstd [rows]; eps > 0 ----
  virtual void rmsnorm_forward(float* out, float* rstd, const float* in, const float* gamma, float eps,
                               int rows, int width) = 0;
  // din += the gradient.
  virtual void rmsnorm_backward_input(float* din, const float* dout, const float* in, const float* gamma,
                                      const float* rstd, int rows, int width) = 0;
  virtual void rmsnorm_backward_parameters(float* dgamma, const float* dout, const float* in,
                                           const float* rstd, int rows, int width) = 0;

  // ---- elementwise over `count` values ----
  virtual void gelu_forward(float* out, const float* in, std::size_t count) = 0;
  // din = dout * gelu'(in); din may be dout.
  virtual void gelu_backward(float* din, const float* dout, const float* in, std::size_t count) = 0;
  // out = a + b; out may be a or b.
  virtual void residual_forward(float* out, const float* a, const float* b, std::size_t count) = 0;

  // ---- SwiGLU (kernels/order/swiglu.h): gate_up [rows][2][hidden], first the gates, out [rows][hidden] ----
  virtual void swiglu_forward(float* out, const float* gate_up, int rows, int hidden) = 0;
  // dgate_up is overwritten, and may be gate_up.
  virtual void swiglu_backward(float* dgate_up, const float* dout, const float* gate_up, int rows,
                               int hidden) = 0;

  // ---- heads: a row of qkv is `heads` heads of queries, then `kv_heads` of keys, then `kv_heads` of values,
  //      each of head_width: [batch][seq][heads + 2 * kv_heads][head_width]. kv_heads divides heads ----
  // Rotary positions (kernels/order/rope.h), in place, of the heads of queries and keys; values stay.
  // cosine, sine: [>= seq][head_width / 2], of kernels/rope_table.h; head_width is even.
  virtual void rope_forward(float* qkv, const float* cosine, const float* sine, int batch, int seq, int heads,
                            int kv_heads, int head_width) = 0;
  virtual void rope_backward(float* dqkv, const float* cosine, const float* sine, int batch, int seq,
                             int heads, int kv_heads, int head_width) = 0;
  // Causal self-attention with grouped queries (Ainslie et al. 2023): head h reads the keys and values of kv
  // head h / (heads / kv_heads). out [batch][seq][heads][head_width], logsumexp [batch][heads][seq].
  // In binary32 for every exact format; for bf16 a backend may make the products in bfloat16.
  virtual void attention_forward(float* out, float* logsumexp, const float* qkv, int batch, int seq,
                                 int heads, int kv_heads, int head_width,
                                 MatmulFormat format = MatmulFormat::f32) = 0;
  // dqkv is overwritten.
  virtual void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                                  const float* qkv, int batch, int seq, int heads, int kv_heads,
                                  int head_width, MatmulFormat format = MatmulFormat::f32) = 0;

  // ---- embedding: tokens [batch][seq] in [0, vocab), wte [vocab][width], wpe [>= seq][width] or null, for a
  //      model without learned positions ----
  virtual void embedding_forward(float* out, const float* wte, const float* wpe, const std::int32_t* tokens,
                                 int batch, int seq, int width) = 0;
  // dwte[token - first_token] += dout, position after position; tokens outside of
  // first_token .. first_token + token_count - 1 are left out.
  virtual void embedding_backward_tokens(float* dwte, const float* dout, const std::int32_t* tokens, int rows,
                                         int width, int first_token, int token_count) = 0;
  // dwpe [seq][width] = sums over the batch.
  virtual void embedding_backward_positions(float* dwpe, const float* dout, int batch, int seq,
                                            int width) = 0;

  // ---- softmax cross-entropy: logits [rows][vocab], targets and losses [rows] ----
  // Writes losses; with `gradient` logits become the gradient of (sum of losses) / count.
  virtual void softmax_cross_entropy(float* losses, float* logits, const std::int32_t* targets, int rows,
                                     int vocab, int count, bool gradient) = 0;

  // ---- gradients and optimizer: kernels/gradient.h and kernels/adamw.h are the callers' side ----
  // Merges what it finds into *result. `fresh`: sums hold nothing yet, and are overwritten.
  virtual void quantize_add(QuantizeResult* result, std::int32_t* sums, const float* gradient,
                            std::size_t count, int exponent, std::uint64_t first_index, bool fresh) = 0;
  // *result = sum of double(sums[i])^2 in the fixed tree of kernels/adamw.h.
  virtual void sum_of_squares(double* result, const std::int32_t* sums, std::size_t count) = 0;
  // The same of many ranges, results[i] of ranges[i].
  virtual void sums_of_squares(double* results, const std::int32_t* sums, std::span<const SumRange> ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      sum_of_squares(results + i, sums + ranges[i].first, ranges[i].count);
    }
  }
  virtual void adamw(float* params, float* m, float* v, const std::int32_t* sums, std::size_t count,
                     const AdamWScalars& scalars) = 0;
};

// "f32", "int12", "int8", "bf16", and its exact inverse.
[[nodiscard]] const char* format_name(MatmulFormat format);
[[nodiscard]] std::optional<MatmulFormat> format_from_name(std::string_view name);

// True when this build, processor (and operating system), or device runs the kind; reference and cpu always
// can.
[[nodiscard]] bool backend_available(BackendKind kind);
// "reference", "cpu", "cpu-avx2", "cpu-avx512", "cpu-avx512vnni", "gpu-host", "cuda", "hip".
[[nodiscard]] const char* backend_name(BackendKind kind);
// Exact inverse of backend_name; nullopt for any other text.
[[nodiscard]] std::optional<BackendKind> backend_from_name(std::string_view name);
// "reference, cpu, ... or hip", for messages and --help.
[[nodiscard]] std::string backend_names();
// Why `kind` is not available, in one line, for example "this build has no CUDA"; empty when it is.
[[nodiscard]] std::string why_unavailable(BackendKind kind);
// nullptr when `kind` is not available, or when threads is not in 1..kMaxThreads. On the CPU the calling
// thread works too: threads - 1 more are started, and soon sleep between calls. `device`: which GPU, modulo
// how many there are, so that a rank may give its number on its machine.
inline constexpr int kMaxThreads = 256;
[[nodiscard]] std::unique_ptr<Backend> make_backend(BackendKind kind, int threads, int device = 0);

}  // namespace ufab::kernels
