#include "jobs/batch/shepherd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/batch/process_tree.h"
#include "jobs/batch/run_files.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto poll_interval = std::chrono::milliseconds(50);
constexpr auto start_timeout = std::chrono::seconds(20);
constexpr int memory_polls = 4;  // the tree is measured every fourth poll

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::uint64_t cpu_us_of_ended_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto total = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return total(usage.ru_utime) + total(usage.ru_stime);
}

// Pointers into `words`, as exec wants them.
std::vector<char*> null_terminated(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What the node and this supervisor ignore or block would stay so in the script, and a shell cannot even trap
// a signal that was ignored when it started.
void restore_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Between fork and exec, the child's word to the supervisor that it does not come to the script: the exit
// code that is recorded and the reason. Closed by exec, so that silence means success.
class StartPipe {
 public:
  StartPipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~StartPipe() {
    close(0);
    close(1);
  }
  StartPipe(const StartPipe&) = delete;
  StartPipe& operator=(const StartPipe&) = delete;
  [[nodiscard]] bool is_open() const { return ends_[0] >= 0; }
  [[noreturn]] void refuse(int exit_code, const std::string& reason) const {
    const std::string line = std::to_string(exit_code) + " " + reason.substr(0, 1000);
    [[maybe_unused]] const ssize_t written = ::write(ends_[1], line.data(), line.size());
    ::_exit(exit_code);
  }
  // The supervisor's side: what was said until the end of it; nullopt when there was no end in time.
  [[nodiscard]] std::optional<std::string> listen() {
    close(1);
    std::string said;
    const auto give_up = Clock::now() + start_timeout;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - Clock::now()).count();
      pollfd watched{ends_[0], POLLIN, 0};
      if (left <= 0 || ::poll(&watched, 1, static_cast<int>(left)) == 0) return std::nullopt;
      std::array<char, 2048> piece;
      const ssize_t got = ::read(ends_[0], piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return said;
      said.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  [[nodiscard]] int writing_end() const { return ends_[1]; }

 private:
  void close(std::size_t i) {
    if (ends_[i] >= 0) ::close(ends_[i]);
    ends_[i] = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

// A script without a supervisor would meet no limit and run beside the next attempt: it ends with it.
// Forgotten by the kernel when a process changes its user.
void end_with(pid_t supervisor) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::_exit(127);
}

// Gives up whatever the script may not have. What fails here is the provider's fault, and the script does not
// run.
void isolate(const RunRequest& request, const StartPipe& pipe, pid_t supervisor) {
  if (request.user) {
    const auto user = find_run_user(request.user->name);
    if (!user) pipe.refuse(127, user.error().message);
    if (user->uid != request.user->uid)
      pipe.refuse(127, "run-as: user '" + user->name + "' has another number than when the run was prepared");
    if (const Status status = become(*user); !status.ok()) pipe.refuse(127, status.error().message);
    end_with(supervisor);
  } else {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }
}

// In the child: becomes the script. Only async-signal-safe work is needed after fork, but this process is
// single-threaded, so ordinary calls are fine.
[[noreturn]] void become_script(const RunRequest& request, const StartPipe& pipe, pid_t supervisor) {
  const bool isolated = request.user || request.sandbox;
  const auto fail = [&](const std::string& what) {
    if (isolated) pipe.refuse(127, what + ": " + std::strerror(errno));
    const std::string line = "ufab: " + what + ": " + std::strerror(errno) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
    ::_exit(127);
  };
  ::setpgid(0, 0);
  end_with(supervisor);
  if (isolated) isolate(request, pipe, supervisor);
  // Looked at with the rights that the script will have, never with the node's.
  if (request.script_digest) {
    const auto digest = sha256_file(request.script);
    if (!digest) pipe.refuse(126, digest.error().message);
    if (*digest != *request.script_digest)
      pipe.refuse(126, "the script is not the one that its owner signed");
  }
  const int mode =
      O_WRONLY | O_CREAT | (request.append_output ? O_APPEND : O_TRUNC) | (isolated ? O_NOFOLLOW : 0);
  const int output = ::open(request.output.c_str(), mode, 0644);
  if (output < 0) fail(request.output);
  const int error = request.error == request.output ? output : ::open(request.error.c_str(), mode, 0644);
  if (error < 0) fail(request.error);
  const int input = ::open(request.input.c_str(), O_RDONLY);
  if (input < 0) fail(request.input);
  if (::chdir(request.folder.c_str()) != 0) fail(request.folder);
  std::vector<std::string> words;
  if (request.sandbox) {
    const auto program = find_bubblewrap();
    if (!program) pipe.refuse(127, program.error().message);
    if (const Status status = try_sandbox(*request.sandbox, request.folder); !status.ok())
      pipe.refuse(127, status.error().message);
    words = sandbox_words(*request.sandbox, look_at_host(), request.folder);
    words[0] = *program;
  }
  words.push_back(request.script);
  words.insert(words.end(), request.arguments.begin(), request.arguments.end());
  ::dup2(output, 1);
  ::dup2(error, 2);
  ::dup2(input, 0);
  // Nothing of the shepherd's may stay open in the script; the pipe closes itself.
  const auto kept = static_cast<unsigned>(pipe.writing_end());
  if (kept > 3) ::close_range(3, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
  std::vector<std::string> pairs;
  for (const auto& [key, value] : request.environment) pairs.emplace_back(key).append("=").append(value);
  std::vector<char*> argv = null_terminated(words);
  std::vector<char*> environment = null_terminated(pairs);
  restore_signals();
  ::execve(argv[0], argv.data(), environment.data());
  fail(words[0]);
  ::_exit(127);
}

class Shepherd {
 public:
  Shepherd(std::string folder, RunRequest request)
      : folder_(std::move(folder)), request_(std::move(request)) {}

  Status announce() {
    file_.shepherd = ShepherdIdentity::of_this_process();
    file_.status.state = RunState::running;
    file_.status.start_us = now_us();
    return save_status(folder_, file_);
  }

  void run() {
    const pid_t supervisor = ::getpid();
    StartPipe pipe;
    if (!pipe.is_open()) return finish(RunResult::node_fail, std::string("pipe: ") + std::strerror(errno));
    script_ = ::fork();
    if (script_ == 0) become_script(request_, pipe, supervisor);
    if (script_ < 0) return finish(RunResult::failed, std::string("fork: ") + std::strerror(errno));
    started_ = Clock::now();
    if (const auto said = pipe.listen(); !said) {
      end(RunResult::node_fail, "the script could not be started in time");
      kill_at_ = Clock::now();
    } else if (!said->empty()) {
      // A script that is not the signed one fails; whatever else keeps it from starting is the machine's
      // fault.
      const bool unsigned_script = said->starts_with("126 ");
      refused_ = unsigned_script ? RunResult::failed : RunResult::node_fail;
      reason_ = said->substr(std::min<std::size_t>(said->size(), 4));
    }
    for (int poll = 0;; ++poll) {
      reap();
      if (poll % memory_polls == 0) measure();
      enforce();
      if (all_gone_) break;
      std::this_thread::sleep_for(poll_interval);
    }
    RunResult result = refused_ != RunResult::none ? refused_ : ending_;
    if (result == RunResult::none) {
      const bool good = file_.status.exit_code == 0 && file_.status.signal == 0;
      result = good ? RunResult::completed : RunResult::failed;
    }
    finish(result, reason_);
  }

 private:
  void reap() {
    for (;;) {
      int status = 0;
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      // Whatever a process leaves behind becomes a child of this one, so no child means no process at all.
      all_gone_ = ended < 0 && errno == ECHILD;
      if (ended <= 0) return;
      if (ended != script_) continue;
      script_ended_ = true;
      if (WIFEXITED(status)) file_.status.exit_code = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) file_.status.signal = WTERMSIG(status);
    }
  }

  void measure() {
    std::uint64_t sum = 0;
    for (const ProcessSample& sample : descendants_of(::getpid())) sum += sample.rss_kib;
    file_.status.max_rss_kib = std::max(file_.status.max_rss_kib, sum);
    if (!script_ended_ && request_.memory_limit_mib != 0 && sum > request_.memory_limit_mib * 1024) {
      end(RunResult::out_of_memory, "used " + std::to_string(sum / 1024) + " MiB of " +
                                        std::to_string(request_.memory_limit_mib) + " MiB");
    }
  }

  void enforce() {
    // What a script leaves running when it ends is ended as well, as Slurm does, but is no failure: from here
    // on no limit applies any more.
    if (script_ended_ && ending_ == RunResult::none) {
      if (!cleaning_) {
        cleaning_ = true;
        kill_at_ = Clock::now() + std::chrono::seconds(request_.grace_s);
        signal_all(SIGTERM);
      }
    } else {
      enforce_limits();
    }
    if ((ending_ != RunResult::none || cleaning_) && Clock::now() >= kill_at_) signal_all(SIGKILL);
  }

  void enforce_limits() {
    const auto elapsed = Clock::now() - started_;
    if (request_.time_limit_s != 0) {
      const auto limit = std::chrono::seconds(request_.time_limit_s);
      const auto warning =
          limit - std::chrono::seconds(std::min(request_.warn_before_s, request_.time_limit_s));
      if (request_.warn_signal != 0 && !warned_ && elapsed >= warning) {
        warned_ = true;
        if (request_.warn_shell_only) {
          if (const pid_t shell = shell_of_script(); shell > 0) ::kill(shell, request_.warn_signal);
        } else {
          signal_all(request_.warn_signal);
        }
      }
      if (elapsed >= limit) {
        end(RunResult::timeout, "time limit of " + std::to_string(request_.time_limit_s) + " s");
      }
    }
    if (file_exists(cancel_path(folder_))) end(RunResult::cancelled, "cancelled");
  }

  void end(RunResult result, std::string reason) {
    if (ending_ != RunResult::none) return;
    ending_ = result;
    reason_ = std::move(reason);
    kill_at_ = Clock::now() + std::chrono::seconds(request_.grace_s);
    signal_all(SIGCONT);  // a stopped process would not hear TERM
    signal_all(SIGTERM);
  }

  // bwrap itself, which is what was started of a run in a sandbox, would die of TERM, and the sandbox with
  // it: the script is to have its grace.
  void signal_all(int number) {
    for (const ProcessSample& sample : descendants_of(::getpid())) {
      const bool is_wall = request_.sandbox && sample.pid == script_;
      if (!is_wall || number == SIGKILL || number == SIGCONT) ::kill(sample.pid, number);
    }
  }

  // 0: it has ended.
  [[nodiscard]] pid_t shell_of_script() const {
    if (script_ended_) return 0;
    return request_.sandbox ? descendant_with_inner_pid(::getpid(), sandbox_script_pid) : script_;
  }

  void finish(RunResult result, const std::string& reason) {
    RunStatus& status = file_.status;
    status.state = RunState::ended;
    status.result = result;
    status.reason = reason;
    if (reason.empty() && status.signal != 0) status.reason = "ended by " + signal_name(status.signal);
    status.end_us = now_us();
    status.cpu_us = cpu_us_of_ended_children();
    // Nobody is left to tell when the disk refuses; the node then sees a vanished shepherd (node_fail).
    static_cast<void>(save_status(folder_, file_));
  }

  std::string folder_;
  RunRequest request_;
  RunFile file_;
  pid_t script_ = -1;
  bool script_ended_ = false;
  bool all_gone_ = false;
  bool warned_ = false;
  bool cleaning_ = false;
  RunResult ending_ = RunResult::none;
  RunResult refused_ = RunResult::none;  // the script was not started at all
  std::string reason_;
  Clock::time_point started_;
  Clock::time_point kill_at_;
};

}  // namespace

int shepherd_main(const std::string& run_folder) {
  auto request = load_request(run_folder);
  if (!request) {
    std::fprintf(stderr, "ufabd shepherd: %s\n", request.error().message.c_str());
    return 1;
  }
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return 1;
  const pid_t child = ::fork();
  if (child < 0) return 1;
  if (child > 0) {
    // The caller waits for this process, so when it goes on the run is on record.
    ::close(ready[1]);
    char byte = 0;
    return ::read(ready[0], &byte, 1) == 1 ? 0 : 1;
  }
  ::close(ready[0]);
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGHUP, SIG_IGN);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  Shepherd shepherd(run_folder, *std::move(request));
  if (!shepherd.announce().ok()) return 1;
  const char byte = 1;
  if (::write(ready[1], &byte, 1) != 1) return 1;
  ::close(ready[1]);
  shepherd.run();
  return 0;
}

}  // namespace ufab::jobs
