#include "fabric/train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace ufab {

std::optional<ProgressStyle> progress_style_from_name(std::string_view name) {
  if (name == "auto") return ProgressStyle::automatic;
  if (name == "line") return ProgressStyle::line;
  if (name == "lines") return ProgressStyle::lines;
  if (name == "none") return ProgressStyle::none;
  return std::nullopt;
}

Progress::Progress(ProgressStyle style, std::uint64_t first_step, std::uint64_t last_step)
    : style_(style),
      first_step_(first_step),
      last_step_(last_step),
      begin_(Clock::now()),
      shown_(begin_ - std::chrono::hours(1)) {
  if (style_ == ProgressStyle::automatic) {
    style_ = ::isatty(STDOUT_FILENO) == 1 ? ProgressStyle::line : ProgressStyle::lines;
  }
}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', stdout);
}

void Progress::step(std::uint64_t step, double loss, std::optional<double> eval_loss, std::uint64_t tokens) {
  tokens_ += tokens;
  const auto now = Clock::now();
  const auto pause = std::chrono::milliseconds(style_ == ProgressStyle::line ? 200 : 2000);
  if (style_ == ProgressStyle::none || (now - shown_ < pause && step != last_step_ && !eval_loss)) return;
  shown_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double each = seconds / static_cast<double>(step - first_step_);
  const auto left = std::llround(each * static_cast<double>(last_step_ - step));
  const std::string text =
      fmt::format("step {}/{}  loss {:.4f}{}  {:.0f} tokens/s  {}:{:02} left", step, last_step_, loss,
                  eval_loss ? fmt::format("  eval loss {:.4f}", *eval_loss) : "",
                  seconds > 0 ? static_cast<double>(tokens_) / seconds : 0.0, left / 60, left % 60);
  // A line with an evaluation stays; the next one begins below it.
  if (style_ == ProgressStyle::line) {
    fmt::print("\r\033[K{}{}", text, eval_loss ? "\n" : "");
    line_open_ = !eval_loss;
  } else {
    fmt::print("{}\n", text);
  }
  std::fflush(stdout);
}

}  // namespace ufab
