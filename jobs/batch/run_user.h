// The local account as which a provider runs somebody's script, and becoming it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct RunUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;
};

// By name, or by the number of an account that exists. Refused in one line (invalid): an unknown account,
// root (user or primary group 0), and the account that this process itself runs as.
[[nodiscard]] Result<RunUser> find_run_user(const std::string& name);

// Whether this process may start processes as others, give them files and read, end and remove what is
// theirs: root, or CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID and CAP_SETUID in effect.
// Denied, with the cure, where not.
[[nodiscard]] Status check_may_become_others();

// For good: supplementary groups, group and user of the account, no new privileges, umask 077. After success
// nothing of the former rights is left, which is checked; after an error the process must end.
// Single-threaded callers only.
[[nodiscard]] Status become(const RunUser& user);

// Gives a file or a folder (a symbolic link itself, never what it points to) to the account.
[[nodiscard]] Status hand_over(const std::string& path, const RunUser& user);

// While it lives, this thread opens and makes files with the account's rights and as its own (setfsuid(2)),
// so that no path that the account could have prepared leads to more. Nothing changes for nullopt. Check ok()
// before any use.
class FilesAs {
 public:
  explicit FilesAs(const std::optional<RunUser>& user);
  ~FilesAs();
  FilesAs(const FilesAs&) = delete;
  FilesAs& operator=(const FilesAs&) = delete;
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  bool changed_ = false;
  bool ok_ = true;
  std::vector<gid_t> groups_;  // to come back to
};

// Whether the account may do `mode` (access(2): R_OK, W_OK, X_OK) with `path`, asked in a child process that
// has become it. The caller may become others.
[[nodiscard]] bool may_access(const RunUser& user, const std::string& path, int mode);

}  // namespace ufab::jobs
