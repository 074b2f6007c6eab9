// A CUDA or HIP device: its memory and one stream, in which the kernels run one after another. A process uses
// one device; the thread that made the Device is the one that calls it.
//
// Shared memory is managed memory: the driver moves its pages to whoever uses them. A call that fails ends
// the process with one line: whatever the kernels have written by then is not to be used.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "kernels/backend.h"
#include "kernels/gpu/portability.h"

#if defined(UFAB_GPU_CUDA)
#define UFAB_GPU(name) cuda##name
#else
#define UFAB_GPU(name) hip##name
#endif

#if defined(UFAB_GPU_HAS_LIBRARY)
#include "kernels/gpu/cublaslt.h"
#endif

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline void check(UFAB_GPU(Error_t) error, const char* what) {
  if (error == UFAB_GPU(Success)) return;
  std::fprintf(stderr, "ufab: the GPU failed at %s: %s\n", what, UFAB_GPU(GetErrorString)(error));
  std::_Exit(EXIT_FAILURE);
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE

#include "kernels/gpu/collectives.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

class Device {
 public:
#if defined(UFAB_GPU_CUDA)
  static constexpr BackendKind kKind = BackendKind::cuda;
  static constexpr const char* kName = "CUDA";
#else
  static constexpr BackendKind kKind = BackendKind::hip;
  static constexpr const char* kName = "HIP";
#endif

  // Empty when the first device can be used, or why not in one line.
  static std::string why_not() {
    int count = 0;
    const auto error = UFAB_GPU(GetDeviceCount)(&count);
    if (error != UFAB_GPU(Success)) {
      return std::string(kName).append(": no device: ").append(UFAB_GPU(GetErrorString)(error));
    }
    if (count == 0) return std::string(kName).append(": no device");
    int value = 0;
    if (UFAB_GPU(DeviceGetAttribute)(&value, kManaged, 0) != UFAB_GPU(Success) || value == 0) {
      return std::string(kName).append(
          ": the device shares no memory with the processor while kernels run "
          "(concurrent managed access)");
    }
    return {};
  }

  // `device` modulo the number of devices.
  Device(int threads, int device) : threads_(threads) {
    check(UFAB_GPU(GetDeviceCount)(&devices_), "counting the devices");
    device_ = device % devices_;
    check(UFAB_GPU(SetDevice)(device_), "choosing the device");
    check(UFAB_GPU(StreamCreate)(&stream_), "making a stream");
    check(UFAB_GPU(DeviceGetAttribute)(&processors_, kProcessors, device_), "asking for the processors");
#if defined(UFAB_GPU_HAS_GROUPS)
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device_), "asking for its kind");
    groups_ = major == 9;
#endif
  }
  ~Device() {
    static_cast<void>(UFAB_GPU(StreamDestroy)(stream_));
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] int threads() const {
    return threads_;
  }
  [[nodiscard]] int processors() const {
    return processors_;
  }

  void* allocate(std::size_t bytes, std::size_t, bool shared) {
    void* p = nullptr;
    const auto error = shared ? UFAB_GPU(MallocManaged)(&p, bytes == 0 ? 1 : bytes)
                              : UFAB_GPU(Malloc)(&p, bytes == 0 ? 1 : bytes);
    if (error == UFAB_GPU(ErrorMemoryAllocation)) {
      static_cast<void>(UFAB_GPU(GetLastError)());
      throw std::bad_alloc();
    }
    check(error, "allocating memory");
    return p;
  }
  void release(void* p, std::size_t, bool) {
    check(UFAB_GPU(Free)(p), "releasing memory");
  }
  [[nodiscard]] std::optional<DeviceMemoryLeft> memory_left() const {
    std::size_t left = 0, whole = 0;
    check(UFAB_GPU(MemGetInfo)(&left, &whole), "asking for the free memory");
    return DeviceMemoryLeft{left, devices_};
  }
  DeviceGroupMaker* device_groups() {
    if (!collectives_) collectives_ = std::make_unique<Collectives>(stream_);
    return collectives_.get();
  }
  void wait() {
    check(UFAB_GPU(StreamSynchronize)(stream_), "waiting for the kernels");
  }

  void zero(void* memory, std::size_t bytes) {
    check(UFAB_GPU(MemsetAsync)(memory, 0, bytes, stream_), "clearing memory");
  }

  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), std::size_t blocks, int threads, Arguments... arguments) {
    kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), 0, stream_>>>(arguments...);
    check(UFAB_GPU(GetLastError)(), "starting a kernel");
  }

#if defined(UFAB_GPU_HAS_GROUPS)
  [[nodiscard]] bool has_groups() const {
    return groups_;
  }
  // Of a kernel with a UFAB_SHARED_LARGE array of `bytes`.
  template <class... Parameters, class... Arguments>
  void launch_large(void (*kernel)(Parameters...), std::size_t bytes, std::size_t blocks, int threads,
                    Arguments... arguments) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
          "giving a kernel its shared memory");
    kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), bytes, stream_>>>(arguments...);
    check(cudaGetLastError(), "starting a kernel");
  }
#endif

#if defined(UFAB_GPU_HAS_LIBRARY)
  // A program that multiplies nothing in bfloat16 does not load it.
  [[nodiscard]] CublasLt& library() const {
    if (!library_) library_ = std::make_unique<CublasLt>();
    return *library_;
  }
  bool multiply_by_library(const LibraryProduct& m) {
    return library().multiply(m, stream_);
  }
#endif

 private:
#if defined(UFAB_GPU_CUDA)
  static constexpr auto kManaged = cudaDevAttrConcurrentManagedAccess;
  static constexpr auto kProcessors = cudaDevAttrMultiProcessorCount;
#else
  static constexpr auto kManaged = hipDeviceAttributeManagedMemory;
  static constexpr auto kProcessors = hipDeviceAttributeMultiprocessorCount;
#endif
  int threads_, devices_ = 1, device_ = 0, processors_ = 1;
#if defined(UFAB_GPU_HAS_GROUPS)
  bool groups_ = false;
#endif
  UFAB_GPU(Stream_t) stream_ = nullptr;
  std::unique_ptr<Collectives> collectives_;  // of that stream
#if defined(UFAB_GPU_HAS_LIBRARY)
  mutable std::unique_ptr<CublasLt> library_;
#endif
};

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
