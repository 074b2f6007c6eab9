#include "kernels/thread_pool.h"

namespace ufab::kernels {
namespace {

// Tells the processor that this is a waiting loop.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : spins_(static_cast<unsigned>(threads) <= std::thread::hardware_concurrency()) {
  threads_.reserve(static_cast<std::size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(int tasks, const Task& task) {
  if (threads_.empty() || tasks <= 1) {
    for (int index = 0; index < tasks; ++index) task(index, 0);
    return;
  }
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    tasks_ = tasks;
    next_.store(0, std::memory_order_relaxed);
    open_ = true;
    ++round_;
    wake = asleep_ > 0;
  }
  if (wake) start_.notify_all();
  take_tasks(0);
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  const auto all_left = [this] { return joined_ == 0; };
  spin_until(all_left);
  if (all_left()) return;
  std::unique_lock lock(mutex_);
  done_.wait(lock, all_left);
}

void ThreadPool::take_tasks(int worker) {
  for (int index = next_.fetch_add(1, std::memory_order_relaxed); index < tasks_;
       index = next_.fetch_add(1, std::memory_order_relaxed)) {
    (*task_)(index, worker);
  }
}

template <class Done>
void ThreadPool::spin_until(const Done& done) const {
  if (!spins_) return;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (!done() && std::chrono::steady_clock::now() < end) relax();
}

void ThreadPool::work(int worker) {
  std::uint64_t seen = 0;
  const auto called = [&] { return stopping_ || round_ != seen; };
  for (;;) {
    spin_until(called);
    {
      std::unique_lock lock(mutex_);
      if (!called()) {
        ++asleep_;
        start_.wait(lock, called);
        --asleep_;
      }
      if (stopping_) return;
      seen = round_;
      if (!open_) continue;
      ++joined_;
    }
    take_tasks(worker);
    // Under the mutex, or a caller about to sleep would miss it.
    const std::lock_guard lock(mutex_);
    if (--joined_ == 0) done_.notify_one();
  }
}

}  // namespace ufab::kernels
