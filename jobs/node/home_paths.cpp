// Where a home is; apart from its configuration and keys, so that a command that only asks its node starts
// fast.
#include <cstdlib>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/home.h"

namespace ufab::jobs {

Result<Home> Home::locate(const std::string& option) {
  std::string path = option;
  if (path.empty()) {
    if (const char* variable = std::getenv("UFAB_HOME"); variable != nullptr) path = variable;
  }
  if (path.empty()) {
    const char* user_home = std::getenv("HOME");
    if (user_home == nullptr) return Error{ErrorCode::usage, "no home: set UFAB_HOME or give --home DIR"};
    path = std::string(user_home) + "/.ufab";
  }
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  std::string text = absolute.string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  // A Unix socket's path has 107 characters at most (sockaddr_un).
  if (text.size() > 90)
    return Error{ErrorCode::limit, "the home's path is longer than 90 characters: " + text};
  return Home(text);
}

bool Home::exists() const {
  return file_exists(file("config.toml"));
}

}  // namespace ufab::jobs
