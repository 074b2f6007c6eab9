// NCCL, or RCCL under HIP, which has the same names: loaded when a group of devices is asked for, so that
// nothing needs it. Declared here as NVIDIA's "NCCL API" documentation gives it, of which only values and
// types that have not changed since version 2.0 are used.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "kernels/device_group.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

class Collectives final : public DeviceGroupMaker {
 public:
  explicit Collectives(UFAB_GPU(Stream_t) stream) : stream_(stream) {
#if defined(UFAB_GPU_CUDA)
    constexpr const char* kFiles[] = {"libnccl.so.2", "libnccl.so"};
#else
    constexpr const char* kFiles[] = {"librccl.so.1", "librccl.so"};
#endif
    void* library = nullptr;
    for (const char* file : kFiles) {
      if (library == nullptr) library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) return;
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    found_ = find(get_unique_id_, "ncclGetUniqueId") && find(init_rank_, "ncclCommInitRank") &&
             find(all_reduce_, "ncclAllReduce") && find(broadcast_, "ncclBroadcast") &&
             find(destroy_, "ncclCommDestroy") && find(error_text_, "ncclGetErrorString");
  }

  std::string new_id() override {
    UniqueId id;
    if (!found_ || get_unique_id_(&id) != kSuccess) return {};
    return {id.bytes, sizeof id.bytes};
  }
  std::unique_ptr<DeviceGroup> join(const std::string& id, int ranks, int rank) override {
    UniqueId unique;
    if (!found_ || id.size() != sizeof unique.bytes) return nullptr;
    std::memcpy(unique.bytes, id.data(), id.size());
    Communicator communicator = nullptr;
    if (init_rank_(&communicator, ranks, unique, rank) != kSuccess) return nullptr;
    return std::make_unique<Group>(*this, communicator);
  }

 private:
  using Communicator = struct OpaqueCommunicator*;
  struct UniqueId {
    char bytes[128];
  };
  static constexpr int kSuccess = 0, kInt32 = 2, kSum = 0;

  class Group final : public DeviceGroup {
   public:
    Group(const Collectives& library, Communicator communicator)
        : library_(library), communicator_(communicator) {}
    ~Group() override { static_cast<void>(library_.destroy_(communicator_)); }
    void sum(std::int32_t* values, std::size_t count) override {
      finish(library_.all_reduce_(values, values, count, kInt32, kSum, communicator_, library_.stream_));
    }
    void broadcast(std::int32_t* values, std::size_t count) override {
      finish(library_.broadcast_(values, values, count, kInt32, 0, communicator_, library_.stream_));
    }

   private:
    void finish(int result) const {
      if (result != kSuccess) {
        std::fprintf(stderr, "ufab: summing between GPUs failed: %s\n", library_.error_text_(result));
        std::_Exit(EXIT_FAILURE);
      }
      check(UFAB_GPU(StreamSynchronize)(library_.stream_), "summing between GPUs");
    }
    const Collectives& library_;
    Communicator communicator_;
  };

  UFAB_GPU(Stream_t) stream_;
  bool found_ = false;
  int (*get_unique_id_)(UniqueId*) = nullptr;
  int (*init_rank_)(Communicator*, int, UniqueId, int) = nullptr;
  int (*all_reduce_)(const void*, void*, std::size_t, int, int, Communicator, UFAB_GPU(Stream_t)) = nullptr;
  int (*broadcast_)(const void*, void*, std::size_t, int, int, Communicator, UFAB_GPU(Stream_t)) = nullptr;
  int (*destroy_)(Communicator) = nullptr;
  const char* (*error_text_)(int) = nullptr;
};

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
