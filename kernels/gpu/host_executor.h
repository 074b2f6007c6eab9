// Runs the GPU's kernels on the processor: blocks on a pool of threads, the threads of a block one after
// another as fibres that change places at barriers and exchanges. So that a machine without a GPU tests their
// logic bit for bit, and more strictly than a GPU would:
//   - a barrier or an exchange that some threads never reach ends the process and says which;
//   - a block's shared arrays start as garbage (every byte 0xCB);
//   - the order in which a block's threads run between barriers is a choice (ThreadOrder): results that
//     depend on it miss a barrier;
//   - an asynchronous copy is made at once in ascending order, and in the others not before it is waited for.
// Kernels that meet no barrier cost a function call a thread. Not for speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <type_traits>

namespace ufab::kernels {
class ThreadPool;
}

namespace ufab::kernels::host_executor {

enum class ThreadOrder { ascending, descending, interleaved };

class Executor {
 public:
  // Blocks run on `pool`, which must outlive the executor.
  explicit Executor(ThreadPool& pool, ThreadOrder order = ThreadOrder::ascending);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // body() once for every thread of every block; threads is a multiple of 32, up to 1024 (asserted).
  void run(unsigned blocks, int threads, const std::function<void()>& body);

  class Block;  // of host_executor.cpp

 private:
  ThreadPool& pool_;
  ThreadOrder order_;
  std::unique_ptr<std::unique_ptr<Block>[]> blocks_;  // one a worker
};

// ---- of the thread that runs: only inside run()'s body ----

[[nodiscard]] int thread_index();
[[nodiscard]] unsigned block_index();
[[nodiscard]] unsigned grid_blocks();
void block_barrier();
// The same memory for all threads of a block that ask with the same key; aligned to 64 bytes.
[[nodiscard]] void* shared_array(const void* key, std::size_t bytes);

// The group of `width` neighbours meets: each leaves `bytes` (at most kExchangeBytes) and finds everybody's,
// at slot * kExchangeBytes, until it calls this again.
inline constexpr std::size_t kExchangeBytes = 48;
[[nodiscard]] const std::byte* meet(int width, const void* left, std::size_t bytes);

template <int width, class T>
[[nodiscard]] T exchange(T x, int mask) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kExchangeBytes);
  const std::byte* all = meet(width, &x, sizeof x);
  const auto other = static_cast<std::size_t>((thread_index() % width) ^ mask);
  std::memcpy(&x, all + other * kExchangeBytes, sizeof x);
  return x;
}

[[nodiscard]] std::int32_t dot4(std::uint32_t a, std::uint32_t b, std::int32_t c);
// c [rows][columns][4] += a [rows][4] times b [columns][2]: products of 16 x 32 by 32 x 8 bytes, or of 16 x
// 16 by 16 x 8 bfloat16, in fragments as the PTX ISA lays those of mma.m16n8k32 and mma.m16n8k16 out over the
// 32 threads of a warp. columns <= 8 (asserted). Sums of bfloat16 are made in order.
void multiply_tile(std::int32_t* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns);
void multiply_tile(float* c, const std::uint32_t* a, const std::uint32_t* b, int rows, int columns);

// `bytes` (at most 16, and aligned to as much, asserted) from `from`, or zeros: until the thread's next
// await_copies(n) that does not leave the copy among the last n groups. A group ends at close_copies(); what
// came after the last one is awaited by await_copies(0) alone.
void copy_async(void* to, const void* from, std::size_t bytes, bool inside);
void close_copies();
void await_copies(int groups);
// kernels/gpu/portability.h's start_products(): made at once in ascending order, and in the others not before
// they are waited for. The thread awaits the last of them before it ends (asserted).
void start_products(std::int32_t* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh);
void start_products(float* c, const std::uint32_t* a, const std::uint32_t* b, bool fresh);
void await_products(int products);
// 16 bytes, aligned to as much (asserted).
void move_four(void* to, const void* from);

}  // namespace ufab::kernels::host_executor
