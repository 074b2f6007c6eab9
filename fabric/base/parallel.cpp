#include "fabric/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace ufab {

namespace {

// The caller's thread is one of them.
std::size_t threads_for(std::size_t count) {
  return std::min<std::size_t>(count, std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads_for(count); ++i) others.emplace_back(run);
  run();
}

void in_parallel_in_order(std::size_t count, const std::function<void(std::size_t)>& work,
                          const std::function<bool(std::size_t)>& take) {
  std::atomic<std::size_t> next{0};
  std::vector<std::atomic<bool>> done(count);
  const auto work_on_one = [&] {
    const std::size_t i = next++;
    if (i >= count) return false;
    work(i);
    done[i] = true;
    done[i].notify_one();
    return true;
  };
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads_for(count); ++i) {
    others.emplace_back([&] {
      while (work_on_one()) {
      }
    });
  }
  for (std::size_t i = 0; i < count; ++i) {
    while (!done[i]) {
      if (!work_on_one()) done[i].wait(false);
    }
    if (!take(i)) {
      next = count;
      return;
    }
  }
}

}  // namespace ufab
