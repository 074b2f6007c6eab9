// The lane sums of kernels/semantics.h on groups of sixteen neighbouring threads: thread l of a group is lane
// l. All threads of a group call these, the same times.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/gpu/portability.h"
#include "kernels/math.h"
#include "kernels/semantics.h"

namespace ufab::kernels::UFAB_GPU_NAMESPACE {

inline constexpr int kRowThreads = 128;                     // of a block whose groups take a row each
inline constexpr int kRowsPerBlock = kRowThreads / kLanes;  // hence

// A group's row and the thread's lane in it. Of a row past the end, `end` is 0: nothing to read or write.
struct RowLane {
  int row, lane, end;
  bool active;
};
UFAB_DEVICE RowLane row_lane(int rows, int width) {
  const int row = static_cast<int>(block_index()) * kRowsPerBlock + thread_index() / kLanes;
  const bool active = row < rows;
  return {row, thread_index() % kLanes, active ? width : 0, active};
}
UFAB_DEVICE std::ptrdiff_t offset(int rows, int width) {
  return static_cast<std::ptrdiff_t>(rows) * width;
}

// f(column, rows[column]...) for the lane's columns, ascending; eight at a time, so that their loads are on
// their way together.
template <class F, class... Rows>
UFAB_DEVICE void along_row(const RowLane& at, const F& f, Rows... rows) {
  constexpr int kTogether = 8;
  int first = at.lane;
  for (; first + (kTogether - 1) * kLanes < at.end; first += kTogether * kLanes) {
    float values[kTogether][sizeof...(rows)];
    UFAB_UNROLL
    for (int i = 0; i < kTogether; ++i) {
      int of = 0;
      ((values[i][of++] = rows[first + i * kLanes]), ...);
    }
    UFAB_UNROLL
    for (int i = 0; i < kTogether; ++i) {
      [&]<std::size_t... of_row>(std::index_sequence<of_row...>) {
        f(first + i * kLanes, values[i][of_row]...);
      }
      (std::index_sequence_for<Rows...>());
    }
  }
  for (; first < at.end; first += kLanes) f(first, rows[first]...);
}

// The tree over the lanes' sums: every lane gets the total. The tree's l + (l + d) and this exchange's sums
// of the same two values are the same bits, addition being commutative.
template <class T>
UFAB_DEVICE T lane_total(T sum) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    sum = sum + exchange_xor<kLanes>(sum, distance);
  }
  return sum;
}

// The largest of all lanes, which starts from -inf and passes over NaN. Which of two zeros it is does not
// show in any result that is made of it: it is only subtracted and added to a logarithm that is not -0.
UFAB_DEVICE float lane_maximum(float largest) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    const float other = exchange_xor<kLanes>(largest, distance);
    largest = largest < other ? other : largest;
  }
  return largest;
}

}  // namespace ufab::kernels::UFAB_GPU_NAMESPACE
