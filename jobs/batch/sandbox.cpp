#include "jobs/batch/sandbox.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "fabric/base/command.h"
#include "fabric/base/file.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

// Of /etc an allow-list: what is not named stays unseen, shadow, host keys and munge.key among it.
constexpr std::array<const char*, 36> shown_paths{"/usr",
                                                  "/opt",
                                                  "/sys",
                                                  "/bin",
                                                  "/sbin",
                                                  "/lib",
                                                  "/lib32",
                                                  "/lib64",
                                                  "/libx32",
                                                  "/etc/alternatives",
                                                  "/etc/ld.so.cache",
                                                  "/etc/ld.so.conf",
                                                  "/etc/ld.so.conf.d",
                                                  "/etc/passwd",
                                                  "/etc/group",
                                                  "/etc/nsswitch.conf",
                                                  "/etc/hosts",
                                                  "/etc/host.conf",
                                                  "/etc/hostname",
                                                  "/etc/resolv.conf",
                                                  "/etc/gai.conf",
                                                  "/etc/services",
                                                  "/etc/protocols",
                                                  "/etc/localtime",
                                                  "/etc/timezone",
                                                  "/etc/os-release",
                                                  "/etc/ssl/certs",
                                                  "/etc/ssl/openssl.cnf",
                                                  "/etc/openmpi",
                                                  "/etc/pmix",
                                                  "/etc/profile",
                                                  "/etc/profile.d",
                                                  "/etc/bash.bashrc",
                                                  "/etc/terminfo",
                                                  "/etc/OpenCL",
                                                  "/etc/vulkan"};

// GPUs' device nodes: NVIDIA's, AMD's compute interface and the render nodes.
bool is_gpu_device(const std::string& name) {
  return name.starts_with("nvidia") || name == "kfd" || name == "dri";
}

bool covers(const std::string& folder, const std::string& path) {
  return path == folder || path.starts_with(folder + "/");
}

}  // namespace

SandboxHost look_at_host() {
  SandboxHost host;
  std::error_code error;
  for (const char* path : shown_paths) {
    const fs::file_status status = fs::symlink_status(path, error);
    if (!fs::exists(status)) continue;
    const bool top = std::string_view(path).find('/', 1) == std::string_view::npos;
    if (top && fs::is_symlink(status)) {
      host.symlinks.emplace_back(path, fs::read_symlink(path, error).string());
    } else if (fs::exists(path, error)) {  // a link within /etc is followed by the mount
      host.shown.emplace_back(path);
    }
  }
  for (const auto& entry : fs::directory_iterator("/dev", error)) {
    if (is_gpu_device(entry.path().filename().string())) host.devices.push_back(entry.path().string());
  }
  std::sort(host.devices.begin(), host.devices.end());
  host.root = ::geteuid() == 0;
  return host;
}

std::vector<std::string> sandbox_words(const Sandbox& sandbox, const SandboxHost& host,
                                       const std::string& working_folder) {
  std::vector<std::string> words{"bwrap",         "--die-with-parent", "--new-session",       "--unshare-pid",
                                 "--unshare-ipc", "--unshare-uts",     "--unshare-cgroup-try"};
  const auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (!host.root) add({"--unshare-user"});
  if (!sandbox.network) add({"--unshare-net"});
  add({"--cap-drop", "ALL"});  // as root bwrap would keep them
  for (const std::string& path : host.shown) add({"--ro-bind", path, path});
  for (const auto& [path, target] : host.symlinks) add({"--symlink", target, path});
  add({"--proc", "/proc", "--dev", "/dev"});
  for (const std::string& device : host.devices) add({"--dev-bind-try", device, device});
  add({"--tmpfs", "/tmp", "--tmpfs", "/var/tmp"});
  for (const std::string& path : sandbox.readable) add({"--ro-bind", path, path});
  for (const std::string& path : sandbox.writable) add({"--bind", path, path});
  std::vector<std::string> closed;  // what bwrap makes to hang mounts into, written to no more once they hang
  for (const std::string& path : sandbox.hidden) {
    const auto uncovers = [&](const std::string& shown) { return covers(shown, path); };
    const bool seen = std::any_of(host.shown.begin(), host.shown.end(), uncovers) ||
                      std::any_of(sandbox.readable.begin(), sandbox.readable.end(), uncovers) ||
                      std::any_of(sandbox.writable.begin(), sandbox.writable.end(), uncovers);
    if (!seen) continue;
    add({"--tmpfs", path});
    closed.push_back(path);
  }
  for (const std::string& path : sandbox.own_writable) add({"--bind", path, path});
  for (const std::string& path : sandbox.own_readable) add({"--ro-bind", path, path});
  closed.emplace_back("/");
  for (const std::string& path : closed) add({"--remount-ro", path});
  add({"--chdir", working_folder, "--"});
  return words;
}

Result<std::string> find_bubblewrap() {
  for (const char* path : {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"}) {
    if (::access(path, X_OK) == 0) return std::string(path);
  }
  return Error{ErrorCode::not_found,
               "bubblewrap is not installed (Debian: bubblewrap); no script runs without it"};
}

Status try_sandbox(const Sandbox& sandbox, const std::string& working_folder) {
  UFAB_ASSIGN(const std::string program, find_bubblewrap());
  Command command;
  command.words = sandbox_words(sandbox, look_at_host(), working_folder);
  command.words[0] = program;
  command.words.emplace_back("/bin/true");
  command.max_output_bytes = 1u << 16;
  UFAB_ASSIGN(const CommandResult result, run_command(command));
  if (result.timed_out) return Error{ErrorCode::timeout, "bubblewrap does not come to an end"};
  if (result.exit_code == 0) return {};
  std::string line = result.last_error_line();
  if (line.empty()) line = "exit code " + std::to_string(result.exit_code);
  return Error{ErrorCode::denied, "bubblewrap makes no sandbox here: " + line};
}

Status try_sandbox_as(const std::optional<RunUser>& user, const Sandbox& sandbox,
                      const std::string& working_folder) {
  if (!user) return try_sandbox(sandbox, working_folder);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorCode::io, "pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    Status status = become(*user);
    if (status.ok()) status = try_sandbox(sandbox, working_folder);
    const std::string line = status.ok() ? "" : status.error().message;
    [[maybe_unused]] const ssize_t written =
        ::write(ends[1], line.data(), std::min<std::size_t>(line.size(), 2000));
    ::_exit(status.ok() ? 0 : 1);
  }
  ::close(ends[1]);
  std::string line(2000, '\0');
  const ssize_t got = child < 0 ? -1 : ::read(ends[0], line.data(), line.size());
  ::close(ends[0]);
  int status = 1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) break;
  }
  line.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{ErrorCode::denied, line.empty() ? "bubblewrap could not be tried" : line};
}

}  // namespace ufab::jobs
