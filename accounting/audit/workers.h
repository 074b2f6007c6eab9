// Threads that work out things whose results are taken in order: one a processor. Private to audit.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace ufab::audit {

class Workers {
 public:
  Workers() {
    const unsigned count = std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  // Begun work is finished, the rest is dropped.
  ~Workers() {
    {
      const std::lock_guard guard(mutex_);
      ended_ = true;
    }
    more_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  [[nodiscard]] std::size_t count() const { return threads_.size(); }
  void submit(std::function<void()> task) {
    {
      const std::lock_guard guard(mutex_);
      tasks_.push_back(std::move(task));
    }
    more_.notify_one();
  }

 private:
  void work() {
    std::unique_lock guard(mutex_);
    for (;;) {
      more_.wait(guard, [this] { return ended_ || !tasks_.empty(); });
      if (ended_) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      guard.unlock();
      task();
      guard.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> tasks_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

// Items in order, each with work to be done before it is taken. One thread puts, one takes; at most a few
// for each worker are under way. It must not outlive the workers' last task for it: declare it after them and
// take until nothing is left, or let the workers end first.
template <class Item>
class Line {
 public:
  explicit Line(const Workers& workers)
      : state_(std::make_shared<State>()), size_max_(4 * workers.count() + 4) {}

  // Waits while the line is full; false after stop(): the item is dropped.
  bool put(Workers& workers, std::shared_ptr<Item> item, std::function<void()> work) {
    auto place = std::make_shared<Place>();
    place->item = std::move(item);
    {
      std::unique_lock guard(state_->mutex);
      state_->changed.wait(guard, [this] { return state_->stopped || state_->places.size() < size_max_; });
      if (state_->stopped) return false;
      state_->places.push_back(place);
    }
    workers.submit([state = state_, place, work = std::move(work)] {
      work();
      const std::lock_guard guard(state->mutex);
      place->done = true;
      state->changed.notify_all();
    });
    return true;
  }
  [[nodiscard]] bool full() const {
    const std::lock_guard guard(state_->mutex);
    return state_->places.size() >= size_max_;
  }
  // The next item when its work is done; null at the end.
  std::shared_ptr<Item> take() {
    std::unique_lock guard(state_->mutex);
    state_->changed.wait(
        guard, [this] { return state_->places.empty() ? state_->ended : state_->places.front()->done; });
    if (state_->places.empty()) return nullptr;
    std::shared_ptr<Item> item = std::move(state_->places.front()->item);
    state_->places.pop_front();
    state_->changed.notify_all();
    return item;
  }
  // Nothing more will be put.
  void end() {
    const std::lock_guard guard(state_->mutex);
    state_->ended = true;
    state_->changed.notify_all();
  }
  // Nothing more will be taken.
  void stop() {
    const std::lock_guard guard(state_->mutex);
    state_->stopped = true;
    state_->changed.notify_all();
  }

 private:
  struct Place {
    std::shared_ptr<Item> item;
    bool done = false;
  };
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Place>> places;
    bool ended = false, stopped = false;
  };
  std::shared_ptr<State> state_;
  std::size_t size_max_;
};

}  // namespace ufab::audit
