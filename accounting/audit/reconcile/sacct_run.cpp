#include "accounting/audit/reconcile/sacct_run.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>

namespace ufab {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t error_text_max = 4096;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(fds_.data(), O_CLOEXEC) != 0) fds_ = {-1, -1};
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] bool ok() const { return fds_[0] >= 0; }
  [[nodiscard]] int read_end() const { return fds_[0]; }
  [[nodiscard]] int write_end() const { return fds_[1]; }
  void close(std::size_t end) {
    if (fds_[end] >= 0) ::close(fds_[end]);
    fds_[end] = -1;
  }

 private:
  std::array<int, 2> fds_{-1, -1};
};

// The environment with what sacct must find in it.
std::vector<std::string> environment(const SacctQuery& query) {
  std::vector<std::string> list;
  for (char** item = environ; *item != nullptr; ++item) {
    const std::string_view text(*item);
    const bool ours = text.starts_with("TZ=") || text.starts_with("SLURM_TIME_FORMAT=") ||
                      text.starts_with("SACCT_") || text.starts_with("SLURM_CLUSTERS=") ||
                      (!query.slurm_conf.empty() && text.starts_with("SLURM_CONF="));
    if (!ours) list.emplace_back(text);
  }
  list.emplace_back("TZ=UTC");
  list.emplace_back("SLURM_TIME_FORMAT=%s");
  if (!query.slurm_conf.empty()) list.push_back("SLURM_CONF=" + query.slurm_conf);
  return list;
}

std::vector<char*> pointers(std::vector<std::string>& list) {
  std::vector<char*> result;
  for (std::string& item : list) result.push_back(item.data());
  result.push_back(nullptr);
  return result;
}

std::string random_delimiter() {
  constexpr std::string_view letters = "abcdefghijklmnop";
  std::random_device device;
  std::string text = "|";
  for (int i = 0; i < 4; ++i) {
    for (std::uint32_t word = device(), n = 0; n < 8; ++n, word >>= 4) text += letters[word & 15];
  }
  return text + "|";
}

// YYYY-MM-DDTHH:MM:SS in UTC, as sacct takes it.
std::string time_argument(std::uint64_t us) {
  const std::time_t seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {text.data(), size};
}

// A child that is killed and waited for unless it was waited for before.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

}  // namespace

std::vector<std::string> sacct_arguments(const SacctQuery& query, const std::string& delimiter) {
  std::vector<std::string> arguments{"--allusers",
                                     "--duplicates",
                                     "--noconvert",
                                     "--parsable2",
                                     "--delimiter=" + delimiter,
                                     "--format=" + std::string(sacct_columns)};
  if (!query.cluster.empty()) arguments.push_back("--clusters=" + query.cluster);
  if (!query.jobs.empty()) {
    std::string list;
    for (const std::uint64_t id : query.jobs) list += (list.empty() ? "" : ",") + std::to_string(id);
    arguments.push_back("--jobs=" + list);
    return arguments;
  }
  arguments.push_back("--starttime=" + time_argument(query.from_us));
  if (query.to_us != 0) arguments.push_back("--endtime=" + time_argument(query.to_us));
  return arguments;
}

Result<SacctCounts> sacct_run(const SacctQuery& query, const SacctReader::Sink& sink) {
  std::vector<std::string> words = sacct_arguments(query, random_delimiter());
  words.insert(words.begin(), query.program);
  std::vector<std::string> variables = environment(query);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  Pipe output, errors;
  if (!output.ok() || !errors.ok())
    return Error{ErrorCode::io, "sacct: no pipe: " + std::string(std::strerror(errno))};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.write_end(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.write_end(), STDERR_FILENO);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, query.program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return Error{failed == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 query.program + ": cannot be run: " + std::strerror(failed)};
  }
  Child child(pid);
  output.close(1);
  errors.close(1);

  SacctReader reader(sink);
  std::string error_text;
  std::array<char, 1 << 16> buffer;
  const Clock::time_point due = Clock::now() + std::chrono::milliseconds(query.timeout_ms);
  std::array<pollfd, 2> open{{{output.read_end(), POLLIN, 0}, {errors.read_end(), POLLIN, 0}}};
  while (open[0].fd >= 0 || open[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due - Clock::now()).count();
    if (left <= 0) {
      return Error{ErrorCode::timeout,
                   query.program + ": no end within " + std::to_string(query.timeout_ms / 1000) + " s"};
    }
    const int ready =
        ::poll(open.data(), open.size(), static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR)
      return Error{ErrorCode::io, "sacct: poll: " + std::string(std::strerror(errno))};
    if (ready <= 0) continue;
    for (pollfd& item : open) {
      if (item.fd < 0 || item.revents == 0) continue;
      const ssize_t got = ::read(item.fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        item.fd = -1;  // poll passes it over
        continue;
      }
      const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
      if (&item == &open[0]) {
        UFAB_TRY(reader.feed(text));
      } else {
        error_text += text;
        if (error_text.size() > error_text_max) error_text.erase(0, error_text.size() - error_text_max);
      }
    }
  }
  const int status = child.wait();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string how = WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                              : "signal " + std::to_string(WTERMSIG(status));
    const std::string line = last_line(error_text);
    return Error{ErrorCode::io, query.program + ": " + how + (line.empty() ? "" : ": " + line)};
  }
  UFAB_TRY(reader.finish());
  return reader.counts();
}

}  // namespace ufab
