// What a person sees while a run goes on: one line that is redrawn on a terminal, a line now and then
// otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace ufab {

class Progress {
 public:
  // Reports runs from `first_step` done to `last_step`; silent when `enabled` is false.
  Progress(bool enabled, std::uint64_t first_step, std::uint64_t last_step);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // tokens: of this step.
  void step(std::uint64_t step, double loss, std::optional<double> eval_loss, std::uint64_t tokens);

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_, terminal_;
  std::uint64_t first_step_, last_step_;
  std::uint64_t tokens_ = 0;
  Clock::time_point begin_, shown_;
  bool line_open_ = false;
};

}  // namespace ufab
