#include "fabric/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ufab {

namespace {

Error io_error(const std::string& path, int error) {
  ErrorCode code = ErrorCode::io;
  if (error == ENOENT) code = ErrorCode::not_found;
  if (error == EACCES || error == EPERM) code = ErrorCode::denied;
  if (error == EEXIST) code = ErrorCode::conflict;
  return {code, path + ": " + std::strerror(error)};
}

// Operations left until the fatal one; 0: none is armed.
std::atomic<std::uint64_t>& countdown() {
  static std::atomic<std::uint64_t> left = [] {
    const char* text = std::getenv("UFAB_CRASH_AT");
    return text == nullptr ? 0ULL : std::strtoull(text, nullptr, 10);
  }();
  return left;
}

// True when this very operation is the one to die in.
bool fault_due() {
  if (countdown().load(std::memory_order_relaxed) == 0) return false;
  return --countdown() == 0;
}

[[noreturn]] void die() {
  ::raise(SIGKILL);
  std::abort();
}

int write_all(int fd, ByteView bytes) {
  const bool torn = fault_due();
  if (torn) bytes = bytes.first(bytes.size() / 2);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (torn) die();
  return 0;
}

// Of a torn write there is a part: any number of bytes where a file grows; in room that was written before,
// whole sectors (512 bytes, from the file's start), as a disk leaves them.
enum class Tear : std::uint8_t { bytes, sectors };
int write_all_at(int fd, ByteView bytes, std::uint64_t offset, Tear tear) {
  constexpr std::uint64_t sector = 512;
  const bool torn = fault_due();
  if (torn) {
    std::uint64_t end = offset + bytes.size() / 2;
    if (tear == Tear::sectors) end = std::max(offset, end / sector * sector);
    bytes = bytes.first(end - offset);
  }
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  if (torn) die();
  return 0;
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string folder_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

}  // namespace

void arm_fault(std::uint64_t operation) {
  countdown() = operation;
}

void fault_point() {
  if (fault_due()) die();
}

Result<Bytes> read_file(const std::string& path, std::size_t max_size) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(path, errno);
  Bytes content;
  struct stat info {};
  if (::fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode)) {
    content.reserve(std::min<std::size_t>(static_cast<std::size_t>(info.st_size), max_size));
  }
  std::array<std::uint8_t, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, errno);
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > max_size) {
      return Error{ErrorCode::limit, path + ": larger than " + std::to_string(max_size) + " bytes"};
    }
    content.insert(content.end(), buffer.begin(), buffer.begin() + got);
  }
}

Result<std::string> read_text_file(const std::string& path, std::size_t max_size) {
  UFAB_ASSIGN(const Bytes bytes, read_file(path, max_size));
  return std::string(as_text(bytes));
}

Status sync_folder_of(const std::string& path) {
  const std::string folder = folder_of(path);
  const Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(folder, errno);
  if (::fsync(file.fd) != 0) return io_error(folder, errno);
  return {};
}

Status rename_durable(const std::string& from, const std::string& to) {
  fault_point();
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error(to, errno);
  fault_point();
  return sync_folder_of(to);
}

Status write_file_atomic(const std::string& path, ByteView content, mode_t mode) {
  UFAB_ASSIGN(NewFile file, NewFile::create(path, mode));
  UFAB_TRY(file.append(content));
  return file.finish();
}

Status write_file_unsynced(const std::string& path, ByteView content, mode_t mode) {
  const std::string temporary = path + ".tmp";
  int error = 0;
  {
    const Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
    if (file.fd < 0) return io_error(path, errno);
    if (::fchmod(file.fd, mode) != 0) error = errno;
    if (error == 0) error = write_all(file.fd, content);
  }
  fault_point();
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) return io_error(path, error);
  return {};
}

Status sync_file_system_of(const std::string& folder) {
  const Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd < 0) return io_error(folder, errno);
  fault_point();
  if (::syncfs(file.fd) != 0) return io_error(folder, errno);
  return {};
}

Result<NewFile> NewFile::create(const std::string& path, mode_t mode) {
  NewFile file;
  std::string temporary = path + ".tmp-XXXXXX";
  file.fd_ = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file.fd_ < 0) return io_error(path, errno);
  file.path_ = path;
  file.temporary_ = temporary;
  if (::fchmod(file.fd_, mode) != 0) return io_error(path, errno);
  return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})) {}

