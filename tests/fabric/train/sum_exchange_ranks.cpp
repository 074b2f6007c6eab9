// The ranks of a test of fabric/train/sum_exchange.h: machines of two ranks each, whose "devices" add up
// through MPI.
//   mpirun -n N sum_exchange_ranks honest|wrong-sum|wrong-broadcast|no-id|no-join|one-device
// Every rank checks every sum; exit 1 and a line where one is wrong. The leader prints "devices" or "mpi".
#include <mpi.h>

#include <cstdio>
#include <string>
#include <vector>

#include "fabric/train/sum_exchange.h"

namespace ufab {
namespace {

constexpr int kRanksPerMachine = 2;

class FakeGroup final : public kernels::DeviceGroup {
 public:
  FakeGroup(MPI_Comm machine, const std::string& kind) : machine_(machine), kind_(kind) {}
  ~FakeGroup() override { MPI_Comm_free(&machine_); }
  void sum(std::int32_t* values, std::size_t count) override {
    MPI_Allreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_INT32_T, MPI_SUM, machine_);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (kind_ == "wrong-sum" && rank == 0 && count > 0) ++values[count - 1];
  }
  void broadcast(std::int32_t* values, std::size_t count) override {
    if (kind_ == "wrong-broadcast") return;
    MPI_Bcast(values, static_cast<int>(count), MPI_INT32_T, 0, machine_);
  }

 private:
  MPI_Comm machine_;
  std::string kind_;
};

class FakeMaker final : public kernels::DeviceGroupMaker {
 public:
  explicit FakeMaker(std::string kind) : kind_(std::move(kind)) {}
  std::string new_id() override { return kind_ == "no-id" ? "" : std::string("group\0of", 8); }
  std::unique_ptr<kernels::DeviceGroup> join(const std::string& id, int ranks, int rank) override {
    int world = 0, size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &world);
    MPI_Comm machine = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, world / kRanksPerMachine, rank, &machine);
    MPI_Comm_size(machine, &size);
    if (id != std::string("group\0of", 8) || size != ranks || (kind_ == "no-join" && world == 1)) {
      MPI_Comm_free(&machine);
      return nullptr;
    }
    return std::make_unique<FakeGroup>(machine, kind_);
  }

 private:
  std::string kind_;
};

std::vector<std::int32_t> values_of(int rank) {
  std::vector<std::int32_t> values(100001);
  for (std::size_t i = 0; i < values.size(); ++i) {  // sums wrap around
    values[i] = static_cast<std::int32_t>(0x51ED270BU * static_cast<std::uint32_t>(i) +
                                          0x7FEB352DU * static_cast<std::uint32_t>(rank));
  }
  return values;
}

int check(const std::string& kind) {
  const Group group(MPI_COMM_WORLD);
  FakeMaker maker(kind);
  std::vector<std::int32_t> sums(values_of(0).size());
  for (int rank = 0; rank < group.size(); ++rank) {
    const auto values = values_of(rank);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[i]) +
                                          static_cast<std::uint32_t>(values[i]));
    }
  }
  const SumExchange exchange(
      group, {&maker, kind == "one-device" ? 1 : kRanksPerMachine, std::pmr::new_delete_resource()},
      kRanksPerMachine);
  const auto wrong = [&](const char* what) {
    std::fprintf(stderr, "rank %d: %s is wrong\n", group.rank(), what);
    return 1;
  };
  auto values = values_of(group.rank());
  exchange.sum_everywhere(values);
  if (values != sums) return wrong("sum_everywhere");
  values = values_of(group.rank());
  exchange.sum_to_leader(values);
  if (group.leader() && values != sums) return wrong("sum_to_leader");
  values = values_of(group.rank());
  exchange.broadcast(values);
  if (values != values_of(0)) return wrong("broadcast");
  if (group.leader()) std::puts(exchange.between_devices() ? "devices" : "mpi");
  return 0;
}

}  // namespace
}  // namespace ufab

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int status = argc == 2 ? ufab::check(argv[1]) : 2;
  if (status != 0) MPI_Abort(MPI_COMM_WORLD, status);
  MPI_Finalize();
  return 0;
}
