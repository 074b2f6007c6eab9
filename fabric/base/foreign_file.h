// Reads files that a script which nobody trusts may have written, replaced or is writing at this moment.
//
// A file is named by a folder whose path the caller vouches for, and a name below it, "out/log.jsonl" for
// example, of which nothing is believed: each part is opened relative to the one before it, no symbolic link
// is followed (in the folder's last part neither), opening never waits (a FIFO without a writer), and only a
// regular file that belongs to the folder's owner is accepted, so that neither a link, a device, a FIFO nor a
// second name for somebody else's file is ever read. What does not fit is ErrorCode::denied and says why;
// what is not there is not_found. Size and content may change between two calls: every reader has its bound.
#pragma once

#include <cstdint>
#include <string>

#include "fabric/base/bytes.h"
#include "fabric/base/result.h"

namespace ufab {

class ForeignFile {
 public:
  // Errors: invalid for a name that is empty, absolute or has a part "." or ".."; not_found, denied, io. With
  // `or_own` a file of this process's user is accepted as well: for folders into which this process writes
  // itself, and callers who ask is_own().
  [[nodiscard]] static Result<ForeignFile> open(const std::string& folder, const std::string& name,
                                                bool or_own = false);
  ForeignFile(ForeignFile&& other) noexcept;
  ForeignFile& operator=(ForeignFile&& other) noexcept;
  ~ForeignFile();

  [[nodiscard]] std::uint64_t size() const { return size_; }  // when it was opened
  [[nodiscard]] bool is_own() const { return own_; }          // this process's user's
  // At most `most` bytes from there; fewer at the end of the file.
  [[nodiscard]] Result<Bytes> read(std::uint64_t offset, std::size_t most) const;
  // All of it; ErrorCode::limit when that is more than `most` bytes.
  [[nodiscard]] Result<Bytes> read_all(std::size_t most) const;
  // A new file `to`, this process's own, durable, with what is in this one. ErrorCode::limit when that is
  // more than `most` bytes: nothing is left then.
  [[nodiscard]] Status copy_to(const std::string& to, mode_t mode, std::uint64_t most) const;
  // As copy_to, but a second name for the same file where it is this process's own already.
  [[nodiscard]] Status keep_as(const std::string& to, std::uint64_t most) const;

 private:
  ForeignFile() = default;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  bool own_ = false;
  std::string path_;  // for messages
};

// Whether open() would succeed.
[[nodiscard]] bool foreign_file_exists(const std::string& folder, const std::string& name);
[[nodiscard]] Result<std::string> read_foreign_text(const std::string& folder, const std::string& name,
                                                    std::size_t most);

}  // namespace ufab
