#include "jobs/batch/run_user.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

namespace ufab::jobs {

namespace {

Error failed(const std::string& what) {
  return {ErrorCode::io, what + ": " + std::strerror(errno)};
}

// A user's number; nullopt for anything else, and for -1, which stands for none.
std::optional<uid_t> number_of(const std::string& text) {
  uid_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc() || stopped != end || number == static_cast<uid_t>(-1)) return std::nullopt;
  return number;
}

}  // namespace

Result<RunUser> find_run_user(const std::string& name) {
  std::vector<char> buffer(65536);
  passwd entry{};
  passwd* found = nullptr;
  int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (const auto number = number_of(name); found == nullptr && number) {
    error = ::getpwuid_r(*number, &entry, buffer.data(), buffer.size(), &found);
  }
  if (found == nullptr) {
    const std::string why = error == 0 ? "" : std::string(" (") + std::strerror(error) + ")";
    return Error{ErrorCode::invalid, "run-as: there is no local user '" + name + "' here" + why};
  }
  RunUser user{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell};
  if (user.shell.empty()) user.shell = "/bin/sh";
  if (user.uid == 0 || user.gid == 0)
    return Error{ErrorCode::invalid, "run-as: '" + name + "' is root; name a user without rights of its own"};
  if (user.uid == ::geteuid())
    return Error{ErrorCode::invalid,
                 "run-as: '" + name + "' is the user of the node itself, who owns its keys"};
  return user;
}

Status check_may_become_others() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return failed("capget");
  constexpr std::array<unsigned, 6> needed{CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
                                           CAP_KILL,  CAP_SETGID,       CAP_SETUID};
  const bool all = std::all_of(needed.begin(), needed.end(), [&](unsigned capability) {
    return (sets[capability / 32].effective >> (capability % 32) & 1) != 0;
  });
  if (all) return {};
  return Error{ErrorCode::denied,
               "run-as: the node may not start scripts as another user; run it as root (or with CAP_CHOWN, "
               "CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID and CAP_SETUID)"};
}

Status become(const RunUser& user) {
  UFAB_ASSERT(user.uid != 0 && user.gid != 0);
  if (::initgroups(user.name.c_str(), user.gid) != 0) return failed("initgroups " + user.name);
  if (::setresgid(user.gid, user.gid, user.gid) != 0) return failed("setresgid " + user.name);
  if (::setresuid(user.uid, user.uid, user.uid) != 0) return failed("setresuid " + user.name);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs");
  ::umask(077);
  if (::setuid(0) == 0 || ::geteuid() != user.uid || ::getegid() != user.gid)
    return Error{ErrorCode::denied, "run-as: could not give up the node's rights"};
  // A user that is not root keeps capabilities only if it asked to, and nobody did.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return failed("capget");
  for (const __user_cap_data_struct& set : sets) {
    if (set.effective != 0 || set.permitted != 0)
      return Error{ErrorCode::denied, "run-as: could not give up the node's capabilities"};
  }
  return {};
}

Status hand_over(const std::string& path, const RunUser& user) {
  if (::lchown(path.c_str(), user.uid, user.gid) != 0) return failed(path);
  return {};
}

// The system calls themselves: the C library's setgroups changes every thread.
FilesAs::FilesAs(const std::optional<RunUser>& user) {
  if (!user) return;
  const int count = ::getgroups(0, nullptr);
  ok_ = count >= 0;
  if (!ok_) return;
  groups_.resize(static_cast<std::size_t>(count));
  ok_ = ::getgroups(count, groups_.data()) == count && ::syscall(SYS_setgroups, 0, nullptr) == 0;
  if (!ok_) return;
  changed_ = true;
  ::setfsgid(user->gid);
  ::setfsuid(user->uid);
  // They report the former value; asking again tells.
  ok_ = ::setfsgid(user->gid) == static_cast<int>(user->gid) &&
        ::setfsuid(user->uid) == static_cast<int>(user->uid);
}

FilesAs::~FilesAs() {
  if (!changed_) return;
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
  const bool back = ::syscall(SYS_setgroups, groups_.size(), groups_.data()) == 0;
  UFAB_ASSERT(back);
}

bool may_access(const RunUser& user, const std::string& path, int mode) {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) ::_exit(become(user).ok() && ::access(path.c_str(), mode) == 0 ? 0 : 1);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace ufab::jobs
