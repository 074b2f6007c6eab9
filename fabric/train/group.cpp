#include "fabric/train/group.h"

#include <algorithm>
#include <string>

namespace ufab {

namespace {

constexpr std::size_t kPiece = std::size_t{1}
                               << 24;  // elements a call: far below an int, and bounded buffers

template <typename T, typename Call>
void in_pieces(std::span<T> values, const Call& call) {
  while (!values.empty()) {
    const auto piece = values.first(std::min(values.size(), kPiece));
    call(piece.data(), static_cast<int>(piece.size()));
    values = values.subspan(piece.size());
  }
}

}  // namespace

std::uint64_t collective_bytes(int ranks, std::uint64_t vector_bytes) {
  if (ranks < 2) return 0;
  return std::min<std::uint64_t>(vector_bytes, kPiece * sizeof(std::int32_t)) / 2;
}

Group::Group(MPI_Comm communicator) : communicator_(communicator) {
  MPI_Comm_rank(communicator, &rank_);
  MPI_Comm_size(communicator, &size_);
}

Group::Local Group::local() const {
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(communicator_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local);
  Local result;
  MPI_Comm_size(local, &result.ranks);
  MPI_Comm_rank(local, &result.rank);
  MPI_Comm_free(&local);
  return result;
}

void Group::sum_everywhere(std::span<std::uint64_t> values) const {
  if (size_ == 1) return;
  in_pieces(values, [&](std::uint64_t* data, int count) {
    MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_UINT64_T, MPI_SUM, communicator_);
  });
}

void Group::sum_everywhere(std::span<std::int64_t> values) const {
  if (size_ == 1) return;
  in_pieces(values, [&](std::int64_t* data, int count) {
    MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_INT64_T, MPI_SUM, communicator_);
  });
}

void Group::sum_everywhere(std::span<std::int32_t> values) const {
  if (size_ == 1) return;
  in_pieces(values, [&](std::int32_t* data, int count) {
    MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_INT32_T, MPI_SUM, communicator_);
  });
}

void Group::sum_to_leader(std::span<std::int32_t> values) const {
  if (size_ == 1) return;
  in_pieces(values, [&](std::int32_t* data, int count) {
    MPI_Reduce(leader() ? MPI_IN_PLACE : data, leader() ? data : nullptr, count, MPI_INT32_T, MPI_SUM, 0,
               communicator_);
  });
}

void Group::max_everywhere(std::span<std::uint64_t> values) const {
  if (size_ == 1) return;
  in_pieces(values, [&](std::uint64_t* data, int count) {
    MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_UINT64_T, MPI_MAX, communicator_);
  });
}

void Group::broadcast(std::span<std::uint8_t> bytes) const {
  if (size_ == 1) return;
  in_pieces(bytes,
            [&](std::uint8_t* data, int count) { MPI_Bcast(data, count, MPI_BYTE, 0, communicator_); });
}

void Group::broadcast(std::span<std::int64_t> values) const {
  if (size_ == 1) return;
  in_pieces(values,
            [&](std::int64_t* data, int count) { MPI_Bcast(data, count, MPI_INT64_T, 0, communicator_); });
}

void Group::broadcast(std::span<std::int32_t> values) const {
  if (size_ == 1) return;
  in_pieces(values,
            [&](std::int32_t* data, int count) { MPI_Bcast(data, count, MPI_INT32_T, 0, communicator_); });
}

Status Group::agree(const Status& status) const {
  if (size_ == 1) return status;
  int failed = status.ok() ? size_ : rank_;
  MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MIN, communicator_);
  if (failed == size_) return {};
  int code = rank_ == failed ? static_cast<int>(status.error().code) : 0;
  std::string message = rank_ == failed ? status.error().message : "";
  int length = static_cast<int>(message.size());
  MPI_Bcast(&code, 1, MPI_INT, failed, communicator_);
  MPI_Bcast(&length, 1, MPI_INT, failed, communicator_);
  message.resize(static_cast<std::size_t>(length));
  MPI_Bcast(message.data(), length, MPI_CHAR, failed, communicator_);
  return Error{static_cast<ErrorCode>(code), message};
}

}  // namespace ufab
