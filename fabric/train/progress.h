// What a person sees while a run goes on, on stdout.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ufab {

// automatic: line on a terminal, lines otherwise. line: one line, redrawn. lines: plain lines, one every two
// seconds at most but for evaluations and the last step. mpirun gives rank 0 a terminal of its own even when
// its output is a file, so whoever starts ranks should say which.
enum class ProgressStyle { automatic, line, lines, none };

// "auto", "line", "lines" or "none".
[[nodiscard]] std::optional<ProgressStyle> progress_style_from_name(std::string_view name);

class Progress {
 public:
  // Reports runs from `first_step` done to `last_step`.
  Progress(ProgressStyle style, std::uint64_t first_step, std::uint64_t last_step);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // tokens: of this step.
  void step(std::uint64_t step, double loss, std::optional<double> eval_loss, std::uint64_t tokens);

 private:
  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;  // never automatic
  std::uint64_t first_step_, last_step_;
  std::uint64_t tokens_ = 0;
  Clock::time_point begin_, shown_;
  bool line_open_ = false;
};

}  // namespace ufab
