// The host executor in the place of a device: its memory is ordinary memory, of which it knows every piece,
// so that a caller who hands an operator some other memory is found without a GPU.
#pragma once

#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <type_traits>

#include "kernels/assert.h"
#include "kernels/backend.h"
#include "kernels/gpu/host_executor.h"
#include "kernels/thread_pool.h"

namespace ufab::kernels::gpu_host {

// Every piece of memory that the backends of this process gave out. Thread-safe.
class Pieces {
 public:
  static Pieces& all() {
    static Pieces pieces;
    return pieces;
  }
  void add(const void* begin, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    ends_[static_cast<const std::byte*>(begin)] = static_cast<const std::byte*>(begin) + bytes;
  }
  void remove(const void* begin) {
    const std::lock_guard lock(mutex_);
    UFAB_KERNELS_ASSERT(ends_.erase(static_cast<const std::byte*>(begin)) == 1);
  }
  [[nodiscard]] std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [begin, end] : ends_) sum += static_cast<std::size_t>(end - begin);
    return sum;
  }
  [[nodiscard]] bool holds(const void* p) const {
    const std::lock_guard lock(mutex_);
    auto after = ends_.upper_bound(static_cast<const std::byte*>(p));
    return after != ends_.begin() && p < (--after)->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<const std::byte*, const std::byte*> ends_;
};

class Device {
 public:
  Device(int threads, host_executor::ThreadOrder order) : pool_(threads), executor_(pool_, order) {}

  static constexpr BackendKind kKind = BackendKind::gpu_host;
  [[nodiscard]] int threads() const { return pool_.threads(); }
  // Few, so that small problems use both sizes of tiles.
  [[nodiscard]] int processors() const { return 2; }
  [[nodiscard]] bool has_groups() const { return true; }

  void* allocate(std::size_t bytes, std::size_t alignment, bool) {
    void* p = ::operator new (bytes, std::align_val_t{alignment});
    Pieces::all().add(p, bytes);
    return p;
  }
  void release(void* p, std::size_t alignment, bool) {
    Pieces::all().remove(p);
    ::operator delete (p, std::align_val_t{alignment});
  }
  [[nodiscard]] std::optional<DeviceMemoryLeft> memory_left() const { return std::nullopt; }
  DeviceGroupMaker* device_groups() { return nullptr; }
  void wait() {}

  void zero(void* memory, std::size_t bytes) {
    check(memory);
    std::memset(memory, 0, bytes);
  }

  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), std::size_t blocks, int threads, Arguments... arguments) {
    (check(arguments), ...);
    executor_.run(static_cast<unsigned>(blocks), threads, [&] { kernel(arguments...); });
  }

  template <class... Parameters, class... Arguments>
  void launch_large(void (*kernel)(Parameters...), std::size_t, std::size_t blocks, int threads,
                    Arguments... arguments) {
    launch(kernel, blocks, threads, arguments...);
  }

 private:
  template <class T>
  static void check(const T& argument) {
    if constexpr (std::is_pointer_v<T>)
      UFAB_KERNELS_ASSERT(argument == nullptr || Pieces::all().holds(argument));
  }

  ThreadPool pool_;
  host_executor::Executor executor_;
};

}  // namespace ufab::kernels::gpu_host
