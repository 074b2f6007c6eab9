// Files whose content must survive kill -9 at any moment: temporary name, sync, rename, sync of the folder.
//
// Fault injection: every durable operation below (write, sync, rename) first passes fault_point(). With
// UFAB_CRASH_AT=N in the environment the process kills itself with SIGKILL at its N-th such point (1-based);
// a write that is hit first writes half of its bytes, as a torn write would. Tests use it to try every point.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>
#include <string_view>

#include "fabric/base/bytes.h"

namespace ufab {

// Whole file; ErrorCode::limit when it is larger than max_size bytes, not_found when it does not exist.
[[nodiscard]] Result<Bytes> read_file(const std::string& path, std::size_t max_size);
[[nodiscard]] Result<std::string> read_text_file(const std::string& path, std::size_t max_size);
// After success the new content is durable under `path`; before it, the old content is intact.
[[nodiscard]] Status write_file_atomic(const std::string& path, ByteView content, mode_t mode = 0644);
// As write_file_atomic, but nothing is synced: readers see all of the content or none, a power failure may
// leave either, or an empty file. For what is durable elsewhere; one writer of a path at a time.
[[nodiscard]] Status write_file_unsynced(const std::string& path, ByteView content, mode_t mode = 0644);
// Everything written so far on the file system that holds `folder` is durable when it returns (syncfs).
[[nodiscard]] Status sync_file_system_of(const std::string& folder);
// As write_file_atomic, but an existing file is ErrorCode::conflict and stays as it is.
[[nodiscard]] Status create_file_exclusive(const std::string& path, ByteView content, mode_t mode);
// Renames a finished, synced file into place and syncs the folder.
[[nodiscard]] Status rename_durable(const std::string& from, const std::string& to);
[[nodiscard]] Status sync_folder_of(const std::string& path);
[[nodiscard]] Status make_folders(const std::string& path, mode_t mode = 0755);
[[nodiscard]] bool file_exists(const std::string& path);

// A new file written in pieces, too large for one memory: under a temporary name until finish() makes it
// durable under its own. Without finish() nothing of it stays. Not thread-safe.
class NewFile {
 public:
  [[nodiscard]] static Result<NewFile> create(const std::string& path, mode_t mode = 0644);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&& other) noexcept;
  ~NewFile();

  [[nodiscard]] Status append(ByteView bytes);
  // Once, as the last call.
  [[nodiscard]] Status finish();

 private:
  NewFile() = default;
  int fd_ = -1;
  std::string path_, temporary_;  // temporary_ is empty when there is nothing to remove
};

// A file that only grows, by one writer. Not thread-safe.
//
// It may have room: zeros behind its end, written ahead, that later appends overwrite. Making an append
// within it durable takes one write of the disk and none of the file system's own, which a file that grows
// needs too. Room is given back when the file is closed; after a crash it is still there.
class AppendFile {
 public:
  // Opens or creates; the position is the end of the file.
  [[nodiscard]] static Result<AppendFile> open(const std::string& path, mode_t mode = 0644);
  AppendFile() = default;
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  // All bytes or an error; after an error the file may end in a part of them.
  [[nodiscard]] Status append(ByteView bytes);
  // fdatasync: everything appended before is durable when it returns.
  [[nodiscard]] Status sync();
  // Cuts the file to `size` bytes, without room, and syncs.
  [[nodiscard]] Status truncate(std::uint64_t size);
  // Room as far as byte `end` of the file, in one write: a few hundred kilobytes, not more.
  [[nodiscard]] Status make_room(std::uint64_t end);
  [[nodiscard]] bool has_room() const { return room_end_ > size_; }
  [[nodiscard]] std::uint64_t room_end() const { return room_end_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  friend class FileSync;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t room_end_ = 0;  // 0, or what the file's size on disk is, at least size_
  std::string path_;
};

// Makes durable, from any thread, what an AppendFile has appended, while its owner goes on appending.
class FileSync {
 public:
  FileSync() = default;
  ~FileSync();
  FileSync(const FileSync&) = delete;
  FileSync& operator=(const FileSync&) = delete;
  // From now on `file`, which is open. The one before is not synced.
  [[nodiscard]] Status follow(const AppendFile& file);
  // fdatasync: everything appended before the call is durable when it returns.
  [[nodiscard]] Status sync();

 private:
  std::mutex mutex_;
  std::string path_;
  int fd_ = -1;  // of its own; -1: nothing is followed
};

// Holds an exclusive advisory lock (flock) on a file until destroyed; conflict when another process has it.
class FileLock {
 public:
  [[nodiscard]] static Result<FileLock> acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Counts one durable operation; see above. Called by this file's functions, and by others (parallel HDF5)
// that make something durable by other means.
void fault_point();
// The same as UFAB_CRASH_AT=operation from now on, for a test's forked child; 0 disarms.
void arm_fault(std::uint64_t operation);

}  // namespace ufab
