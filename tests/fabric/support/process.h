// Starts real programs for a test, each in a process group of its own, and never leaves one behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace ufab::testing {

struct Outcome {
  int status = -1;  // exit status, or 128 + signal; -1: it had to be killed at the deadline
  std::string output, errors;
};

class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  // Output goes to files NAME.out and NAME.err in `folder`.
  Process(const std::string& folder, const std::string& name, const std::vector<std::string>& command,
          const Environment& environment = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  // The first call waits; at the deadline the whole group is killed.
  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(60));
  void signal(int number) const;
  // Processes that this one started directly.
  [[nodiscard]] std::vector<pid_t> children() const;

 private:
  pid_t pid_ = -1;
  std::string output_, errors_;
};

// Environment that lets mpirun work for root, with more ranks than cores, on loopback.
[[nodiscard]] Process::Environment mpi_environment();

// A folder that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace ufab::testing
