// The MPI ranks of one provider: the few collectives that training uses, without MPI's int counts.
// Rank 0 is the leader: it writes the files and speaks to the other providers.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>

#include "fabric/base/bytes.h"

namespace ufab {

// Memory that MPI takes on each rank while a vector of so many bytes is added up by the functions below, a
// piece at a time: an estimate, measured with Open MPI 4.1, which uses half of a buffer of the piece's size.
[[nodiscard]] std::uint64_t collective_bytes(int ranks, std::uint64_t vector_bytes);

class Group {
 public:
  // Does not own the communicator.
  explicit Group(MPI_Comm communicator);

  [[nodiscard]] MPI_Comm communicator() const { return communicator_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] bool leader() const { return rank_ == 0; }
  // Collective, like all below: the ranks that share this machine's memory, and which of them this one is.
  struct Local {
    int ranks = 1, rank = 0;
  };
  [[nodiscard]] Local local() const;

  // Sums modulo the type's range, on every rank.
  void sum_everywhere(std::span<std::uint64_t> values) const;
  void sum_everywhere(std::span<std::int64_t> values) const;
  void sum_everywhere(std::span<std::int32_t> values) const;
  // On the leader the sums, elsewhere `values` stay as they are.
  void sum_to_leader(std::span<std::int32_t> values) const;
  void max_everywhere(std::span<std::uint64_t> values) const;
  // The leader's values, everywhere.
  void broadcast(std::span<std::uint8_t> bytes) const;
  void broadcast(std::span<std::int64_t> values) const;
  void broadcast(std::span<std::int32_t> values) const;
  // The same answer everywhere: success if every rank succeeded, or the error of the lowest rank that failed.
  [[nodiscard]] Status agree(const Status& status) const;

 private:
  MPI_Comm communicator_;
  int rank_ = 0, size_ = 1;
};

}  // namespace ufab
