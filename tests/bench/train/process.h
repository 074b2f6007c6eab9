// Measurements in processes of their own, because peak memory is a process's.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace ufab::bench {

// What a program printed, a number a line, and its peak memory.
struct Measurement {
  std::vector<double> numbers;
  double peak_mib = 0;
};

// Runs a program to its end; nullopt when it cannot be run or fails.
inline std::optional<Measurement> measure_process(const std::vector<std::string>& arguments) {
  int channel[2];
  if (pipe(channel) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) {
    dup2(channel[1], STDOUT_FILENO);
    close(channel[0]);
    close(channel[1]);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(channel[1]);
  Measurement result;
  FILE* lines = fdopen(channel[0], "r");
  for (double number = 0; std::fscanf(lines, "%lf", &number) == 1;) result.numbers.push_back(number);
  std::fclose(lines);
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0 || result.numbers.empty()) {
    return std::nullopt;
  }
  result.peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  return result;
}

// Adds a process's numbers, without its first `warm_up`, to those of others.
inline void merge(std::optional<Measurement>& into, const std::optional<Measurement>& from,
                  std::size_t warm_up) {
  if (!from || from->numbers.size() <= warm_up) return;
  if (!into) into.emplace();
  into->numbers.insert(into->numbers.end(), from->numbers.begin() + static_cast<std::ptrdiff_t>(warm_up),
                       from->numbers.end());
  into->peak_mib = std::max(into->peak_mib, from->peak_mib);
}

}  // namespace ufab::bench
