// Processes that are killed at one of their durable operations (fabric/base/file.h, arm_fault()).
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "fabric/base/assert.h"
#include "fabric/base/file.h"

namespace ufab::test {

struct CrashRun {
  std::string acknowledged;  // what it had written into the pipe
  bool finished = false;     // it came to its end before that operation
};

// Runs `work` in a process of its own, which dies before durable operation number `operation`. `work` writes
// a byte into the pipe for what it may then not lose.
inline CrashRun crash_at(std::uint64_t operation, const std::function<void(int pipe)>& work) {
  CrashRun run;
  int ends[2];
  const bool piped = ::pipe(ends) == 0;
  UFAB_ASSERT(piped);
  const pid_t child = ::fork();
  UFAB_ASSERT(child >= 0);
  if (child == 0) {
    arm_fault(operation);
    work(ends[1]);
    ::_exit(0);
  }
  ::close(ends[1]);
  char byte = 0;
  while (::read(ends[0], &byte, 1) == 1) run.acknowledged += byte;
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  run.finished = WIFEXITED(status);
  // It has not failed on its own account.
  if (run.finished)
    EXPECT_EQ(WEXITSTATUS(status), 0) << "at write " << operation;
  else
    EXPECT_EQ(WTERMSIG(status), SIGKILL) << "at write " << operation;
  return run;
}

}  // namespace ufab::test
