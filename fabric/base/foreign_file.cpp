#include "fabric/base/foreign_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "fabric/base/file.h"

namespace ufab {

namespace {

constexpr std::size_t piece_bytes = 1u << 20;

// A descriptor that is closed with its scope.
class Opened {
 public:
  explicit Opened(int fd) : fd_(fd) {}
  ~Opened() {
    if (fd_ >= 0) ::close(fd_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void replace(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error open_error(const std::string& path, int error) {
  // ELOOP is O_NOFOLLOW's answer to a symbolic link, ENOTDIR that of O_DIRECTORY; ENXIO a socket's or a
  // device's.
  if (error == ELOOP || error == ENOTDIR || error == ENXIO)
    return {ErrorCode::denied, path + ": not a regular file below its folder; it is not read"};
  const ErrorCode code = error == ENOENT                     ? ErrorCode::not_found
                         : error == EACCES || error == EPERM ? ErrorCode::denied
                                                             : ErrorCode::io;
  return {code, path + ": " + std::strerror(error)};
}

bool is_plain(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.find('\0') == std::string_view::npos;
}

}  // namespace

Result<ForeignFile> ForeignFile::open(const std::string& folder, const std::string& name, bool or_own) {
  const std::string path = folder + "/" + name;
  Opened at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (at.get() < 0) return open_error(folder, errno);
  struct stat root {};
  if (::fstat(at.get(), &root) != 0) return open_error(folder, errno);
  std::string_view rest = name;
  for (bool last = false; !last;) {
    const std::size_t slash = rest.find('/');
    last = slash == std::string_view::npos;
    const std::string part(rest.substr(0, slash));
    if (!is_plain(part)) return Error{ErrorCode::invalid, "'" + name + "' names no file below a folder"};
    const int how = last ? O_NONBLOCK | O_NOCTTY : O_DIRECTORY;
    const int next = ::openat(at.get(), part.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | how);
    if (next < 0) return open_error(path, errno);
    at.replace(next);
    rest.remove_prefix(last ? rest.size() : slash + 1);
  }
  struct stat info {};
  if (::fstat(at.get(), &info) != 0) return open_error(path, errno);
  if (!S_ISREG(info.st_mode)) return open_error(path, ELOOP);
  const bool own = info.st_uid == ::geteuid();
  if (info.st_uid != root.st_uid && !(or_own && own))
    return Error{ErrorCode::denied, path + ": belongs to another user than its folder; it is not read"};
  ForeignFile file;
  file.fd_ = at.release();
  file.size_ = static_cast<std::uint64_t>(info.st_size);
  file.own_ = own;
  file.path_ = path;
  return file;
}

ForeignFile::ForeignFile(ForeignFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      own_(other.own_),
      path_(std::move(other.path_)) {}
ForeignFile& ForeignFile::operator=(ForeignFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(own_, other.own_);
  std::swap(path_, other.path_);
  return *this;
}
ForeignFile::~ForeignFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Bytes> ForeignFile::read(std::uint64_t offset, std::size_t most) const {
  Bytes bytes(most);
  std::size_t have = 0;
  while (have < most) {
    const ssize_t got = ::pread(fd_, bytes.data() + have, most - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{ErrorCode::io, path_ + ": " + std::strerror(errno)};
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<Bytes> ForeignFile::read_all(std::size_t most) const {
  const Error too_large{ErrorCode::limit, path_ + ": larger than " + std::to_string(most) + " bytes"};
  if (size_ > most) return too_large;
  Bytes all;
  for (;;) {
    UFAB_ASSIGN(const Bytes piece, read(all.size(), std::min(piece_bytes, most - all.size() + 1)));
    if (piece.empty()) return all;
    if (all.size() + piece.size() > most) return too_large;
    all.insert(all.end(), piece.begin(), piece.end());
  }
}

Status ForeignFile::copy_to(const std::string& to, mode_t mode, std::uint64_t most) const {
  const Error too_large{ErrorCode::limit, path_ + ": larger than " + std::to_string(most) + " bytes"};
  if (size_ > most) return too_large;
  UFAB_ASSIGN(NewFile file, NewFile::create(to, mode));
  for (std::uint64_t at = 0;;) {
    UFAB_ASSIGN(const Bytes piece, read(at, piece_bytes));
    if (piece.empty()) return file.finish();
    at += piece.size();
    if (at > most) return too_large;
    UFAB_TRY(file.append(piece));
  }
}

Status ForeignFile::keep_as(const std::string& to, std::uint64_t most) const {
  const std::string same = "/proc/self/fd/" + std::to_string(fd_);
  if (own_ && ::linkat(AT_FDCWD, same.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0)
    return sync_folder_of(to);
  return copy_to(to, 0644, most);
}

bool foreign_file_exists(const std::string& folder, const std::string& name) {
  return ForeignFile::open(folder, name).ok();
}

Result<std::string> read_foreign_text(const std::string& folder, const std::string& name, std::size_t most) {
  UFAB_ASSIGN(const ForeignFile file, ForeignFile::open(folder, name));
  UFAB_ASSIGN(const Bytes bytes, file.read_all(most));
  return std::string(as_text(bytes));
}

}  // namespace ufab
