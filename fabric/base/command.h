// Runs a program of the system, without a shell, within bounded time and bounded memory.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab {

struct Command {
  std::vector<std::string> words;                  // the program, looked up on PATH, and its arguments
  std::map<std::string, std::string> environment;  // the whole of it
  std::string input;                               // given to its standard input
  std::chrono::milliseconds timeout{10'000};       // then it and its process group are killed
  std::size_t max_output_bytes = 64u << 20;        // of each stream; more is ErrorCode::limit
  // Receives standard output in pieces as it comes, in place of CommandResult::output, without a bound. Its
  // error ends the program and is what run_command returns.
  std::function<Status(std::string_view)> on_output;
};

struct CommandResult {
  int exit_code = 0;  // 128 + N when signal N ended it
  bool timed_out = false;
  std::string output;
  std::string error;

  // A line of standard error for one-line reports, 300 bytes at most.
  [[nodiscard]] std::string first_error_line() const;
  [[nodiscard]] std::string last_error_line() const;
};

// Errors: not_found when there is no such program; io, limit. A program that fails is no error of this call.
// Thread-safe.
[[nodiscard]] Result<CommandResult> run_command(const Command& command);

}  // namespace ufab
