// Adding up the ranks' integer gradient sums, between the devices of a machine where they can, through MPI
// otherwise. Integer addition makes both the same bits.
//
// Where every rank computes on a device of its own and a library for it is found (kernels/device_group.h), a
// machine's ranks add their sums on the devices, one rank of each machine adds up the machines' through MPI,
// and hands the total to its machine's others. Whether the devices' sums are right is tried on some values
// before; a group whose sums are not MPI's is not used, which is said in one line.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>

#include "fabric/train/group.h"
#include "kernels/device_group.h"

namespace ufab {

// What the devices of a rank offer.
struct DeviceOffer {
  kernels::DeviceGroupMaker* maker = nullptr;  // null: nothing
  int devices = 0;                             // of this machine
  std::pmr::memory_resource* memory = nullptr;
};

// Every member function is collective over the group.
class SumExchange {
 public:
  // ranks_per_machine: for tests, which have one machine; 0: those that share memory. The group and what the
  // offer points to outlive the exchange.
  SumExchange(const Group& group, const DeviceOffer& offer, int ranks_per_machine = 0);
  ~SumExchange();
  SumExchange(const SumExchange&) = delete;
  SumExchange& operator=(const SumExchange&) = delete;

  [[nodiscard]] bool between_devices() const { return devices_ != nullptr; }

  // Sums modulo 2^32, on every rank.
  void sum_everywhere(std::span<std::int32_t> values) const;
  // On the leader the sums; what the others then hold is of no use.
  void sum_to_leader(std::span<std::int32_t> values) const;
  // The leader's values, everywhere.
  void broadcast(std::span<std::int32_t> values) const;

 private:
  void join(const DeviceOffer& offer);
  [[nodiscard]] bool everywhere(bool yes) const;
  [[nodiscard]] bool right_sums(std::pmr::memory_resource& memory) const;

  const Group& group_;
  MPI_Comm machine_ = MPI_COMM_NULL;   // this machine's ranks
  MPI_Comm machines_ = MPI_COMM_NULL;  // the first rank of each machine; null on the others
  int machine_count_ = 1;
  std::unique_ptr<kernels::DeviceGroup> devices_;
};

}  // namespace ufab
