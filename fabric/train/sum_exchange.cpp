#include "fabric/train/sum_exchange.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace ufab {

SumExchange::SumExchange(const Group& group, const DeviceOffer& offer, int ranks_per_machine)
    : group_(group) {
  // Without an offer on every rank there is nothing to arrange.
  if (group_.size() == 1 || !everywhere(offer.maker != nullptr)) return;
  if (ranks_per_machine > 0) {
    MPI_Comm_split(group_.communicator(), group_.rank() / ranks_per_machine, group_.rank(), &machine_);
  } else {
    MPI_Comm_split_type(group_.communicator(), MPI_COMM_TYPE_SHARED, group_.rank(), MPI_INFO_NULL, &machine_);
  }
  int place = 0;
  MPI_Comm_rank(machine_, &place);
  MPI_Comm_split(group_.communicator(), place == 0 ? 0 : MPI_UNDEFINED, group_.rank(), &machines_);
  machine_count_ = place == 0 ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &machine_count_, 1, MPI_INT, MPI_SUM, group_.communicator());
  join(offer);
}

SumExchange::~SumExchange() {
  devices_.reset();
  for (MPI_Comm* communicator : {&machine_, &machines_}) {
    if (*communicator != MPI_COMM_NULL) MPI_Comm_free(communicator);
  }
}

bool SumExchange::everywhere(bool yes) const {
  int all = yes ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, group_.communicator());
  return all == 1;
}

void SumExchange::join(const DeviceOffer& offer) {
  int ranks = 0, place = 0;
  MPI_Comm_size(machine_, &ranks);
  MPI_Comm_rank(machine_, &place);
  if (!everywhere(ranks <= offer.devices)) return;
  std::string id = place == 0 ? offer.maker->new_id() : "";
  int length = static_cast<int>(id.size());
  MPI_Bcast(&length, 1, MPI_INT, 0, machine_);
  if (!everywhere(length > 0)) return;
  id.resize(static_cast<std::size_t>(length));
  MPI_Bcast(id.data(), length, MPI_CHAR, 0, machine_);
  devices_ = offer.maker->join(id, ranks, place);
  if (!everywhere(devices_ != nullptr)) {
    devices_.reset();
    return;
  }
  if (everywhere(right_sums(*offer.memory))) return;
  devices_.reset();
  if (group_.leader()) {
    std::fputs("ufab-train: the GPUs' own sums are wrong on this machine: MPI adds instead\n", stderr);
  }
}

bool SumExchange::right_sums(std::pmr::memory_resource& memory) const {
  constexpr std::size_t kValues = 4099;
  std::pmr::vector<std::int32_t> by_devices(kValues, &memory);
  for (std::size_t i = 0; i < kValues; ++i) {  // of all sizes, so that sums wrap around
    const auto word = (static_cast<std::uint32_t>(group_.rank()) + 1U) * 0x9E3779B9U +
                      static_cast<std::uint32_t>(i) * 0x85EBCA6BU;
    by_devices[i] = static_cast<std::int32_t>(word);
  }
  std::vector<std::int32_t> by_mpi(by_devices.begin(), by_devices.end());
  sum_everywhere(by_devices);
  group_.sum_everywhere(std::span(by_mpi));
  bool right = std::equal(by_mpi.begin(), by_mpi.end(), by_devices.begin());
  if (group_.leader()) by_devices.assign(kValues, 12345);
  broadcast(by_devices);
  return right && std::count(by_devices.begin(), by_devices.end(), 12345) == kValues;
}

void SumExchange::sum_everywhere(std::span<std::int32_t> values) const {
  if (!devices_) return group_.sum_everywhere(values);
  devices_->sum(values.data(), values.size());
  if (machine_count_ == 1) return;
  if (machines_ != MPI_COMM_NULL) Group(machines_).sum_everywhere(values);
  devices_->broadcast(values.data(), values.size());
}

void SumExchange::sum_to_leader(std::span<std::int32_t> values) const {
  if (!devices_) return group_.sum_to_leader(values);
  devices_->sum(values.data(), values.size());
  if (machines_ != MPI_COMM_NULL) Group(machines_).sum_to_leader(values);
}

void SumExchange::broadcast(std::span<std::int32_t> values) const {
  if (!devices_) return group_.broadcast(values);
  if (machines_ != MPI_COMM_NULL) Group(machines_).broadcast(values);
  devices_->broadcast(values.data(), values.size());
}

}  // namespace ufab
