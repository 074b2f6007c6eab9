// A fixed set of threads that run numbered tasks.
//
// A small model's operators take tens of microseconds, and waking a sleeping thread can take longer than
// that. So a thread out of tasks looks for the next call for kSpin before it sleeps on a condition variable
// (not at all where the pool has more threads than the machine has cores), and a call waits only for threads
// that joined it in time: one that wakes late finds it closed, so that a busy machine costs nothing but
// speed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ufab::kernels {

class ThreadPool {
 public:
  // Starts threads - 1 threads: the caller of run() is the last worker.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // task(index, worker) for every index in [0, tasks), each once, worker in [0, threads); returns when all
  // are done. Which worker takes which task is not fixed: a task's result must not depend on it. One run() at
  // a time.
  using Task = std::function<void(int index, int worker)>;
  void run(int tasks, const Task& task);

  [[nodiscard]] int threads() const { return static_cast<int>(threads_.size()) + 1; }

 private:
  static constexpr std::chrono::microseconds kSpin{50};

  void work(int worker);
  void take_tasks(int worker);
  // Looks at `done` until it holds or kSpin has passed.
  template <class Done>
  void spin_until(const Done& done) const;

  std::vector<std::thread> threads_;
  const bool spins_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  // Written under mutex_; the atomics are also read without it, by those that spin.
  std::atomic<std::uint64_t> round_{0};
  std::atomic<int> joined_{0};  // threads at work on the round, beside the caller
  std::atomic<bool> stopping_{false};
  bool open_ = false;           // the round can be joined
  int asleep_ = 0;              // threads on start_
  const Task* task_ = nullptr;  // written before a round opens, read by those who joined it
  int tasks_ = 0;
  std::atomic<int> next_{0};
};

}  // namespace ufab::kernels
