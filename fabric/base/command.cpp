#include "fabric/base/command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace ufab {

namespace {

using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int end(std::size_t i) const { return ends_[i]; }
  [[nodiscard]] bool is_open() const { return ends_[0] >= 0; }
  void close(std::size_t i) {
    if (ends_[i] >= 0) ::close(ends_[i]);
    ends_[i] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  all.reserve(words.size() + 1);
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

Error system_error(const char* what) {
  return {ErrorCode::io, std::string(what) + ": " + std::strerror(errno)};
}

// The child, killed with its whole process group and reaped whatever happens.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ > 0) {
      kill();
      static_cast<void>(wait(Clock::now()));
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() const { ::kill(-pid_, SIGKILL); }
  // Reaps it; a program that has closed its output and goes on is killed at the deadline.
  int wait(Clock::time_point deadline) {
    int status = 0;
    for (bool killed = false;;) {
      const pid_t ended = ::waitpid(pid_, &status, killed ? 0 : WNOHANG);
      if (ended == pid_) break;
      if (ended < 0 && errno != EINTR) break;
      if (ended == 0 && Clock::now() >= deadline) {
        kill();
        killed = true;
      } else if (ended == 0) {
        ::usleep(1000);
      }
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

}  // namespace

std::string CommandResult::first_error_line() const {
  return error.substr(0, std::min<std::size_t>(error.find('\n'), 300));
}

std::string CommandResult::last_error_line() const {
  const std::size_t end = error.find_last_not_of(" \n");
  if (end == std::string::npos) return {};
  const std::size_t begin = error.rfind('\n', end) + 1;  // npos + 1 is 0
  return error.substr(begin, std::min<std::size_t>(end + 1 - begin, 300));
}

Result<CommandResult> run_command(const Command& command) {
  UFAB_ASSERT(!command.words.empty());
  Pipe input;
  Pipe output;
  Pipe error;
  if (!input.is_open() || !output.is_open() || !error.is_open()) return system_error("pipe");
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, input.end(0), 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.end(1), 1);
  ::posix_spawn_file_actions_adddup2(&actions, error.end(1), 2);
  sigset_t all;
  sigset_t none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words = command.words;
  std::vector<std::string> pairs;
  for (const auto& [name, value] : command.environment) pairs.emplace_back(name).append("=").append(value);
  std::vector<char*> argv = pointers(words);
  std::vector<char*> envp = pointers(pairs);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return Error{failed == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 command.words[0] + ": cannot be run: " + std::strerror(failed)};
  }
  Child child(pid);
  input.close(0);
  output.close(1);
  error.close(1);
  ::fcntl(input.end(1), F_SETFL, O_NONBLOCK);

  CommandResult result;
  const auto give_up = Clock::now() + command.timeout;
  std::size_t given = 0;
  if (command.input.empty()) input.close(1);
  const auto read_some = [&](Pipe& from, std::string& into, bool is_output) -> Status {
    std::array<char, 65536> piece;
    const ssize_t got = ::read(from.end(0), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) return {};
    if (got <= 0) {
      from.close(0);
      return {};
    }
    const std::string_view text(piece.data(), static_cast<std::size_t>(got));
    if (is_output && command.on_output) return command.on_output(text);
    if (into.size() + text.size() > command.max_output_bytes) {
      return Error{ErrorCode::limit, command.words[0] + " printed more than " +
                                         std::to_string(command.max_output_bytes) + " bytes"};
    }
    into += text;
    return {};
  };
  while (output.end(0) >= 0 || error.end(0) >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - Clock::now()).count();
    if (left <= 0) {
      result.timed_out = true;
      child.kill();
      break;
    }
    std::array<pollfd, 3> watched{
        {{output.end(0), POLLIN, 0}, {error.end(0), POLLIN, 0}, {input.end(1), POLLOUT, 0}}};
    if (::poll(watched.data(), watched.size(), static_cast<int>(std::min<long long>(left, 1000))) < 0) {
      if (errno == EINTR) continue;
      return system_error("poll");
    }
    if (watched[0].revents != 0) UFAB_TRY(read_some(output, result.output, true));
    if (watched[1].revents != 0) UFAB_TRY(read_some(error, result.error, false));
    if (watched[2].revents != 0) {
      const ssize_t wrote = ::write(input.end(1), command.input.data() + given, command.input.size() - given);
      if (wrote > 0) given += static_cast<std::size_t>(wrote);
      // A program that does not want its input is free to say so.
      if (given == command.input.size() || (wrote < 0 && errno != EAGAIN && errno != EINTR)) input.close(1);
    }
  }
  input.close(1);
  result.exit_code = child.wait(give_up);
  return result;
}

}  // namespace ufab
