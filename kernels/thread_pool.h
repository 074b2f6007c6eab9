// A fixed set of threads that run numbered tasks. The threads sleep on a condition variable between calls.
#pragma once

#include <atomic>
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
  void work(int worker);
  void take_tasks(int worker);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::uint64_t round_ = 0;  // guarded by mutex_, as are busy_ and stopping_
  int busy_ = 0;
  bool stopping_ = false;
  const Task* task_ = nullptr;  // written before a round starts, read during it
  int tasks_ = 0;
  std::atomic<int> next_{0};
};

}  // namespace ufab::kernels
