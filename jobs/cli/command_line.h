// One verb's command line: options, flags and positionals with their help, read by CLI11 (kept behind this
// header, because it is slow to compile). Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

class CommandLine {
 public:
  // `usage` as shown after "usage: ufab ", for example "show JOB [--json]".
  CommandLine(const std::string& usage, const std::string& about);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // The target keeps its value when the option is absent; it must outlive parse().
  void text(const std::string& names, std::string& target, const std::string& help);
  void number(const std::string& names, std::uint64_t& target, const std::string& help);
  void decimal(const std::string& names, double& target, const std::string& help);
  void flag(const std::string& names, bool& target, const std::string& help);
  void required(const std::string& name, std::string& target, const std::string& help);
  void optional(const std::string& name, std::string& target, const std::string& help);
  void list(const std::string& name, std::vector<std::string>& target, const std::string& help,
            bool at_least_one);

  enum class Outcome { go_on, help_shown };
  // ErrorCode::usage when the words do not fit.
  [[nodiscard]] Result<Outcome> parse(std::span<const std::string> words);
  // After parse(): whether the option stood on the line.
  [[nodiscard]] bool given(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ufab::jobs
