// Sums between the devices of one machine's ranks, where a library for it is found (NCCL, RCCL).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace ufab::kernels {

// Calls are collective over the group's ranks, take memory of the backend that made it, and are done when
// they return. A group dies before its backend.
class DeviceGroup {
 public:
  virtual ~DeviceGroup() = default;
  DeviceGroup() = default;
  DeviceGroup(const DeviceGroup&) = delete;
  DeviceGroup& operator=(const DeviceGroup&) = delete;

  // On every rank the sums of all ranks' values, modulo 2^32: in any order the same bits.
  virtual void sum(std::int32_t* values, std::size_t count) = 0;
  // On every rank the values of rank 0.
  virtual void broadcast(std::int32_t* values, std::size_t count) = 0;
};

class DeviceGroupMaker {
 public:
  virtual ~DeviceGroupMaker() = default;
  // Names one group, which one process makes and hands to the others. Empty: no group is to be had.
  virtual std::string new_id() = 0;
  // Collective over the ranks 0 .. ranks - 1, each on a device of its own. Null when it failed.
  virtual std::unique_ptr<DeviceGroup> join(const std::string& id, int ranks, int rank) = 0;
};

}  // namespace ufab::kernels