NewFile& NewFile::operator=(NewFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  return *this;
}

NewFile::~NewFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status NewFile::append(ByteView bytes) {
  UFAB_ASSERT(fd_ >= 0);
  if (const int error = write_all(fd_, bytes); error != 0) return io_error(path_, error);
  return {};
}

Status NewFile::finish() {
  UFAB_ASSERT(fd_ >= 0);
  fault_point();
  if (::fsync(fd_) != 0) return io_error(path_, errno);
  ::close(std::exchange(fd_, -1));
  UFAB_TRY(rename_durable(temporary_, path_));
  temporary_.clear();
  return {};
}

Status create_file_exclusive(const std::string& path, ByteView content, mode_t mode) {
  std::string temporary = path + ".tmp-XXXXXX";
  int error = 0;
  {
    const Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (file.fd < 0) return io_error(path, errno);
    if (::fchmod(file.fd, mode) != 0) error = errno;
    if (error == 0) error = write_all(file.fd, content);
    if (error == 0) {
      fault_point();
      if (::fsync(file.fd) != 0) error = errno;
    }
  }
  fault_point();
  if (error == 0 && ::link(temporary.c_str(), path.c_str()) != 0) error = errno;
  ::unlink(temporary.c_str());
  if (error != 0) return io_error(path, error);
  fault_point();
  return sync_folder_of(path);
}

Status make_folders(const std::string& path, mode_t mode) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(path, error);
  if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  if (created && ::chmod(path.c_str(), mode) != 0) return io_error(path, errno);
  return {};
}

bool file_exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<AppendFile> AppendFile::open(const std::string& path, mode_t mode) {
  AppendFile file;
  // A FIFO that stands there without a reader is an error, not a wait.
  file.fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, mode);
  if (file.fd_ < 0) return io_error(path, errno);
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return io_error(path, errno);
  file.size_ = static_cast<std::uint64_t>(info.st_size);
  file.path_ = path;
  if (file.size_ == 0) UFAB_TRY(sync_folder_of(path));
  return file;
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      room_end_(other.room_end_),
      path_(std::move(other.path_)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(room_end_, other.room_end_);
  std::swap(path_, other.path_);
  return *this;
}

AppendFile::~AppendFile() {
  if (fd_ < 0) return;
  if (has_room() && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) {
    // It stays, as after a crash.
  }
  ::close(fd_);
}

Status AppendFile::append(ByteView bytes) {
  UFAB_ASSERT(is_open());
  const int error = write_all_at(fd_, bytes, size_, has_room() ? Tear::sectors : Tear::bytes);
  if (error != 0) return io_error(path_, error);
  size_ += bytes.size();
  return {};
}

Status AppendFile::make_room(std::uint64_t end) {
  UFAB_ASSERT(is_open());
  const std::uint64_t begin = std::max(room_end_, size_);
  if (end <= begin) return {};
  const Bytes zeros(end - begin);
  if (const int error = write_all_at(fd_, zeros, begin, Tear::bytes); error != 0)
    return io_error(path_, error);
  room_end_ = end;
  return {};
}

Status AppendFile::sync() {
  UFAB_ASSERT(is_open());
  fault_point();
  if (::fdatasync(fd_) != 0) return io_error(path_, errno);
  return {};
}

Status AppendFile::truncate(std::uint64_t size) {
  UFAB_ASSERT(is_open());
  fault_point();
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return io_error(path_, errno);
  size_ = size;
  room_end_ = 0;
  return sync();
}

FileSync::~FileSync() {
  if (fd_ >= 0) ::close(fd_);
}

Status FileSync::follow(const AppendFile& file) {
  UFAB_ASSERT(file.is_open());
  const int fd = ::fcntl(file.fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return io_error(file.path_, errno);
  const std::lock_guard guard(mutex_);
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  path_ = file.path_;
  return {};
}

Status FileSync::sync() {
  const std::lock_guard guard(mutex_);
  if (fd_ < 0) return {};
  fault_point();
  if (::fdatasync(fd_) != 0) return io_error(path_, errno);
  return {};
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return io_error(path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error == EWOULDBLOCK) return Error{ErrorCode::conflict, path + ": another process holds this lock"};
    return io_error(path, error);
  }
  return FileLock(fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace ufab
